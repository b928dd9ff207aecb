"""What Python prints of the frameworks: ``torch.cuda.is_available()``, device lists, build information.

One mechanism reads a session, a script and ``python -c``. A line asks for one or more values: an expression, several
behind commas, or a call of ``print`` with labels between them. What was asked for and not answered on the line itself
waits for its output: the next lines up to the following prompt, of which those that cannot be the answer (log lines,
warnings) are passed over. A value counts only if it reads as an answer to its expression.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from gpudoctor.facts import FrameworkName, Message
from gpudoctor.intake import statements, words
from gpudoctor.intake.gpus import capability, seen
from gpudoctor.intake.messages import framework_of, message
from gpudoctor.intake.paste import Paste
from gpudoctor.intake.pieces import Piece, Said, SeenGpus, SeenPackage, Trust
from gpudoctor.matrix.questions import cudnn_text

_EXPRESSION = (
    r"torch\.cuda\.is_available\(\)|torch\.__version__|torch\.version\.cuda|torch\.version\.hip"
    r"|torch\.cuda\.device_count\(\)|torch\.cuda\.get_arch_list\(\)"
    r"|torch\.cuda\.get_device_name\((?:\d{0,2}|torch\.cuda\.current_device\(\)|[\"']cuda(?::\d)?[\"'])\)"
    r"|torch\.cuda\.get_device_capability\((?:\d{0,2}|torch\.cuda\.current_device\(\))\)"
    r"|torch\.backends\.cudnn\.version\(\)|torch\.backends\.cudnn\.enabled|torch\.backends\.cudnn\.is_available\(\)"
    r"|tf\.__version__|tensorflow\.__version__|tf\.version\.VERSION|tf\.test\.is_gpu_available\([^()\n]{0,40}\)"
    r"|tf\.test\.is_built_with_cuda\(\)|tf\.test\.gpu_device_name\(\)"
    r"|len\((?:tf|tensorflow)\.config\.(?:experimental\.)?list_physical_devices\([^()\n]{0,20}\)\)"
    r"|(?:tf|tensorflow)\.config\.(?:experimental\.)?list_(?:physical|logical)_devices\([^()\n]{0,40}\)"
    r"|(?:tf|tensorflow)\.sysconfig\.get_build_info\(\)\[[\"']\w{1,20}[\"']\]"
    r"|jax\.__version__|jaxlib\.__version__|jax\.(?:local_)?devices\([^()\n]{0,20}\)|jax\.default_backend\(\)"
    r"|jax\.lib\.xla_bridge\.get_backend\(\)\.platform|(?:np|numpy|keras|tf\.keras|torchvision|torchaudio)\.__version__"
    r"|sys\.version|sys\.executable"
)
_WHOLE = re.compile(_EXPRESSION)
# An expression with its answer on the same line: ``expression -> answer``, ``expression returns answer``.
_CALL = re.compile(
    r"(?:print ?\(|>>> ?|assert |python[\d.]{0,4} -c [\"'](?:import \w{1,20}; ?)?print\()?"
    rf"({_EXPRESSION})"
    r"\)?[\"']?\)?"
    r"\s{0,3}(?:->|=>|==?|:|→|returns?|returned|is|gives|outputs?|prints|#)?\s{0,3}(?P<answer>\S.{0,400})$"
)
_MARKS = ("torch.", "tf.", "tensorflow.", "jax", "sys.", "__version__")
_FAR = 25  # lines of a log between the question and its answer


class Item(NamedTuple):
    """A part of one line of output: an expression's value, or the text of a label (``expression`` None)."""

    expression: str | None
    label: str = ""


class Asked(NamedTuple):
    """What one line of output will hold, and where it was asked for. A bare tuple is printed with its brackets."""

    items: tuple[Item, ...]
    position: int
    printed: bool

    @property
    def expressions(self) -> tuple[str, ...]:
        """The expressions alone, in order."""
        return tuple(item.expression for item in self.items if item.expression is not None)


