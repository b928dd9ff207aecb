"""Raw text → clean lines, each with the number it has in the paste. Everything in a paste is data.

What people wrap around a program's output is taken off here, so that no format has to know of it: encodings, line
ends, terminal escapes, quote marks, code fences, HTML entities, list bullets, line-number columns, time stamps and
prompts. Every pattern is linear: no nested repetition, bounded widths.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

MOST_CHARACTERS = 4_000_000
LONGEST_LINE = 4_000
MOST_LINES = 120_000


class Unreadable(ValueError):  # noqa: N818 - a state of the text, not of the program
    """The text cannot be a paste at all: empty or binary. The message is one sentence for the user."""


# ----------------------------------------------------------------------------------------------- the text


_HALF = MOST_CHARACTERS // 2
_BOMS = ((b"\xff\xfe\x00\x00", "utf-32-le"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))


def decode(data: bytes) -> tuple[str, bool]:
    """The text of a paste and whether its middle was left out. Raises Unreadable for what is empty or binary."""
    cut = len(data) > 2 * MOST_CHARACTERS
    parts = (data[:MOST_CHARACTERS], data[-MOST_CHARACTERS:]) if cut else (data,)
    head = parts[0]
    if not head.strip(b"\x00 \t\r\n"):
        raise Unreadable("The text is empty.")
    encoding = next((name for mark, name in _BOMS if head.startswith(mark)), None) or _utf16_without_mark(head)
    if encoding is None:
        if _binary(head):
            raise Unreadable("This is a binary file, not text.")
        encoding = "utf-8" if _is_utf8(head) else "latin-1"
    # A cut never falls inside a UTF-16 unit: the parts' lengths are even, but the tail may start at an odd offset.
    tail = [part[(len(data) - len(part)) % 2 :] if encoding.startswith("utf-16") else part for part in parts[1:]]
    texts = [part.decode(encoding, "replace") for part in (head, *tail)]
    return "\n".join(texts), cut


def _utf16_without_mark(head: bytes) -> str | None:
    sample = head[:4000]
    if 0 not in sample:
        return None
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    enough = len(sample) // 4
    if odd > enough and even < len(sample) // 20:
        return "utf-16-le"
    return "utf-16-be" if even > enough and odd < len(sample) // 20 else None


_NOT_IN_TEXT = bytes(byte for byte in range(32) if byte not in (7, 8, 9, 10, 12, 13, 27))


def _binary(head: bytes) -> bool:
    sample = head[:8000]
    odd = len(sample) - len(sample.translate(None, _NOT_IN_TEXT))
    return odd * 20 > len(sample)


def _is_utf8(head: bytes) -> bool:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4  # a character that the cut divided
    return True


# Control sequences of ECMA-48 and xterm: CSI, OSC (ended by BEL or ST), and two-character escapes.
_ESCAPES = re.compile(
    r"\x1b\[[0-?]{0,40}[ -/]{0,4}[@-~]|\x1b\][^\x07\x1b\n]{0,400}(?:\x07|\x1b\\)|\x1b[@-Z\\^_=>()*+./78-~]?"
)
_LOST_ESCAPES = re.compile(r"(?:␛|\^\[)\[[0-9;]{0,20}m")
# C0 and C1 controls but tab and line feed, zero-width and bidirectional controls, the byte-order mark, surrogates.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
_ASCII_CONTROLS = bytes(byte for byte in (*range(32), 127) if byte not in b"\t\n")
_ENTITY = re.compile(r"&(?:amp|lt|gt|quot|apos|nbsp|#\d{1,5}|#x[0-9a-fA-F]{1,4});")
_SPACES = str.maketrans({"\t": "    ", "\xa0": " ", "\u2007": " ", "\u202f": " ", "\u3000": " ", "\uff1a": ":"})
_LINE_ENDS = str.maketrans({"\x0b": "\n", "\x0c": "\n", "\x85": "\n", "\u2028": "\n", "\u2029": "\n"})


def normalise(text: str) -> str:
    """One line end, no escapes, no control characters, no entities."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.isascii():
        text = text.translate(_LINE_ENDS)
    if "\x1b" in text:
        text = _ESCAPES.sub("", text)
    if "␛" in text or "^" in text:
        text = _LOST_ESCAPES.sub("", text)
    if "&" in text:
        text = _ENTITY.sub(lambda found: html.unescape(found[0]), text)
    if "\r" in text:  # &#13;
        text = text.replace("\r", "\n")
    if _has_controls(text):
        text = _CONTROLS.sub("", text)
    if "\t" in text or not text.isascii():
        text = text.translate(_SPACES)
    return text


