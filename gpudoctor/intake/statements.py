"""``label: value`` lines: collect_env, issue templates, and what people write under the labels they make up.

One table maps a label, without decoration, to what its value states. A label that is not in the table states nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache

from gpudoctor.facts import Gpu, GpuModes, SecureBoot
from gpudoctor.intake import words
from gpudoctor.intake.gpus import capability, numbered, seen
from gpudoctor.intake.paste import Paste
from gpudoctor.intake.pieces import Piece, Said, SeenGpus, SeenPackage, Trust

Reader = Callable[[str, str, Trust], Iterator[Piece]]

_DECORATION = re.compile(r"[*_`\"'|]{1,4}")
_BRACKETED = re.compile(r"\s{0,4}\([^()\n]{0,200}\)")
_COLUMNS = re.compile(r"([A-Za-z][\w., ]{1,30}?) {2,60}(\S.{0,200})$")
_DOTS = re.compile(r" ?\.{4,60} ?")


def split(text: str) -> tuple[str, str] | None:
    """Label and value of ``- **OS Platform (e.g. Linux)**: Ubuntu``, ``OS   : Linux`` or ``torch version .... 2.1``."""
    if text[:1] == "|" and text[-1:] == "|" and text.count("|") == 3:  # a row of a table in Markdown
        _, before, after, _ = text.split("|")
        return label(before), after.strip(" *`")
    before, colon, after = text.partition(":")
    if "  " in before.strip() and (column := _COLUMNS.match(text)):  # detectron2's table
        return label(column[1]), column[2].strip()
    if not colon:
        parts = _DOTS.split(text, maxsplit=1) if "...." in text else text.split(" = ", 1) if " = " in text else []
        if len(parts) != 2:
            return None
        before, after = parts
    elif len(before) > 120:
        return None
    if "(" in before and ")" not in before and ")" in after:  # "(use command below): 2.4", "(e.g.: Ubuntu)"
        inside, _, rest = after.partition(")")
        before, after = before + inside + ")", rest.lstrip("*_ :")
    return label(before), after.strip(" *`_\t\"'|").strip()


@lru_cache(maxsize=4096)
def label(text: str) -> str:
    """A label without decoration: lower case, single blanks, nothing in brackets."""
    if not text.isascii() or any(mark in text for mark in "*_`\"'|"):
        text = _DECORATION.sub(" ", text) if " " in text or "*" in text else text.strip("*_`\"'|")
    if "(" in text:
        text = _BRACKETED.sub("", text)
    return " ".join(text.lower().split()).rstrip("?.")


def read(name: str, value: str, where: str, trust: Trust) -> Iterator[Piece] | None:
    """What a labelled value states, None if the label is not known."""
    reader = LABELS.get(name)
    if reader is not None:
        return reader(value, where, trust)
    if name.startswith("gpu ") and _NUMBERS.fullmatch(name, 4):
        return _same_gpus(name[4:].split(","), value, where, trust)
    if name.endswith(" version") and len(name) < 50 and is_package(name[:-8]):
        return _package(name[:-8])(value, where, trust)
    if is_package(name) and words.version(value) and len(value) < 60:
        return _package(name)(value, where, trust)
    return None


_NUMBERS = re.compile(r"\d{1,3}(?:,\d{1,3}){0,31}")


def _same_gpus(indices: list[str], value: str, where: str, trust: Trust) -> Iterator[Piece]:
    """``GPU 0,1,2,3: Tesla P40``, as detectron2 and mmcv print GPUs of one kind."""
    for index in indices:
        yield from _gpu_number(int(index), value, where, trust)


def read_statements(paste: Paste) -> Iterator[Piece]:
    """All labelled lines that no tool's format has read; a known heading states what the next line holds."""
    position = -1
    for position in paste.free():
        text = paste.texts[position]
        if position in paste.commands:
            continue
        parts = split(text)
        if parts is None or (not parts[1] and position in paste.headings):
            yield from _heading(paste, position, text.rstrip(":"))
            continue
        pieces = read(parts[0], parts[1], paste.where(position), Trust.STATED)
        said = None if pieces is None else list(pieces)
        silent = LABELS.get(parts[0]) in (_nothing, _installed_from)
        if said or (said is not None and (words.is_nothing(parts[1]) or silent)):
            paste.take(position)
            yield from said