def read_prints(paste: Paste) -> Iterator[Piece]:
    """Every expression with its answer, on the same line or below; then device lists that stand alone."""
    if paste.holds(*_MARKS):
        yield from _answers(paste)
    if paste.holds("import "):
        yield from _imports(paste)
    if paste.holds("PyTorch built with"):
        yield from _configuration(paste)
    yield from _device_lists(paste)
    if paste.holds("Using devices"):
        yield from _ranks(paste)
    if paste.holds("Driver API Version: "):
        yield from _paddle(paste)


_PADDLE = re.compile(
    r"Please NOTE: device: (\d{1,2}), (?:GPU|CUDA) Compute Capability: (\d{1,2}\.\d), "
    r"Driver API Version: (\d{1,2}\.\d), Runtime API Version: \d{1,2}\.\d"
)


def _paddle(paste: Paste) -> Iterator[Piece]:
    """What Paddle prints of each device that it opened: CUDA works there."""
    for position in paste.holding("Driver API Version: "):
        row, where = _PADDLE.search(paste.texts[position][:400]), paste.where(position)
        if row is None:
            continue
        paste.take(position)
        value = capability(row[2], where)
        yield SeenGpus((seen(where, int(row[1]), capability=value),), where, Trust.LOGGED)
        yield Said("driver.cuda", row[3], where, Trust.LOGGED)
        yield Said("driver.result", "NVML_SUCCESS", where, Trust.LOGGED)


# nccl-tests, common.cu: the device's number is that of its own machine.
_RANK = re.compile(
    r"Rank {1,3}\d{1,5} (?:Group {1,3}\d{1,5} )?Pid {1,8}\d{1,8} on {1,3}(\S{1,60}) device {1,3}(\d{1,3}) "
    r"\[(?:[\da-f]{4}:)?0x[\da-f]{2}\] (\S.{0,80})$"
)


def _ranks(paste: Paste) -> Iterator[Piece]:
    """The GPUs that a program of nccl-tests lists before its table, those of the first machine."""
    found = [(position, row) for position in paste.holding("Rank ") if (row := _RANK.match(paste.texts[position]))]
    for position, _ in found:
        paste.take(position)
    here = {int(row[2]): (position, row[3]) for position, row in reversed(found) if row[1] == found[0][1][1]}
    gpus = tuple(seen(paste.where(position), index, name) for index, (position, name) in sorted(here.items()))
    if gpus:
        yield SeenGpus(gpus, paste.where(found[0][0], found[-1][0]), Trust.SHOWN)


_IMPORT = re.compile(r"(?:import|from) (?:torch|tensorflow|jax)(?:[ .,;]|$)")


def _imports(paste: Paste) -> Iterator[Piece]:
    """What is imported at a prompt says whose error follows."""
    for position in sorted(paste.commands):
        if not paste.taken[position] and _IMPORT.match(paste.texts[position]):
            paste.take(position)
            yield message(paste, position)


def _answers(paste: Paste) -> Iterator[Piece]:
    waiting: list[Asked] = []
    last = 0
    for position in tuple(paste.free()):
        text, where = paste.texts[position], paste.where(position)
        command = position in paste.commands
        if command or position - last > _FAR:
            waiting = []
        if "." in text and _WHOLE.search(text):
            said = _on_the_line(text, where)
            if said is not None:
                paste.take(position)
                yield from said
                yield message(paste, position)
                continue
            asked = _asked(text, position)
            if asked:
                waiting, last = waiting + asked, position
                continue
        if command or not waiting:
            continue
        for index, one in enumerate(waiting):
            pieces = _answer(one, text, where, strict=position != last + 1)
            if pieces is not None:
                paste.take(one.position)
                paste.take(position)
                yield from pieces
                if "sys.executable" in one.expressions:
                    yield message(paste, position)
                waiting, last = waiting[index + 1 :], position
                break


