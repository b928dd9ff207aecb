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
`/dev/dxg`), and no NVML for the loader; the engine's refusal; or a program that finds no driver inside, and the command
that started the container; or a CUDA build that sees no GPU in a container whose start asked for none.

## Sources
- https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html
- https://docs.docker.com/compose/how-tos/gpu-support/
- https://kubernetes.io/docs/tasks/manage-gpus/scheduling-gpus/
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import (
    Build,
    Container,
    ContainerStart,
    CudaDriver,
    DeviceNodes,
    Environment,
    Imported,
    Jetson,
    KernelDriver,
    Nvml,
    Wsl,
)
from gpudoctor.findings import Confidence, Evidence, Found, NotApplicable, Verdict
from gpudoctor.remedies import GiveContainerGpu
from gpudoctor.rules._printed import SILENT, Heard, gpu_is_missed, heard, works
from gpudoctor.views import Presence, Printed

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
    if module is not None and not host_has_driver:
        return NotApplicable("the host itself has no NVIDIA module loaded")
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


_ENGINE = (
    r"could not select device driver \S{0,40} with capabilities: \[",
    r"unknown or invalid runtime name: nvidia",
    r"unknown runtime specified nvidia",
    r"exec: \"?nvidia-container-runtime(?:-hook)?\"?: executable file not found",
    r"nvidia-container-cli: executable file not found",
    r"failed to discover GPU vendor from CDI",
    r"unresolvable CDI devices nvidia\.com/gpu",
    r"setting up CDI devices: [^\n]{0,40}nvidia\.com/gpu",
    # on a Jetson --gpus alone is not enough
    r"invoking the NVIDIA Container Runtime Hook directly [^\n]{0,60} is not supported",
    # nvidia-container-cli in a container that may not set device rules itself, or older than the host's cgroups
    r"nvidia-container-cli: (?:mount|container) error: [^\n]{0,140}\b(?:cgroup|device rules|device filters)\b",
    # nvidia-container-cli, before any container is made: the host's loader has no libcuda
    r"load library failed: libcuda\.so\.1: cannot open shared object",
)
# go-nvml's words for "no libnvidia-ml here", as the device plugin and the GPU operator's pods print them; apptainer's
# for a host where --nv finds nothing to bind.
_PODS = (
    r"\b(?:could not load|failed to load|unable to load) NVML library",
    r"Nvml init failed: ERROR_LIBRARY_NOT_FOUND|error (?:initializing|starting) NVML: ERROR_LIBRARY_NOT_FOUND",
    r"\bIncompatible (?:platform|strategy) detected\b",
    r"did you configure the NVIDIA Container Toolkit\?",
)
_NOTHING_TO_BIND = r"Could not find any nv files on this host"


@RULE.detector
def the_engine_says_so(printed: Printed, presence: Presence | None, cuda: CudaDriver | None) -> Verdict:
    """The container engine knows no NVIDIA runtime or driver."""
    hit = heard(printed, *_ENGINE)
    if hit is None or works(cuda):
        return NotApplicable(SILENT)
    if presence and not presence.present:
        return NotApplicable("there is no NVIDIA GPU to give")
    return Found(
        title="The container engine cannot give GPUs to containers.",
        detail=hit.text,
        evidence=(hit.evidence,),
        remedies=(GiveContainerGpu(),),
    )


