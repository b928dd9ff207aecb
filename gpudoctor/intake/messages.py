"""What programs print when something is wrong, as Message records that rules match.

Nothing here decides which lines matter: every line that no format has read may be a program's output, and is kept. A
line that only was kept is not recognised by that; see :func:`gpudoctor.pasted.triage` for what a finding rests on.

Also what such a line says in plain values: a GPU's name and capability, cuInit's result, the driver's version.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from gpudoctor.facts import FrameworkName, GpuMemory, Message
from gpudoctor.intake.gpus import capability, seen
from gpudoctor.intake.paste import Paste
from gpudoctor.intake.pieces import Piece, Said, SeenGpus, Trust

MOST_MESSAGES = 4000
MOST_ALIKE = 20  # lines that differ in their digits only: the steps of a training, the addresses of a kernel's log
_FRAMES = (
    "Traceback (most recent call last)",
    "^^^",
    "~~~^",
    "During handling of the above",
    "The above exception was",
)
_FRAME = re.compile(r'File "[^"\n]{1,400}", line \d{1,7}(?:, in |$)')
_DIGITS = re.compile(r"\d+")
_SAYS_SOMETHING = re.compile(r"[^\W_]")
# Commands that say where a program runs; those that start containers are a format of their own.
_ASKS = re.compile(r"(?:sudo )?(?:srun|salloc|sbatch|snap (?:install|run)|flatpak (?:install|run))\b")
_TORCH = re.compile(r"\btorch\b|pytorch|\bc10\b|aten|torch[/\\.]|AcceleratorError", re.IGNORECASE)
_TENSORFLOW = re.compile(
    r"tensorflow|\btf\.|dso_loader|gpu_device\.cc|cuda_dnn\.cc|cuda_driver\.cc|stream_executor|StreamExecutor|keras"
    r"|Could not load dynamic library|Cannot dlopen|Successfully opened dynamic library|cudaGetDevice\(\) failed"
    r"|Loaded runtime CuDNN library|Skipping registering GPU|visible gpu device"
)
_JAX = re.compile(r"\bjax(?:lib)?\b|xla_bridge|CUDA-enabled jaxlib|XlaRuntimeError|CpuDevice|pjrt", re.IGNORECASE)


def framework_of(text: str) -> FrameworkName | None:
    """The framework that a line itself names; None if it names none or several."""
    named: list[FrameworkName] = []
    if _TORCH.search(text):
        named.append("torch")
    if _JAX.search(text):
        named.append("jax")
    elif _TENSORFLOW.search(text):
        named.append("tensorflow")
    return named[0] if len(named) == 1 else None


def read_messages(paste: Paste) -> Iterator[Piece]:
    """Every line that no format has read and that says something, each text once, and a few of those that are alike.

    Of a text with more lines than are kept, those at its beginning and its end: there errors stand.
    """
    kept = list(_kept(paste))
    if len(kept) > MOST_MESSAGES:
        kept = [*kept[: MOST_MESSAGES // 2], *kept[-MOST_MESSAGES // 2 :]]
    for position in kept:
        text, where = paste.texts[position], paste.where(position)
        yield Message(source=where, text=text, framework=framework_of(text))
        pieces = list(values(text, where))
        if pieces:
            paste.take(position)
        yield from pieces


def _kept(paste: Paste) -> Iterator[int]:
    """The positions to keep; takes what is a format of its own: commands, tracebacks' frames, and repetitions."""
    seen_texts: set[str] = set()
    alike: Counter[str] = Counter()
    frame = -1
    for position in paste.free():
        text = paste.texts[position]
        asks = position in paste.commands and _ASKS.match(text)
        if text in seen_texts or (position in paste.commands and not asks) or text.startswith(_FRAMES):
            paste.take(position)
            continue
        in_frame = _FRAME.match(text) is not None
        if in_frame or (frame == position - 1 and paste.indents[position] > paste.indents[frame]):
            paste.take(position)
        frame = position if in_frame else -1
        if not _SAYS_SOMETHING.search(text):
            continue
        seen_texts.add(text)
        shape = _DIGITS.sub("0", text)
        alike[shape] += 1
        if alike[shape] <= MOST_ALIKE:
            yield position