def _on_the_line(text: str, where: str) -> list[Piece] | None:
    call = _CALL.match(text) or _CALL.match(text.lstrip(">. "))
    if call is None:
        return None
    read = _read(call[1], call["answer"].strip(), where, strict=False)
    return None if read is None else list(read)


# ----------------------------------------------------------------------------------------- what a line asks for


_INLINE = re.compile(r"python[\d.]{0,4}(?:\.exe)? (?:-\w )?-c ?([\"'])(.{1,1000})")
_STRING = re.compile(r"([fF]?)(?:\"([^\"\n]{0,200})\"|'([^'\n]{0,200})')(?: ?\+ ?str\((.{1,200})\))?")
_FIELD = re.compile(r"\{([^{}]{1,200}?)=?\}")
_MOST = 8  # values in one line


def _asked(text: str, position: int) -> list[Asked]:
    """The lines of output that a line of code asks for: of calls of ``print``, else of a bare expression or tuple."""
    inline = _INLINE.search(text)
    code = inline[2].rstrip(inline[1]) if inline else text.strip("`")
    asked = []
    for statement in _divide(code, ";"):
        printed = statement.partition("print")[2] if statement.startswith("print") else None
        items = _items(_unbracketed(statement if printed is None else printed))
        if any(item.expression for item in items) and (printed is not None or not inline):
            asked.append(Asked(items, position, printed is not None))
    return asked


def _unbracketed(text: str) -> str:
    """What is inside a pair of brackets around the whole text, else the text."""
    text = text.strip()
    return text[1:-1] if text[:1] == "(" and text[-1:] == ")" else text


def _divide(text: str, mark: str) -> list[str]:
    """The parts between marks that stand outside of brackets and strings, without blanks around them."""
    parts, start, depth, quote = [], 0, 0, ""
    for index, letter in enumerate(text[:1200]):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth -= 1
        elif letter == mark and depth == 0:
            parts.append(text[start:index].strip())
            start = index + 1
    return [*parts, text[start:].strip()]


def _items(arguments: str) -> tuple[Item, ...]:
    """The expressions and labels of a call's arguments; empty if there is anything else among them."""
    items: list[Item] = []
    for part in _divide(arguments, ",")[:_MOST]:
        string = _STRING.fullmatch(part)
        if _WHOLE.fullmatch(part):
            items.append(Item(part))
        elif string and string[1]:
            items += _fields(string[2] or string[3] or "")
        elif string and (string[4] is None or _WHOLE.fullmatch(string[4])):
            items += [Item(None, string[2] or string[3] or ""), *([Item(string[4])] if string[4] else [])]
        elif not part.startswith(("sep=", "flush=")):
            return ()
    return tuple(items) if all(item.expression is None or _WHOLE.fullmatch(item.expression) for item in items) else ()


def _fields(text: str) -> list[Item]:
    """The labels and expressions of an f-string."""
    items, start = [], 0
    for field in _FIELD.finditer(text):
        items += [Item(None, text[start : field.start()]), Item(field[1])]
        start = field.end()
    return [*items, Item(None, text[start:])]


# ------------------------------------------------------------------------------------------ what answers it


_OUT = re.compile(r"Out ?\[\d{0,4}\]: ?|(?:->|=>|returns?|returned|outputs?|prints?|gives)[: ] ?")


def _answer(asked: Asked, text: str, where: str, *, strict: bool) -> list[Piece] | None:
    """What a line of output states, None if it is not the one that was asked for."""
    out = _OUT.match(text)
    values = _values(asked, text[out.end() :] if out else text)
    if values is None or len(values) != len(asked.expressions):
        return None
    pieces: list[Piece] = []
    for expression, value in zip(asked.expressions, values, strict=True):
        read = _read(expression, value, where, strict=strict)
        if read is None:
            return None
        pieces += read
        if value in _NONE:
            # Who asks and is told that there is none misses it: said in one line, as others write it.
            pieces.append(Message(source=where, text=f"{expression}: {value}", framework=framework_of(expression)))
    return pieces


