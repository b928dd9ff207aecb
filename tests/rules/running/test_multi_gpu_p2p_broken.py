from __future__ import annotations

import pytest

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, says, verdict

RULE = "multi-gpu-p2p-broken"
PASTE = f.Facts(origin="paste")


@pytest.mark.parametrize(
    "text",
    [
        "AMD-Vi: Event logged [IO_PAGE_FAULT device=41:00.0 domain=0x000e address=0x000003f80001b100 flags=0x0030]",
        "cudaMemcpyPeer: data mismatch with cudaSuccess",
        "training freezes with 4 GPUs, works with NCCL_P2P_DISABLE=1",
        "tensor.to(cuda:1) of a cuda:0 tensor returns other values",
    ],
)
def test_faults_wrong_data_or_the_workaround_are_likely(text: str) -> None:
    assert verdict(says(text, PASTE))[1] == RULE
    assert found(says(text, PASTE), RULE).confidence.value == "likely"


def test_a_hang_alone_is_possible_and_says_what_would_tell() -> None:
    finding = found(says("multi-GPU training is stuck at random", PASTE), RULE)
    assert (finding.confidence.value, finding.settled_by[1]) == ("possible", "nvidia-smi topo -p2p r")


def test_the_kernels_log_is_read_too() -> None:
    log = f.KernelLog(source="/dev/kmsg", lines=("AMD-Vi: Event logged [IO_PAGE_FAULT device=41:00.0]",))
    assert found(change(PASTE, kernel_log=log), RULE).evidence[0].source == "/dev/kmsg"


def test_one_gpu_has_nobody_to_copy_to() -> None:
    assert findings(says("AMD-Vi: Event logged [IO_PAGE_FAULT device=41:00.0]", GOOD), RULE) == ()
