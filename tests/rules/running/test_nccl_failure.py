from __future__ import annotations

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, says, verdict

RULE = "nccl-failure"
PASTE = f.Facts(origin="paste")
ERROR = (
    "torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:1333, unhandled system error, NCCL "
    "version 2.18.6"
)


def test_nccls_reason_comes_before_the_frameworks_error_and_both_are_one_finding() -> None:
    facts = says("socketStartConnect: Connect to 10.0.0.2<1234> failed : No route to host", says(ERROR, PASTE))
    assert verdict(facts)[1] == RULE
    finding = found(facts, RULE)
    assert (finding.title, len(finding.evidence)) == ("NCCL could not reach another node.", 2)


def test_an_interface_that_was_named_wrongly_is_unset() -> None:
    environment = f.Environment(source="line 1", variables={"NCCL_SOCKET_IFNAME": "eth0"})
    facts = says("Bootstrap : no socket interface found", change(PASTE, environment=environment))
    assert found(facts, RULE).fixes[0].commands == ("unset NCCL_SOCKET_IFNAME",)


def test_a_failure_with_another_known_reason_is_that_one() -> None:
    text = "NCCL WARN Error while creating shared memory segment /dev/shm/nccl-x (size 9637888)"
    assert findings(says(text, says(ERROR, PASTE)), RULE) == ()


def test_broken_transfers_between_gpus_explain_it() -> None:
    facts = says("works with NCCL_P2P_DISABLE=1", says(ERROR, PASTE))
    assert verdict(facts)[1] == "multi-gpu-p2p-broken"
    assert found(facts, RULE).because_of == "multi-gpu-p2p-broken"


def test_nccls_information_lines_are_nothing() -> None:
    assert findings(says("node1:123:123 [0] NCCL INFO NET/Socket : Using [0]eno1:10.0.0.1<0>", GOOD), RULE) == ()


def test_a_kernel_that_failed_its_own_check_is_no_fault_of_nccl() -> None:
    text = "NCCL error in: ../torch/csrc/distributed/c10d/NCCLUtils.hpp:181, unhandled cuda error, NCCL version 21.0.3"
    paste = says(text, f.Facts(origin="paste"))
    assert len(findings(paste, RULE)) == 1
    assert findings(says("RuntimeError: CUDA error: device-side assert triggered", paste), RULE) == ()