def _heading(paste: Paste, position: int, text: str) -> Iterator[Piece]:
    """``### TensorFlow version`` and its value on the line below, as in GitHub's issue forms."""
    if position not in paste.headings or position + 1 >= len(paste) or paste.taken[position + 1]:
        return
    below = paste.texts[position + 1]
    if position + 1 in paste.headings or len(below) > 160:
        return
    name = label(text)
    if name not in LABELS and not name.endswith(" version"):
        return
    pieces = read(name, below, paste.where(position + 1), Trust.STATED)
    if pieces is not None:
        paste.take(position, position + 1)
        yield from pieces


# -------------------------------------------------------------------------------------- what a value states


def _said(key: str, reading: Callable[[str], str | None]) -> Reader:
    def read_value(value: str, where: str, trust: Trust) -> Iterator[Piece]:
        found = None if words.is_nothing(value) else reading(value)
        if found:
            yield Said(key, found, where, trust)

    return read_value


def _text(key: str) -> Reader:
    return _said(key, lambda value: value[:300])


def _flag(key: str) -> Reader:
    def read_value(value: str, where: str, trust: Trust) -> Iterator[Piece]:
        word = value.strip(" .`*").lower().partition(" ")[0].rstrip(",;")
        if word in ("true", "yes", "false", "no"):
            yield Said(key, "true" if word in ("true", "yes") else "false", where, trust)

    return read_value


def _nothing(value: str, where: str, trust: Trust) -> Iterator[Piece]:  # noqa: ARG001 - states nothing
    yield from ()


_TENSORFLOW = re.compile(r"\b((?:tensorflow|tf-nightly)-(?:gpu|cpu|intel|rocm|macos))\b")


def _installed_from(value: str, where: str, trust: Trust) -> Iterator[Piece]:
    """``pip install tensorflow-gpu`` names the package, whose name alone said before 2.1 what it was built for."""
    found = _TENSORFLOW.search(value.lower())
    if found:
        yield Said("tensorflow.package", found[1], where, trust)


# What a program called like a package says of another one: "tensorflow: this build requires cuDNN 8.6".
_SENTENCE = re.compile(r"[<>]=?|: |\b(?:error|warning|fail(?:ed|s|ure)?|requires?|needs?|unsatisfied)\b", re.IGNORECASE)


def _package(name: str) -> Reader:
    def read_value(value: str, where: str, trust: Trust) -> Iterator[Piece]:  # noqa: ARG001 - a Reader
        if words.is_nothing(value):
            return
        # "2.0.1+cu118 (True)", "v2.4.0-49-g85c8b2a817f 2.4.1", "tf 2.12"
        found = words.version(value) or _loose(value)
        if found and not _SENTENCE.search(value[: value.find(found)]):
            yield SeenPackage(name, found, where)

    return read_value


def _loose(value: str) -> str | None:
    found = re.match(r"[A-Za-z_ -]{0,20}v?(\d{1,4}(?:[.\w+-]{0,60}))", value)
    return found[1].strip(".-,") if found else None


def _os(value: str, where: str, trust: Trust) -> Iterator[Piece]:
    if value.startswith(("Linux-", "Windows-", "macOS-", "Darwin-")):  # platform.platform()
        yield from _python_platform(value, where, trust)
        return
    if not words.is_nothing(value) and words.system(value) is not None:
        yield Said("os", value[:200], where, trust)


def _python(value: str, where: str, trust: Trust) -> Iterator[Piece]:
    found = words.python(value)
    if found:
        yield Said("python", found, where, trust)
    if "conda" in value.lower():
        yield Said("python.tool", "conda", where, trust)
    if "32-bit" in value or "32 bit" in value:
        yield Said("python.bits", "32", where, trust)
    if "microsoft store" in value.lower() or "WindowsApps" in value:
        yield Said("python.store", "true", where, trust)