def _has_controls(text: str) -> bool:
    if text.isascii():
        return len(text.encode().translate(None, _ASCII_CONTROLS)) < len(text)
    return _CONTROLS.search(text) is not None


# ------------------------------------------------------------------------------------------------ the lines


_COMMANDS = (
    "sudo|nvidia-smi|nvcc|pip3?|uv|conda|mamba|python[\\d.]{0,4}|python3|lspci|lsmod|dmesg|ls|cat|uname|lsb_release|modinfo"
    "|modprobe|mokutil|dkms|systemctl|journalctl|docker|podman|kubectl|nerdctl|printenv|env|export|echo|ldd|ldconfig"
    "|which|where|wsl|gcc|apt|apt-get|dnf|yum|dpkg|rpm|lscpu|free|df|id|groups|poetry|pixi|nvidia-container-cli"
    "|nvidia-ctk|strace|bash|sh|enroot|singularity|apptainer|srun|sbatch|jupyter|ollama|vllm|git|grep|find|cd"
)
_COMMAND = re.compile(rf"(?:{_COMMANDS})(?=[ \t]|$)")
_PROMPT = re.compile(
    r"(?:\([\w.@:/ -]{1,60}\) ?){0,3}"  # (base) (venv)
    r"(?:"
    r"\[?[\w.+-]{1,40}@[\w.-]{1,80}[: ]?[^$#>\n]{0,120}?\]?[$#>%] "  # user@host:~$ , [user@host ~]$ , root@id:/#
    r"|PS [A-Za-z]:[^>\n]{0,160}> ?|[A-Za-z]:\\[^>\n]{0,160}> ?"  # PS C:\Users> , C:\Users>
    r"|(?:ba|z|k)?sh-[\d.]{1,6}[$#] "
    r"|>>> ?|\.\.\. |In ?\[\d{0,4}\]: ?"
    r"|[$\u276f\u279c%] {1,4}(?:~ )?"
    r")"
)
_PROMPT_MARKS = frozenset("(>.$%\u276f\u279c")
_PROMPT_WORDS = frozenset({"PS", "In", "ba", "zs", "ks", "sh"})
_ROOT_PROMPT = re.compile(r"# {1,2}(?=\S)")
_TIME = re.compile(
    r"(?:"
    r"\[?\d{4}[-/.]\d\d[-/.]\d\d[T _]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?\]?"
    r"|\[ {0,6}\d{1,8}\.\d{1,9}\]"  # dmesg
    r"|\[(?:\w{3} )?\w{3} {1,2}\d{1,2} \d\d:\d\d:\d\d(?: \d{4})?\]"  # dmesg -T
    r"|\[\d\d:\d\d:\d\d(?:[.,]\d{1,6})?\]"
    r"|\w{3} {1,2}\d{1,2} \d\d:\d\d:\d\d(?:\.\d{1,6})? [\w.-]{1,60} (?:kernel|[\w./@-]{1,40})(?:\[\d{1,8}\])?(?=: )"
    r"|\d\d:\d\d:\d\d(?:[.,]\d{1,6})?(?= )"
    r"|[WEIF]\d{4} \d\d:\d\d:\d\d\.\d{1,6}(?= )"
    r")[:,]? {0,4}"
)
_MONTHS = frozenset(["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"])
_COMPOSE = re.compile(r"[A-Za-z][\w.-]{0,40} {1,12}\| ")
_RANK = re.compile(r"\[(?:rank|Rank )?\d{1,4}\]: ?|\[\d{1,4},\d{1,4}\]<std(?:out|err)>: ?")


