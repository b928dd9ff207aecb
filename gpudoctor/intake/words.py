"""How versions, systems and GPUs are written by tools and by people, and what each way means."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, NamedTuple

from gpudoctor.matrix import GpuModel, Unlisted, load
from gpudoctor.matrix.questions import cudnn_text
from gpudoctor.relations import CudaVersion

_NOTHING = """
    n/a; na; none; null; no; -; --; ?; unknown; could not collect; no cuda; not applicable; no response; not installed
    not available; cpu; nan; undefined; not found; false; [n/a]; not set; _no response_; ...; x; see below; see above
    n.a.; n\\a; not supported; [not supported]
"""
NOTHING = frozenset({"", *(word.strip() for line in _NOTHING.splitlines() for word in line.split(";"))})

_DRIVER = re.compile(r"(?<![\d.+:/-])(\d{3}\.\d{1,3}(?:\.\d{1,3})?)(?![\d.]*\d)")
_CUDA = re.compile(r"(?<![\d.])(\d{1,2}(?:\.\d{1,2}(?:\.\d{1,4})?)?)(?![\d])")
_CUDA_WORD = re.compile(r"cu(?:da)?[-_ ]?v?(\d{1,2}\.\d{1,2}(?:\.\d{1,4})?)", re.IGNORECASE)
_PYTHON = re.compile(r"(?<![\d.])([23]\.\d{1,2}(?:\.\d{1,2}(?:(?:a|b|rc)\d{1,2})?)?t?)(?![\d])")
_VERSION = re.compile(
    r"(?<![\w.])v?(\d{1,4}(?:\.\d{1,8}){1,4}(?:[._-]?(?:a|b|rc|alpha|beta|post|dev)[._-]?\d{0,8}){0,2}(?:\+[\w.]{1,60})?)(?![\w])"
)


def is_nothing(text: str) -> bool:
    """Whether a value under a label says that there is none, or nothing at all."""
    return text.strip(" .`*_\"'").lower() in NOTHING or text.strip().lower() in NOTHING


def driver(text: str) -> str | None:
    """The first NVIDIA driver version in a text, such as 535.129.03."""
    found = _DRIVER.search(text[:200]) or re.fullmatch(r"\s{0,4}[vR]?(\d{3})(?:\.?xx?)?\s{0,4}", text[:20])
    if found is None or not 96 <= int(found[1].split(".")[0]) < 1000:
        return None
    return found[1].removesuffix(".0") if found[1].count(".") == 2 else found[1]  # TensorFlow's 410.129.0 is 410.129


def cuda(text: str) -> str | None:
    """The first CUDA version in a text: ``11.2``, ``12.4.131``, ``9.0``, also a bare major such as 11."""
    found = _CUDA_WORD.search(text[:200]) or _CUDA.search(text[:200])
    return found[1] if found and 4 <= int(found[1].split(".")[0]) <= 20 else None


_CUDNN_NUMBER = re.compile(r"(?<![\d.])(\d{4,6})(?![\d.])")
_CUDNN = re.compile(r"(?<![\d.])(\d{1,2}(?:\.\d{1,3}){0,3})(?![\d])")


def cudnn(text: str) -> str | None:
    """The first cuDNN version in a text: ``8.9.7``, 7.6.5 from ``7605``, 9.1.0 from ``90100``."""
    number = _CUDNN_NUMBER.search(text[:200])
    if number:
        return cudnn_text(number[1])
    found = _CUDNN.search(text[:200])
    return found[1] if found and 4 <= int(found[1].split(".")[0]) <= 12 else None


def python(text: str) -> str | None:
    """The first Python version in a text: 3.8.10 from ``3.8.10 (default, …) [GCC 9.3.0] (64-bit runtime)``."""
    found = _PYTHON.search(text[:200])
    return found[1] if found else None


def version(text: str) -> str | None:
    """The last complete version in a text: 2.4.1 from ``v2.4.0-49-g85c8b2a817f 2.4.1``."""
    found = _VERSION.findall(text[:200])
    return found[-1].rstrip(".") if found else None


# -------------------------------------------------------------------------------------------------- GPUs


@lru_cache(maxsize=4096)
def gpu_model(name: str) -> GpuModel | None:
    """The model that a printed name means, None where the matrix lists none or several of different capability."""
    found = load().gpu(name)
    bare = name.partition(" (")[0]
    if isinstance(found, Unlisted) and bare and bare != name:  # "Tesla V100 (DGX)"
        found = load().gpu(bare)
    return None if isinstance(found, Unlisted) or found.other_capabilities else found


@lru_cache(maxsize=4096)
def gpu_model_of_pci(device: str) -> GpuModel | None:
    """The model of a PCI device id."""
    found = load().gpu_by_pci_id(device)
    return None if isinstance(found, Unlisted) or found.other_capabilities else found


@lru_cache(maxsize=1024)
def cuda_of_driver(version_text: str, platform: Literal["linux", "windows"]) -> str | None:
    """The newest CUDA that a driver's branch knows, where its number alone is shown."""
    found = load().driver_branch(version_text, platform)
    if isinstance(found, Unlisted):
        return None
    return str(CudaVersion.parse(found.max_cuda))