def message(paste: Paste, position: int) -> Message:
    """One line as a message, for formats that keep what they have read as text too."""
    text = paste.texts[position]
    return Message(source=paste.where(position), text=text, framework=framework_of(text))


# ------------------------------------------------------------------------------- values inside the messages


def values(text: str, where: str) -> Iterator[Piece]:
    """The plain values that a log line states, whatever else it says."""
    for mark, reader in _VALUES:
        if mark in text:
            yield from reader(text, where)


_NOT_COMPATIBLE = re.compile(
    r"(?:^|[\s:])((?:NVIDIA |GeForce |Tesla |Quadro |[AH]\d{2,3})[^:\n]{0,80}?) with CUDA capability sm_(\d{1,2})(\d)\b"
)
_TOO_OLD_GPU = re.compile(
    r"Found GPU(\d{1,2}) (.{1,80}?) which is of (?:cuda|compute) capability (?:\(CC\) )?(\d{1,2}\.\d)"
)
_SUPPORTS = re.compile(r"install(?:ation)? supports CUDA capabilities ((?:(?:sm|compute)_\d{2,3}[af]? ?){1,30})")
_TF_DEVICE = re.compile(
    r"device:? (\d{1,2}),? name: ([^,\n]{1,80}?),? (?:pci bus id: ([0-9a-fA-F:.]{7,16}),? )?"
    r"compute capability: (\d{1,2}\.\d)"
)
_TF_PROPERTIES = re.compile(r"name: ([^,\n]{1,80}?),? (?:computeCapability|compute capability): (\d{1,2}\.\d)")
_TF_MAJOR = re.compile(r"name: ([^,\n]{1,80}?) major: (\d{1,2}) minor: (\d)")
_TORCH_PROPERTIES = re.compile(r"name='([^'\n]{1,80})', major=(\d{1,2}), minor=(\d)(?:, total_memory=(\d{1,8})MB)?")
_CUINIT = re.compile(r"failed call to cuInit: .{0,80}?(CUDA_ERROR_\w{1,60})")
_CUINIT_NUMBER = re.compile(r"failed call to cuInit: .{0,40}?\((\d{1,3})\)")
_COUNT_CALL = re.compile(
    r"cudaGetDeviceCount\(\).{0,160}?Error (\d{1,3}):|cudaGetDeviceCount returned (\d{1,3})\b"
    r"|cuInit\W{0,3}(?:err(?:or)?|returned|failed|status)?\W{0,4}(\d{1,3})\b"
)
_FOUND_VERSION = re.compile(r"driver on your system is too old \(found version (\d{4,5})\)")
_LIBCUDA_VERSION = re.compile(r"libcuda reported version is: (\d{3}\.\d{1,3}(?:\.\d{1,3})?)")
_KERNEL_VERSION = re.compile(r"kernel reported version is: (\d{3}\.\d{1,3}(?:\.\d{1,3})?)")
_BOTH_VERSIONS = re.compile(r"kernel version seems to match DSO: (\d{3}\.\d{1,3}(?:\.\d{1,3})?)")


def _incompatible(text: str, where: str) -> Iterator[Piece]:
    found = _NOT_COMPATIBLE.search(text)
    if found:
        value = capability(f"{found[2]}.{found[3]}", where)
        yield SeenGpus((seen(where, 0, found[1].strip(), capability=value),), where, Trust.LOGGED)


def _too_old_gpu(text: str, where: str) -> Iterator[Piece]:
    found = _TOO_OLD_GPU.search(text)
    if found:
        gpu = seen(where, int(found[1]), found[2].strip(), capability=capability(found[3], where))
        yield SeenGpus((gpu,), where, Trust.LOGGED)


