"""What programs say, read through a whole triage: one finding for what a rule knows, none for what only sounds like it.

Each text is that of another machine than those of ``tests/cases``.
"""

from __future__ import annotations

import pytest

from gpudoctor.pasted import triage

NO_HANDLE = "Unable to determine the device handle for GPU0000:3b:00.0: Unknown Error"
SMI = "| NVIDIA-SMI 550.54.15    Driver Version: 550.54.15    CUDA Version: 12.4     |"
PLAIN = "docker run -it --rm python:3.11-slim bash\n"
WITH_GPUS = "docker run -it --rm --gpus all python:3.11-slim bash\n"
CU124 = "PyTorch version: 2.6.0+cu124\nCUDA used to build PyTorch: 12.4\nIs CUDA available: False\n"
OOPS = "BUG: kernel NULL pointer dereference, address: 0000000000000008\nOops: 0002 [#1] PREEMPT SMP NOPTI\n"
RIP = "RIP: 0010:nv_dma_map_peer+0x1f4/0x330 [nvidia]\n"
ACS = "ACSCtl: SrcValid+ TransBlk- ReqRedir+ CmpltRedir+ UpstreamFwd+ EgressCtrl- DirectTrans-\n"
BOTH_RIGHTS = (
    "crw-rw---- 1 root video 195,   0 Feb  1 09:00 /dev/nvidia0\n"
    "crw-rw---- 1 root video 195, 255 Feb  1 09:00 /dev/nvidiactl\n"
    "crw-rw---- 1 root video 510,   0 Feb  1 09:00 /dev/nvidia-uvm\n"
)


def cause(text: str) -> tuple[str, str] | None:
    first = triage(text).cause
    return (first.rule, first.confidence.value) if first else None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nvmlInit_v2() returned 18\n", ("driver-library-mismatch", "certain")),
        ("NVML init failure: 18\n", ("driver-library-mismatch", "certain")),
        ("GPU 3 fell off the PCIe bus\n", ("gpu-lost", "certain")),
        ("the GPU falls off of the bus under load\n", ("gpu-lost", "certain")),
        (OOPS + RIP, ("driver-known-bug", "likely")),
        ("[    4.1] nouveau 0000:65:00.0: DRM: VRAM: 8192 MiB\n", ("nouveau-in-use", "likely")),
        (
            "FeatureType=2\nFailed to acquire license from 10.1.2.3 (Info: NVIDIA RTX Virtual Workstation)\n",
            ("vgpu-unlicensed", "likely"),
        ),
        (
            f"gpu_cc_tool.py --set-cc-mode=on\nGPU 0: NVIDIA H100 PCIe\n{NO_HANDLE}\n",
            ("confidential-compute-not-ready", "likely"),
        ),
        (BOTH_RIGHTS.replace("crw-rw----", "c-w--wx-wT"), ("device-nodes-missing", "certain")),
        ("nvidia-uvm: CUDA stopped working since the machine resumed\n", ("driver-broken-state", "likely")),
        (ACS + "nccl all_reduce_perf is stuck\n", ("multi-gpu-p2p-broken", "likely")),
        ("training hangs when peer access is enabled\n", ("multi-gpu-p2p-broken", "likely")),
        (PLAIN + CU124, ("container-no-gpu-access", "likely")),
        (
            PLAIN + "CUDA driver version is insufficient for CUDA runtime version\n",
            ("container-no-gpu-access", "certain"),
        ),
        (
            "E0101 10:00:00.1 1 factory.go:115] Incompatible strategy detected auto\n",
            ("container-no-gpu-access", "likely"),
        ),
        (
            "nvidia/cuda:12.4.1-runtime-ubuntu22.04\nbash: nvidia-smi: command not found\n",
            ("container-no-gpu-access", "likely"),
        ),
        (
            "nvidia-container-cli: load library failed: libcuda.so.1: cannot open shared object file\n",
            ("container-no-gpu-access", "certain"),
        ),
    ],
)
def test_what_says_it_is_the_cause(text: str, expected: tuple[str, str]) -> None:
    assert cause(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "nvmlInit_v2() returned 0\n",
        "nvmlDeviceGetCount returned 18\n",
        "a rule of thumb: loads that fall off the buffer are lost\n",
        OOPS + "RIP: 0010:ext4_writepages+0x1f4/0x330 [ext4]\n",
        "WARNING: CPU: 3 PID: 7 at nv-dma.c:1\n" + RIP,
        f"nouveau 0000:65:00.0: DRM: VRAM: 8192 MiB\n{SMI}\n",
        "Failed to acquire license from flexlm.example\n",
        BOTH_RIGHTS,
        "the screen stops working after the machine was suspended\n",
        ACS,
        WITH_GPUS + CU124,
        "job-7 exited with code 1\nsome words of no program\n",
        "modprobe: ERROR: could not insert 'r8125': Key was rejected by service\n",
        "- Raise an error where migEnabled is true and a device has no MIG devices\n",
        "| `[]` | * | (default) No IMEX channels are added to a workload |\n",
        "On Windows, Linux and macOS alike the tests run on your CPU, not your GPU.\n",
    ],
)
def test_what_only_sounds_like_it_is_no_cause(text: str) -> None:
    assert cause(text) is None


def test_a_table_of_nvidia_smi_leaves_open_whether_the_container_was_given_gpus() -> None:
    assert cause(f"{SMI}\n{PLAIN}{CU124}") == ("container-no-gpu-access", "possible")


def test_a_hang_of_nccl_alone_is_possibly_one_of_direct_transfers() -> None:
    assert cause("ncclAllGather hangs\n") == ("multi-gpu-p2p-broken", "possible")