_PLATFORM = re.compile(r"(Linux|Windows|macOS|Darwin)-([\w.+~]{1,40}(?:-[\w.+~]{1,30}){0,8})")
_AFTER_KERNEL = re.compile(r"-(?:x86_64|aarch64|arm64|with)\b")


def _python_platform(value: str, where: str, trust: Trust) -> Iterator[Piece]:
    """``Linux-5.15.0-101-generic-x86_64-with-glibc2.35``: its glibc is Python's guess, often 2.2.5, so it is left."""
    found = _PLATFORM.match(value)
    if not found:
        return
    arch = words.architecture(value.replace("-", " "))
    if arch:
        yield Said("architecture", arch, where, trust)
    if found[1] == "Linux":
        kernel = _AFTER_KERNEL.split(found[2])[0]
        yield Said("kernel", kernel, where, trust)
        if "microsoft" in kernel.lower():
            yield Said("wsl", "2" if "wsl2" in kernel.lower() or "standard" in kernel.lower() else "1", where, trust)
    else:
        yield Said("os", f"{found[1]} {found[2].split('-')[0]}", where, trust)


def _kernel(value: str, where: str, trust: Trust) -> Iterator[Piece]:
    found = re.search(r"\d{1,2}\.\d{1,3}[\w.+~-]{0,80}", value)
    if found:
        yield Said("kernel", found[0], where, trust)
        if "microsoft" in value.lower():
            yield Said("wsl", "2" if "standard" in value.lower() or "wsl2" in value.lower() else "1", where, trust)


_LIBC = re.compile(r"\d{1,2}\.\d{1,3}")


def _libc(value: str, where: str, trust: Trust) -> Iterator[Piece]:
    found = _LIBC.search(value)
    if found and not words.is_nothing(value):
        yield Said("libc", f"{'musl' if 'musl' in value.lower() else 'glibc'} {found[0]}", where, trust)


_GPU_IN_LIST = re.compile(r"(?:GPU|gpu)[ :]?(\d{1,3})\s{0,2}[:=]?\s{0,2}")
_COUNT = re.compile(r"^(\d{1,2}) ?[x×*] ?|[ (][x×*] ?(\d{1,2})\)?$", re.IGNORECASE)
_MEMORY = re.compile(r"(?<![\w.])(\d{1,3}(?:\.\d{1,2})?) ?(G|M)i?B?\b", re.IGNORECASE)


def _gpus(value: str, where: str, trust: Trust) -> Iterator[Piece]:
    """One or more GPUs in a line: ``GPU 0: Tesla V100``, ``2x RTX 3090 (24GB)``, ``GTX 1080 / 8 GB``."""
    if words.is_nothing(value):
        return
    if _GPU_IN_LIST.match(value):
        marks = list(_GPU_IN_LIST.finditer(value))[:64]
        ends = [mark.start() for mark in marks[1:]] + [len(value)]
        for mark, end in zip(marks, ends, strict=True):
            yield from _gpu_number(int(mark[1]), value[mark.end() : end].strip(" ,;"), where, trust)
        return
    count = _COUNT.search(value)
    many = int(count[1] or count[2]) if count else 1
    parts = re.split(r"\s{0,4}(?:,|;| and | & |\+)\s{0,4}", value)
    names = [part for part in parts if not words.is_nothing(part)][:16]
    gpus = [gpu for name in names if (gpu := gpu_named(name, where))]
    if gpus and len(gpus) == 1 and 1 < many <= 16:
        gpus = gpus * many
    if gpus:
        yield SeenGpus(tuple(numbered(gpu, index) for index, gpu in enumerate(gpus)), where, trust)
    elif words.vendor_id(value) in ("1002", "8086") and "mesa" not in value.lower():  # Mesa's line: who draws
        yield Said("other.gpu", value[:120], where, trust)
    driver = words.driver(value)
    if driver:
        yield Said("driver", driver, where, trust)


