from __future__ import annotations

import pytest

from gpudoctor import facts as f
from gpudoctor.report import judge
from tests.good import GOOD, H100, change, found, outcome, says, shown, verdict, with_gpu

RULE = "gpu-lost"
DEAD = f.CudaDriver(source="libcuda", result="CUDA_ERROR_UNKNOWN", code=999, version="13.0")


def test_a_gpu_that_nvml_lost_is_the_cause() -> None:
    facts = change(with_gpu(error="NVML_ERROR_GPU_IS_LOST"), cuda=DEAD, smokes=())
    assert verdict(facts) == ("broken", RULE)
    assert found(facts, RULE).about.gpu == 0


def test_a_lost_gpu_explains_nothing_of_another_one() -> None:
    """Pitfall 27 and law 9."""
    import msgspec

    second = msgspec.structs.replace(
        H100, index=1, ecc=f.GpuEcc(source="NVML", remap_failure=True), pci="00000000:2B:00.0"
    )
    lost = msgspec.structs.replace(H100, error="NVML_ERROR_GPU_IS_LOST")
    facts = change(GOOD, gpus={"gpus": (lost, second)}, smokes=())
    assert shown(judge(facts))[:2] == [(RULE, "error", None), ("gpu-hardware-fault", "error", None)]


def test_a_device_that_reads_as_ones_has_left_the_bus() -> None:
    device = f.PciDevice(address="0000:1b:00.0", vendor="10de", device="2330", driver="nvidia", revision="ff")
    assert found(change(pci={"devices": (device,)}), RULE).title.endswith("no longer answers on the PCI bus.")


XID_79 = f.XidEvent(xid=79, pci="0000:03:00.0", text="NVRM: Xid (PCI:0000:03:00): 79, GPU has fallen off the bus.")


def test_xid_79_is_an_error_where_cuda_does_not_work() -> None:
    facts = change(kernel_log={"xids": (XID_79,)}, cuda=DEAD, smokes=())
    assert found(facts, RULE).severity.value == "error"


def test_xid_79_of_a_gpu_that_came_back_is_a_warning() -> None:
    assert found(change(kernel_log={"xids": (XID_79,)}), RULE).severity.value == "warning"


@pytest.mark.parametrize(
    "text",
    [
        "Unable to determine the device handle for GPU 0000:17:00.0: GPU is lost.  Reboot the system to recover it",
        "NVRM: Xid (PCI:0000:44:00): 79, GPU has fallen off the bus",
        "Xid 79",
        "failed to get device remapped rows: ERROR_GPU_IS_LOST",
    ],
)
def test_programs_say_it_in_many_words(text: str) -> None:
    assert found(says(text, change(cuda=DEAD, smokes=())), RULE).confidence.value == "certain"


def test_an_unknown_error_of_the_handle_is_likely_and_in_a_virtual_machine_another_rules_business() -> None:
    text = "Unable to determine the device handle for GPU 0000:0B:00.0: Unknown Error"
    facts = says(text, change(cuda=DEAD, smokes=()))
    assert found(facts, RULE).confidence.value == "likely"
    assert outcome(change(facts, virtual_machine={"hypervisor": "kvm"}), RULE) == "passed"


def test_the_bus_number_79_is_no_xid_79() -> None:
    text = "NVRM: Xid (PCI:0000:79:00): 31, pid=1079, name=python, MMU Fault"
    assert outcome(says(text, change(cuda=DEAD, smokes=())), RULE) == "passed"
