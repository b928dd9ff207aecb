"""What the standalone collector saw, for people: in the words of PyTorch's collect_env, which ``triage`` reads too.

Where the block behind it is damaged, these lines are what is left. This module runs in the collector itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.collector.look import Collected
from gpudoctor.facts import (
    CudaDriver,
    Facts,
    Gpus,
    KernelDriver,
    Libc,
    Missing,
    Nvml,
    PciDevices,
    System,
)
from gpudoctor.privacy import told
from gpudoctor.probes.target_answer import Answer

_MOST_WIDTH = 200
_RELEVANT = (
    "torch", "tensorflow", "tf-nightly", "jax", "nvidia-", "triton", "numpy", "keras", "cupy", "onnxruntime",
    "xformers", "flash-attn", "bitsandbytes", "vllm", "cuda-",
)  # fmt: skip


def lines(seen: Collected) -> Iterator[str]:
    """The lines, each with nothing in it that a terminal could take for a command."""
    facts = seen.facts
    yield f"What gpudoctor {facts.gpudoctor} saw of this machine and one Python environment, {facts.created}"
    yield "Hidden here: " + told(seen.hidden) + "."
    yield ""
    for name, value in (*_framework(seen.looked.answer), *_system(facts), *_python(seen), *_driver(facts)):
        yield plain(f"{name}: {value}")
    packages = _packages(seen.looked.answer)
    if packages:
        yield ""
        yield "Versions of relevant libraries:"
        yield from packages


def plain(text: str) -> str:
    """The text on one line, what cannot be printed as ``?``."""
    shown = "".join(character if character.isprintable() else "?" for character in text)
    return shown if len(shown) <= _MOST_WIDTH else shown[: _MOST_WIDTH - 1] + "…"


_Line = tuple[str, str]


def _framework(answer: Answer | None) -> Iterator[_Line]:
    for text in (answer.texts or {}).get("torch", ()) if answer else ():
        version, cuda, hip = (text.says.get(name) for name in ("__version__", "cuda", "hip"))
        if version:
            yield "PyTorch version", str(version)
            yield "CUDA used to build PyTorch", str(cuda) if cuda else "None" if "cuda" in text.says else "unknown"
            yield "ROCM used to build PyTorch", str(hip) if hip else "N/A"
            return


def _system(facts: Facts) -> Iterator[_Line]:
    if isinstance(facts.system, System):
        yield "OS", f"{facts.system.name or facts.system.os} ({facts.system.architecture or 'unknown'})"
    else:
        yield "OS", str(facts.system)
    if isinstance(facts.libc, Libc):
        yield "Libc version", f"{facts.libc.name}-{facts.libc.version}"


def _python(seen: Collected) -> Iterator[_Line]:
    said = seen.looked.answer.interpreter if seen.looked.answer else None
    if said is None:
        yield "Python", str(seen.looked.missing or "unknown")
        return
    yield "Python version", f"{said.version} ({said.bits}-bit runtime)"
    yield "Python platform", said.platform
    yield "Python environment", f"{said.environment}, {said.executable}"


def _driver(facts: Facts) -> Iterator[_Line]:
    yield from _devices(facts)
    if isinstance(facts.kernel_driver, KernelDriver) and facts.kernel_driver.version:
        yield "NVIDIA kernel module", facts.kernel_driver.version
    if isinstance(facts.nvml, Nvml):
        if facts.nvml.driver:
            yield "Nvidia driver version", facts.nvml.driver
        if facts.nvml.result != "NVML_SUCCESS":
            yield "NVML", facts.nvml.result
    else:
        yield "NVML", str(facts.nvml)
    if isinstance(facts.cuda, CudaDriver):
        yield "cuInit", facts.cuda.result + (f", CUDA {facts.cuda.version}" if facts.cuda.version else "")
    else:
        yield "cuInit", str(facts.cuda)


def _devices(facts: Facts) -> Iterator[_Line]:
    if isinstance(facts.gpus, Gpus) and facts.gpus.gpus:
        yield "GPU models and configuration", ""
        for gpu in facts.gpus.gpus:
            yield f"GPU {gpu.index}", gpu.name or gpu.error or "unknown"
    elif isinstance(facts.gpus, Missing):
        yield "GPUs", str(facts.gpus)
    elif isinstance(facts.pci, PciDevices):
        for device in facts.pci.devices:
            yield f"PCI {device.address}", device.name or f"{device.vendor}:{device.device}"


def _packages(answer: Answer | None) -> list[str]:
    copies = (answer.packages or ()) if answer else ()
    named = sorted({(copy.name, copy.version or "") for copy in copies if copy.name.startswith(_RELEVANT)})
    return [plain(f"[pip3] {name}=={version}") for name, version in named if version]
