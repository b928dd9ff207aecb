"""Machines as folders: a dictionary of paths and contents becomes a root folder and a World that looks at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from gpudoctor.world import World


@dataclass(frozen=True)
class Link:
    """A symbolic link. An absolute target means the machine's path, so it is written below the root."""

    target: str
    literal: bool = False


@dataclass(frozen=True)
class Folder:
    """An empty folder."""


FOLDER = Folder()
UNREADABLE = Link("itself", literal=True)  # turned into a loop: looking at it is an OSError for root too
Content: TypeAlias = "str | bytes | Link | Folder"
Root: TypeAlias = dict[str, Content]


def changed(root: Mapping[str, Content], *all_changes: Mapping[str, Content | None]) -> Root:
    """The same machine with some paths changed; None takes away a path and everything below it."""
    changes = {path: content for some in all_changes for path, content in some.items()}
    gone = [path for path, content in changes.items() if content is None]
    kept = {path: content for path, content in root.items() if not any(f"{path}/".startswith(f"{g}/") for g in gone)}
    return kept | {path: content for path, content in changes.items() if content is not None}


def write_root(folder: Path, root: Mapping[str, Content], environ: Mapping[str, str] | None = None) -> World:
    """Write the machine into a folder and look at it with that environment (by default an empty one)."""
    for path, content in root.items():
        place = folder / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Link):
            place.symlink_to(_target(folder, place, content))
        elif isinstance(content, Folder):
            place.mkdir(exist_ok=True)
        else:
            place.write_bytes(content.encode() if isinstance(content, str) else content)
    return World(folder, dict(environ or {}))


def _target(folder: Path, place: Path, link: Link) -> str:
    if link == UNREADABLE:
        return place.name
    return str(folder / link.target.lstrip("/")) if link.target.startswith("/") and not link.literal else link.target