def gpu_named(text: str, where: str) -> Gpu | None:
    """A GPU from a person's words, if they name one of NVIDIA's: without count, memory and driver."""
    name = _COUNT.sub("", text.strip(" .`*"))
    name = re.split(
        r"\s{0,4}(?:/| - |,|\(|\bwith\b(?! max)|@|:|\bdriver\b|\bvram\b)", name, maxsplit=1, flags=re.IGNORECASE
    )[0]
    name = (
        _MEMORY.sub("", name)
        if "a100" not in name.lower() and "h100" not in name.lower() and "v100" not in name.lower()
        else name
    )
    name = name.strip(" ,;.-")
    if (
        not name
        or len(name) > 80
        or not words.is_nvidia(name)
        or (words.gpu_model(name) is None and "nvidia" not in name.lower())
    ):
        return None
    if name.lower() in ("nvidia", "nvidia gpu", "geforce", "tesla", "quadro", "nvidia geforce"):
        return None
    return seen(where, 0, name)


_UUID = re.compile(r"\(UUID: ((?:GPU|MIG)-[0-9a-fA-F-]{8,40})\)")
_ARCH = re.compile(r"\s{0,3}\(arch=([\d.]{1,5})\)")


def _gpu_number(index: int, value: str, where: str, trust: Trust) -> Iterator[Piece]:
    """``GPU 0: NVIDIA GeForce RTX 3090 (UUID: GPU-…)`` of nvidia-smi -L and collect_env; AMD's is another's."""
    if words.is_nothing(value):
        return
    uuid = _UUID.search(value)
    name = value[: uuid.start()].strip() if uuid else value
    arch = _ARCH.search(name)
    name = _ARCH.sub("", name)[:120].strip()
    if not words.is_nvidia(name) and words.vendor_id(name) in ("1002", "8086"):
        yield Said("other.gpu", name, where, trust)
        return
    if name and (words.is_nvidia(name) or trust is Trust.SHOWN):
        known = {"uuid": uuid[1] if uuid else None, "capability": capability(arch[1] if arch else None, where)}
        yield SeenGpus((seen(where, index, name, **known),), where, trust)


def _driver(value: str, where: str, trust: Trust) -> Iterator[Piece]:
    found = words.driver(value)
    if found:
        yield Said("driver", found, where, trust)


def _cuda(value: str, where: str, trust: Trust) -> Iterator[Piece]:
    """``CUDA version: 11.2``: a toolkit, unless the value says otherwise; ``11.0/8.0`` is with cuDNN."""
    if words.is_nothing(value):
        return
    yield from _cuda_and_cudnn(value, where, trust)


def _cuda_and_cudnn(value: str, where: str, trust: Trust) -> Iterator[Piece]:
    low = value.lower()
    first, slash, second = low.partition("cudnn") if "cudnn" in low else low.partition("/")
    cuda = words.cuda(first)
    if cuda:
        yield Said("toolkit", cuda, where, trust)
    cudnn = words.cudnn(second) if slash else None
    if cudnn:
        yield Said("cudnn", cudnn, where, trust)


def _torch_cuda(value: str, where: str, trust: Trust) -> Iterator[Piece]:
    """What torch was built with. ``None`` and collect_env's ``Could not collect`` are a build without CUDA."""
    low = value.strip(" `*").lower()
    if low in ("none", "could not collect"):
        yield Said("torch.cuda", "none", where, trust)
    elif found := words.cuda(value):
        yield Said("torch.cuda", found, where, trust)


_TORCH_VERSION = re.compile(r"v?(\d{1,2}\.\d{1,3}[\w.+-]{0,60})")
_TORCH_FLAG = re.compile(r"\((?:GPU|CUDA)?[ :?]{0,3}(True|False)\)")


def _torch_version(value: str, where: str, trust: Trust) -> Iterator[Piece]:
    """torch.__version__. ``N/A`` under a tool's label: not importable there."""
    found = _TORCH_VERSION.match(value.strip(" `*"))
    if found:
        yield SeenPackage("torch", found[1].rstrip(".,"), where, "torch.__version__")
        flag = _TORCH_FLAG.search(value)
        if flag:
            yield Said("torch.available", flag[1].lower(), where, trust)
    elif trust is Trust.SHOWN and value.strip() == "N/A":
        yield Said("torch.absent", "true", where, trust)