_NVIDIA = re.compile(
    r"nvidia|geforce|quadro|tesla|\brtx\b|\bgtx\b|titan|\b[ahlbv]\d{2,3}s?\b|\bgb?[bh]\d{3}\b|\bgt ?\d{3}|\bmx\d{3}|nvs"
    r"|jetson|tegra|orin",
    re.IGNORECASE,
)
_OTHERS = re.compile(
    r"\bamd\b|radeon|instinct|\bati\b|\brx ?(?:vega ?)?\d{2,4}\b"
    r"|\bintel\b|\biris\b|\barc\b|apple|\bm[1-4]\b|gaudi|habana",
    re.IGNORECASE,
)


@lru_cache(maxsize=1024)
def is_nvidia(name: str) -> bool:
    """Whether a GPU's printed name is one of NVIDIA's."""
    return bool(_NVIDIA.search(name)) and not (_OTHERS.search(name) and "nvidia" not in name.lower())


@lru_cache(maxsize=1024)
def vendor_id(name: str) -> str | None:
    """The PCI vendor of a device's printed name: NVIDIA, AMD or Intel."""
    low = name.lower()
    if "nvidia" in low:
        return "10de"
    if re.search(r"\brx ?(?:vega ?)?\d{2,4}\b", low):
        return "1002"
    if "amd" in low or "ati " in low or "radeon" in low or "advanced micro" in low or "instinct" in low:
        return "1002"
    if "intel" in low:
        return "8086"
    if is_nvidia(name):
        return "10de"
    return None


# -------------------------------------------------------------------------------------------------- systems


class Named(NamedTuple):
    """What the name of an operating system says."""

    os: Literal["linux", "windows", "macos"]
    distribution: str | None = None
    release: str | None = None
    architecture: str | None = None
    wsl: Literal[1, 2] | None = None
    jetson: str | None = None
    hosted: Literal["colab", "kaggle"] | None = None
    container: bool = False
    vague: bool = False


_LIKE: dict[str, tuple[str, ...]] = {
    "ubuntu": ("debian",), "linuxmint": ("ubuntu", "debian"), "pop": ("ubuntu", "debian"), "kali": ("debian",),
    "rhel": ("fedora",), "centos": ("rhel", "fedora"), "rocky": ("rhel", "centos", "fedora"),
    "almalinux": ("rhel", "centos", "fedora"), "amzn": ("fedora",), "manjaro": ("arch",), "cachyos": ("arch",),
    "endeavouros": ("arch",), "opensuse-tumbleweed": ("opensuse", "suse"), "opensuse-leap": ("suse", "opensuse"),
    "ol": ("fedora",), "raspbian": ("debian",), "zorin": ("ubuntu", "debian"), "elementary": ("ubuntu", "debian"),
}  # fmt: skip

