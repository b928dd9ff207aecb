"""What the lines of a report say, one changed fact at a time."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from gpudoctor.facts import (
    Collective,
    Collectives,
    Container,
    Facts,
    Framework,
    Frameworks,
    GpuCapability,
    GpuLink,
    Gpus,
    HostedNotebook,
    Imported,
    Interpreter,
    Jetson,
    MemoryFault,
    MemoryTest,
    MemoryTests,
    MigInstance,
    MigInstances,
    Missing,
    OtherEnvironment,
    OtherEnvironments,
    PeerCopies,
    PeerCopy,
    Request,
    Scheduler,
    Smoke,
    System,
    VirtualMachine,
    Wsl,
)
from gpudoctor.findings import Confidence, Finding, Outcome, Report, Severity
from gpudoctor.render.summary import (
    Headline,
    Mark,
    Row,
    counts,
    headline,
    other_environments,
    part_words,
    place,
    rows,
    smoke_rows,
    smoke_words,
)
from tests import reports


def _report(base: Report, **facts: Any) -> Report:
    return replace(base, facts=replace(base.facts, **facts))


def _row(report: Report, label: str) -> Row:
    (row,) = (row for row in rows(report) if row.label == label)
    return row


# ------------------------------------------------------------------------------------------- the headline


@pytest.mark.parametrize(
    ("smokes", "sentence"),
    [
        ((("torch", 0), ("torch", 1)), "Your GPU trains. Proved with PyTorch on 2 of 2 GPUs."),
        ((("torch", 0),), "Your GPU trains. Proved with PyTorch on 1 of 2 GPUs."),
        (
            (("torch", 0), ("torch", 1), ("tensorflow", 0)),
            "Your GPU trains. Proved with PyTorch on 2 of 2 GPUs and with TensorFlow on 1 of 2 GPUs.",
        ),
        (
            (("torch", 0), ("tensorflow", 1)),
            "Your GPU trains. Proved with PyTorch on 1 of 2 GPUs and with TensorFlow on 1 of 2 GPUs.",
        ),
        ((("torch", None),), "Training works on the CPU, with PyTorch. No GPU was used."),
        ((), "No fault found. Training was not run."),
    ],
)
def test_no_more_is_said_than_was_proved(smokes: tuple[Any, ...], sentence: str) -> None:
    report = _report(reports.healthy(), smokes=tuple(reports.smoke(name, index) for name, index in smokes))
    assert headline(report) == Headline(Mark.OK, sentence)


def test_a_gpu_that_proved_itself_with_one_framework_is_not_said_not_to_train() -> None:
    report = reports.broken()
    proved = _report(report, smokes=(reports.smoke("torch", 0), report.facts.smokes[1]))
    assert headline(report).sentence == "Your GPU does not train: torch 2.5.1+cu124 has no kernels for it."
    assert headline(proved).sentence == "torch 2.5.1+cu124 has no kernels for it."


def test_a_likely_cause_says_so_beside_its_rule() -> None:
    report = reports.broken()
    likely = replace(report, findings=(replace(reports.ARCH, confidence=Confidence.LIKELY),))
    assert headline(likely).rule == "torch-arch-unsupported (likely)"


def test_an_open_smoke_job_is_named_where_the_report_does_not_say_what_is_unknown() -> None:
    job = reports.smoke("torch", 0, result="not-run", error="the time was used up")
    report = replace(_report(reports.healthy(), smokes=(job,)), status="undetermined")
    assert headline(report) == Headline(
        Mark.UNKNOWN, "Not judged: smoke job of PyTorch: not run: the time was used up."
    )


# ------------------------------------------------------------------------------------------------ the lines


@pytest.mark.parametrize(
    ("changes", "value"),
    [
        ({}, "Ubuntu 24.04.1 LTS, kernel 6.8.0-48-generic, x86_64"),
        ({"system": System(source="s", os="windows", name="Windows 11 Pro")}, "Windows 11 Pro"),
        ({"system": System(source="s", os="linux", distribution="arch")}, "arch"),
        (
            {"wsl": Wsl(source="s", version=2)},
            "Ubuntu 24.04.1 LTS, kernel 6.8.0-48-generic, x86_64, WSL 2",
        ),
        (
            {"container": Container(source="s", engine="containerd", orchestrator="kubernetes")},
            "Ubuntu 24.04.1 LTS, kernel 6.8.0-48-generic, x86_64, in containerd (Kubernetes)",
        ),
        (
            {"jetson": Jetson(source="s", l4t="36.4.0", model="Jetson AGX Orin")},
            "Ubuntu 24.04.1 LTS, kernel 6.8.0-48-generic, x86_64, Jetson AGX Orin, L4T 36.4.0",
        ),
        (
            {"hosted": HostedNotebook(source="s", service="colab"), "scheduler": Scheduler(source="s", name=None)},
            "Ubuntu 24.04.1 LTS, kernel 6.8.0-48-generic, x86_64, Google Colab",
        ),
        (
            {"virtual_machine": VirtualMachine(source="/proc/cpuinfo", hypervisor="unknown")},
            "Ubuntu 24.04.1 LTS, kernel 6.8.0-48-generic, x86_64, in a virtual machine",
        ),
        (
            {"scheduler": Scheduler(source="s", name="slurm", job="42", gpus="0,1")},
            "Ubuntu 24.04.1 LTS, kernel 6.8.0-48-generic, x86_64, slurm job 42, GPUs 0,1",
        ),
    ],
)
def test_the_machine_and_what_it_stands_in(changes: dict[str, Any], value: str) -> None:
    assert _row(_report(reports.healthy(), **changes), "Machine") == Row("Machine", value, Mark.OK, "no fault found")


@pytest.mark.parametrize(
    ("changes", "row"),
    [
        (
            {"nvml": replace(reports.NVML, driver="550.90.07")},
            ("550.90.07, kernel module 580.65.06, open kernel modules, CUDA 13.0", Mark.OK, "answers"),
        ),
        (
            {"nvml": replace(reports.NVML, result="NVML_ERROR_LIB_RM_VERSION_MISMATCH", driver=None)},
            (
                "580.65.06, open kernel modules, NVML: NVML_ERROR_LIB_RM_VERSION_MISMATCH, CUDA 13.0",
                Mark.UNKNOWN,
                "NVML does not answer",
            ),
        ),
        (
            {"cuda": replace(reports.CUDA, result="CUDA_ERROR_UNKNOWN", code=999, count=None)},
            (
                "580.65.06, open kernel modules, CUDA 13.0, cuInit: CUDA_ERROR_UNKNOWN",
                Mark.UNKNOWN,
                "CUDA does not start",
            ),
        ),
        (
            {"cuda": replace(reports.CUDA, result="CUDA_ERROR_NO_DEVICE", code=100, count=None)},
            ("580.65.06, open kernel modules, CUDA 13.0, cuInit: CUDA_ERROR_NO_DEVICE", Mark.NOTE, "offers no GPU"),
        ),
        ({"cuda": reports.NO_CUDA}, ("580.65.06, open kernel modules", Mark.UNKNOWN, "CUDA does not start")),
        (
            {"nvml": reports.NO_NVML},
            ("580.65.06, open kernel modules, CUDA 13.0", Mark.UNKNOWN, "NVML is missing"),
        ),
        (
            {"nvml": reports.NO_NVML, "cuda": reports.NO_CUDA, "kernel_driver": reports.NO_KERNEL_DRIVER},
            ("none", Mark.NOTE, "absent"),
        ),
        (
            {"nvml": Missing("timed-out", "20 s", "nvmlInit"), "kernel_driver": Missing("unreadable")},
            ("CUDA 13.0", Mark.UNKNOWN, "timed out"),
        ),
    ],
)
def test_a_driver_answers_only_where_both_its_sides_do(changes: dict[str, Any], row: tuple[str, Mark, str]) -> None:
    assert _row(_report(reports.healthy(), **changes), "Driver") == Row("Driver", *row)


@pytest.mark.parametrize(
    ("changes", "row"),
    [
        (
            {"capability": Missing("timed-out", "5 s")},
            ("H100 80GB HBM3, 79.6 GiB, PCIe 5.0 ×16", Mark.UNKNOWN, "timed out"),
        ),
        (
            {"link": GpuLink(source="s", generation=4, generation_max=4, width=8, width_max=16)},
            ("H100 80GB HBM3, 9.0, 79.6 GiB, PCIe 4.0 ×8 of ×16", Mark.OK, "answers"),
        ),
        (
            {"mig": MigInstances(source="s", instances=(MigInstance(uuid="m"), MigInstance(uuid="n")))},
            ("H100 80GB HBM3, 9.0, 79.6 GiB, PCIe 5.0 ×16, 2 MIG instances", Mark.OK, "answers"),
        ),
    ],
)
def test_a_gpu_as_it_was_read(changes: dict[str, Any], row: tuple[str, Mark, str]) -> None:
    gpus = Gpus(source="NVML", gpus=(replace(reports.gpu(0), **changes),))
    assert _row(_report(reports.quick(), gpus=gpus), "GPU 0") == Row("GPU 0", *row)


def test_equal_gpus_share_a_line_and_another_one_has_its_own() -> None:
    gpus = (reports.gpu(0), reports.gpu(1), reports.gpu(2), replace(reports.gpu(3), name="NVIDIA T4"))
    gpus = (*gpus[:3], replace(gpus[3], capability=GpuCapability(source="NVML", value="7.5")))
    shown = [row for row in rows(_report(reports.quick(), gpus=Gpus(source="s", gpus=gpus))) if "GPU" in row.label]
    assert shown == [
        Row("GPU 0–2", "H100 80GB HBM3, 9.0, 79.6 GiB, PCIe 5.0 ×16, each", Mark.OK, "answers"),
        Row("GPU 3", "T4, 7.5, 79.6 GiB, PCIe 5.0 ×16", Mark.OK, "answers"),
    ]


def _torch(**changes: Any) -> Report:
    made = replace(reports.framework("torch", "2.13.0", cuda="13.0"), **changes)
    return _report(reports.quick(), frameworks=Frameworks(source="s", frameworks=(made,)))


@pytest.mark.parametrize(
    ("changes", "row"),
    [
        ({}, ("2.13.0, CUDA 13.0", Mark.OK, "imports")),
        ({"imported": Missing("not-asked")}, ("2.13.0, CUDA 13.0", Mark.NOTE, "not imported")),
        ({"imported": Missing("timed-out")}, ("2.13.0, CUDA 13.0", Mark.UNKNOWN, "timed out")),
        (
            {"imported": Imported(source="s", ok=False, ended="signal SIGSEGV")},
            ("2.13.0, CUDA 13.0, import failed (signal SIGSEGV)", Mark.FAULT, "import failed"),
        ),
        (
            {"imported": Imported(source="s", ok=False, ended="exit code 1", error="exit code 1: no torch.cuda")},
            ("2.13.0, CUDA 13.0, import failed: exit code 1: no torch.cuda", Mark.FAULT, "import failed"),
        ),
        (
            {"imported": Imported(source="s", ok=False, ended="exception", error="ImportError: libcudnn.so.9")},
            ("2.13.0, CUDA 13.0, import failed: ImportError: libcudnn.so.9", Mark.FAULT, "import failed"),
        ),
        (
            {"build": Missing("unreadable", "no version.py", "torch")},
            ("build not known: unreadable: torch: no version.py", Mark.UNKNOWN, "unreadable"),
        ),
        (
            {"build": reports.build("torch", "2.13.0", accelerator="rocm")},
            ("2.13.0, ROCM build", Mark.OK, "imports"),
        ),
    ],
)
def test_a_framework_as_it_was_read(changes: dict[str, Any], row: tuple[str, Mark, str]) -> None:
    assert _row(_torch(**changes), "PyTorch") == Row("PyTorch", *row)


def test_a_framework_that_was_asked_for_and_is_not_there_has_a_line() -> None:
    frameworks = Frameworks(source="s", frameworks=(reports.absent("torch"), reports.absent("jax")))
    request = Request(source="command line", required=("torch",))
    report = _report(reports.quick(), frameworks=frameworks, request=request)
    assert _row(report, "PyTorch") == Row("PyTorch", "not installed", Mark.FAULT, "required")
    assert [row.label for row in rows(report)][-2:] == ["Frameworks", "PyTorch"]


def test_an_environment_without_frameworks_is_told_at_the_frameworks_and_not_at_the_gpu() -> None:
    frameworks = Frameworks(source="s", frameworks=(reports.absent("torch"), reports.absent("jax")))
    finding = Finding(
        rule="no-framework-installed", severity=Severity.WARNING, confidence=Confidence.CERTAIN, title="none"
    )
    report = replace(_report(reports.quick(), frameworks=frameworks), findings=(finding,))
    assert _row(report, "Frameworks") == Row(
        "Frameworks", "none of PyTorch or JAX installed", Mark.WARNING, "no-framework-installed"
    )
    assert "no-framework-installed" not in [row.words for row in rows(report) if row.label.startswith("GPU")]


def test_gpus_that_cuda_alone_sees_are_named() -> None:
    cuda = replace(reports.CUDA, names=("NVIDIA H100", "NVIDIA L4"))
    report = _report(reports.quick(), nvml=reports.NO_NVML, gpus=Gpus(source="NVML", gpus=()), cuda=cuda)
    assert _row(report, "GPU").value == "NVIDIA H100 and NVIDIA L4, by CUDA's word alone"


def test_the_environment_not_known_is_no_pass() -> None:
    report = _report(
        reports.quick(),
        interpreter=Missing("crashed", "exit code 1", "start"),
        frameworks=Missing("crashed", "exit code 1"),
    )
    assert _row(report, "Python") == Row("Python", "not known: start: exit code 1", Mark.UNKNOWN, "crashed")
    assert _row(report, "Frameworks") == Row("Frameworks", "not known: exit code 1", Mark.UNKNOWN, "crashed")


def test_a_finding_stands_at_the_line_it_is_about() -> None:
    def finding(rule: str, severity: Severity) -> Finding:
        return Finding(rule=rule, severity=severity, confidence=Confidence.CERTAIN, title=rule)

    names = ("driver-library-mismatch", "container-shm-too-small", "numpy-abi-mismatch", "tf-cuda-libs-missing")
    report = replace(reports.healthy(), findings=tuple(finding(name, Severity.ERROR) for name in names))
    states = {row.label: (row.mark, row.words) for row in rows(report)}
    assert states == {
        "Machine": (Mark.FAULT, "container-shm-too-small"),
        "Driver": (Mark.FAULT, "driver-library-mismatch"),
        "GPU 0, 1": (Mark.OK, "trains"),
        "Python": (Mark.FAULT, "numpy-abi-mismatch"),
        "PyTorch": (Mark.OK, "trains"),
        "TensorFlow": (Mark.FAULT, "tf-cuda-libs-missing"),
    }


# ----------------------------------------------------------------------------------------- jobs, places, counts


def _job(**changes: Any) -> Smoke:
    return reports.smoke("torch", 0, **changes)


@pytest.mark.parametrize(
    ("smoke", "words"),
    [
        (
            _job(result="hung", stage="train", seconds=60.0, pid=77, wait_channel="nv_wait", error=None),
            "hung at train after 60.0 s (process 77, waits in nv_wait)",
        ),
        (_job(result="failed", stage="init", seconds=None, ended="exit code 3"), "failed at init (exit code 3)"),
        (
            _job(result="failed", stage="init", seconds=None, ended="signal SIGSEGV", error="signal SIGSEGV: no CUDA"),
            "failed at init: signal SIGSEGV: no CUDA",
        ),
        (_job(result="not-run"), "not run"),
        (_job(loss=(), accuracy=None, examples_per_second=None, seconds=None), "proved"),
        (
            _job(loss=(2.0, float("nan"))),
            "proved: loss 2.00 → not a number ▁?, accuracy 0.99, 212,000 images/s, 6.1 s",
        ),
    ],
)
def test_how_a_job_went(smoke: Smoke, words: str) -> None:
    assert smoke_words(smoke) == words


@pytest.mark.parametrize(
    ("facts", "where", "words"),
    [
        (Facts(interpreter=reports.PYTHON), "environment", "in /home/alice/proj/.venv (uv)"),
        (Facts(), "environment", "in the Python environment"),
        (
            Facts(interpreter=Interpreter(source="s", executable="/usr/bin/python3", version="3.12", prefix="/usr")),
            "environment",
            "in /usr/bin/python3",
        ),
        (Facts(), "machine", "on this machine"),
        (Facts(), "host", "on the host"),
        (Facts(container=Container(source="s", engine="podman")), "host", "on the host, outside the container"),
        (Facts(wsl=Wsl(source="s", version=2)), "host", "in Windows, outside WSL"),
    ],
)
def test_where_a_command_runs(facts: Facts, where: Any, words: str) -> None:
    assert place(replace(reports.healthy(), facts=facts), where) == words


def test_the_python_of_an_environment_nearby_is_quoted_for_its_shell() -> None:
    none = Frameworks(source="s", frameworks=(reports.absent("torch"),))
    nearby = OtherEnvironments(
        source="s", environments=(OtherEnvironment(path="C:\\my envs\\a", frameworks={"torch": "2"}),)
    )
    windows = System(source="s", os="windows")
    assert other_environments(Facts(system=windows, frameworks=none, other_environments=nearby)) == (
        ("C:\\my envs\\a: torch 2", 'gpudoctor diagnose --python "C:\\my envs\\a\\Scripts\\python.exe"'),
    )
    some = Frameworks(source="s", frameworks=(Framework(source="s", name="torch", installed=True),))
    assert other_environments(Facts(frameworks=some, other_environments=nearby)) == ()


def test_every_rule_is_counted_once() -> None:
    kinds = ("passed", "passed", "found", "found", "not-applicable", "skipped", "crashed")
    outcomes = tuple(Outcome(rule=f"r{number}", outcome=kind) for number, kind in enumerate(kinds))  # type: ignore[arg-type]
    findings = tuple(
        Finding(rule=rule, severity=severity, confidence=Confidence.CERTAIN, title="t")
        for rule, severity in (("r2", Severity.WARNING), ("r2", Severity.ERROR), ("r3", Severity.WARNING))
    )
    report = replace(reports.healthy(), outcomes=outcomes, findings=findings)
    assert counts(report) == "7 rules: 2 passed, 1 error, 1 warning, 1 not applicable, 1 crashed, 1 not judged"
    assert counts(replace(report, outcomes=())) == "No rule was run"


def test_a_smoke_row_tells_the_speed_up_and_the_last_row_what_was_reached_of_what_is_promised() -> None:
    assert smoke_rows(reports.timed())[1:] == (
        Row(
            "PyTorch",
            "GPU 1 proved: loss 2.30 → 0.05 █▆▄▂▁▁▁▁, accuracy 0.99, 212,000 images/s, 96 × CPU, 6.1 s",
            Mark.OK,
        ),
        Row("Speed", "bf16 matrix product 782 of 989 TFLOP/s, memory 2,912 of 3,350 GB/s", Mark.OK),
    )


def test_each_part_is_told_in_a_line() -> None:
    report = reports.timed()
    job = report.smoke[1]
    assert [part_words(part, job, report) for part in job.parts] == [
        "matrix-product-fp32: 51.2 TFLOP/s, 76% of 67 (datasheet of NVIDIA H100 80GB HBM3), 8192 wide",
        "matrix-product-bf16: 782 TFLOP/s, 79% of 989 (datasheet of NVIDIA H100 80GB HBM3), 8192 wide",
        "copy-inside-gpu: 2,912 GB/s, 87% of 3,350 (datasheet of NVIDIA H100 80GB HBM3)",
        "copy-to-gpu-pinned: 54.3 GB/s",
        "fft: 2.1 TFLOP/s, off by 3.0e-01 of their size",
        "sparse-product: no time left",
        "compile: RuntimeError: [bold]no compiler",
    ]


def test_what_processes_computed_together_has_a_line() -> None:
    def row(**fields: Any) -> Row:
        told = Collectives(source="job", **{"backend": "nccl", "processes": 8, "nccl": "2.29.7", **fields})
        return smoke_rows(_report(reports.healthy(), collectives=told))[-1]

    one, two = Collective(name="all-reduce", holds=True), Collective(name="broadcast", holds=False)
    good = row(collectives=(one,))
    assert good == Row("Together", "8 processes over nccl 2.29.7: all-reduce exact", Mark.OK)
    wrong = row(backend="gloo", nccl=None, nodes=2, collectives=(one, two))
    told = "8 processes on 2 machines over gloo: broadcast wrong; all-reduce exact"
    assert wrong == Row("Together", told, Mark.FAULT)
    hung = row(processes=1, stage="connect", ended="hung")
    assert hung == Row("Together", "1 process over nccl 2.29.7: hung at connect", Mark.FAULT)
    late = row(stage="connect", ended="timed out")
    assert late == Row("Together", "8 processes over nccl 2.29.7: timed out at connect", Mark.UNKNOWN)


def test_deep_checks_have_a_row_each() -> None:
    memory = MemoryTests(
        source="CUDA driver API",
        tests=(
            MemoryTest(gpu=0, free=80 << 30, tested=76 << 30),
            MemoryTest(gpu=1, free=80 << 30, tested=1 << 30, error="time was short"),
        ),
    )
    copies = tuple(
        PeerCopy(source_gpu=a, target_gpu=b, direct=True, holds=holds, rate=rate)
        for a, b, holds, rate in ((0, 1, True, 45.2), (1, 0, True, 48.0))
    )
    report = _report(reports.healthy(), memory_tests=memory, peer_copies=PeerCopies(source="x", copies=copies))
    assert smoke_rows(report)[-2:] == (
        Row(
            "Memory",
            "GPU 0: 76.0 GiB of 80.0 GiB free came back as written; "
            "GPU 1: 1.0 GiB of 80.0 GiB free came back as written; time was short",
            Mark.UNKNOWN,
        ),
        Row("GPU↔GPU", "2 of 2 copies exact, 45.2 to 48 GB/s", Mark.OK),
    )


def test_deep_checks_that_found_something_are_marked() -> None:
    fault = MemoryFault(first=4096, last=4103, wrote="00", read="01")
    memory = MemoryTests(source="x", tests=(MemoryTest(gpu=0, free=80 << 30, tested=76 << 30, faults=(fault,)),))
    wrong = PeerCopy(source_gpu=0, target_gpu=1, direct=True, holds=False)
    hung = PeerCopy(source_gpu=1, target_gpu=0, direct=True, holds=None, error="hung")
    report = _report(reports.healthy(), memory_tests=memory, peer_copies=PeerCopies(source="x", copies=(wrong, hung)))
    assert [(row.value, row.mark) for row in smoke_rows(report)[-2:]] == [
        ("GPU 0: 76.0 GiB of 80.0 GiB free 1 range came back otherwise", Mark.FAULT),
        ("GPU 0 → 1 arrived otherwise; 0 of 2 copies exact", Mark.FAULT),
    ]