_NO_NVML = r"load library failed: libnvidia-ml\.so\.1"
_HOST_HAS_NONE = (_NO_NVML, r"nvml error: driver not loaded")
_IN_PASSING = (
    r"Found no NVIDIA driver on your system",
    r"libcuda\.so(?:\.1)?['\"]?; dlerror: libcuda\.so(?:\.1)?: cannot open shared object file",
    r"/proc/driver/nvidia/version does not exist",
)
_NOTHING_INSIDE = (
    r"The NVIDIA Driver was not detected",
    r"to start this container with GPU support",
    r"(?<!dlerror: )libcuda\.so(?:\.1)?['\"]?: cannot open shared object file",
    r"(?<!CUDA initialization: )Found no NVIDIA driver on your system",
    r"nvidia-smi['\"]?\W{1,4}(?:command )?not found",
    r"executable file not found in \$PATH[^\n]{0,20}nvidia-smi|nvidia-smi[^\n]{0,20}executable file not found",
    r"\bCUDA\b[^\n]{0,20}\bnot detected\b",
)
# What CUDA and PyTorch say where there is no driver at all, and elsewhere too, so it counts only in a container whose
# start asked for no GPU: https://docs.nvidia.com/cuda/cuda-runtime-api/group__CUDART__TYPES.html
_WITHOUT_DRIVER = (
    r"CUDA driver version is insufficient for CUDA runtime version",
    r"cuda\.is_available\(\)(?: returns| ?->| ?==?|:| gives| is)? ?False",
    r"No CUDA GPUs are available",
    r"no CUDA-capable device is detected",
)
# An image that programs for GPUs come in, named on its own; docker compose's word on a service that ended.
_IMAGE = (
    r"^(?:image: )?(?:(?:docker\.io/)?nvidia/cuda|nvcr\.io/nvidia/[\w.-]{2,40}|pytorch/pytorch|tensorflow/tensorflow)"
    r":[\w.-]{2,80}$"
)
_SERVICE = r"^[\w.-]{2,80}[_-]\d{1,3} exited with code \d{1,3}$"
_PLAIN_RUNTIME = r"\bruntime\W{1,4}runc\b"


@RULE.detector
def a_pod_has_no_driver_library(printed: Printed, cuda: CudaDriver | None) -> Verdict:
    """A pod that serves GPUs finds no NVML: its runtime class or the default runtime is not NVIDIA's."""
    hit = heard(printed, *_PODS)
    if hit is None or works(cuda):
        return NotApplicable(SILENT)
    if heard(printed, *_HOST_HAS_NONE):
        return NotApplicable("the host itself has no working driver")
    return Found(
        title="The pod was given nothing of the NVIDIA driver: the runtime that started it is not NVIDIA's.",
        detail=hit.text,
        evidence=(hit.evidence,),
        remedies=(GiveContainerGpu(),),
        confidence=Confidence.LIKELY,
    )


@RULE.detector
def the_engine_does_not_see_the_hosts_driver(printed: Printed, nvml: Nvml | None, cuda: CudaDriver | None) -> Verdict:
    """nvidia-container-cli finds no NVML although nvidia-smi works: it looks elsewhere than on this machine."""
    hit = heard(printed, _NO_NVML)
    if hit is None or works(cuda):
        return NotApplicable(SILENT)
    nested = heard(printed, _NESTED)
    if nested is not None:
        return _nested(hit, nested)
    if nvml is None or nvml.result != "NVML_SUCCESS" or nvml.driver is None:
        return NotApplicable("nothing shows that the host's driver works")
    return Found(
        title="The container engine does not see the driver of this machine, which works.",
        detail=f"{hit.text}. An engine from a snap, in Docker Desktop's virtual machine or with a root of its own "
        "looks for the driver's libraries in there.",
        evidence=(hit.evidence, cite("driver", nvml.driver, nvml)),
        remedies=(GiveContainerGpu(),),
        confidence=Confidence.LIKELY,
    )


# An engine inside a container of the system's kind: what it gives on must have been given to it.
_NESTED = r"\b(?:LX[CD]|Incus|systemd-nspawn)\b"


def _nested(hit: Heard, nested: Heard) -> Found:
    return Found(
        title="The container that the engine runs in was given nothing of the NVIDIA driver.",
        detail=f"{hit.text}. The host's devices and the driver's libraries, of the host's version, have to be in there "
        "before the engine can pass them on.",
        evidence=(hit.evidence, nested.evidence),
        remedies=(GiveContainerGpu(),),
        confidence=Confidence.LIKELY,
    )


