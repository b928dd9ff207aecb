"""The installed PyTorch is a CPU-only build.

## What it means
`torch.version.cuda` is None: this build has no CUDA code at all, so `torch.cuda.is_available()` is False whatever
the driver does ("Torch not compiled with CUDA enabled").

## Why it happens
On Windows, and on ARM up to PyTorch 2.10, the package index serves CPU builds and the CUDA builds come from
PyTorch's own index; `--index-url …/cpu`; a resolver or lock file that took the CPU variant; a conda solve without
the GPU variant.

## How to fix
Install the CUDA build that this driver and GPU can run, from PyTorch's index.

## How it is detected
`cuda = None` in `torch/version.py`, or a `+cpu` version, read as text without importing the package.

## Sources
- https://pytorch.org/get-started/locally/
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Gpus, Message
from gpudoctor.findings import Found, Verdict
from gpudoctor.remedies import InstallBuild
from gpudoctor.rules._cpu_build import cpu_build_beside_gpu
from gpudoctor.rules._texts import first_match
from gpudoctor.views import DriverCuda, capabilities_of

RULE = Rule(frameworks=("torch",), masks=("smoke-ran-on-cpu",), without_gpu="absent")
RULE.detector(cpu_build_beside_gpu)

_TEXTS = (r"Torch not compiled with CUDA enabled",)


@RULE.detector
def torch_says_so(message: Message, driver: DriverCuda | None, gpus: Gpus | None) -> Verdict:
    """PyTorch itself says that it has no CUDA."""
    text = first_match(_TEXTS, message.text)
    if text is None:
        return None
    return Found(
        title="The installed PyTorch is a CPU-only build.",
        detail=text,
        evidence=(cite("message", text, message),),
        remedies=(
            InstallBuild(
                framework="torch", capabilities=capabilities_of(gpus), driver_cuda=driver.version if driver else None
            ),
        ),
    )
