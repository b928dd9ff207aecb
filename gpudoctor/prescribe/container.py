"""Fixes of how a container is started."""

from __future__ import annotations

from gpudoctor import remedies as r
from gpudoctor.facts import Container
from gpudoctor.findings import Fix
from gpudoctor.prescribe.place import Place

TOOLKIT_GUIDE = "https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html"

_STARTS = {
    "docker": ("docker run --gpus all", "docker run --rm --gpus all ubuntu nvidia-smi"),
    "podman": (
        "podman run --device nvidia.com/gpu=all",
        "podman run --rm --device nvidia.com/gpu=all ubuntu nvidia-smi",
    ),
    "apptainer": ("apptainer exec --nv", "apptainer exec --nv docker://ubuntu nvidia-smi"),
}


def give_container_gpu(remedy: r.GiveContainerGpu, place: Place) -> Fix:
    """How this engine gives GPUs to a container, and what the host needs for it."""
    container = place.facts.container
    if isinstance(container, Container) and container.orchestrator == "kubernetes":
        return Fix(
            title="Request a GPU for this pod",
            where="host",
            note="In the container's resources: limits: nvidia.com/gpu: 1. The node needs NVIDIA's device plugin.",
        )
    start, verify = _STARTS.get(place.engine or "docker", _STARTS["docker"])
    extra = f" -e NVIDIA_DRIVER_CAPABILITIES={','.join(remedy.capabilities)}" if remedy.capabilities else ""
    runtime = place.engine if place.engine in ("docker", "podman", "containerd") else "docker"
    prepare = f"sudo nvidia-ctk runtime configure --runtime={runtime}, then restart the engine"
    if runtime == "podman":
        prepare = "sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"
    return Fix(
        title=f"Start the container with GPU access: {start}{extra} …",
        where="host",
        verify=verify,
        note="In a compose file: deploy.resources.reservations.devices with capabilities [gpu]. If the engine knows no "
        f"GPU driver, install the NVIDIA Container Toolkit on the host ({TOOLKIT_GUIDE}) and run: {prepare}.",
    )
