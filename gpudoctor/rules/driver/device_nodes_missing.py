"""The driver is loaded, but its device nodes are missing or may not be opened.

## What it means
Programs reach the driver through `/dev/nvidiactl`, `/dev/nvidia0` … and, for CUDA, `/dev/nvidia-uvm`. Without them,
or without permission, CUDA fails with "unknown error" (999), "initialization error" (3) or "no CUDA-capable device"
(100), while nvidia-smi may still work.

## Why it happens
`nvidia-uvm` is loaded on first use by a setuid helper (nvidia-modprobe) that is not installed; a container was
started before the host made the nodes; udev rules or a group restrict them; an HPC job has no access by its cgroup.

## How to fix
Create the nodes with nvidia-modprobe (on the host, before the container starts), or permit the user.

## How it is detected
A driver is there while a node that every CUDA program needs does not exist, or opening it is refused; or a program says
so, or works for root alone; or a listing shows a node that not even its owner may read and write.

## Sources
- https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/
- https://github.com/NVIDIA/nvidia-modprobe
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Container, CudaDriver, DeviceNode, DeviceNodes, Gpus, Jetson, KernelDriver, Nvml, Wsl
from gpudoctor.findings import Confidence, Found, NotApplicable, Passed, Verdict
from gpudoctor.remedies import CreateDeviceNodes
from gpudoctor.rules._printed import SILENT, heard, nvml_fails, unknown_error, works
from gpudoctor.views import Printed

RULE = Rule(masks=("smoke-ran-on-cpu",))

_NEEDED = ("/dev/nvidiactl", "/dev/nvidia-uvm")


@RULE.detector
def needed_nodes(
    module: KernelDriver,
    nodes: DeviceNodes,
    cuda: CudaDriver | None,
    gpus: Gpus | None,
    container: Container | None,
    wsl: Wsl | None,
    jetson: Jetson | None,
) -> Verdict:
    """A node that CUDA opens is absent or refused."""
    if (wsl and wsl.version) or (jetson and jetson.l4t):
        return NotApplicable("WSL and Jetson have other device nodes")
    if module.version is None:
        return NotApplicable("no NVIDIA kernel module is loaded")
    if container and container.engine and not nodes.nodes:
        return NotApplicable("the container was given no NVIDIA device at all")
    if works(cuda):
        return Passed("CUDA reaches the driver")
    absent = _absent(nodes, gpus)
    refused = [node for node in nodes.nodes if _matters(node.path) and _refused(node)]
    if not absent and not refused:
        return None
    problems = [f"{path} does not exist" for path in absent]
    problems += [f"{node.path} ({node.mode}, {node.opens or 'not writable'}) may not be opened" for node in refused]
    return Found(
        title=f"CUDA cannot reach the driver: {problems[0]}.",
        detail="; ".join(problems) + ".",
        evidence=(
            cite("kernel module", module.version, module),
            cite("device nodes", ", ".join(node.path for node in nodes.nodes) or "none", nodes),
        ),
        remedies=(
            CreateDeviceNodes(
                paths=(*absent, *(node.path for node in refused)), permission=bool(refused) and not absent
            ),
        ),
    )


def _absent(nodes: DeviceNodes, gpus: Gpus | None) -> tuple[str, ...]:
    """Needed nodes that do not exist. A container may hold any of the host's numbers, so one GPU node is enough."""
    absent = [path for path in _NEEDED if nodes.node(path) is None]
    gpu_nodes = [node for node in nodes.nodes if node.path.removeprefix("/dev/nvidia").isdecimal()]
    if not gpu_nodes and (gpus is None or not gpus.gpus):
        absent.append("/dev/nvidia0")
    return tuple(absent)


def _matters(path: str) -> bool:
    return path in _NEEDED or path.removeprefix("/dev/nvidia").isdecimal()


def _refused(node: DeviceNode) -> bool:
    return node.opens in ("EACCES", "EPERM") or (node.opens is None and node.writable is False)


_FAILS = (
    (
        r"cudaGetDeviceCount returned (?:30|999)\b|CUDA_ERROR_UNKNOWN|cudaErrorUnknown\b|CUDA unknown error"
        r"|cuda error: unknown error|\bcuInit\b[^\n]{0,20}\b999\b"
    ),
    r"no CUDA-capable device is detected|No CUDA GPUs are available|CUDA driver initialization failed",
    r"\bCUDA (?:fails|failed|does not work|is not available)\b",
    r"Insufficient Permissions",
)


@RULE.detector
def listing_of_a_text(
    nodes: DeviceNodes, printed: Printed | None, module: KernelDriver | None, cuda: CudaDriver | None, nvml: Nvml | None
) -> Verdict:
    """A listing without nvidia-uvm, or with nodes for root and a group alone, beside a failure of CUDA."""
    if module is not None or works(cuda) or not nodes.nodes:
        return NotApplicable("the kernel module is known, CUDA works, or no node is listed")
    useless = [node for node in nodes.nodes if _matters(node.path) and _open_to_nobody(node)]
    if useless:
        return _useless(useless, nodes)
    fails = heard(printed, *_FAILS)
    if fails is None and not nvml_fails(nvml) and not (cuda and cuda.code):
        return NotApplicable("no failure of CUDA is told")
    listed = {node.path: node for node in nodes.nodes}
    absent = [path for path in _NEEDED if path not in listed]
    closed = [node for node in nodes.nodes if _matters(node.path) and (node.mode or "666")[-1] not in "67"]
    denied = nvml is not None and nvml.result == "NVML_ERROR_NO_PERMISSION"
    if not absent and not (closed and (denied or fails)):
        return Passed("every node that CUDA needs is listed and open to all")
    problem = f"{absent[0]} does not exist" if absent else f"{closed[0].path} has mode {closed[0].mode}"
    return Found(
        title=f"CUDA cannot reach the driver: {problem}.",
        evidence=(
            cite("device nodes", ", ".join(listed), nodes),
            *((fails.evidence,) if fails else ()),
        ),
        remedies=(
            CreateDeviceNodes(paths=tuple(absent) or tuple(node.path for node in closed), permission=not absent),
        ),
        confidence=Confidence.LIKELY,
    )


