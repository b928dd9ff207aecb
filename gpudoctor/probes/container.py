"""Whether this process runs in a container, whose, and what an NVIDIA runtime left there."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator, Mapping
from typing import Literal, TypeAlias, get_args

from gpudoctor.facts import Container
from gpudoctor.probes.host import is_gvisor
from gpudoctor.probes.mounts import MOUNTINFO, Mount, mounts
from gpudoctor.probes.reading import first_line, need, printable, unique
from gpudoctor.world import World

Engine: TypeAlias = Literal["docker", "podman", "containerd", "cri-o", "lxc", "apptainer", "enroot", "unknown"]
_Clue: TypeAlias = tuple[Engine, str]

_MOST_HOOKS = 100


def container(world: World) -> Container:
    """Marker files, this process's mounts and cgroup, and what the container manager wrote.

    Mounts of other containers, which a host shows too, do not count: only those of ``/`` and of the files that
    engines place in each container. A folder unpacked from an image may hold /.dockerenv and be no container.
    """
    if world.is_real and platform.system() != "Linux":
        return Container(source="Python's platform module", engine=None)
    need(world, MOUNTINFO)
    seen = mounts(world)
    found = next(_clues(world, seen), None)
    if found is None:
        return Container(source=f"{MOUNTINFO}, /proc/self/cgroup, marker files", engine=None)
    engine, source = found
    return Container(
        source=source,
        engine=engine,
        orchestrator="kubernetes" if _in_kubernetes(world, seen) else None,
        gpu_hooks=_gpu_hooks(seen),
        image=_image(world.environ),
    )


def _clues(world: World, seen: tuple[Mount, ...]) -> Iterator[_Clue]:
    yield from _by_variable(world)
    yield from _by_marker(world, seen)
    yield from _by_mounts(world, seen)
    yield from _by_cgroup(world)
    yield from _by_manager(world)
    if is_gvisor(world):
        yield "unknown", "/proc/version"
    if "KUBERNETES_SERVICE_HOST" in world.environ:
        yield "unknown", "environment variable KUBERNETES_SERVICE_HOST"


def _by_variable(world: World) -> Iterator[_Clue]:
    # https://apptainer.org/docs/user/main/environment_and_metadata.html
    for name in ("APPTAINER_CONTAINER", "SINGULARITY_CONTAINER"):
        if world.environ.get(name):
            yield "apptainer", f"environment variable {name}"
    if world.exists("/.singularity.d/actions"):
        yield "apptainer", "/.singularity.d"


def _by_marker(world: World, seen: tuple[Mount, ...]) -> Iterator[_Clue]:
    if world.exists("/run/.containerenv"):
        yield _of_containers_storage(world, seen), "/run/.containerenv"
    if world.exists("/.dockerenv") and not _is_whole_disk(_root(seen)):
        yield "docker", "/.dockerenv"


def _is_whole_disk(root: Mount | None) -> bool:
    """A file system of its own on a disk (virtual machine or WSL distribution): no engine mounts a root like that."""
    if root is None or root.root != "/":
        return False
    return root.source.startswith("/dev/") or root.kind in ("lxfs", "wslfs", "rootfs")


def _root(seen: tuple[Mount, ...]) -> Mount | None:
    return next((mount for mount in reversed(seen) if mount.point == "/"), None)


def _by_mounts(world: World, seen: tuple[Mount, ...]) -> Iterator[_Clue]:
    placed = [mount for mount in seen if mount.point in ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf")]
    root = _root(seen)
    texts = [f"{mount.root} {mount.source}" for mount in placed]
    texts += [f"{root.root} {root.source} {root.options}"] if root else []
    for text in texts:
        if re.search(r"/docker/(?:containers|overlay2|aufs|btrfs|zfs|vfs|devicemapper|image|rootfs)/", text):
            yield "docker", MOUNTINFO
        if re.match(r"/containers/[0-9a-f]{64}/(?:hosts|hostname|resolv\.conf) ", text):
            yield "docker", MOUNTINFO
        if "/containers/storage/" in text or "overlay-containers/" in text:
            yield _of_containers_storage(world, seen), MOUNTINFO
        if "containerd" in text:
            yield "containerd", MOUNTINFO
    if root and re.search(r"/enroot(?:/|-|$)", f"{root.root} {root.source} {root.options}"):
        yield "enroot", MOUNTINFO
    if any(mount.kind == "fuse.lxcfs" and mount.point.startswith("/proc/") for mount in seen):
        yield "lxc", MOUNTINFO


def _of_containers_storage(world: World, seen: tuple[Mount, ...]) -> Engine:
    """Podman and CRI-O share storage and marker file; CRI-O serves Kubernetes only."""
    return "cri-o" if _in_kubernetes(world, seen) else "podman"


_CGROUPS: tuple[tuple[str, Engine], ...] = (
    (r"cri-containerd-[0-9a-f]{12}", "containerd"),
    (r"crio-[0-9a-f]{12}", "cri-o"),
    (r"libpod-[0-9a-f]{12}", "podman"),
    (r"(?:^|/)docker[-/][0-9a-f]{12}", "docker"),
    (r"/ecs/[^/]+/[0-9a-f]{12}", "docker"),
    (r"(?:^|/)lxc(?:\.payload[./]|/)", "lxc"),
    (r"/kubepods[./-]", "unknown"),
)


def _by_cgroup(world: World) -> Iterator[_Clue]:
    text = world.read("/proc/self/cgroup") or ""
    paths = [line.split(":", 2)[-1] for line in text.splitlines()]
    for pattern, engine in _CGROUPS:
        if any(re.search(pattern, path) for path in paths):
            yield engine, "/proc/self/cgroup"


def _by_manager(world: World) -> Iterator[_Clue]:
    """https://systemd.io/CONTAINER_INTERFACE/ ; systemd itself calls WSL a container, which it is not here."""
    told = [(first_line(world, path), path) for path in ("/run/host/container-manager", "/run/systemd/container")]
    told.append((world.environ.get("container"), "environment variable container"))
    for name, source in told:
        if name and name != "wsl":
            yield next((engine for engine in get_args(Engine) if name.startswith(engine)), "unknown"), source