_DISTRIBUTIONS = (
    ("ubuntu", r"[klx]?ubuntu"), ("linuxmint", r"(?:linux ?)?mint"), ("pop", r"pop!?_?os"), ("kali", r"kali"),
    ("debian", r"debian"), ("raspbian", r"raspbian"), ("rhel", r"red ?hat|rhel"), ("rocky", r"rocky"),
    ("almalinux", r"alma ?linux"), ("centos", r"centos"), ("ol", r"oracle linux"), ("fedora", r"fedora|nobara"),
    ("cachyos", r"cachyos"), ("manjaro", r"manjaro"), ("endeavouros", r"endeavour ?os"), ("arch", r"arch(?: ?linux)?"),
    ("opensuse-tumbleweed", r"tumbleweed"), ("opensuse-leap", r"opensuse"), ("sles", r"suse linux|sles"),
    ("gentoo", r"gentoo"), ("nixos", r"nixos"), ("alpine", r"alpine"), ("amzn", r"amazon linux|amzn"),
    ("clear-linux-os", r"clear ?linux"), ("azurelinux", r"azure ?linux|mariner"), ("zorin", r"zorin"),
    ("elementary", r"elementary"), ("void", r"void ?linux"), ("slackware", r"slackware"),
)  # fmt: skip
_DISTRIBUTION = re.compile(
    "|".join(rf"(?P<d{i}>\b(?:{p})\b)" for i, (_, p) in enumerate(_DISTRIBUTIONS)), re.IGNORECASE
)
_RELEASE = re.compile(r"[^\d\n(/]{0,40}?(?:/linux )?(\d{1,5}(?:\.\d{1,4}){0,3})")
_WINDOWS = re.compile(
    r"\bwindows\b(?![^\n]{0,40}subsystem)|\bwin ?(?:7|8|10|11|32|64|_amd64)\b|\bmicrosoft windows\b", re.IGNORECASE
)
_MAC = re.compile(
    r"\bmac ?os\b|\bos ?x\b|\bdarwin\b|\bmacbook\b|\bmonterey\b|\bsonoma\b|\bventura\b|\bsequoia\b", re.IGNORECASE
)
_LINUX = re.compile(r"\blinux\b|\bunix\b|\bposix\b|\bgnu/|\bhpc\b|\bslurm\b", re.IGNORECASE)
_ARCHITECTURE = re.compile(r"\b(x86_64|amd64|x64|aarch64|arm64|ppc64le|riscv64|i[3-6]86|x86)\b", re.IGNORECASE)
_L4T = re.compile(r"\bl4t[ -]?(?:release )?r?(\d{2}(?:\.\d{1,2}){0,2})", re.IGNORECASE)
_JETSON = re.compile(r"\bl4t\b|\bjetpack\b|\bjetson\b|\btegra\b", re.IGNORECASE)
_ARCHITECTURES = {"amd64": "x86_64", "x64": "x86_64", "arm64": "aarch64"}


@lru_cache(maxsize=1024)
def architecture(text: str) -> str | None:
    """The processor architecture in a text, as uname prints it on Linux."""
    found = _ARCHITECTURE.search(text[:200])
    return _ARCHITECTURES.get(found[1].lower(), found[1].lower()) if found else None


def like(distribution: str | None) -> tuple[str, ...]:
    """What a distribution descends from (os-release's ID_LIKE)."""
    return _LIKE.get(distribution or "", ())


@lru_cache(maxsize=1024)
def system(text: str) -> Named | None:
    """What a name such as ``Ubuntu 20.04.6 LTS (x86_64)`` or ``Windows 11 / Ubuntu (WSL2)`` says, None if nothing."""
    text = text[:200]
    low = text.lower()
    distribution, release = _distribution(text)
    wsl: Literal[1, 2] | None = None
    if "wsl" in low or "microsoft-standard" in low or "subsystem for linux" in low:
        wsl = 1 if re.search(r"wsl ?1|microsoft-microsoft|wsl version: 1", low) else 2
    hosted: Literal["colab", "kaggle"] | None = "colab" if "colab" in low else "kaggle" if "kaggle" in low else None
    jetson = None
    if _JETSON.search(text):
        number = _L4T.search(text)
        jetson = number[1] if number else ""
    windows, mac = bool(_WINDOWS.search(text)), bool(_MAC.search(text))
    container = "nvcr.io" in low or "docker image" in low
    arch = architecture(text)
    if (windows and not wsl and not distribution) or (
        windows and low.startswith(("windows", "microsoft")) and not wsl and "docker" not in low
    ):
        if distribution is None:
            number = re.search(r"(?:windows|win)[^\d\n]{0,20}?(\d{1,4}(?:\.\d{1,6}){0,3})", low)
            return Named("windows", None, number[1] if number else None, arch)
        wsl = 2  # a Linux distribution beside the name of Windows
    if mac and not distribution:
        number = re.search(r"(\d{2}(?:\.\d{1,2}){0,2})", text)
        return Named("macos", None, number[1] if number else None, arch)
    if distribution or wsl or hosted or jetson is not None or container or _LINUX.search(text):
        return Named("linux", distribution, release, arch, wsl, jetson, hosted, container, distribution is None)
    return None


def _distribution(text: str) -> tuple[str | None, str | None]:
    found = _DISTRIBUTION.search(text)
    if found is None or found.lastgroup is None:
        return None, None
    name = _DISTRIBUTIONS[int(found.lastgroup[1:])][0]
    release = _RELEASE.match(text, found.end())
    if name == "arch" and "arch linux" not in text.lower() and not release and "/" not in text and len(text) > 40:
        return None, None  # the English word
    return name, release[1] if release else None
