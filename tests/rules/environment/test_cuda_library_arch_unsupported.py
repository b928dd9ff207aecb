from __future__ import annotations

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, only, outcome, says, verdict, with_framework, with_gpu

RULE = "cuda-library-arch-unsupported"
BUILD = {"version": "2.20.0", "targets": ("sm_60", "sm_70", "sm_80", "sm_89", "compute_90")}
NEW_CUDNN = f.Packages(
    source="sys.path", packages=(f.Package(name="nvidia-cudnn-cu12", version="9.14.0.64", location="/site-packages"),)
)
VOLTA = with_gpu(
    with_framework("tensorflow", change(only("tensorflow"), smokes=(), packages=NEW_CUDNN), build=BUILD),
    name="Tesla V100-SXM2-16GB",
    capability="7.0",
)


def test_a_cudnn_after_9_10_on_volta_is_the_cause_though_the_framework_has_kernels() -> None:
    assert verdict(VOLTA) == ("broken", RULE)
    assert found(VOLTA, RULE).fixes[0].commands == (
        "/home/ann/venv/bin/python -m pip install 'nvidia-cudnn-cu12<9.11'",
    )


def test_the_cudnn_that_the_framework_reports_counts_more_than_a_package() -> None:
    assert outcome(with_framework("tensorflow", VOLTA, imported={"cudnn": "9.10.2"}), RULE) == "passed"


def test_a_framework_without_kernels_is_another_rules_business() -> None:
    facts = with_framework("tensorflow", VOLTA, build={"targets": ("sm_80", "sm_90")})
    assert findings(facts, RULE) == ()


def test_a_proved_job_makes_it_a_warning() -> None:
    facts = change(VOLTA, smokes=only("tensorflow").smokes)
    assert found(facts, RULE).severity.value == "warning"


def test_cudnns_own_word_is_believed() -> None:
    text = "RuntimeError: cuDNN error: CUDNN_STATUS_ARCH_MISMATCH"
    assert found(says(text, f.Facts(origin="paste")), RULE).confidence.value == "likely"


def test_a_gpu_within_the_range_passes() -> None:
    assert outcome(GOOD, RULE) == "passed"
