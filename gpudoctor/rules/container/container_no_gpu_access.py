"""This container was started without access to the GPU.

## What it means
The host's kernel has the NVIDIA driver loaded, yet inside the container there is neither a device node nor a driver
library. CUDA and the framework come with the image; the driver's files and devices are given by the container
runtime at the start, and here they were not.

## Why it happens
`docker run` without `--gpus`, a compose file without a device reservation, a pod without `nvidia.com/gpu` in its
limits, the NVIDIA Container Toolkit not installed or not configured for this engine, or `NVIDIA_VISIBLE_DEVICES`
set to void.

## How to fix
Start the container with GPU access. If the engine then says that it knows no such driver or runtime, install and
configure the NVIDIA Container Toolkit on the host.

## How it is detected
A container, a kernel module or an NVIDIA device on the bus seen from inside it, no `/dev/nvidia*` node (in WSL: no
`/dev/dxg`), and no NVML for the loader.

## Sources
- https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html
- https://docs.docker.com/compose/how-tos/gpu-support/
- https://kubernetes.io/docs/tasks/manage-gpus/scheduling-gpus/
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Container, DeviceNodes, Environment, KernelDriver, Message, Nvml, Wsl
from gpudoctor.findings import Confidence, Evidence, Found, NotApplicable, Verdict
from gpudoctor.remedies import GiveContainerGpu
from gpudoctor.rules._texts import first_match
from gpudoctor.views import Presence

RULE = Rule(
    masks=(
        "no-nvidia-gpu",
        "driver-not-installed",
        "driver-not-loaded",
        "device-nodes-missing",
        "cuda-visible-devices",
        "tf-cuda-libs-missing",
        "torch-cpu-build",
        "tf-cpu-build",
        "jax-cpu-build",
        "smoke-ran-on-cpu",
    ),
    without_gpu="absent",
)


@RULE.detector
def neither_nodes_nor_libraries(
    container: Container,
    nodes: DeviceNodes,
    nvml: Nvml,
    presence: Presence | None,
    module: KernelDriver | None,
    environment: Environment | None,
    wsl: Wsl | None,
) -> Verdict:
    """A container on a GPU host that was given nothing of it."""
    if container.engine is None:
        return NotApplicable("not in a container")
    if nvml.result == "NVML_SUCCESS" or nodes.nodes or (wsl and wsl.dxg):
        return None
    host_has_driver = bool(module and module.version)
    if not host_has_driver and not (presence and presence.present):
        return NotApplicable("nothing here shows a GPU on the host")
    asked = environment.variables.get("NVIDIA_VISIBLE_DEVICES") if environment else None
    evidence: list[Evidence] = [cite("container", container.engine, container)]
    evidence += [cite("host's kernel module", module.version, module)] if module and module.version else []
    evidence += [cite("device nodes", "none", nodes), cite("NVML", nvml.result, nvml)]
    if environment and asked is not None:
        evidence.append(cite("NVIDIA_VISIBLE_DEVICES", asked, environment))
    return Found(
        title="This container was started without access to the GPU.",
        detail="The host has the NVIDIA driver loaded; in here is no /dev/nvidia* node and no driver library."
        if host_has_driver
        else "The host has an NVIDIA GPU; in here is no /dev/nvidia* node and no driver library.",
        evidence=tuple(evidence),
        remedies=(GiveContainerGpu(),),
        confidence=Confidence.CERTAIN if host_has_driver else Confidence.LIKELY,
    )


_TEXTS = (
    r"could not select device driver \S{0,40} with capabilities: \[\[gpu\]\]",
    r"unknown or invalid runtime name: nvidia",
    r"unknown runtime specified nvidia",
    r"exec: \"?nvidia-container-runtime(-hook)?\"?: executable file not found",
)


@RULE.detector
def the_engine_says_so(message: Message) -> Verdict:
    """The container engine knows no NVIDIA runtime or driver."""
    text = first_match(_TEXTS, message.text)
    if text is None:
        return None
    return Found(
        title="The container engine cannot give GPUs to containers.",
        detail=text,
        evidence=(cite("message", text, message),),
        remedies=(GiveContainerGpu(),),
    )