class Paste:
    """Clean lines with the number each had in the paste, and which of them some format has read.

    ``texts`` are stripped; ``indents`` count the blanks before them; ``commands`` marks lines that stood behind a
    prompt. The three run in parallel and are indexed by position; ``numbers`` leads back to the paste.
    """

    __slots__ = ("_left", "_left_text", "commands", "cut", "headings", "indents", "numbers", "taken", "text", "texts")

    def __init__(self, text: str, *, cut: bool = False) -> None:
        """Clean the text. What is longer than gpudoctor reads keeps its head and tail (``cut``)."""
        self.cut = cut
        if len(text) > MOST_CHARACTERS:
            text, self.cut = f"{text[:_HALF]}\n{text[-_HALF:]}", True
        lines = normalise(text).split("\n")
        numbers = list(range(1, len(lines) + 1))
        if len(lines) > MOST_LINES:
            half = MOST_LINES // 2
            lines, numbers, self.cut = lines[:half] + lines[-half:], numbers[:half] + numbers[-half:], True
        lines = _without_number_column(lines)
        self.numbers: list[int] = []
        self.texts: list[str] = []
        self.indents: list[int] = []
        self.commands: set[int] = set()
        self.headings: set[int] = set()
        self._clean(lines, numbers)
        self.text = "\n".join(self.texts)
        self.taken = bytearray(len(self.texts))
        self._left: Sequence[int] = range(len(self.texts))
        self._left_text = self.text

    def _clean(self, lines: list[str], numbers: list[int]) -> None:
        for number, raw in zip(numbers, lines, strict=True):
            text = raw.strip()[:LONGEST_LINE]
            if not text:
                continue
            position = len(self.texts)
            indent = 0 if text is raw else len(raw) - len(raw.lstrip())
            if (
                text[0] in _SUSPECT
                or text[:2] in _PROMPT_WORDS
                or text[1:2].isdecimal()
                or "@" in text
                or text[:3] in _MONTHS
                or "| " in text
                or text[1:3] == ":\\"
            ):
                text, command, heading = _unwrap(text)
                if not text:
                    continue
                if command:
                    self.commands.add(position)
                if heading:
                    self.headings.add(position)
            self.numbers.append(number)
            self.texts.append(text)
            self.indents.append(indent)

    def __len__(self) -> int:
        """How many lines are not blank."""
        return len(self.texts)

    def where(self, first: int, last: int | None = None) -> str:
        """The source of a fact: ``line 31``, or ``lines 31-40`` for a range of positions, both ends included."""
        start, end = self.numbers[first], self.numbers[first if last is None else last]
        return _line(start) if start == end else f"lines {start}-{end}"

    def take(self, first: int, last: int | None = None) -> None:
        """Mark positions as read, both ends included."""
        for position in range(first, (first if last is None else last) + 1):
            self.taken[position] = 1

    def free(self) -> Iterator[int]:
        """The positions that nothing has read yet, in order; also what is read meanwhile is left out."""
        find = self.taken.find
        position = find(0)
        while position >= 0:
            yield position
            position = find(0, position + 1)

    @property
    def is_read(self) -> bool:
        """Whether every line has been read."""
        return 0 not in self.taken

    def holding(self, mark: str) -> tuple[int, ...]:
        """The free positions whose line contains a text."""
        text = self._left_text
        at, line, counted = text.find(mark), 0, 0
        if at < 0:
            return ()
        found = []
        while at >= 0:
            line += text.count("\n", counted, at)
            found.append(self._left[line])
            counted = text.find("\n", at)
            at = text.find(mark, counted) if counted >= 0 else -1
        return tuple([position for position in found if not self.taken[position]])

    def holds(self, *marks: str) -> bool:
        """Whether a free line contains one of these texts; it may have been read since the last format."""
        return any(map(self._left_text.__contains__, marks))

    def settle(self) -> None:
        """Look for marks only in what is still free, once that is less than half of what was looked at so far."""
        if 2 * self.taken.count(0) < len(self._left):
            self._left = tuple(self.free())
            self._left_text = "\n".join([self.texts[position] for position in self._left])

    def command_of(self, position: int, back: int = 40) -> str:
        """The command whose output a line belongs to: the nearest prompt line above, empty if there is none."""
        for candidate in range(position - 1, max(position - back, 0) - 1, -1):
            if candidate in self.commands:
                return self.texts[candidate]
        return ""


