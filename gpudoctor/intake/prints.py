"""What Python prints of the frameworks: ``torch.cuda.is_available()``, device lists, build information.

Three spellings of each: the prompt and the answer below it, ``expression -> answer`` (also ``:``, ``=``, ``returns``),
and TensorFlow's and JAX's device lists by themselves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from gpudoctor.facts import FrameworkName
from gpudoctor.intake import statements, words
from gpudoctor.intake.messages import message
from gpudoctor.intake.paste import Paste
from gpudoctor.intake.pieces import Piece, Said, SeenPackage, Trust

Answer = Callable[[str, str], Iterator[Piece] | None]

_CALL = re.compile(
    r"(?:print ?\(|>>> ?|assert |python[\d.]{0,4} -c [\"'](?:import \w{1,20}; ?)?print\()?"
    r"(torch\.cuda\.is_available\(\)|torch\.__version__|torch\.version\.cuda|torch\.version\.hip|torch\.cuda\.device_count\(\)"
    r"|torch\.cuda\.get_device_name\((?:\d{0,2}|torch\.cuda\.current_device\(\))\)|torch\.cuda\.get_arch_list\(\)"
    r"|torch\.backends\.cudnn\.version\(\)|torch\.cuda\.get_device_capability\(\d{0,2}\)"
    r"|tf\.__version__|tensorflow\.__version__|tf\.version\.VERSION|tf\.test\.is_gpu_available\([^()\n]{0,40}\)"
    r"|tf\.test\.is_built_with_cuda\(\)|tf\.test\.gpu_device_name\(\)"
    r"|(?:tf|tensorflow)\.config\.(?:experimental\.)?list_(?:physical|logical)_devices\([^()\n]{0,40}\)"
    r"|len\(tf\.config\.(?:experimental\.)?list_physical_devices\([^()\n]{0,20}\)\)"
    r"|jax\.__version__|jaxlib\.__version__|jax\.(?:local_)?devices\([^()\n]{0,20}\)|jax\.default_backend\(\)"
    r"|jax\.lib\.xla_bridge\.get_backend\(\)\.platform|np\.__version__|numpy\.__version__|sys\.version|sys\.executable)"
    r"\)?[\"']?\)?"
    r"(?P<rest>\s{0,3}(?:->|=>|==?|:|→|returns?|returned|is|gives|outputs?|prints|#)?\s{0,3}(?P<answer>\S.{0,400})?)$"
)


def read_prints(paste: Paste) -> Iterator[Piece]:
    """Every expression with its answer, on the same line or below; then device lists that stand alone."""
    if not any(mark in paste.text for mark in ("torch.", "tf.", "tensorflow.", "jax", "sys.", "__version__")):
        yield from _device_lists(paste)
        return
    for position in tuple(paste.free()):
        text = paste.texts[position]
        if "." not in text:
            continue
        call = _CALL.match(text) or _CALL.match(text.lstrip(">. "))
        if call is None:
            continue
        answer = call["answer"]
        if answer is not None:
            read = _read(call[1], answer.strip(), paste.where(position))
            if read is not None:
                paste.take(position)
                yield from read
                yield message(paste, position)
            continue
        below = position + 1
        if below < len(paste) and below not in paste.commands and not paste.taken[below]:
            read = _read(call[1], paste.texts[below], paste.where(below))
            if read is not None:
                paste.take(position, below)
                yield from read
    yield from _device_lists(paste)


def _read(expression: str, answer: str, where: str) -> Iterator[Piece] | None:
    """What an answer to an expression states; None if it is no answer to it."""
    answer = answer.strip("\"'` ").rstrip(".")
    if expression == "torch.cuda.is_available()":
        return _boolean("torch.available", answer, where)
    if expression.startswith("tf.test.is_gpu_available"):
        return _boolean("tensorflow.available", answer, where)
    if expression == "tf.test.is_built_with_cuda()":
        return _boolean("tensorflow.cuda_build", answer, where)
    if expression == "torch.__version__":
        return statements.read("torch version", answer, where, Trust.SHOWN) if answer[:1].isdecimal() else None
    if expression == "torch.version.cuda":
        known = answer == "None" or answer[:1].isdecimal()
        return statements.read("torch.version.cuda", answer, where, Trust.SHOWN) if known else None
    if expression.endswith("__version__") or expression == "tf.version.VERSION":
        name = {"tf": "tensorflow", "np": "numpy"}.get(expression.partition(".")[0], expression.partition(".")[0])
        return _version(name, answer, where)
    if "list_physical" in expression or "list_logical" in expression:
        return _tensorflow_devices(expression, answer, where)
    if expression.startswith(("jax.devices", "jax.local_devices")):
        return _jax_devices(answer, where)
    if expression.startswith(("jax.default_backend", "jax.lib")):
        return _said("jax.available", {"gpu": "true", "cuda": "true", "cpu": "false"}.get(answer.lower()), where)
    if expression.startswith("torch.cuda.get_device_name"):
        return statements.read("gpu 0", answer, where, Trust.LOGGED) if words.is_nvidia(answer) else None
    if expression == "torch.cuda.get_arch_list()":
        targets = re.findall(r"(?:sm|compute)_\d{2,3}[af]?", answer)
        return _said("torch.targets", " ".join(targets[:40]) or None, where)
    if expression == "sys.version":
        return statements.read("python version", answer, where, Trust.SHOWN)
    return iter(()) if len(answer) < 100 else None


def _said(key: str, value: str | None, where: str) -> Iterator[Piece] | None:
    return None if value is None else iter((Said(key, value, where, Trust.SHOWN),))


def _boolean(key: str, answer: str, where: str) -> Iterator[Piece] | None:
    word = re.match(r"(True|False|true|false)\b", answer)
    return _said(key, word[1].lower(), where) if word else None


def _version(name: str, answer: str, where: str) -> Iterator[Piece] | None:
    found = re.match(r"v?(\d{1,3}\.\d{1,3}[\w.+-]{0,60})", answer)
    return iter((SeenPackage(name, found[1].rstrip(".,"), where, f"{name}.__version__"),)) if found else None


def _tensorflow_devices(expression: str, answer: str, where: str) -> Iterator[Piece] | None:
    if expression.startswith("len(") and answer[:2].strip().isdecimal():
        return _said("tensorflow.available", "false" if answer.strip() == "0" else "true", where)
    if not answer.startswith("["):
        return None
    if "GPU:" in answer:
        return _said("tensorflow.available", "true", where)
    asked = "GPU" in expression or "CPU:" in answer
    return _said("tensorflow.available", "false", where) if asked else iter(())


def _jax_devices(answer: str, where: str) -> Iterator[Piece] | None:
    low = answer.lower()
    if not low.startswith("["):
        return None
    if "cuda" in low or "gpu" in low:
        return _said("jax.available", "true", where)
    return _said("jax.available", "false", where) if "cpu" in low else iter(())


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
