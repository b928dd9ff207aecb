"""What a child told and how it ended, as facts: one good job, one thing changed at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gpudoctor.children import Ending
from gpudoctor.facts import (
    FrameworkDevice,
    Gpu,
    GpuProcess,
    Imported,
    MappedLibrary,
    Message,
    Missing,
    Proof,
    Smoke,
)
from gpudoctor.smoke.told import (
    Learnt,
    Sight,
    Told,
    cudnn_version,
    gpu_index,
    imported_fact,
    mapped_libraries,
    meaningful,
    memory_proof,
    messages,
    nccl_version,
    process_proof,
    smoke_fact,
)
from tests.smoke.required import REQUIRED

MIB = 1 << 20
EXITED = Ending("exited", code=0, pid=7)


class Seen(NamedTuple):
    """What a witness sees."""

    used: int | None
    processes: tuple[GpuProcess, ...] = ()
    listed: int | None = 0


BEFORE = Seen(600 * MIB)
DURING = Seen(1400 * MIB, (GpuProcess(pid=7, used=800 * MIB),), 1)


def told(*, proofs: dict[str, bool | None] | None = None, **changes: Any) -> Told:
    """A job in PyTorch that is proved by everyone, with changes."""
    holds = {**dict.fromkeys(REQUIRED, True), **(proofs or {})}
    good: dict[str, Any] = {
        "name": "torch",
        "pid": 7,
        "stage": "done",
        "said": {"version": "2.9.0+cu128", "cuda": "12.8", "cudnn_built": "9.10.2", "targets": ["sm_90"]},
        "listed": {
            "available": True,
            "devices": [{"name": "NVIDIA H100", "capability": "9.0", "memory": 80 << 30}],
            "libraries": [],
            "cudnn": 91002,
            "nccl": 22703,
            "pci": "0000:65:00.0",
        },
        "seconds": 2.5,
        "decision": "gpu",
        "went": True,
        "device": "cuda:0",
        "learnt": {
            "convolutional": Learnt(
                [2.3, 0.1], 5000.0, {"accuracy": 0.99, "precision": 0.98, "recall": 0.97, "f1": 0.975}
            )
        },
        "proofs": [
            Proof(name=name, holds=value, detail="seen", required=name in REQUIRED) for name, value in holds.items()
        ],
        "held": 300 * MIB,
        "gpu": 1,
        "before": BEFORE,
        "during": DURING,
        "job_seconds": 4.0,
    }
    return Told(**{**good, **changes})


def verdict(job: Told, ending: Ending | None = EXITED) -> tuple[str, str, str | None]:
    fact = smoke_fact(job, ending)
    return fact.result, fact.stage, fact.error


def test_a_good_job_is_proved_whole() -> None:
    assert smoke_fact(told(), EXITED) == Smoke(
        source="training job in torch",
        framework="torch",
        device="cuda:0",
        gpu=1,
        stage="done",
        result="proved",
        loss=(2.3, 0.1),
        accuracy=0.99,
        precision=0.98,
        recall=0.97,
        f1=0.975,
        examples_per_second=5000.0,
        seconds=4.0,
        proofs=(
            *(Proof(name=name, holds=True, detail="seen", required=True) for name in REQUIRED),
            Proof(name="outside-process", holds=True, detail="the driver lists process 7 on the GPU"),
            Proof(
                name="outside-memory",
                holds=True,
                detail="memory in use on the GPU went up by 800 MiB, the job holds 300 MiB",
            ),
        ),
    )


NOBODY = Missing("unreadable", "no NVML", "nvmlInit")


@pytest.mark.parametrize(
    ("changes", "result"),
    [
        ({"during": Seen(600 * MIB, DURING.processes, 1)}, "proved"),
        ({"during": Seen(1400 * MIB)}, "proved"),
        ({"before": NOBODY, "during": NOBODY, "proofs": {"profiler-kernels": True}}, "proved"),
        ({"during": Seen(600 * MIB), "proofs": {"profiler-kernels": True}}, "proved"),
        ({"during": Seen(600 * MIB)}, "ran-on-cpu"),
        ({"during": Seen(600 * MIB, listed=2)}, "not-run"),
        ({"during": Seen(600 * MIB, listed=None)}, "not-run"),
        ({"during": Seen(None)}, "not-run"),
        ({"before": NOBODY, "during": NOBODY}, "not-run"),
        ({"before": NOBODY, "during": NOBODY, "proofs": {"profiler-kernels": None}}, "not-run"),
        ({"held": None}, "not-run"),
    ],
)
def test_one_witness_is_enough_and_none_is_no_result(changes: dict[str, Any], result: str) -> None:
    assert verdict(told(**changes))[:2] == (result, "done")


@pytest.mark.parametrize("name", ["matches-cpu", "weights-changed", "loss-fell"])
@pytest.mark.parametrize("decision", ["gpu", "cpu"])
def test_wrong_results_fail_wherever_they_were_computed(name: str, decision: str) -> None:
    assert verdict(told(proofs={name: False}, decision=decision)) == (
        "failed",
        "verify",
        f"{name} does not hold: seen",
    )


@pytest.mark.parametrize("name", ["parameters-on-device", "gradients-on-device", "outputs-on-device"])
def test_anything_that_lived_elsewhere_ran_on_the_cpu(name: str) -> None:
    assert verdict(told(proofs={name: False})) == ("ran-on-cpu", "done", f"{name} does not hold: seen")


def test_wrong_numbers_come_before_the_wrong_place() -> None:
    assert verdict(told(proofs={"matches-cpu": False, "outputs-on-device": False}))[0] == "failed"


def test_a_job_for_the_cpu_ran_on_the_cpu() -> None:
    job = told(decision="cpu", device="cpu", held=None, during=None, before=None, gpu=None)
    fact = smoke_fact(job, EXITED)
    assert (fact.result, fact.device, fact.gpu, fact.error) == ("ran-on-cpu", "cpu", None, None)


def test_a_child_that_cannot_be_killed_is_named_with_its_wait_channel() -> None:
    stuck = Ending("hung", pid=7, stuck=True, wait_channel="nvidia_unlocked_ioctl")
    fact = smoke_fact(told(stage="init", proofs={}), stuck)
    assert (fact.result, fact.stage, fact.ended, fact.pid, fact.wait_channel, fact.error) == (
        "hung",
        "init",
        "hung",
        7,
        "nvidia_unlocked_ioctl",
        "no sign of work; process 7 survives in nvidia_unlocked_ioctl",
    )


def test_the_last_words_of_a_crash_are_its_last_stage_s() -> None:
    tail = (
        "@gpudoctor-stage import",
        "W an old warning",
        "@gpudoctor-stage train",
        "terminate called after throwing an instance of 'c10::Error'",
        "  what():  CUDA error: an illegal memory access was encountered",
        "frame #0: c10::Error::Error(c10::SourceLocation, std::string)",
    )
    ending = Ending("signalled", signal="SIGABRT", pid=7, tail=tail)
    assert verdict(told(stage="train"), ending) == (
        "failed",
        "train",
        "signal SIGABRT: CUDA error: an illegal memory access was encountered",
    )
    ending = Ending("signalled", signal="SIGABRT", pid=7, tail=tail[:3])
    assert verdict(told(stage="train"), ending) == ("failed", "train", "signal SIGABRT")


def test_a_job_that_waited_for_its_turn_had_only_imported() -> None:
    waiting = told(stage="init", went=False, decision=None)
    assert verdict(waiting, Ending("timed-out", pid=7)) == (
        "not-run",
        "import",
        "the time limit came first, at stage import",
    )


# ------------------------------------------------------------------------------------------------ the import


def test_an_import_tells_everything_whole() -> None:
    assert imported_fact(told(), EXITED) == Imported(
        source="import torch in a child process",
        ok=True,
        seconds=2.5,
        version="2.9.0+cu128",
        cuda="12.8",
        cudnn="9.10.2",
        cudnn_built="9.10.2",
        nccl="2.27.3",
        available=True,
        devices=(FrameworkDevice(name="NVIDIA H100", capability="9.0", memory=80 << 30),),
        targets=("sm_90",),
    )


@pytest.mark.parametrize(
    ("ending", "fact"),
    [
        (None, Missing("timed-out", "interrupted", "torch import")),
        (Ending("timed-out", pid=7), Missing("timed-out", "the time limit came first", "torch import")),
        (
            Ending("hung", pid=7),
            Imported(source="import torch in a child process", ok=False, ended="hung", error="no sign of work"),
        ),
        (
            Ending("signalled", signal="SIGILL", pid=7),
            Imported(source="import torch in a child process", ok=False, ended="signal SIGILL", error="signal SIGILL"),
        ),
    ],
)
def test_an_import_that_did_not_end_is_what_its_end_was(ending: Ending | None, fact: Imported | Missing) -> None:
    assert imported_fact(Told("torch", pid=7, stage="import"), ending) == fact


@pytest.mark.parametrize(
    ("number", "text"), [(7605, "7.6.5"), (8005, "8.0.5"), (8907, "8.9.7"), (90100, "9.1.0"), (92000, "9.20.0")]
)
def test_cudnn_numbers(number: int, text: str) -> None:
    assert cudnn_version(number) == text


@pytest.mark.parametrize(("number", "text"), [(2804, "2.8.4"), (2708, "2.7.8"), (21005, "2.10.5"), (22703, "2.27.3")])
def test_nccl_numbers(number: int, text: str) -> None:
    assert nccl_version(number) == text


def test_a_mapped_library_is_owned_by_the_distribution_whose_record_lists_it(tmp_path: Path) -> None:
    site = tmp_path / "lib" / "python3.12" / "site-packages"
    for info, line in {
        "nvidia_cudnn_cu12-9.10.2.21": "nvidia/cudnn/lib/libcudnn.so.9,sha256=x,1",
        "nvidia_cublas_cu12-12.8.4.1": "nvidia/cublas/lib/libcublas.so.12,sha256=x,1",
        "torch-2.9.0": "torch/lib/libcudart-e409450e.so.11.0,sha256=x,1",
    }.items():
        (site / f"{info}.dist-info").mkdir(parents=True)
        (site / f"{info}.dist-info" / "RECORD").write_text(f"{line}\n")
    paths = (
        f"{site}/nvidia/cublas/lib/libcublas.so.12",
        f"{site}/nvidia/cudnn/lib/libcudnn.so.9",
        f"{site}/torch/lib/libcudart-e409450e.so.11.0",
        f"{site}/nvidia/unknown/lib/libnccl.so.2",
        "/usr/local/cuda-12.4/lib64/libcufft.so.11.2.1.3",
        "/usr/lib/x86_64-linux-gnu/libcuda.so.550.54.15",
    )
    cublas, cudnn, cudart, nccl, cufft, cuda = paths
    assert mapped_libraries(paths, 91002) == (
        MappedLibrary(name="libcublas", path=cublas, version="12.8.4.1", owner="nvidia-cublas-cu12"),
        MappedLibrary(name="libcudnn", path=cudnn, version="9.10.2", owner="nvidia-cudnn-cu12"),
        MappedLibrary(name="libcudart", path=cudart, version=None, owner="torch"),
        MappedLibrary(name="libnccl", path=nccl, version=None, owner=None),
        MappedLibrary(name="libcufft", path=cufft, version="11.2.1.3", owner=None),
        MappedLibrary(name="libcuda", path=cuda, version="550.54.15", owner=None),
    )


# ----------------------------------------------------------------------------------------------- witnesses


def gpus(*names: str) -> tuple[Gpu, ...]:
    return tuple(
        Gpu(source="NVML", index=index, name=name, pci=f"00000000:{index + 1}0:00.0")
        for index, name in enumerate(names)
    )


@pytest.mark.parametrize(
    ("pci", "name", "index"),
    [
        ("0000:20:00.0", "A", 1),
        ("0000:20:00.0", None, 1),
        ("0000:90:00.0", "A", None),
        (None, "B", 1),
        (None, "A", None),
        (None, None, None),
    ],
)
def test_cuda_s_first_device_is_found_among_nvml_s(pci: str | None, name: str | None, index: int | None) -> None:
    assert gpu_index(gpus("A", "B", "A"), pci, name) == index


def test_the_only_gpu_is_the_one() -> None:
    assert gpu_index(gpus("A"), None, "another spelling") == 0
    assert gpu_index((), None, "A") is None


@pytest.mark.parametrize(
    ("grew", "listed", "holds"),
    [
        (225, 0, True),
        (75, 0, False),
        (0, 0, False),
        (-75, 0, False),
        (76, 0, None),  # somebody took or gave back memory meanwhile, whom the driver does not list
        (-76, 0, None),
        (0, 1, None),
        (0, None, None),
    ],
)
def test_memory_counts_when_most_of_what_is_held_shows(grew: int, listed: int | None, holds: bool | None) -> None:
    during: Sight = Seen((600 + grew) * MIB, (), listed)
    assert memory_proof(BEFORE, during, 300 * MIB) == Proof(
        name="outside-memory",
        holds=holds,
        detail=f"memory in use on the GPU went up by {grew} MiB, the job holds 300 MiB",
    )


def test_memory_that_does_not_move_speaks_against_the_only_process_that_is_listed() -> None:
    for used, holds in ((None, False), (0, False), (224, False), (225, None)):
        process = GpuProcess(pid=7, used=None if used is None else used * MIB)
        assert memory_proof(BEFORE, Seen(600 * MIB, (process,), 1), 300 * MIB).holds is holds


def test_a_job_that_holds_next_to_nothing_cannot_be_told_from_others() -> None:
    assert memory_proof(BEFORE, Seen(616 * MIB), 16 * MIB).holds is True
    assert memory_proof(BEFORE, Seen(616 * MIB), 16 * MIB - 1) == Proof(
        name="outside-memory",
        holds=None,
        detail="memory in use on the GPU went up by 16 MiB, the job holds 16 MiB: "
        "too little to tell it from others' memory",
    )


def test_a_process_that_is_not_listed_proves_nothing() -> None:
    assert process_proof(BEFORE, Seen(0, (), 3), 7, 300 * MIB).holds is None
    assert process_proof(BEFORE, Seen(0, (), None), 7, 300 * MIB).detail == "the driver lists no processes"


def listed_with(used: int | None) -> Seen:
    return Seen(1400 * MIB, (GpuProcess(pid=7, used=None if used is None else used * MIB),), 1)


@pytest.mark.parametrize("used", [None, 0, 225, 800])
def test_a_process_is_a_witness_with_the_job_s_memory_or_where_the_driver_tells_none(used: int | None) -> None:
    assert process_proof(BEFORE, listed_with(used), 7, 300 * MIB) == Proof(
        name="outside-process", holds=True, detail="the driver lists process 7 on the GPU"
    )


def test_a_process_of_that_number_with_other_memory_is_no_witness() -> None:
    # In a container: the number of a process on the host, which trains there since long.
    host = Seen(9000 * MIB, (GpuProcess(pid=7, used=8000 * MIB),), 1)
    for before, during in ((host, host), (Missing("timed-out"), listed_with(224)), (None, listed_with(100))):
        assert process_proof(before, during, 7, 300 * MIB).holds is None
    assert process_proof(host, host, 7, 300 * MIB).detail == (
        "the driver lists process 7 on the GPU, its memory went up by 0 MiB, the job holds 300 MiB"
    )


def test_a_listed_process_whose_memory_did_not_move_is_not_proved() -> None:
    silent = Seen(600 * MIB, (GpuProcess(pid=7, used=None),), 1)
    fact = smoke_fact(told(before=BEFORE, during=silent, held=300 * MIB, proofs={"profiler-kernels": None}), None)
    assert (fact.result, fact.stage) == ("ran-on-cpu", "done")
    seen = told(before=BEFORE, during=silent, held=300 * MIB, proofs={"profiler-kernels": True})
    assert smoke_fact(seen, None).result == "proved"


# ------------------------------------------------------------------------------------------------ messages


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (
            "2026-11-21 12:12:36.450167: W tensorflow/gpu/gpu_device.cc:2343] Cannot dlopen some GPU libraries.",
            "W tensorflow/gpu/gpu_device.cc:2343] Cannot dlopen some GPU libraries.",
        ),
        (
            "E0000 00:00:1732014112.012345   10359 cuda_dnn.cc:8310] Unable to register cuDNN factory",
            "E cuda_dnn.cc:8310] Unable to register cuDNN factory",
        ),
        (
            "I0000 00:00:1732014112.012345   10359 cudart_stub.cc:28] Could not find cuda drivers on your machine",
            "I cudart_stub.cc:28] Could not find cuda drivers on your machine",
        ),
        ("I0000 00:00:1795263053.236777   10359 port.cc:153] oneDNN custom operations are on.", None),
        ("[W1121 12:00:00.123 CUDAFunctions.cpp:108] Warning: x", "[W CUDAFunctions.cpp:108] Warning: x"),
        ("WARNING: All log messages before absl::InitializeLog() is called are written to STDERR", None),
        ("To enable the following instructions: AVX2, in other operations, rebuild TensorFlow", None),
        ("A module that was compiled using NumPy 1.x", "A module that was compiled using NumPy 1.x"),
        ("  what():  CUDA error: unspecified launch failure", "CUDA error: unspecified launch failure"),
        ("Traceback (most recent call last):", None),
        ('  File "<string>", line 1, in <module>', None),
        ("frame #3: <unknown function> + 0x1f2e3 (0x7f in /lib/libtorch.so)", None),
        ("Current thread 0x00007f (most recent call first):", None),
        ("Fatal Python error: Segmentation fault", "Fatal Python error: Segmentation fault"),
        ("", None),
    ],
)
def test_lines_of_standard_error_are_news_or_noise(line: str, text: str | None) -> None:
    assert meaningful(line) == text


def test_each_message_comes_once_with_its_first_stage() -> None:
    tail = ("@gpudoctor-stage import", "W same", "@gpudoctor-stage train", "W same", "E other")
    ending = Ending("exited", code=0, tail=tail)
    assert messages(told(), ending) == (
        Message(source="torch import, stderr", text="W same", framework="torch"),
        Message(source="torch train, stderr", text="E other", framework="torch"),
    )


def test_messages_have_an_end() -> None:
    ending = Ending("exited", code=0, tail=tuple(f"line {number} {'x' * 2000}" for number in range(200)))
    made = messages(told(), ending)
    assert len(made) == 40
    assert max(len(message.text) for message in made) == 500