def _in_kubernetes(world: World, seen: tuple[Mount, ...]) -> bool:
    if "KUBERNETES_SERVICE_HOST" in world.environ or world.exists("/var/run/secrets/kubernetes.io"):
        return True
    hosts = (mount.root for mount in seen if mount.point == "/etc/hosts")
    paths = re.search(r"/kubepods[./-]", world.read("/proc/self/cgroup") or "")
    return bool(paths) or any("/pods/" in root and root.endswith("/etc-hosts") for root in hosts)


_HOOK = re.compile(
    r"/(?:libnvidia-ml|libcuda)\.so[.0-9]*$|/nvidia-smi$|^/run/nvidia|^/var/run/nvidia|^/dev/nvidia|^/dev/dxg$"
    r"|^/proc/driver/nvidia|^/usr/lib/wsl/|^/\.singularity\.d/libs|^/usr/local/nvidia(?:/|$)"
)


def _gpu_hooks(seen: tuple[Mount, ...]) -> tuple[str, ...]:
    """Mount points of driver files and device nodes: the traces of an NVIDIA runtime, CDI or ``--nv``."""
    return unique(printable(mount.point) for mount in seen if _HOOK.search(mount.point))[:_MOST_HOOKS]


def _image(environ: Mapping[str, str]) -> str | None:
    """``PyTorch 25.01`` for an NGC image, ``CUDA 12.4.1`` for a CUDA image: what their Dockerfiles put into ENV."""
    product, cuda = environ.get("NVIDIA_PRODUCT_NAME"), environ.get("CUDA_VERSION")
    if product:
        release = environ.get(f"NVIDIA_{product.upper()}_VERSION") or environ.get("NVIDIA_BUILD_ID")
        return printable(f"{product} {release}" if release else product)
    from_nvidia = "NVARCH" in environ or any(name.startswith("NV_CUDA_") for name in environ)
    return printable(f"CUDA {cuda}") if cuda and from_nvidia else None