_NONE = ("False", "None", "[]")


def _values(asked: Asked, text: str) -> list[str] | None:
    if len(asked.items) == 1:
        return [text]
    if not asked.printed:
        return _divide(text[1:-1], ",") if text[:1] == "(" and text[-1:] == ")" else None
    values, rest, open_ = [], text, False
    for item in asked.items:
        label = item.label.strip()
        if item.expression is not None:
            if open_:
                value, _, rest = rest.lstrip().partition(" ")
                values.append(value)
            open_ = True
        elif label and open_:
            value, found, rest = rest.partition(label)
            if not found:
                return None
            values.append(value.strip())
            open_ = False
        elif label:
            if not rest.startswith(label):
                return None
            rest = rest[len(label) :].lstrip()
    return [*values, rest.strip()] if open_ else values


_RELEASE = re.compile(r"\d{1,2}\.\d{1,3}[\w.+-]{0,60}")
_CAPABILITY = re.compile(r"\((\d{1,2}), ?(\d)\)")
_PATH = re.compile(r"(?:[A-Za-z]:|/|~).{1,300}")


def _read(expression: str, answer: str, where: str, *, strict: bool) -> Iterator[Piece] | None:
    """What an answer to an expression states; None if it is no answer to it. ``strict``: it says nothing else."""
    answer = answer.strip("\"'` ").rstrip(".")
    if strict and _RELEASES.search(expression) and not _RELEASE.fullmatch(answer):
        return None
    reader = next((reader for part, reader in _READERS if part in expression), None)
    flag = _FLAGS.get(expression.partition("(")[0])
    if flag is not None:
        return _boolean(flag, answer, where, strict=strict)
    return reader(expression, answer, where) if reader else None


_RELEASES = re.compile(r"__version__|VERSION")
_FLAGS = {
    "torch.cuda.is_available": "torch.available",
    "tf.test.is_gpu_available": "tensorflow.available",
    "tf.test.is_built_with_cuda": "tensorflow.cuda_build",
    "torch.backends.cudnn.is_available": "",
    "torch.backends.cudnn.enabled": "",
}


def _boolean(key: str, answer: str, where: str, *, strict: bool) -> Iterator[Piece] | None:
    word = re.match(r"(True|False|true|false)\b", answer)
    if word is None or (strict and word[0] != answer):
        return None
    return _said(key, word[1].lower(), where) if key else iter(())


def _torch_version(expression: str, answer: str, where: str) -> Iterator[Piece] | None:  # noqa: ARG001
    return statements.read("torch version", answer, where, Trust.SHOWN) if answer[:1].isdecimal() else None


def _torch_cuda(expression: str, answer: str, where: str) -> Iterator[Piece] | None:
    known = answer == "None" or re.match(r"\d{1,2}\.\d", answer)
    return statements.read(expression, answer, where, Trust.SHOWN) if known else None


def _torch_cudnn(expression: str, answer: str, where: str) -> Iterator[Piece] | None:  # noqa: ARG001
    """``92000`` is 9.20.0, ``8907`` is 8.9.7: the encoding changed with cuDNN 9. None without cuDNN."""
    if answer == "None":
        return iter(())
    return _said("torch.cudnn", cudnn_text(answer) if re.fullmatch(r"\d{4,6}", answer) else None, where)


def _package_version(expression: str, answer: str, where: str) -> Iterator[Piece] | None:
    module = expression.removesuffix(".__version__").rpartition(".")[2] if "__" in expression else "tf"
    name = {"tf": "tensorflow", "np": "numpy"}.get(module, module)
    found = re.match(r"v?(\d{1,3}\.\d{1,3}[\w.+-]{0,60})", answer)
    return iter((SeenPackage(name, found[1].rstrip(".,"), where, f"{name}.__version__"),)) if found else None