# A desktop with Ubuntu 22.04, an RTX 4090 and the proprietary driver 535.129.03 built by DKMS. File formats are those
# of the real files; long lists are cut to what matters.
KERNEL = "5.15.0-91-generic"
GPU = "/sys/bus/pci/devices/0000:01:00.0"
GOOD: Root = {
    "/etc/os-release": 'PRETTY_NAME="Ubuntu 22.04.3 LTS"\nVERSION_ID="22.04"\nID=ubuntu\nID_LIKE=debian\n',
    "/proc/sys/kernel/osrelease": f"{KERNEL}\n",
    "/proc/version": f"Linux version {KERNEL} (buildd@lcy02-amd64-045) (gcc 11.4.0) #101-Ubuntu SMP\n",
    "/lib64/ld-linux-x86-64.so.2": b"\x7fELF",
    "/lib/x86_64-linux-gnu/libc.so.6": b"\0GNU C Library (Ubuntu GLIBC 2.35-0ubuntu3.6) stable release version 2.35.\n",
    "/proc/cpuinfo": "".join(
        f"processor\t: {n}\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Core(TM) i9-13900K\n"
        "flags\t\t: fpu sse4_2 avx f16c avx2 fma\n\n"
        for n in range(2)
    ),
    "/proc/meminfo": "MemTotal:       65536000 kB\nMemFree:        30000000 kB\nMemAvailable:   60000000 kB\n",
    "/proc/self/cgroup": "0::/user.slice/user-1000.slice/session-2.scope\n",
    "/proc/self/mountinfo": (
        "22 29 0:21 / /proc rw,nosuid shared:13 - proc proc rw\n"
        "29 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw,errors=remount-ro\n"
        "36 24 0:26 / /dev/shm rw,nosuid,nodev shared:4 - tmpfs tmpfs rw,size=32768000k,inode64\n"
        "400 29 0:60 / /var/lib/docker/overlay2/0a1b/merged rw,relatime shared:200 - overlay overlay "
        "rw,lowerdir=/var/lib/docker/overlay2/l/AAAA,upperdir=/var/lib/docker/overlay2/0a1b/diff\n"
    ),
    "/dev/shm/wave": b"x" * 4096,
    "/sys/class/dmi/id/sys_vendor": "ASUS\n",
    "/sys/class/dmi/id/product_name": "System Product Name\n",
    "/sys/bus/platform/uevent": "",
    "/sys/bus/pci/devices/0000:00:02.0/class": "0x030000\n",
    "/sys/bus/pci/devices/0000:00:02.0/vendor": "0x8086\n",
    "/sys/bus/pci/devices/0000:00:02.0/device": "0xa780\n",
    "/sys/bus/pci/devices/0000:00:02.0/revision": "0x04\n",
    "/sys/bus/pci/devices/0000:00:02.0/driver": Link("../../../bus/pci/drivers/i915"),
    f"{GPU}/class": "0x030000\n",
    f"{GPU}/vendor": "0x10de\n",
    f"{GPU}/device": "0x2684\n",
    f"{GPU}/revision": "0xa1\n",
    f"{GPU}/driver": Link("../../../../bus/pci/drivers/nvidia"),
    "/sys/bus/pci/devices/0000:01:00.1/class": "0x040300\n",
    "/sys/bus/pci/devices/0000:01:00.1/vendor": "0x10de\n",
    "/sys/bus/pci/devices/0000:01:00.1/device": "0x22ba\n",
    "/usr/share/misc/pci.ids": (
        "# comment\n\n1002  Advanced Micro Devices, Inc. [AMD/ATI]\n\t2684  wrong block\n"
        "10de  NVIDIA Corporation\n\t2684  AD102 [GeForce RTX 4090]\n\t\t1043 889d  a board\n"
        "8086  Intel Corporation\n\ta780  Raptor Lake-S GT1 [UHD Graphics 770]\nC 03  Display controller\n"
    ),
    "/proc/modules": (
        "nvidia_uvm 1523712 0 - Live 0x0000000000000000 (POE)\nnvidia_drm 77824 4 - Live 0x0000000000000000 (POE)\n"
        "nvidia_modeset 1306624 6 nvidia_drm, Live 0x0000000000000000 (POE)\n"
        "nvidia 56700928 281 nvidia_uvm,nvidia_modeset, Live 0x0000000000000000 (POE)\n"
        "snd_hda_intel 53248 4 - Live 0x0000000000000000\ni915 3108864 5 - Live 0x0000000000000000\n"
    ),
    "/sys/module/nvidia/version": "535.129.03\n",
    "/proc/driver/nvidia/version": (
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.129.03  Thu Oct 19 18:56:32 UTC 2023\n"
        "GCC version:  gcc version 11.4.0 (Ubuntu 11.4.0-1ubuntu1~22.04)\n"
    ),
    "/proc/driver/nvidia/gpus/0000:01:00.0/information": (
        "Model: \t\t NVIDIA GeForce RTX 4090\nIRQ:   \t\t 184\nGPU UUID: \t GPU-8f6d1a2b-0000-0000-0000-000000000000\n"
    ),
    f"/lib/modules/{KERNEL}/modules.dep": (
        "kernel/drivers/video/fbdev/nvidia/nvidiafb.ko: kernel/drivers/video/fbdev/core/vgastate.ko\n"
        "updates/dkms/nvidia-uvm.ko: updates/dkms/nvidia.ko\nupdates/dkms/nvidia.ko:\n"
    ),
    f"/lib/modules/{KERNEL}/updates/dkms/nvidia.ko": b"not really an object",
    f"/lib/modules/{KERNEL}/updates/dkms/nvidia-uvm.ko": b"not really an object",
    f"/var/lib/dkms/nvidia/535.129.03/{KERNEL}/x86_64/module/nvidia.ko": b"",
    "/var/lib/dkms/nvidia/535.129.03/source": Link("/usr/src/nvidia-535.129.03"),
    f"/var/lib/dkms/nvidia/kernel-{KERNEL}-x86_64": Link(f"535.129.03/{KERNEL}/x86_64"),
    "/usr/lib/x86_64-linux-gnu/libcuda.so.535.129.03": b"",
    "/usr/lib/x86_64-linux-gnu/libcuda.so.1": Link("libcuda.so.535.129.03"),
    "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.535.129.03": b"",
    "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1": Link("libnvidia-ml.so.535.129.03"),
    "/var/lib/dpkg/status": (
        "Package: adduser\nStatus: install ok installed\nVersion: 3.118ubuntu5\n\n"
        "Package: nvidia-driver-535\nStatus: install ok installed\nVersion: 535.129.03-0ubuntu0.22.04.1\n"
        "Description: NVIDIA driver metapackage\n\n"
        "Package: nvidia-driver-525\nStatus: deinstall ok config-files\nVersion: 525.147.05-0ubuntu0.22.04.1\n\n"
        "Package: nvidia-cuda-toolkit\nStatus: install ok installed\nVersion: 11.5.1-1ubuntu1\n\n"
        "Package: libnvidia-compute-535\nStatus: install ok installed\nVersion: 535.129.03-0ubuntu0.22.04.1\n"
    ),
    "/sys/firmware/acpi": FOLDER,
    "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c": b"\x06\0\0\0\0",
    "/dev/null": "",
    "/dev/nvidia0": "",
    "/dev/nvidiactl": "",
    "/dev/nvidia-uvm": "",
    "/dev/nvidia-uvm-tools": "",
    "/dev/nvidia-caps/nvidia-cap1": "",
    "/dev/kmsg": (
        "5,0,0,-;Linux version 5.15.0-91-generic\n"
        "6,901,4200000,-;nvidia: loading out-of-tree module taints kernel.\n SUBSYSTEM=module\n"
        "6,902,4300000,-;usb 1-1: new high-speed USB device\n"
    ),
    "/run/systemd/system": FOLDER,
    "/usr/lib/systemd/system/nvidia-persistenced.service": "[Unit]\n",
    "/sys/fs/cgroup/system.slice/nvidia-persistenced.service/cgroup.procs": "812\n",
}