def _container(value: str, where: str, trust: Trust) -> Iterator[Piece]:
    low = value.strip(" `*").lower()
    if low in ("no", "none", "false", "n/a", "-", "native", "bare metal", "baremetal", ""):
        return
    yield Said("container", value[:120], where, trust)


def _compute_mode(value: str, where: str, trust: Trust) -> Iterator[Piece]:
    for index, part in enumerate(re.split(r"[,;]", value)[:16]):
        mode = compute_mode(part)
        if mode:
            yield SeenGpus((seen(where, index, modes=GpuModes(source=where, compute=mode)),), where, trust)


def compute_mode(text: str) -> str | None:
    """nvidia-smi's word for a compute mode, long or short, as NVML's."""
    words_ = text.strip().lower().replace("_", " ").replace("-", " ")
    return _MODES.get(words_)


_MODES = {
    "default": "default", "e. process": "exclusive-process", "exclusive process": "exclusive-process",
    "e. thread": "exclusive-thread", "exclusive thread": "exclusive-thread", "exclusive": "exclusive-thread",
    "prohibited": "prohibited",
}  # fmt: skip


def _secure_boot(value: str, where: str, trust: Trust) -> Iterator[Piece]:  # noqa: ARG001 - a Reader
    low = value.lower()
    if low.startswith(("enabled", "on", "yes", "true")):
        yield SecureBoot(source=where, enabled=True)
    elif low.startswith(("disabled", "off", "no", "false")):
        yield SecureBoot(source=where, enabled=False)


def _flavour(value: str, where: str, trust: Trust) -> Iterator[Piece]:
    low = value.lower()
    if low.startswith(("proprietary", "closed", "nvidia (proprietary")) or low == "nvidia":
        yield Said("driver.flavour", "proprietary", where, trust)
    elif low.startswith(("open", "nvidia-open", "dual mit/gpl")):
        yield Said("driver.flavour", "open", where, trust)


def _image(value: str, where: str, trust: Trust) -> Iterator[Piece]:
    found = re.match(r"[\w./:@-]{3,200}$", value)
    if found:
        yield Said("image", value, where, trust)
        yield Said("container", "docker", where, Trust.MENTIONED)


def _memory(value: str, where: str, trust: Trust) -> Iterator[Piece]:
    found = _MEMORY.search(value)
    if found:
        unit = 1 << 30 if found[2].upper() == "G" else 1 << 20
        yield Said("memory", str(int(float(found[1]) * unit)), where, trust)


def _mig(value: str, where: str, trust: Trust) -> Iterator[Piece]:
    low = value.lower()
    if low in ("enabled", "disabled"):
        yield SeenGpus((seen(where, 0, modes=GpuModes(source=where, mig=low == "enabled")),), where, trust)


LABELS: dict[str, Reader] = {}


def _label(reader: Reader, names: str) -> None:
    """Register a reader under labels, which are separated by semicolons."""
    for name in names.split(";"):
        LABELS[" ".join(name.split())] = reader


