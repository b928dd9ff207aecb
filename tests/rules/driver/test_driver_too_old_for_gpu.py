from __future__ import annotations

from gpudoctor import facts as f
from tests.good import GOOD, change, found, outcome, says, verdict
from tests.rules.driver.test_driver_not_loaded import UNLOADED

RULE = "driver-too-old-for-gpu"
B200 = f.PciDevice(address="0000:1b:00.0", vendor="10de", device="2901", driver=None, name="GB100 [B200]")
NONE = f.Nvml(source="NVML", result="NVML_SUCCESS", driver="550.54.14", cuda="12.4")


def blind(facts: f.Facts = GOOD) -> f.Facts:
    """A driver that works and lists no GPU."""
    return change(
        facts,
        nvml=NONE,
        kernel_driver={"version": "550.54.14"},
        gpus={"gpus": ()},
        cuda=f.CudaDriver(source="libcuda", result="CUDA_ERROR_NO_DEVICE", code=100, version="12.4"),
        smokes=(),
    )


def test_a_gpu_that_the_driver_predates_is_named_with_the_branch_it_needs() -> None:
    facts = blind(change(pci={"devices": (B200,)}))
    assert verdict(facts) == ("broken", RULE)
    finding = found(facts, RULE)
    assert "needs branch 570 or newer" in finding.title
    assert finding.fixes[0].title.startswith("Install NVIDIA driver 570 or newer")


def test_a_gpu_that_the_driver_lists_is_not_too_new_whatever_the_table_says() -> None:
    facts = change(nvml={"driver": "450.51.05"}, kernel_driver={"version": "450.51.05"})
    assert outcome(facts, RULE) == "passed"


def test_the_kernels_own_words_are_enough_and_the_pci_id_names_the_gpu() -> None:
    lines = (
        "NVRM: The NVIDIA GPU 0000:01:00.0 (PCI ID: 10de:2b85)",
        "NVRM: installed in this system is not supported by the",
        "NVRM: NVIDIA 550.90.07 driver release.",
    )
    facts = change(UNLOADED, kernel_log={"lines": lines})
    assert found(facts, RULE).confidence.value == "likely"
    assert verdict(facts) == ("broken", RULE)


def test_words_of_an_old_log_are_not_believed_where_the_gpu_is_listed() -> None:
    facts = says("NVRM: installed in this system is not supported by the NVIDIA 550.90.07 driver release.")
    assert outcome(facts, RULE) == "passed"