@RULE.detector
def apptainer_finds_nothing_to_bind(
    printed: Printed, presence: Presence | None, jetson: Jetson | None, cuda: CudaDriver | None
) -> Verdict:
    """``--nv`` binds the libraries of its list; on a Jetson, or with them elsewhere, it finds none of these."""
    hit = heard(printed, _NOTHING_TO_BIND)
    board = (jetson is not None and jetson.l4t is not None) or heard(printed, r"\bJetson\b|\bL4T\b|\btegra")
    if hit is None or works(cuda) or not (board or (presence and presence.present)):
        return NotApplicable(SILENT)
    return Found(
        title="--nv found no library of the NVIDIA driver on this host to give to the container.",
        detail=hit.text,
        evidence=(hit.evidence,),
        remedies=(GiveContainerGpu(),),
        confidence=Confidence.LIKELY,
    )


def _asked(start: ContainerStart) -> bool:
    """Whether the command that started a container asked for GPUs."""
    return bool(start.gpus or start.devices or start.privileged or start.runtime == "nvidia")


@RULE.detector
def nothing_of_the_driver_inside(
    printed: Printed,
    container: Container | None,
    start: ContainerStart | None,
    presence: Presence | None,
    cuda: CudaDriver | None,
) -> Verdict:
    """A program inside finds no driver; the command that started the container says whether GPUs were asked for."""
    if works(cuda) or (presence and not presence.present):
        return NotApplicable("CUDA works, or there is no NVIDIA GPU")
    if heard(printed, *_HOST_HAS_NONE):
        return NotApplicable("the host itself has no working driver")
    hit = heard(printed, *_NOTHING_INSIDE)
    if hit is None and ((presence and presence.present) or gpu_is_missed(printed)):
        hit = heard(printed, *_IN_PASSING)
    plain = start is not None and not _asked(start)
    if hit is None and plain:
        hit = heard(printed, *_WITHOUT_DRIVER)
    shown = heard(printed, *_NOTHING_INSIDE[:2], _IMAGE, _SERVICE)
    inside = (container is not None and container.engine is not None) or shown is not None
    if hit is None or not inside:
        return NotApplicable(SILENT)
    runtime = heard(printed, _PLAIN_RUNTIME)
    given = (cite("started with", start.text, start),) if start and plain and start.text else ()
    return Found(
        title="This container was started without access to the GPU.",
        detail=hit.text,
        evidence=(hit.evidence, *given, *((runtime.evidence,) if runtime else ())),
        remedies=(GiveContainerGpu(),),
        confidence=Confidence.CERTAIN if plain else Confidence.LIKELY,
    )


@RULE.detector
def started_plainly(
    build: Build,
    imported: Imported,
    start: ContainerStart | None,
    presence: Presence | None,
    nvml: Nvml | None,
    cuda: CudaDriver | None,
) -> Verdict:
    """A CUDA build that sees no GPU, in a container whose start asked for none."""
    if build.accelerator != "cuda" or imported.available is not False:
        return NotApplicable("no CUDA build that misses a GPU")
    if start is None:
        return NotApplicable("how the container was started is not known")
    if _asked(start) or works(cuda) or (presence and not presence.present):
        return NotApplicable("GPUs were asked for, CUDA works, or there is no NVIDIA GPU")
    # A table of nvidia-smi is the host's, or says that the engine gives GPUs unasked.
    shown = nvml is not None and nvml.result == "NVML_SUCCESS"
    return Found(
        title="This container was started without access to the GPU.",
        detail=f"{build.distribution} {build.version} is a CUDA build; the driver must come from the host.",
        evidence=(
            cite("started with", start.text, start),
            cite(f"{build.distribution} sees a GPU", "no", imported),
            cite("built for", f"CUDA {build.cuda}" if build.cuda else "CUDA", build),
        ),
        remedies=(GiveContainerGpu(),),
        confidence=Confidence.POSSIBLE if shown else Confidence.LIKELY,
        settled_by=("ls /dev/nvidia*",) if shown else (),
    )
