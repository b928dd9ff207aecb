"""What the standalone collector saw, for people: in the words of PyTorch's collect_env, which ``triage`` reads too.

Where the block behind it is damaged, these lines are what is left. This module runs in the collector itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.collector.look import Collected
from gpudoctor.facts import Facts, Gpu, KernelDriver, KernelLog, Libc, Missing, PciDevices, System
from gpudoctor.privacy import told
from gpudoctor.probes.target_answer import Answer

_MOST_WIDTH = 200
_MOST_XIDS = 5
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
    named = (*_framework(seen.looked.answer), *_system(facts), *_python(seen))
    yield from map(plain, (f"{name}: {value}" for name, value in named))
    yield from map(plain, _driver(facts))
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


def _driver(facts: Facts) -> Iterator[str]:
    yield from _devices(facts)
    if isinstance(facts.kernel_driver, KernelDriver) and facts.kernel_driver.version:
        yield f"NVIDIA kernel module: {facts.kernel_driver.version}"
    yield from _nvml(facts)
    if isinstance(facts.cuda, Missing):
        yield f"CUDA driver: {facts.cuda}"
    elif facts.cuda.result == "CUDA_SUCCESS":
        yield "CUDA driver: cuInit says CUDA_SUCCESS"
    else:
        yield f"failed call to cuInit: {facts.cuda.result}"
    if isinstance(facts.kernel_log, KernelLog):
        yield from (event.text for event in facts.kernel_log.xids[-_MOST_XIDS:])


# What nvidia-smi says in place of its table, and is known by.
_SENTENCES = {
    "NVML_ERROR_LIB_RM_VERSION_MISMATCH": "Failed to initialize NVML: Driver/library version mismatch",
    "NVML_ERROR_DRIVER_NOT_LOADED": "Failed to initialize NVML: Driver Not Loaded",
    "NVML_ERROR_UNKNOWN": "Failed to initialize NVML: Unknown Error",
    "NVML_ERROR_NO_PERMISSION": "Failed to initialize NVML: Insufficient Permissions",
    "NVML_ERROR_OPERATING_SYSTEM": "Failed to initialize NVML: GPU access blocked by the operating system",
}


def _nvml(facts: Facts) -> Iterator[str]:
    if isinstance(facts.nvml, Missing):
        yield f"NVML: {facts.nvml}"
        return
    if facts.nvml.driver:
        yield f"Nvidia driver version: {facts.nvml.driver}"
    if facts.nvml.cuda:
        yield f"CUDA Version: {facts.nvml.cuda}"
    if facts.nvml.result != "NVML_SUCCESS":
        yield _SENTENCES.get(facts.nvml.result, f"NVML: {facts.nvml.result}")


def _devices(facts: Facts) -> Iterator[str]:
    if isinstance(facts.gpus, Missing):
        yield f"GPUs: {facts.gpus}"
    elif facts.gpus.gpus:
        yield "GPU models and configuration:"
        yield from (f"GPU {gpu.index}: {gpu.name}" for gpu in facts.gpus.gpus if gpu.name)
        yield from (_ill(gpu) for gpu in facts.gpus.gpus if gpu.error)
    elif isinstance(facts.pci, PciDevices):
        for device in facts.pci.devices:
            yield f"PCI {device.address}: {device.name or f'{device.vendor}:{device.device}'}"


def _ill(gpu: Gpu) -> str:
    if gpu.error == "NVML_ERROR_GPU_IS_LOST":
        place = gpu.pci or str(gpu.index)
        return (
            f"Unable to determine the device handle for GPU {place}: GPU is lost. Reboot the system to recover this GPU"
        )
    return f"Unable to determine the device handle for GPU {gpu.pci or gpu.index}: {gpu.error}"


def _packages(answer: Answer | None) -> list[str]:
    copies = (answer.packages or ()) if answer else ()
    named = sorted({(copy.name, copy.version or "") for copy in copies if copy.name.startswith(_RELEVANT)})
    return [plain(f"[pip3] {name}=={version}") for name, version in named if version]