_label(
    _os,
    """
    os; sys.platform; os platform and distribution;
    operating system; os platform; system; distribution; distro; os/platform;
    platform and distribution; linux distribution; host os; os version; os name; platform; operating system /
    version; operating system version; os and version; os type; linux version; pretty name; windows version; macos
    version; host system; guest os
    """,
)
_label(
    _said("architecture", words.architecture),
    """
    architecture; arch; cpu architecture; machine; processor type
    """,
)
_label(
    _kernel,
    """
    kernel; kernel version; linux kernel; kernel release; uname; uname -r; uname -a; linux kernel version
    """,
)
_label(_libc, "libc version; glibc version; glibc; libc")
_label(_python, "python version; python; python interpreter; python executable version; py version")
_label(_python_platform, "python platform; platform.platform(); platform.platform")
_label(
    _torch_version,
    """
    pytorch version; torch version; pytorch; torch; torch.__version__; torch. version; torch version installed;
    pytorch/torch version; torch package version; pytorch version installed
    """,
)
_label(
    _torch_cuda,
    """
    cuda used to build pytorch; torch.version.cuda; torch cuda version; pytorch cuda version; torch cuda; pytorch
    cuda; cuda version used to build pytorch; torch.version.cuda version; pytorch built with cuda; pytorch cuda
    build
    """,
)
_label(_text("torch.rocm"), "rocm used to build pytorch; torch.version.hip; torch hip version")
_label(_flag("torch.debug"), "is debug build; pytorch debug build")
_label(
    _flag("torch.available"),
    """
    is cuda available; cuda available; torch.cuda.is available(); torch.cuda.is_available();
    torch.cuda.is_available; gpu available; cuda is available; is_cuda_available
    """,
)
_label(
    _said("toolkit.nvcc", words.cuda),
    """
    cuda runtime version; nvcc version; nvcc; cuda compiler; nvcc release; cuda_home nvcc; detected cuda compiler;
    cuda compiler version
    """,
)
_label(
    _cuda,
    """
    cuda version; cuda; cuda toolkit version; cuda toolkit;  cuda version installed; cuda
    runtime; system cuda version; system cuda; cuda toolkit installed
    """,
)
_label(
    _cuda_and_cudnn,
    """
    cuda/cudnn version; cuda/cudnn; cuda and cudnn version; cuda / cudnn version; cuda/cudnn versions; cuda & cudnn
    version; cuda and cudnn versions; cuda, cudnn version
    """,
)
_label(
    _said("cudnn", words.cudnn),
    """
    cudnn version; cudnn; cudnn-loaded version; cudnn library version; system cudnn
    """,
)
_label(
    _gpus,
    """
    gpu models and configuration; gpu model and memory; gpu type; gpu; gpus; gpu model; graphics card; gpu name;
    video card; gpu model(s); gpu models; gpu hardware; hardware; card; graphics; gpu used; gpu info; nvidia gpu;
    gpu device; device name; accelerator; gpu(s); gpu and memory
    """,
)
_label(
    _driver,
    """
    nvidia driver version; driver version; nvidia driver; kmd version; gpu driver version; driver; nvidia-driver
    version; nvidia driver versions; cuda driver version; gpu driver; nvidia drivers; graphics driver; nvidia-smi
    version; nvml driver version; nvidia-smi; windows-driver version; host-driver version; nvidia gpu driver
    version; windows driver version; host driver version; nvidia-driver; display driver
    """,
)
_label(
    _said("driver.cuda", words.cuda),
    """
    cuda umd version; cuda driver version supported; driver cuda version; max cuda version; cuda version (driver);
    nvidia-smi cuda version; driver-side cuda
    """,
)
_label(
    _package("tensorflow"),
    """
    tensorflow version; tensorflow; tf version; tf.version.version; tf.__version__; tensorflow version installed;
    tensorflow package version
    """,
)
_label(_installed_from, "tensorflow installed from; installed from; tensorflow package; tensorflow distribution")
_label(_package("jax"), "jax version; jax; jax.__version__")
_label(_package("jaxlib"), "jaxlib version; jaxlib; jaxlib.__version__")
_label(_package("numpy"), "numpy version; numpy; np.__version__")
_label(_package("keras"), "keras version; keras")
_label(
    _container,
    """
    running in container; container; container runtime; container engine; in container; running in docker;
    virtualization
    """,
)
_label(
    _image,
    """
    image; docker image; base image; container image; image_cuda; base_image; docker image used
    """,
)
_label(_text("cpu.model"), "model name; cpu model; cpu; processor; cpu name")
_label(_text("cpu.flags"), "flags; cpu flags; features; cpu_flags")
_label(
    _said("cpu.count", lambda value: value.split()[0] if value[:1].isdecimal() else None),
    """
    cpu(s); cpu count
    """,
)
_label(_memory, "ram; total memory; system memory; host memory; ram size")
_label(_secure_boot, "secure boot; secureboot; secure_boot; secure boot state")
_label(
    _flavour,
    """
    driver_flavor; driver flavor; driver flavour; kernel module flavor; kernel modules; driver type;
    modinfo_license; kernel module type; driver flavour installed
    """,
)
_label(_compute_mode, "compute mode; compute_mode")
_label(_mig, "mig mode; mig")
_label(
    _said("jetson.l4t", lambda v: (re.search("\\d{2}\\.\\d{1,2}(?:\\.\\d{1,2})?", v) or [None])[0]),
    """
    l4t_host; l4t; l4t version; l4t release; host l4t; l4t_version
    """,
)
_label(_text("jetson.image"), "l4t_image; image l4t; container l4t")
_label(_text("jetson.model"), "jetson model; jetson; board; device model")
_label(
    _said("wsl", lambda v: v[:1] if v[:1] in "12" else None),
    """
    wsl version number; wsl default version; wsl
    """,
)
_label(_text("wsl.version"), "wsl_version; wsl version; version de wsl; wsl-version")
_label(
    _text("windows.build"),
    """
    windows_build; windows build; windows; windows_version; windows version build
    """,
)
_label(
    _nothing,
    """
    gcc version; clang version; cmake version; gcc/compiler version; bazel version; is xnnpack available;
    cuda_module_loading set to; cuda module loading set to; hip runtime version; miopen runtime version; have i
    written custom code; mobile device; exact command to reproduce; is xpu available;
    cudnn frontend version; versions of relevant libraries; collecting environment information; vllm build flags;
    gpu topology; rocm version; neuron sdk version; aac version; issue type; have you reproduced the bug with
    tensorflow nightly; source; custom code; xpu used to build pytorch; is debug build of pytorch; timestamp;
    caching allocator config; byte order; address sizes; cpu op-mode; on-line cpu list; vendor id; cpu family;
    stepping; bogomips; virtualization type; l1d cache; l1i cache; l2 cache; l3 cache; numa node; hypervisor vendor;
    intel gpu driver version; intel gpu models onboard; intel gpu models detected; level zero version; sycl version
    """,
)

