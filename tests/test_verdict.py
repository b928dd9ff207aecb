"""Status and what is not known: never healthy by ignorance."""

from __future__ import annotations

import msgspec
import pytest

from gpudoctor import facts as f
from gpudoctor.findings import About, Confidence, Finding, Severity, Unknown
from gpudoctor.report import judge
from gpudoctor.verdict import unknown
from tests.good import GOOD, change, with_gpu

_XID = ("sudo dmesg | grep -i xid",)
_UNKNOWN_ERROR = {"result": "CUDA_ERROR_UNKNOWN", "code": 999, "count": None, "names": ()}


def _finding(severity: Severity, gpu: int | None = None) -> Finding:
    return Finding(rule="x", severity=severity, confidence=Confidence.CERTAIN, title="x", about=About(gpu=gpu))


def test_of_the_good_machine_nothing_is_unknown() -> None:
    assert unknown(GOOD) == ()
    assert judge(GOOD).status == "healthy"


@pytest.mark.parametrize(
    ("cuda", "why"),
    [
        (_UNKNOWN_ERROR, "cuInit answers CUDA_ERROR_UNKNOWN (999), and no rule knows why"),
        ({"count": 0, "names": ()}, "CUDA starts and lists no GPU, and no rule knows why"),
        (
            {"result": "not-found", "code": None, "count": None, "version": None, "names": ()},
            "libcuda is not found, and no rule knows why",
        ),
    ],
)
def test_cuda_that_does_not_work_beside_a_gpu_is_never_healthy(cuda: dict[str, object], why: str) -> None:
    facts = change(cuda=cuda, smokes=())
    assert unknown(facts) == (Unknown(what="CUDA initialisation", why=why),)
    assert judge(facts, rules=()).status == "undetermined"


def test_cuda_that_does_not_work_is_explained_by_an_error_alone() -> None:
    facts = change(cuda=_UNKNOWN_ERROR, smokes=())
    assert unknown(facts, (_finding(Severity.ERROR),)) == ()
    assert [one.what for one in unknown(facts, (_finding(Severity.WARNING),))] == ["CUDA initialisation"]


def test_cuda_is_not_missed_where_there_is_no_gpu_or_none_is_needed() -> None:
    pci = f.PciDevices(source="/sys", devices=())
    none = change(cuda=_UNKNOWN_ERROR, gpus={"gpus": ()}, pci=pci, smokes=())
    assert unknown(none) == ()
    jobs = _on_cpu("cpu")
    allowed = change(cuda=_UNKNOWN_ERROR, request={"allow_cpu": True}, smokes=jobs)
    assert unknown(allowed) == ()


def _on_cpu(device: str) -> tuple[f.Smoke, ...]:
    return tuple(
        f.Smoke(source="smoke job", framework=name, device=device, gpu=None, stage="done", result="ran-on-cpu")
        for name in ("torch", "tensorflow")
    )


@pytest.mark.parametrize("severity", [Severity.ERROR, Severity.WARNING])
def test_a_gpu_with_an_error_is_unknown_until_a_finding_is_about_it(severity: Severity) -> None:
    facts = with_gpu(error="NVML_ERROR_GPU_IS_LOST", capability=f.Missing("unreadable"))
    told = Unknown(what="GPU 0", why="NVML_ERROR_GPU_IS_LOST, and no rule knows why", settled_by=_XID)
    assert unknown(facts) == (told,)
    assert unknown(facts, (_finding(severity, gpu=1), _finding(Severity.INFO, gpu=0))) == (told,)
    assert unknown(facts, (_finding(severity, gpu=0),)) == ()


def test_a_job_that_was_due_and_has_no_result_is_unknown() -> None:
    assert [one.what for one in unknown(change(smokes=()))] == [
        "whether PyTorch trains",
        "whether TensorFlow trains",
    ]


def test_a_job_of_several_processes_without_result_is_unknown_and_a_fault_of_it_is_not() -> None:
    def told(collectives: f.Maybe[f.Collectives]) -> list[tuple[str, str]]:
        return [(one.what, one.why) for one in judge(change(GOOD, collectives=collectives)).unknown]

    what = "collective operations between processes"
    hung = f.Collectives(source="job", backend="nccl", processes=8, stage="all-gather", ended="hung", error="no sign")
    late = msgspec.structs.replace(hung, ended="timed out", error="the time limit came first")
    alone = f.Missing("timed-out", "the other machines did not come in time", "job")
    assert told(f.NOT_ASKED) == []
    assert told(hung) == []
    assert told(late) == [(what, "timed out at all-gather: the time limit came first")]
    assert told(msgspec.structs.replace(hung, ended="exception", waited=True)) == [
        (what, "exception at all-gather: no sign")
    ]
    assert told(alone) == [(what, str(alone))]


def test_an_import_without_a_job_is_told_in_words() -> None:
    facts = change(smokes=())
    why = [one.why for one in judge(facts).unknown if one.what == "whether PyTorch trains"]
    assert why == ["its job told nothing"]