@lru_cache(maxsize=1024)
def _line(number: int) -> str:
    return f"line {number}"


_TAG = re.compile(r"</?(?:details|summary|pre|code|br|p|b|i|kbd|sub|sup)(?: [^<>\n]{0,100})?/?>", re.IGNORECASE)
_SUSPECT = frozenset("<>`~-*•●○·#$[(0123456789.\u276f\u279c%+└├─")


def _unwrap(text: str) -> tuple[str, bool, bool]:
    """One line without what surrounds it; whether it is a command behind a prompt, and whether it is a heading."""
    while text[:1] == ">" and not text.startswith(">>>"):
        text = text[1:].lstrip()
    if text.startswith(("```", "~~~")) or text in ("---", "***"):
        return "", False, False
    if text[:1] == "<":
        text = _TAG.sub("", text).strip()
    if text[:2] in ("- ", "* ", "+ ", "• ", "· ", "- ") or text[:1] in "•●○":
        text = text[1:].lstrip(" -*")
    if "@" in text or text[:1] in _PROMPT_MARKS or text[:2] in _PROMPT_WORDS or text[1:3] == ":\\":
        prompt = _PROMPT.match(text)
        if prompt and prompt.end() > 0:
            return text[prompt.end() :].strip(), True, False
    if text[:1] == "#":
        return _hash(text)
    if text.startswith("**") and text.endswith("**") and ":" not in text and len(text) < 80:
        return text.strip("* "), False, True
    timed = text[:1] == "[" or text[:1].isdecimal() or text[1:2].isdecimal() or text[3:4] == " "
    if timed and (stamp := _TIME.match(text)):
        text = text[stamp.end() :].strip()
    elif text[:1].isalpha() and " | " in text and (name := _COMPOSE.match(text)):
        text = text[name.end() :].strip()
    if text[:1] == "[" and (rank := _RANK.match(text)):
        text = text[rank.end() :].strip()
        inner = _TIME.match(text)
        text = text[inner.end() :].strip() if inner else text
    return text, False, False


def _hash(text: str) -> tuple[str, bool, bool]:
    """``# nvidia-smi`` is root's prompt, ``### System`` a heading, ``# packages in environment`` a comment."""
    prompt = _ROOT_PROMPT.match(text)
    if prompt and _COMMAND.match(text, prompt.end()):
        return text[prompt.end() :].strip(), True, False
    bare = text.lstrip("#").strip()
    return bare, False, text.startswith("##") or (len(bare) < 60 and ":" not in bare)


_NUMBERED = re.compile(r" {0,6}(\d{1,6})(?:[:|)│]| {1,4})(?: |$)?")


def _without_number_column(lines: list[str]) -> list[str]:
    """Lines without a column of running line numbers, if (nearly) every line has one."""
    first = next((line for line in lines[:5] if line.strip()), "")
    if not first.strip()[:1].isdecimal():
        return lines
    found = [_NUMBERED.match(line) for line in lines]
    values = [int(match[1]) for match in found if match]
    running = sum(1 for before, after in pairwise(values) if after == before + 1)
    if len(values) < 3 or running < 0.9 * sum(1 for line in lines if line.strip()) - 2:
        return lines
    return [line[match.end() :] if match else line for line, match in zip(lines, found, strict=True)]