_PACKAGE = re.compile(
    r"(?:torch|torchvision|torchaudio|torchtext|tensorflow|tensorflow-gpu|tensorflow-cpu|tensorflow-intel|tensorflow-macos"
    r"|tensorflow-metal|tf-nightly|tf-nightly-gpu|tf-nightly-cpu|tf-keras|tf_keras|keras|jax|jaxlib|jax-cuda1\d-[a-z]{4,8}|jax-metal"
    r"|numpy|protobuf|triton|pytorch-triton|pytorch|xformers|flash-attn|flash_attn|bitsandbytes|vllm|deepspeed|apex|cupy"
    r"|cupy-cuda\w{1,8}|onnxruntime|onnxruntime-gpu|tensorrt|transformers|accelerate|nvidia-[a-z0-9-]{2,40}|cudatoolkit|cuda-toolkit"
    r"|pytorch-cuda|nccl|cuda-compat-[\d-]{1,6}|container-cuda|gpu-operator|libnvidia-container|docker|setuptools|onnx|mmcv(?:-full)?"
    r"|detectron2|torch[-_](?:scatter|sparse|cluster|geometric|spline[-_]conv)|pytorch-lightning|lightning|flashinfer-python|ultralytics"
    r"|gpytorch|spyder|absl-py|flatbuffers|pynvml|nvidia_[a-z0-9_]{2,40}|fbgemm[-_]gpu|sglang|auto-gptq|autoawq|torchao|h5py|scipy"
    r"|ml[-_]dtypes|cudnn|cuda|glibc|tensorboard|tensorflow-io|pytorch3d|kaolin|faiss-gpu\S{0,6}|cuml\S{0,8}|cudf\S{0,8}|numba(?:-cuda)?)"
)


def is_package(name: str) -> bool:
    """Whether a name is that of a package that concerns GPU computing."""
    return _PACKAGE.fullmatch(name) is not None
