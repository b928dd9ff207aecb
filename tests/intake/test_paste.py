"""Cleaning: what surrounds a program's output goes, the line's number stays."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpudoctor.intake import Unreadable, read
from gpudoctor.intake.paste import LONGEST_LINE, MOST_CHARACTERS, Paste, decode
from tests.intake import pastes
from tests.intake.pastes import facts


def lines(text: str) -> list[tuple[int, str]]:
    """The clean lines with their numbers."""
    paste = Paste(text)
    return list(zip(paste.numbers, paste.texts, strict=True))


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("> > nvidia-smi: not found", "nvidia-smi: not found"),
        ("\x1b[1;31mRuntimeError\x1b[0m: no", "RuntimeError: no"),
        ("\x1b]0;title\x07text", "text"),
        ("2024-01-01 12:00:00.123456: W tensorflow/x.cc:64] Could not", "W tensorflow/x.cc:64] Could not"),
        ("2024-01-01T12:00:00.123Z stderr F message", "stderr F message"),
        ("[    12.345678] NVRM: Xid", "NVRM: Xid"),
        ("[Mon Jan  1 12:00:00 2024] NVRM: Xid", "NVRM: Xid"),
        ("Jan  1 12:00:00 host kernel: NVRM: Xid", "NVRM: Xid"),
        ("web-1  | RuntimeError: x", "RuntimeError: x"),
        ("[rank0]: Traceback", "Traceback"),
        ("- OS: Linux", "OS: Linux"),
        ("### OS", "OS"),
        ("a &lt;b&gt; &amp; c", "a <b> & c"),
        ("null\x00byte\x07bell", "nullbytebell"),
        ("right\u202eleft", "rightleft"),
        ("tab\there", "tab    here"),
    ],
)
def test_what_surrounds_a_line_is_taken_off(raw: str, clean: str) -> None:
    assert lines(f"first line\n{raw}\nlast line") == [(1, "first line"), (2, clean), (3, "last line")]


@pytest.mark.parametrize(
    "prompt",
    [
        "$ ",
        "# ",
        "user@host:~$ ",
        "(venv) user@host:~/work$ ",
        "(base) [user@host ~]$ ",
        "root@3f2a9c:/# ",
        "PS C:\\Users\\ann> ",
        "C:\\Users\\ann>",
        "sh-4.2# ",
    ],
)
def test_a_line_behind_a_prompt_is_a_command(prompt: str) -> None:
    paste = Paste(f"text\n{prompt}nvidia-smi -L\ntext")
    assert paste.texts[1] == "nvidia-smi -L"
    assert paste.commands == {1}


def test_a_comment_is_no_command() -> None:
    paste = Paste("# packages in environment at /opt/conda:\n# Name Version Build Channel\n")
    assert paste.commands == set()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252"])
def test_every_usual_encoding_gives_the_same_facts(encoding: str) -> None:
    text = pastes.COLLECT_ENV_2_4 + "\nFehler: ungültig\n"
    assert read(text.encode(encoding)).facts == facts(text)


def test_a_utf16_file_with_its_mark_is_read() -> None:
    assert read(codecs.BOM_UTF16_LE + pastes.SMI_610.encode("utf-16-le")).facts == facts(pastes.SMI_610)


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_line_ends_do_not_matter(end: str) -> None:
    assert facts(pastes.COLLECT_ENV_2_4.replace("\n", end)) == facts(pastes.COLLECT_ENV_2_4)


def test_quotes_fences_colours_and_line_numbers_do_not_matter() -> None:
    plain = pastes.SMI_418 + pastes.COLLECT_ENV_CPU
    quoted = "".join(f"> {line}\n" for line in plain.splitlines())
    coloured = "".join(f"\x1b[32m{line}\x1b[0m\n" for line in plain.splitlines())
    counted = "".join(f"{number:4d}  {line}\n" for number, line in enumerate(plain.splitlines(), 1))
    expected = facts(plain)
    assert facts(quoted) == expected
    assert facts(coloured) == expected
    assert facts(counted) == expected


@pytest.mark.parametrize("data", [b"", b"\x00\x00\x00", b"  \n\n", b"\xef\xbb\xbf", b"```\n```\n"])
def test_an_empty_text_is_unreadable(data: bytes) -> None:
    with pytest.raises(Unreadable, match="empty"):
        read(data)


def test_a_binary_file_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="binary"):
        read(b"\x7fELF\x02\x01\x01" + bytes(range(256)) * 40)


def test_a_text_too_long_keeps_head_and_tail_and_says_so() -> None:
    text = pastes.SMI_418 + "x" * 70 + "\n" * (MOST_CHARACTERS + 100) + "y\n" * MOST_CHARACTERS + pastes.COLLECT_ENV_CPU
    intake = read(text.encode())
    assert intake.cut
    assert intake.facts.known_gpus()
    assert intake.facts.framework("torch") is not None


def test_a_line_too_long_is_cut() -> None:
    assert len(Paste("a" * 1_000_000).texts[0]) == LONGEST_LINE


@given(
    st.lists(st.text(alphabet="ab=:x ", min_size=1, max_size=6), max_size=40),
    st.lists(st.tuples(st.integers(0, 39), st.booleans()), max_size=30),
    st.text(alphabet="ab=:x", min_size=1, max_size=3),
)
def test_a_mark_is_found_in_every_free_line_that_holds_it(
    raw: list[str], taken: list[tuple[int, bool]], mark: str
) -> None:
    paste = Paste("\n".join(raw))
    for position, settled in taken:
        if position < len(paste):
            paste.take(position)
        if settled:
            paste.settle()
    free = [position for position in range(len(paste)) if not paste.taken[position]]
    holding = tuple(position for position in free if mark in paste.texts[position])
    assert tuple(paste.free()) == tuple(free)
    assert paste.holding(mark) == holding
    assert paste.holds("zz", mark) or not holding


def test_what_is_read_meanwhile_is_no_longer_free() -> None:
    paste = Paste("a\nb\nc\nd")
    seen = []
    for position in paste.free():
        seen.append(position)
        paste.take(position, min(position + 1, 3))
    assert seen == [0, 2]


def test_decoding_keeps_the_text() -> None:
    assert decode("Größe".encode()) == ("Größe", False)
