from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from gpudoctor.facts import Container, Missing
from gpudoctor.probes.at_host import look
from gpudoctor.probes.container import container
from tests.probes.roots import GOOD, UNREADABLE, Content, changed, write_root

ID = "883d81d4990d9f3b6a8b1c2d3e4f5061728394a5b6c7d8e9f0a1b2c3d4e5f607"
NOWHERE = "/proc/self/mountinfo, /proc/self/cgroup, marker files"


def seen(
    tmp_path: Path,
    mountinfo: str | None = None,
    changes: Mapping[str, Content | None] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Container | Missing:
    mounts: dict[str, Content | None] = {} if mountinfo is None else {"/proc/self/mountinfo": mountinfo}
    in_namespace: dict[str, Content | None] = {} if mountinfo is None else {"/proc/self/cgroup": "0::/\n"}
    root = changed(GOOD, mounts | in_namespace | dict(changes or {}))
    return look(container, write_root(tmp_path, root, environ))


def test_a_host_that_runs_docker_is_no_container(tmp_path: Path) -> None:
    assert seen(tmp_path) == Container(source=NOWHERE, engine=None)


def test_a_service_of_a_host_is_no_container(tmp_path: Path) -> None:
    changes = {"/proc/self/cgroup": "0::/system.slice/docker.service\n"}
    assert seen(tmp_path, changes=changes) == Container(source=NOWHERE, engine=None)


DOCKER = (
    "640 520 0:58 / / rw,relatime master:255 - overlay overlay rw,lowerdir=/var/lib/docker/overlay2/l/4OX:"
    "/var/lib/docker/overlay2/l/QJZ,upperdir=/var/lib/docker/overlay2/3f0c/diff,workdir=/var/lib/docker/overlay2/3f0c/w\n"
    "641 640 0:61 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw\n"
    "650 645 0:62 / /dev/shm rw,nosuid,nodev,noexec,relatime - tmpfs shm rw,size=65536k,inode64\n"
    f"651 640 8:1 /var/lib/docker/containers/{ID}/resolv.conf /etc/resolv.conf rw,relatime - ext4 /dev/sda1 rw\n"
    f"652 640 8:1 /var/lib/docker/containers/{ID}/hosts /etc/hosts rw,relatime - ext4 /dev/sda1 rw\n"
)
GPU_MOUNTS = (
    "700 641 0:70 / /proc/driver/nvidia rw,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw,mode=555\n"
    "701 640 8:1 /usr/bin/nvidia-smi /usr/bin/nvidia-smi ro,nosuid,nodev,relatime - ext4 /dev/sda1 rw\n"
    "702 640 8:1 /usr/lib64/libnvidia-ml.so.535.129.03 /usr/lib/x86_64-linux-gnu/libnvidia-ml.so.535.129.03 "
    "ro,nosuid,nodev,relatime - ext4 /dev/sda1 rw\n"
    "703 640 8:1 /usr/lib64/libcuda.so.535.129.03 /usr/lib/x86_64-linux-gnu/libcuda.so.535.129.03 "
    "ro,nosuid,nodev,relatime - ext4 /dev/sda1 rw\n"
    "704 640 0:25 /nvidia-persistenced/socket /run/nvidia-persistenced/socket rw,nosuid,nodev,noexec - tmpfs tmpfs rw\n"
    "705 644 0:5 /nvidiactl /dev/nvidiactl ro,nosuid,noexec,relatime - devtmpfs udev rw,mode=755\n"
)
HOOKS = (
    "/proc/driver/nvidia",
    "/usr/bin/nvidia-smi",
    "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.535.129.03",
    "/usr/lib/x86_64-linux-gnu/libcuda.so.535.129.03",
    "/run/nvidia-persistenced/socket",
    "/dev/nvidiactl",
)


def test_docker_without_gpus_has_no_hooks(tmp_path: Path) -> None:
    assert seen(tmp_path, DOCKER, {"/.dockerenv": ""}) == Container(source="/.dockerenv", engine="docker")


def test_docker_with_gpus_shows_what_the_runtime_mounted(tmp_path: Path) -> None:
    found = seen(tmp_path, DOCKER + GPU_MOUNTS, {"/.dockerenv": ""})
    assert found == Container(source="/.dockerenv", engine="docker", gpu_hooks=HOOKS)


def test_docker_is_known_by_its_mounts_where_the_image_removed_the_marker(tmp_path: Path) -> None:
    assert seen(tmp_path, DOCKER) == Container(source="/proc/self/mountinfo", engine="docker")


def test_docker_with_its_data_on_a_disk_of_their_own_is_known(tmp_path: Path) -> None:
    mountinfo = (
        "640 520 0:58 / / rw - overlay overlay rw,lowerdir=/data/a\n"
        f"652 640 8:17 /containers/{ID}/hostname /etc/hostname rw,relatime - ext4 /dev/sdb1 rw\n"
    )
    assert seen(tmp_path, mountinfo) == Container(source="/proc/self/mountinfo", engine="docker")


def test_a_machine_unpacked_from_a_docker_image_is_no_container(tmp_path: Path) -> None:
    """A microVM or an imported WSL distribution keeps the image's /.dockerenv."""
    assert seen(tmp_path, changes={"/.dockerenv": ""}) == Container(source=NOWHERE, engine=None)


def test_a_wsl_distribution_under_docker_desktop_is_no_container(tmp_path: Path) -> None:
    mountinfo = (
        "75 64 8:48 / / rw,relatime - ext4 /dev/sdd rw,discard,errors=remount-ro\n"
        "80 75 0:24 / /mnt/wsl rw,relatime shared:1 - tmpfs none rw\n"
        "90 80 8:64 /isocache/entries/docker-desktop /mnt/wsl/docker-desktop/cli-tools ro - ext4 /dev/sde rw\n"
        "95 75 0:43 / /usr/lib/wsl/drivers ro,nosuid,nodev,noatime - 9p drivers ro,dirsync,aname=drivers\n"
    )
    changes = {"/run/systemd/container": "wsl\n", "/.dockerenv": ""}
    assert seen(tmp_path, mountinfo, changes, {"WSL_DISTRO_NAME": "Ubuntu"}) == Container(source=NOWHERE, engine=None)


PODMAN = (
    "900 800 0:80 / / rw,relatime - overlay overlay rw,lowerdir=/home/me/.local/share/containers/storage/overlay/l/N3,"
    "upperdir=/home/me/.local/share/containers/storage/overlay/aa/diff,userxattr\n"
    f"901 900 0:45 /containers/overlay-containers/{ID}/userdata/hosts /etc/hosts rw,nosuid - tmpfs tmpfs rw\n"
    f"902 900 0:45 /containers/overlay-containers/{ID}/userdata/.containerenv /run/.containerenv rw - tmpfs tmpfs rw\n"
)


def test_rootless_podman(tmp_path: Path) -> None:
    changes = {"/run/.containerenv": 'engine="podman-4.9.3"\nrootless=1\n'}
    assert seen(tmp_path, PODMAN, changes) == Container(source="/run/.containerenv", engine="podman")


def test_podman_is_known_by_its_mounts(tmp_path: Path) -> None:
    assert seen(tmp_path, PODMAN) == Container(source="/proc/self/mountinfo", engine="podman")


KUBERNETES = {"KUBERNETES_SERVICE_HOST": "10.96.0.1"}
POD = (
    "411 365 0:46 / / rw,relatime - overlay overlay rw,lowerdir=/var/lib/containerd/"
    "io.containerd.snapshotter.v1.overlayfs/snapshots/165/fs,upperdir=/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/166/fs\n"
    "420 411 8:1 /var/lib/kubelet/pods/5a1c/etc-hosts /etc/hosts rw,relatime - ext4 /dev/sda1 rw\n"
)


@pytest.mark.parametrize("environ", [{}, KUBERNETES], ids=["service links off", "service links on"])
def test_a_kubernetes_pod_of_containerd(tmp_path: Path, environ: Mapping[str, str]) -> None:
    assert seen(tmp_path, POD, environ=environ) == Container(
        source="/proc/self/mountinfo", engine="containerd", orchestrator="kubernetes"
    )


def test_cri_o_shares_podmans_storage_and_serves_kubernetes(tmp_path: Path) -> None:
    assert seen(tmp_path, PODMAN, environ=KUBERNETES) == Container(
        source="/proc/self/mountinfo", engine="cri-o", orchestrator="kubernetes"
    )


@pytest.mark.parametrize(
    ("cgroup", "engine", "orchestrator"),
    [
        (f"12:devices:/docker/{ID}\n11:cpu:/docker/{ID}\n", "docker", None),
        (f"0::/system.slice/docker-{ID}.scope\n", "docker", None),
        (f"0::/machine.slice/libpod-{ID}.scope/container\n", "podman", None),
        (f"0::/kubepods.slice/kubepods-besteffort.slice/cri-containerd-{ID}.scope\n", "containerd", "kubernetes"),
        (f"0::/kubepods.slice/crio-{ID}.scope\n", "cri-o", "kubernetes"),
        (f"4:devices:/kubepods/besteffort/pod5a1c/{ID}\n", "unknown", "kubernetes"),
        ("4:devices:/lxc.payload.web/init.scope\n", "lxc", None),
    ],
)
def test_the_cgroups_own_name_where_the_namespace_does_not_hide_it(
    tmp_path: Path, cgroup: str, engine: str, orchestrator: str | None
) -> None:
    found = seen(tmp_path, "10 1 0:5 / / rw - btrfs none rw\n", {"/proc/self/cgroup": cgroup})
    assert isinstance(found, Container)
    assert (found.engine, found.orchestrator, found.source) == (engine, orchestrator, "/proc/self/cgroup")


def test_apptainer_with_nv(tmp_path: Path) -> None:
    mountinfo = (
        "500 400 0:90 / / ro,nosuid,nodev,relatime - overlay overlay ro,lowerdir=/var/apptainer/mnt/session/lower\n"
        "510 500 8:1 /usr/lib/libcuda.so.535.129.03 /.singularity.d/libs/libcuda.so.1 ro,nosuid - ext4 /dev/sda1 rw\n"
        "511 500 8:1 /usr/bin/nvidia-smi /usr/bin/nvidia-smi ro,nosuid - ext4 /dev/sda1 rw\n"
    )
    environ = {"APPTAINER_CONTAINER": "/scratch/pytorch.sif"}
    assert seen(tmp_path, mountinfo, environ=environ) == Container(
        source="environment variable APPTAINER_CONTAINER",
        engine="apptainer",
        gpu_hooks=("/.singularity.d/libs/libcuda.so.1", "/usr/bin/nvidia-smi"),
    )


def test_lxc_is_known_by_its_mounts_over_proc(tmp_path: Path) -> None:
    mountinfo = (
        "300 200 8:2 / / rw,relatime - ext4 /dev/mapper/pve-vm--101 rw\n"
        "310 300 0:50 /proc/cpuinfo /proc/cpuinfo rw,nosuid - fuse.lxcfs lxcfs rw,user_id=0\n"
    )
    assert seen(tmp_path, mountinfo) == Container(source="/proc/self/mountinfo", engine="lxc")


def test_lxcfs_on_a_host_is_no_container(tmp_path: Path) -> None:
    mountinfo = (
        "29 1 8:2 / / rw - ext4 /dev/sda2 rw\n50 29 0:50 / /var/lib/lxcfs rw,nosuid - fuse.lxcfs lxcfs rw,user_id=0\n"
    )
    assert seen(tmp_path, mountinfo) == Container(source=NOWHERE, engine=None)


def test_enroot_is_known_by_its_root(tmp_path: Path) -> None:
    mountinfo = "600 500 8:1 /home/me/.local/share/enroot/nvidia+pytorch / rw,relatime - ext4 /dev/sda1 rw\n"
    assert seen(tmp_path, mountinfo) == Container(source="/proc/self/mountinfo", engine="enroot")


def test_an_immutable_distributions_overlay_root_is_no_container(tmp_path: Path) -> None:
    mountinfo = (
        "70 1 0:36 / / ro,relatime - overlay composefs ro,lowerdir=/run/ostree/.private/cfsroot-lower::/sysroot\n"
    )
    assert seen(tmp_path, mountinfo) == Container(source=NOWHERE, engine=None)


def test_a_manager_that_is_none_of_the_named_ones_is_unknown(tmp_path: Path) -> None:
    found = seen(tmp_path, "10 1 0:5 / / rw - btrfs none rw\n", environ={"container": "systemd-nspawn"})
    assert found == Container(source="environment variable container", engine="unknown")


@pytest.mark.parametrize(
    ("environ", "image"),
    [
        ({"NVIDIA_PRODUCT_NAME": "PyTorch", "NVIDIA_PYTORCH_VERSION": "25.01"}, "PyTorch 25.01"),
        ({"NVIDIA_PRODUCT_NAME": "CUDA", "CUDA_VERSION": "12.4.1"}, "CUDA"),
        ({"NVARCH": "x86_64", "CUDA_VERSION": "12.4.1", "NV_CUDA_CUDART_VERSION": "12.4.127-1"}, "CUDA 12.4.1"),
        ({"CUDA_VERSION": "12.4"}, None),
    ],
)
def test_what_the_image_says_of_itself(tmp_path: Path, environ: Mapping[str, str], image: str | None) -> None:
    assert seen(tmp_path, DOCKER, {"/.dockerenv": ""}, environ) == Container(
        source="/.dockerenv", engine="docker", image=image
    )


@pytest.mark.parametrize(
    ("content", "detail"), [(None, "No such file or directory"), (UNREADABLE, "Too many levels of symbolic links")]
)
def test_without_mountinfo_a_container_is_not_ruled_out(tmp_path: Path, content: Content | None, detail: str) -> None:
    assert seen(tmp_path, changes={"/proc/self/mountinfo": content}) == Missing(
        "unreadable", detail, "/proc/self/mountinfo"
    )