# The same with toolkits, a conda environment and cuDNN: more files that may be damaged.
ENVIRON = {"CUDA_HOME": "/usr/local/cuda", "PATH": "/usr/local/bin:/usr/bin", "CONDA_PREFIX": "/opt/conda"}
RICH: Root = GOOD | {
    "/usr/local/cuda-12.4/version.json": '{\n "cuda" : {\n  "name" : "CUDA SDK",\n  "version" : "12.4.1"\n }\n}\n',
    "/usr/local/cuda-12.4/bin/nvcc": b"\x7fELF",
    "/usr/local/cuda-12.4/include/cudnn_version.h": (
        "#define CUDNN_MAJOR 9\n#define CUDNN_MINOR 1\n#define CUDNN_PATCHLEVEL 0\n"
    ),
    "/usr/local/cuda-12.4/lib64/libcudnn.so.9": b"",
    "/usr/local/cuda": Link("/etc/alternatives/cuda"),
    "/etc/alternatives/cuda": Link("/usr/local/cuda-12.4"),
    "/usr/local/bin/nvcc": '#!/bin/sh\nexec /usr/local/cuda-11.8/bin/nvcc "$@"\n',
    "/usr/local/cuda-11.8/bin/nvcc": b"\x7fELF",
    "/usr/local/cuda-11.8/include/cuda.h": "#define CUDA_VERSION 11080\n",
    "/usr/local/cuda-10.2/version.txt": "CUDA Version 10.2.89\n",
    "/opt/conda/conda-meta/cuda-nvcc-12.1.105-0.json": "{}",
    "/opt/conda/bin/nvcc": b"\x7fELF",
    "/opt/conda/lib/libcudnn.so.8.9.7": b"",
    "/opt/conda/lib/libcudnn.so.8": Link("libcudnn.so.8.9.7"),
}
