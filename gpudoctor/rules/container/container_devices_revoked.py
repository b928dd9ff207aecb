"""This container lost its GPUs while it was running.

## What it means
The device nodes are still there, and opening them is refused: the rules that allowed it were replaced. nvidia-smi says
"Failed to initialize NVML: Unknown Error". Programs that had opened the GPU before go on; new ones fail.

## Why it happens
systemd rewrites a container's device rules at every daemon-reload (an update or a service does it too) and knows
nothing of GPUs that the NVIDIA runtime added behind its back.

## How to fix
Start the container again; it is lost again at the next reload unless the cause is removed: let Docker use cgroupfs,
give the nodes with --device or by CDI, and make the links in /dev/char (nvidia-ctk system create-dev-char-symlinks).

## How it is detected
In a container, NVML returns an unknown error or opening a node that exists is refused (EPERM) though its mode allows
it.

## Sources
- https://github.com/NVIDIA/nvidia-container-toolkit/issues/48
- https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/troubleshooting.html
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Container, CudaDriver, DeviceNodes, Nvml, Scheduler, Wsl
from gpudoctor.findings import Confidence, Found, NotApplicable, Passed, Verdict
from gpudoctor.remedies import Run
from gpudoctor.rules._printed import SILENT, heard, works
from gpudoctor.views import Printed

RULE = Rule(masks=("device-nodes-missing", "driver-broken-state", "driver-not-loaded", "smoke-ran-on-cpu"))

_CURE = Run(
    title="Start the container again, and keep systemd from taking its GPUs",
    where="host",
    argvs=(("sudo", "nvidia-ctk", "system", "create-dev-char-symlinks", "--create-all"),),
    note="Docker: native.cgroupdriver=cgroupfs in exec-opts of /etc/docker/daemon.json, or GPUs by CDI "
    "(--device nvidia.com/gpu=all).",
)


@RULE.detector
def nodes_refuse(
    container: Container, nodes: DeviceNodes, nvml: Nvml, cuda: CudaDriver, scheduler: Scheduler | None
) -> Verdict:
    """Nodes that exist, may be opened by their mode, and are refused."""
    if container.engine is None:
        return NotApplicable("not in a container")
    if works(cuda) or nvml.result == "NVML_SUCCESS":
        return Passed("the driver answers")
    refused = [node for node in nodes.nodes if node.opens in ("EPERM", "EACCES") and (node.mode or "").endswith("666")]
    if not refused:
        return Passed("no node is refused against its mode")
    if scheduler and scheduler.name and scheduler.gpus is None:
        return NotApplicable("the batch job has no GPU")
    return Found(
        title="This container may no longer open its GPUs.",
        detail=f"{refused[0].path} has mode {refused[0].mode} and gives {refused[0].opens}; NVML: {nvml.result}.",
        evidence=(
            cite("device nodes", ", ".join(node.path for node in refused), nodes),
            cite("NVML", nvml.result, nvml),
        ),
        remedies=(_CURE,),
        confidence=Confidence.LIKELY,
    )


_UNKNOWN = r"Failed to initialize NVML: Unknown Error"
_RELOAD = r"\bdaemon-reload\b|\bc 195:\* m\b|\bdevices\.(?:list|allow|deny)\b"


@RULE.detector
def nvml_says_unknown_error(
    printed: Printed | None,
    container: Container | None,
    nvml: Nvml | None,
    cuda: CudaDriver | None,
    nodes: DeviceNodes | None,
    wsl: Wsl | None,
) -> Verdict:
    """NVML's unknown error: in a container this is the reason, elsewhere one of two."""
    hit = heard(printed, _UNKNOWN)
    if hit is None and (nvml is None or nvml.result != "NVML_ERROR_UNKNOWN"):
        return NotApplicable(SILENT)
    if works(cuda) or (wsl and wsl.version) or (nodes and any(node.opens for node in nodes.nodes)):
        return NotApplicable("CUDA works, or the nodes tell")
    reload = heard(printed, _RELOAD)
    inside = (container is not None and container.engine is not None) or reload
    source = nvml or container
    evidence = (hit.evidence,) if hit else (cite("NVML", nvml.result, nvml),) if nvml and source else ()
    return Found(
        title="This container lost its GPUs: NVML fails with an unknown error.",
        detail=reload.text if reload else "",
        evidence=(*evidence, *((reload.evidence,) if reload else ())),
        remedies=(_CURE,),
        confidence=(Confidence.CERTAIN if reload else Confidence.LIKELY) if inside else Confidence.POSSIBLE,
        settled_by=() if inside else ("cat /proc/1/cgroup", "sudo dmesg | grep -i nvrm"),
    )