def _build_value(expression: str, answer: str, where: str) -> Iterator[Piece] | None:
    key = next((key for word, key in _BUILD.items() if word in expression), None)
    if key is None or not re.fullmatch(r"[\w.]{1,20}", answer):
        return None
    return _said(key, answer.lower() if answer in ("True", "False") else _dotted(answer), where)


_BUILD = {
    "cuda_version": "tensorflow.cuda",
    "cudnn_version": "tensorflow.cudnn",
    "is_cuda_build": "tensorflow.cuda_build",
}


def _device_name(expression: str, answer: str, where: str) -> Iterator[Piece] | None:
    if not words.is_nvidia(answer):
        return None
    return statements.read(f"gpu {_index(expression)}", answer, where, Trust.LOGGED)


def _device_capability(expression: str, answer: str, where: str) -> Iterator[Piece] | None:
    found = _CAPABILITY.fullmatch(answer)
    if found is None:
        return None
    value = capability(f"{found[1]}.{found[2]}", where)
    return iter((SeenGpus((seen(where, _index(expression), capability=value),), where, Trust.LOGGED),))


def _index(expression: str) -> int:
    found = re.search(r"\D(\d{1,2})[\"']?\)$", expression)
    return int(found[1]) if found else 0


def _device_count(expression: str, answer: str, where: str) -> Iterator[Piece] | None:  # noqa: ARG001
    """A count of none says that no GPU is usable; another says how many there are, not that one works."""
    if not re.fullmatch(r"\d{1,3}", answer):
        return None
    return _said("torch.available", "false", where) if answer == "0" else iter(())


def _targets(expression: str, answer: str, where: str) -> Iterator[Piece] | None:  # noqa: ARG001
    targets = re.findall(r"(?:sm|compute)_\d{2,3}[af]?", answer)
    return _said("torch.targets", " ".join(targets[:40]) or None, where)


def _gpu_name(expression: str, answer: str, where: str) -> Iterator[Piece] | None:  # noqa: ARG001
    return _said("tensorflow.available", "true" if "GPU:" in answer else "false" if not answer else None, where)


def _backend(expression: str, answer: str, where: str) -> Iterator[Piece] | None:  # noqa: ARG001
    return _said("jax.available", {"gpu": "true", "cuda": "true", "cpu": "false"}.get(answer.lower()), where)


def _python(expression: str, answer: str, where: str) -> Iterator[Piece] | None:  # noqa: ARG001
    known = re.match(r"[23]\.\d{1,2}\.\d", answer)
    return statements.read("python version", answer, where, Trust.SHOWN) if known else None


def _executable(expression: str, answer: str, where: str) -> Iterator[Piece] | None:  # noqa: ARG001
    return iter(()) if _PATH.fullmatch(answer) else None


def _said(key: str, value: str | None, where: str) -> Iterator[Piece] | None:
    return None if value is None else iter((Said(key, value, where, Trust.SHOWN),))


def _tensorflow_devices(expression: str, answer: str, where: str) -> Iterator[Piece] | None:
    if expression.startswith("len(") and answer[:2].strip().isdecimal():
        return _said("tensorflow.available", "false" if answer.strip() == "0" else "true", where)
    if not answer.startswith("["):
        return None
    if "GPU:" in answer:
        return _said("tensorflow.available", "true", where)
    asked = "GPU" in expression or "CPU:" in answer
    return _said("tensorflow.available", "false", where) if asked else iter(())


def _jax_devices(expression: str, answer: str, where: str) -> Iterator[Piece] | None:  # noqa: ARG001
    low = answer.lower()
    if not low.startswith("["):
        return None
    if "cuda" in low or "gpu" in low:
        return _said("jax.available", "true", where)
    return _said("jax.available", "false", where) if "cpu" in low else iter(())