def _open_to_nobody(node: DeviceNode) -> bool:
    """Whether not even its owner may read and write a node, which root alone overcomes."""
    return node.mode is not None and int(node.mode[-3], 8) & 6 != 6


def _useless(useless: list[DeviceNode], nodes: DeviceNodes) -> Found:
    first = useless[0]
    return Found(
        title=f"CUDA cannot reach the driver: {first.path} has mode {first.mode}, which lets nobody read and write it.",
        detail="The module parameter NVreg_DeviceFileMode is decimal unless it starts with 0: 666 is 01232 then.",
        evidence=(cite("device nodes", ", ".join(f"{node.path} {node.mode}" for node in useless), nodes),),
        remedies=(CreateDeviceNodes(paths=tuple(node.path for node in useless), permission=True),),
    )


_ABSENT = (
    # libkmod's words for the module of the distribution's own name, such as nvidia_367_uvm
    r"could not find module by name='nvidia[-_][\w-]{0,20}uvm'",
    r"(/dev/nvidia(?:-uvm|ctl|\d{1,3})\b)[^\n]{0,20}: No such file or directory",
    r"(/dev/nvidia(?:-uvm|ctl|\d{1,3})\b)[^\n]{0,20}\b(?:not found|missing|does not exist)",
    r"\bnvidia[-_]uvm\b[^\n]{0,20}\bnot loaded\b",
    r"Could not load UVM kernel module",
)
_REACHED = r"unsatisfied condition: (?:cuda|driver)|unsupported CUDA version: driver"
_DENIED = (
    r"Insufficient Permissions",
    r"(/dev/nvidia\S{0,12})[^\n]{0,20}: (?:Permission denied|Operation not permitted)",
)
_ROOT = (
    r"\bas[_ ]root\b\W{1,4}(?:works|yes|ok|true)\b",
    r"\bworks?\b[^\n]{0,12}\b(?:as root|with sudo|for root|under sudo)\b",
    r"\b(?:after|once)\b[^\n]{0,30}\b(?:run|start|use|command|container)\b[^\n]{0,12}\b(?:as root|with sudo)\b",
)


@RULE.detector
def a_program_says_so(
    printed: Printed, cuda: CudaDriver | None, nodes: DeviceNodes | None, module: KernelDriver | None, wsl: Wsl | None
) -> Verdict:
    """A node is absent or refused, or CUDA works once root has used it."""
    if works(cuda) or (wsl and wsl.version) or (nodes and module and module.version):
        return NotApplicable("CUDA works, WSL has no such nodes, or the nodes are known")
    absent, denied, root = heard(printed, *_ABSENT), heard(printed, *_DENIED), heard(printed, *_ROOT)
    fails = heard(printed, *_FAILS)
    hit = absent or denied or (root if fails or (cuda and cuda.code) else None)
    if hit is None or (nodes and nodes.nodes):
        return NotApplicable(SILENT)
    if heard(printed, _REACHED):
        return NotApplicable("the container runtime reached the driver and compared its version")
    if absent and not (fails or (cuda and cuda.code) or root or "nvidia-uvm" in hit.text or "UVM" in hit.text):
        return NotApplicable("the absence of a node may be that of the driver")
    titles = {True: "CUDA works for root alone: the device nodes are made too late or not permitted."}
    title = titles.get(hit is root, f"CUDA cannot reach the driver: {hit.text}.")
    return Found(
        title=title,
        detail=fails.text if fails else "",
        evidence=(hit.evidence, *((fails.evidence,) if fails and fails is not hit else ())),
        remedies=(CreateDeviceNodes(paths=("/dev/nvidia-uvm",), permission=hit is denied),),
        confidence=Confidence.LIKELY,
    )


@RULE.detector
def an_unknown_error(
    printed: Printed,
    cuda: CudaDriver | None,
    nvml: Nvml | None,
    nodes: DeviceNodes | None,
    wsl: Wsl | None,
) -> Verdict:
    """An unknown error of CUDA: a node that is missing is one reason, a broken state of the driver another."""
    hit = heard(printed, _FAILS[0])
    if hit is None or (cuda and not unknown_error(cuda)) or (wsl and wsl.version) or nvml_fails(nvml):
        return NotApplicable(SILENT)
    if (nodes and nodes.nodes) or heard(printed, *_ROOT, *_ABSENT):
        return NotApplicable("more is known of the device nodes")
    return Found(
        title="CUDA fails with an unknown error (999): /dev/nvidia-uvm may be missing.",
        detail=hit.text,
        evidence=(hit.evidence,),
        remedies=(CreateDeviceNodes(paths=("/dev/nvidia-uvm",)),),
        confidence=Confidence.POSSIBLE,
        settled_by=("ls -l /dev/nvidia*",),
    )