def _supports(text: str, where: str) -> Iterator[Piece]:
    found = _SUPPORTS.search(text)
    if found:
        yield Said("torch.targets", found[1].strip(), where, Trust.LOGGED)


def _device(text: str, where: str) -> Iterator[Piece]:
    found = _TF_DEVICE.search(text)
    if found:
        pci = found[3].lower() if found[3] and found[3].count(":") == 2 else None
        gpu = seen(where, int(found[1]), found[2].strip(), capability=capability(found[4], where), pci=pci)
        yield SeenGpus((gpu,), where, Trust.LOGGED)
        return
    found = _TF_PROPERTIES.search(text)
    if found:
        index = re.search(r"device (\d{1,2}) with properties", text)
        gpu = seen(where, int(index[1]) if index else 0, found[1].strip(), capability=capability(found[2], where))
        yield SeenGpus((gpu,), where, Trust.LOGGED)


def _major_minor(text: str, where: str) -> Iterator[Piece]:
    found = _TF_MAJOR.search(text)
    if found:
        gpu = seen(where, 0, found[1].strip(), capability=capability(f"{found[2]}.{found[3]}", where))
        yield SeenGpus((gpu,), where, Trust.LOGGED)


def _properties(text: str, where: str) -> Iterator[Piece]:
    found = _TORCH_PROPERTIES.search(text)
    if found:
        memory = GpuMemory(source=where, total=int(found[4]) << 20) if found[4] else None
        value = capability(f"{found[2]}.{found[3]}", where)
        yield SeenGpus((seen(where, 0, found[1], capability=value, memory=memory),), where, Trust.LOGGED)


def _cuinit(text: str, where: str) -> Iterator[Piece]:
    found = _CUINIT.search(text) or _CUINIT_NUMBER.search(text)
    if found:
        yield Said("cuda.result", found[1], where, Trust.LOGGED)


def _device_count(text: str, where: str) -> Iterator[Piece]:
    found = _COUNT_CALL.search(text)
    if found:
        yield Said("cuda.result", found[1] or found[2] or found[3], where, Trust.LOGGED)


def _found_version(text: str, where: str) -> Iterator[Piece]:
    found = _FOUND_VERSION.search(text)
    if found and int(found[1]) >= 4000:
        yield Said("cuda.version", f"{int(found[1]) // 1000}.{int(found[1]) % 1000 // 10}", where, Trust.LOGGED)


def _driver_versions(text: str, where: str) -> Iterator[Piece]:
    for pattern, keys in (
        (_LIBCUDA_VERSION, ("libcuda",)),
        (_KERNEL_VERSION, ("kernel.driver",)),
        (_BOTH_VERSIONS, ("libcuda", "kernel.driver")),
    ):
        found = pattern.search(text)
        if found:
            for key in keys:
                yield Said(key, _three_numbers(found[1]), where, Trust.LOGGED)


def _three_numbers(text: str) -> str:
    """TensorFlow prints three integers: 410.129.0 is 410.129, 535.129.3 is 535.129.03."""
    parts = text.split(".")
    if len(parts) == 3 and int(parts[2]) == 0:
        return ".".join(parts[:2])
    return f"{parts[0]}.{parts[1]}.{int(parts[2]):02d}" if len(parts) == 3 else text


_VALUES = (
    ("with CUDA capability", _incompatible),
    ("Found GPU", _too_old_gpu),
    ("supports CUDA capabilities", _supports),
    ("apability: ", _device),
    (" major: ", _major_minor),
    ("name='", _properties),
    ("failed call to cuInit", _cuinit),
    ("cudaGetDeviceCount", _device_count),
    ("cuInit", _device_count),
    ("(found version", _found_version),
    ("reported version is", _driver_versions),
    ("seems to match DSO", _driver_versions),
)
