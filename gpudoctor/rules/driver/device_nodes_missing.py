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
The kernel module's version is known while a node that every CUDA program needs does not exist, or opening it is
refused.

## Sources
- https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/
- https://github.com/NVIDIA/nvidia-modprobe
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Container, DeviceNode, DeviceNodes, Gpus, Jetson, KernelDriver, Wsl
from gpudoctor.findings import Found, NotApplicable, Verdict
from gpudoctor.remedies import CreateDeviceNodes

RULE = Rule(masks=("smoke-ran-on-cpu",))

_NEEDED = ("/dev/nvidiactl", "/dev/nvidia-uvm")


@RULE.detector
def needed_nodes(
    module: KernelDriver,
    nodes: DeviceNodes,
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
    gpu_nodes = [node for node in nodes.nodes if node.path.removeprefix("/dev/nvidia").isdigit()]
    if not gpu_nodes and (gpus is None or not gpus.gpus):
        absent.append("/dev/nvidia0")
    return tuple(absent)


def _matters(path: str) -> bool:
    return path in _NEEDED or path.removeprefix("/dev/nvidia").isdigit()


def _refused(node: DeviceNode) -> bool:
    return node.opens in ("EACCES", "EPERM") or (node.opens is None and node.writable is False)