_READERS: tuple[tuple[str, Callable[[str, str, str], Iterator[Piece] | None]], ...] = (
    ("torch.__version__", _torch_version),
    ("torch.version.", _torch_cuda),
    ("cudnn.version()", _torch_cudnn),
    ("get_device_name", _device_name),
    ("get_device_capability", _device_capability),
    ("device_count", _device_count),
    ("get_arch_list", _targets),
    ("get_build_info", _build_value),
    ("gpu_device_name", _gpu_name),
    ("config.", _tensorflow_devices),
    ("devices(", _jax_devices),
    ("jax.default_backend", _backend),
    ("jax.lib", _backend),
    ("sys.version", _python),
    ("sys.executable", _executable),
    ("__version__", _package_version),
    ("VERSION", _package_version),
)


_LOOSE: tuple[tuple[str, FrameworkName, str], ...] = (
    ("PhysicalDevice(name='/physical_device:GPU", "tensorflow", "true"),
    ("[PhysicalDevice(name='/physical_device:CPU:0', device_type='CPU')]", "tensorflow", "false"),
    ("[CpuDevice(id=0)]", "jax", "false"),
    ("[CudaDevice(id=0)", "jax", "true"),
)


def _device_lists(paste: Paste) -> Iterator[Piece]:
    """A device list without the expression that printed it. The line stays a message."""
    for mark, framework, available in _LOOSE:
        for position in paste.holding(mark):
            yield Said(f"{framework}.available", available, paste.where(position), Trust.LOGGED)
    yield from _build_info(paste)


_CONFIGURED = (
    (re.compile(r"CUDA Runtime (\d{1,2}\.\d{1,2})"), "torch.cuda"),
    (re.compile(r"CuDNN (\d{1,2}(?:\.\d{1,3}){1,3})"), "torch.cudnn"),
)
_CODE = re.compile(r"code=((?:sm|compute)_\d{2,3}[af]?)")


def _configuration(paste: Paste) -> Iterator[Piece]:
    """``torch.__config__.show()``, which detectron2 and mmcv put below their tables too."""
    for start in tuple(paste.holding("PyTorch built with")):
        for position in range(start, min(start + 40, len(paste))):
            text, where = paste.texts[position], paste.where(position)
            if paste.taken[position]:
                continue
            targets = _CODE.findall(text[:2000]) if text.startswith("NVCC architecture flags") else []
            said = [Said(key, found[1], where, Trust.SHOWN) for form, key in _CONFIGURED if (found := form.match(text))]
            said += [Said("torch.targets", " ".join(targets[:40]), where, Trust.SHOWN)] if targets else []
            if said:
                paste.take(position)
                yield from said


_INFO = re.compile(r"['\"](cuda_version|cudnn_version|is_cuda_build)['\"]\s{0,2}[,:]\s{0,2}['\"]?([\w.]{1,20})['\"]?")


def _build_info(paste: Paste) -> Iterator[Piece]:
    """``tf.sysconfig.get_build_info()``: ``OrderedDict([('cuda_version', '11.2'), …])``, on one line or several."""
    for mark in ("cuda_version", "cudnn_version", "is_cuda_build"):
        for position in paste.holding(mark):
            for found in _INFO.finditer(paste.texts[position][:3000]):
                key = {"cuda_version": "tensorflow.cuda", "cudnn_version": "tensorflow.cudnn"}.get(found[1])
                where = paste.where(position)
                if key and found[2][:1].isdecimal():
                    yield Said(key, _dotted(found[2]), where, Trust.SHOWN)
                elif found[1] == "is_cuda_build":
                    yield Said("tensorflow.cuda_build", found[2].lower(), where, Trust.SHOWN)
            if mark == "cuda_version":
                break


def _dotted(text: str) -> str:
    """Windows names libraries: ``64_112`` is 11.2, ``64_8`` is 8."""
    number = re.fullmatch(r"64_(\d{1,2}?)(\d)?", text)
    if number is None:
        return text
    digits = text[3:]
    return digits if len(digits) == 1 else f"{digits[:-1]}.{digits[-1]}"
