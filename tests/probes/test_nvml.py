"""Real nvidia-ml-py in real child processes, against driver libraries that answer for a described machine."""

from __future__ import annotations

import ctypes.util
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gpudoctor import children
from gpudoctor.children import Limits
from gpudoctor.facts import (
    Facts,
    Gpu,
    GpuCapability,
    GpuClocks,
    GpuEcc,
    GpuFabric,
    GpuLink,
    GpuMemory,
    GpuModes,
    GpuProcess,
    GpuProcesses,
    Gpus,
    MigInstance,
    MigInstances,
    Missing,
    NvLink,
    Nvml,
    decode,
    encode,
)
from gpudoctor.probes import nvml_child
from gpudoctor.probes.nvml import NvmlAnswer, Witness, _Blame, _Survey, nvml, witness
from gpudoctor.world import World
from tests.cli.run import BUSY
from tests.lab.drivers.fake import (
    ABORT,
    GIB,
    HANG,
    MIB,
    SEGV,
    SPIN,
    FakeGpu,
    Machine,
    MigSlice,
    Process,
    error,
    gpus,
    install,
    prints,
)
from tests.lab.drivers.needs import need_compiler

IDLE = 2.0
GROUPS = ("capability", "memory", "modes", "ecc", "clocks", "link", "nvlink", "fabric", "processes", "mig")

GOOD_GPU = Gpu(
    source="NVML",
    index=0,
    name="NVIDIA H100 80GB HBM3",
    uuid="GPU-5e1f7c2a-0000-4000-8000-0000000000a0",
    pci="0000:17:00.0",
    pci_device="2330",
    vbios="96.00.89.00.01",
    capability=GpuCapability(source="NVML", value="9.0"),
    memory=GpuMemory(source="NVML", total=80 * GIB, used=0, free=80 * GIB - 600 * MIB),
    modes=GpuModes(
        source="NVML",
        compute="default",
        persistence=True,
        mig=False,
        mig_pending=False,
        display=False,
        virtualization="none",
        confidential="off",
    ),
    ecc=GpuEcc(
        source="NVML",
        enabled=True,
        corrected=0,
        uncorrected=0,
        uncorrected_lifetime=0,
        remapped_corrected=0,
        remapped_uncorrected=0,
        remap_pending=False,
        remap_failure=False,
    ),
    clocks=GpuClocks(
        source="NVML",
        throttle=("gpu-idle",),
        temperature=34,
        temperature_limit=87,
        power=71.25,
        power_limit=700.0,
        power_default_limit=700.0,
        sm_clock=345,
        sm_clock_max=1980,
    ),
    link=GpuLink(source="NVML", generation=5, generation_max=5, width=16, width_max=16, replays=0),
    nvlink=NvLink(source="NVML", links=18, active=18),
    fabric=GpuFabric(source="NVML", state="completed", status="NVML_SUCCESS"),
    processes=GpuProcesses(source="NVML", processes=()),
    mig=MigInstances(source="NVML", instances=()),
)


@pytest.fixture(autouse=True)
def _compiler() -> None:
    need_compiler()


def good(index: int) -> Gpu:
    """What the probe says of the healthy GPU of that index (``gpus()`` in the laboratory)."""
    uuid = f"GPU-5e1f7c2a-0000-4000-8000-0000000000a{index:x}"
    pci = f"0000:{0x17 + 0x10 * index:02x}:00.0"
    return msgspec.structs.replace(GOOD_GPU, index=index, uuid=uuid, pci=pci)


def changed(record: Any, **changes: Any) -> Any:
    return msgspec.structs.replace(record, **changes)


def all_missing(gpu: Gpu, why: Missing) -> Gpu:
    """That GPU with nothing known but its index and error."""
    return msgspec.structs.replace(gpu, **dict.fromkeys(GROUPS, why))


def world_of(folder: Path, machine: Machine) -> World:
    return World(environ={**os.environ, **install(folder, machine)})


def ask(folder: Path, machine: Machine, seconds: float = 30, idle: float = IDLE) -> NvmlAnswer:
    return nvml(world_of(folder, machine), Limits.within(seconds, idle))


def listed(answer: NvmlAnswer) -> tuple[Gpu, ...]:
    assert isinstance(answer.gpus, Gpus)
    return answer.gpus.gpus


def with_faults(count: int, index: int, **faults: str) -> Machine:
    """So many healthy GPUs, one of them with these faults."""
    all_gpus = gpus(count)
    return Machine(gpus=(*all_gpus[:index], replace(all_gpus[index], faults=faults), *all_gpus[index + 1 :]))


def good_nvml(folder: Path) -> Nvml:
    library = folder / "lib" / "libnvidia-ml.so.580.65.06"
    return Nvml(source="NVML", result="NVML_SUCCESS", driver="580.65.06", cuda="13.0", library=str(library))


# ------------------------------------------------------------------------------------------------- the good machine


def test_every_fact_of_a_healthy_machine_is_told(tmp_path: Path) -> None:
    assert ask(tmp_path, Machine()) == NvmlAnswer(good_nvml(tmp_path), Gpus(source="NVML", gpus=(GOOD_GPU,)))


def test_a_machine_without_gpus_has_an_empty_list(tmp_path: Path) -> None:
    assert ask(tmp_path, Machine(gpus=())) == NvmlAnswer(good_nvml(tmp_path), Gpus(source="NVML", gpus=()))


NOT_SUPPORTED = "NVML_ERROR_NOT_SUPPORTED"
NO_COUNTS = {"corrected": None, "uncorrected": None, "uncorrected_lifetime": None}


@pytest.mark.parametrize(
    ("change", "group", "expected"),
    [
        ({"capability": (12, 0)}, "capability", {"value": "12.0"}),
        ({"memory": (24 * GIB, GIB, 3 * GIB)}, "memory", {"total": 24 * GIB, "used": 3 * GIB, "free": 20 * GIB}),
        ({"compute_mode": 2}, "modes", {"compute": "prohibited"}),
        ({"compute_mode": 3}, "modes", {"compute": "exclusive-process"}),
        ({"persistence": None, "mig_mode": None}, "modes", {"persistence": None, "mig": None, "mig_pending": None}),
        ({"mig_mode": (False, True), "mig_slices": (MigSlice("MIG-later"),)}, "modes", {"mig_pending": True}),
        ({"display_active": True}, "modes", {"display": True}),
        ({"virtualization": 1}, "modes", {"virtualization": "passthrough"}),
        (
            {"virtualization": 2, "vgpu_licensed": False},
            "modes",
            {"virtualization": "vgpu", "vgpu_license": "unlicensed"},
        ),
        ({"virtualization": 2, "vgpu_licensed": True}, "modes", {"virtualization": "vgpu", "vgpu_license": "licensed"}),
        ({"ecc": (False, True), "ecc_errors": None}, "ecc", {"enabled": False, **NO_COUNTS}),
        ({"ecc_errors": (5, 7, 2, 3)}, "ecc", {"corrected": 5, "uncorrected": 2, "uncorrected_lifetime": 3}),
        (
            {"remapped": (1, 2, True, False)},
            "ecc",
            {"remapped_corrected": 1, "remapped_uncorrected": 2, "remap_pending": True, "remap_failure": False},
        ),
        ({"retired": (3, 2), "retired_pending": True}, "ecc", {"retired_pages": 5, "retired_pending": True}),
        ({"throttle": 0}, "clocks", {"throttle": ()}),
        ({"throttle": 0x1048}, "clocks", {"throttle": ("hw-slowdown", "hw-thermal-slowdown", "0x1000")}),
        ({"temperature": None, "power": None}, "clocks", {"temperature": None, "power": None}),
        ({"pcie": (1, 5, 4, 16), "pcie_replays": 9}, "link", {"generation": 1, "width": 4, "replays": 9}),
        ({"nvlink": ()}, "nvlink", {"links": 0, "active": 0}),
        ({"nvlink": (True, False, True, False)}, "nvlink", {"links": 4, "active": 2}),
        ({"fabric": None}, "fabric", {"state": "not-supported", "status": None}),
        ({"fabric": (2, 0)}, "fabric", {"state": "in-progress", "status": None}),
        ({"fabric": (3, 999)}, "fabric", {"state": "completed", "status": "NVML_ERROR_UNKNOWN"}),
        ({"graphics": None}, "processes", {}),
    ],
)  # fmt: skip
def test_one_changed_reading_changes_one_fact(
    tmp_path: Path, change: dict[str, Any], group: str, expected: dict[str, Any]
) -> None:
    answer = ask(tmp_path, Machine(gpus=(FakeGpu(**change),)))
    record = changed(getattr(GOOD_GPU, group), **expected)
    assert listed(answer) == (changed(GOOD_GPU, **{group: record}),)


@pytest.mark.parametrize(
    ("change", "group", "where"),
    [
        ({"memory": None}, "memory", "nvmlDeviceGetMemoryInfo"),
        ({"throttle": None}, "clocks", "nvmlDeviceGetCurrentClocksEventReasons"),
        ({"compute": None}, "processes", "nvmlDeviceGetComputeRunningProcesses_v3"),
        ({"pcie": None, "pcie_replays": None}, "link", "nvmlDeviceGetCurrPcieLinkGeneration"),
    ],
)
def test_a_group_that_the_gpu_does_not_support_is_missing_with_nvmls_error(
    tmp_path: Path, change: dict[str, Any], group: str, where: str
) -> None:
    answer = ask(tmp_path, Machine(gpus=(FakeGpu(**change),)))
    assert listed(answer) == (changed(GOOD_GPU, **{group: Missing("unreadable", NOT_SUPPORTED, f"{where}, GPU 0")}),)


@pytest.mark.parametrize(
    ("confidential", "ready", "expected"),
    [(None, False, None), ((2, 1, 0), True, "on"), ((2, 1, 1), True, "devtools"), ((2, 1, 0), False, "not-ready")],
)
def test_confidential_computing_is_told_with_its_ready_state(
    tmp_path: Path, confidential: tuple[int, int, int] | None, ready: bool, expected: str | None
) -> None:
    answer = ask(tmp_path, Machine(confidential=confidential, confidential_ready=ready))
    assert listed(answer) == (changed(GOOD_GPU, modes=changed(GOOD_GPU.modes, confidential=expected)),)


def test_processes_are_told_with_memory_and_name_as_far_as_the_driver_tells(tmp_path: Path) -> None:
    gpu = FakeGpu(
        compute=(Process(41, 3 * GIB, "python3"), Process(42, None, None)), graphics=(Process(43, 9 * MIB, "Xorg"),)
    )
    expected = (
        GpuProcess(pid=41, used=3 * GIB, name="python3"),
        GpuProcess(pid=42),
        GpuProcess(pid=43, used=9 * MIB, name="Xorg", kind="graphics"),
    )
    processes = listed(ask(tmp_path, Machine(gpus=(gpu,))))[0].processes
    assert processes == GpuProcesses(source="NVML", processes=expected)


def test_mig_instances_are_told_with_uuid_name_and_memory(tmp_path: Path) -> None:
    slices = (
        MigSlice("MIG-aaaa", memory=10 * GIB),
        MigSlice("MIG-bbbb", "NVIDIA H100 80GB HBM3 MIG 2g.20gb", 20 * GIB),
    )
    answer = ask(tmp_path, Machine(gpus=(FakeGpu(mig_mode=(True, True), mig_slices=slices),)))
    instances = (
        MigInstance(uuid="MIG-aaaa", name="NVIDIA H100 80GB HBM3 MIG 1g.10gb", memory=10 * GIB),
        MigInstance(uuid="MIG-bbbb", name="NVIDIA H100 80GB HBM3 MIG 2g.20gb", memory=20 * GIB),
    )
    modes = changed(GOOD_GPU.modes, mig=True, mig_pending=True)
    assert listed(answer) == (changed(GOOD_GPU, modes=modes, mig=MigInstances(source="NVML", instances=instances)),)


def test_two_different_gpus_are_each_told(tmp_path: Path) -> None:
    old = {
        "name": "NVIDIA TITAN V",
        "pci": "00000001:65:00.0",
        "pci_id": 0x1D8110DE,
        "uuid": "GPU-old",
        "capability": (7, 0),
    }
    answer = ask(tmp_path, Machine(gpus=(FakeGpu(), FakeGpu(**old))))  # type: ignore[arg-type]
    expected = changed(
        GOOD_GPU,
        index=1,
        name="NVIDIA TITAN V",
        pci="0001:65:00.0",
        pci_device="1d81",
        uuid="GPU-old",
        capability=GpuCapability(source="NVML", value="7.0"),
    )
    assert listed(answer) == (GOOD_GPU, expected)


# -------------------------------------------------------------------------------------------- no NVML, no driver


@pytest.mark.skipif(ctypes.util.find_library("nvidia-ml") is not None, reason="this machine has an NVIDIA driver")
def test_no_library_is_a_result_and_shows_no_gpu(tmp_path: Path) -> None:
    answer = nvml(World(environ={"PATH": os.environ["PATH"]}), Limits.within(10))
    assert answer.gpus == Gpus(source="NVML", gpus=())
    assert isinstance(answer.nvml, Nvml)
    assert (answer.nvml.result, answer.nvml.library) == ("NVML_ERROR_LIBRARY_NOT_FOUND", None)
    assert "libnvidia-ml.so.1" in (answer.nvml.detail or "")


def test_a_library_that_the_loader_refuses_keeps_the_loaders_words(tmp_path: Path) -> None:
    (tmp_path / "libnvidia-ml.so.1").touch()  # what a container image built under the NVIDIA runtime leaves behind
    answer = nvml(World(environ={"LD_LIBRARY_PATH": str(tmp_path)}), Limits.within(10))
    assert isinstance(answer.nvml, Nvml)
    assert answer.nvml.result == "NVML_ERROR_LIBRARY_NOT_FOUND"
    assert answer.nvml.detail == f"{tmp_path}/libnvidia-ml.so.1: file too short"


@pytest.mark.parametrize(
    ("code", "name"),
    [(18, "NVML_ERROR_LIB_RM_VERSION_MISMATCH"), (4, "NVML_ERROR_NO_PERMISSION"), (999, "NVML_ERROR_UNKNOWN")],
)
def test_an_nvml_that_refuses_to_start_is_a_result_and_its_gpus_are_not_known(
    tmp_path: Path, code: int, name: str
) -> None:
    answer = ask(tmp_path, Machine(faults={"nvmlInitWithFlags": error(code)}))
    library = str(tmp_path / "lib" / "libnvidia-ml.so.580.65.06")
    assert answer == NvmlAnswer(
        Nvml(source="NVML", result=name, library=library), Missing("unreadable", name, "nvmlInit")
    )


def test_a_driver_that_is_not_loaded_shows_no_gpu(tmp_path: Path) -> None:
    answer = ask(tmp_path, Machine(faults={"nvmlInitWithFlags": error(9)}))
    assert isinstance(answer.nvml, Nvml)
    assert (answer.nvml.result, answer.gpus) == ("NVML_ERROR_DRIVER_NOT_LOADED", Gpus(source="NVML", gpus=()))


def test_a_refused_count_leaves_the_gpus_unknown(tmp_path: Path) -> None:
    answer = ask(tmp_path, Machine(faults={"nvmlDeviceGetCount_v2": error(999)}))
    assert answer.nvml == good_nvml(tmp_path)
    assert answer.gpus == Missing("unreadable", "NVML_ERROR_UNKNOWN", "nvmlDeviceGetCount")


def test_an_old_driver_tells_what_it_has_functions_for(tmp_path: Path) -> None:
    newer = (
        "nvmlDeviceGetComputeRunningProcesses_v3",
        "nvmlDeviceGetCurrentClocksEventReasons",
        "nvmlDeviceGetGpuFabricInfo",
        "nvmlDeviceGetGpuFabricInfoV",
        "nvmlDeviceGetGraphicsRunningProcesses_v3",
        "nvmlDeviceGetMemoryInfo_v2",
        "nvmlDeviceGetTemperatureV",
        "nvmlSystemGetConfComputeState",
    )
    machine = Machine(gpus=(FakeGpu(compute=(Process(41),)),), driver="450.80.02", cuda_version=11000, without=newer)
    answer = ask(tmp_path, machine)
    expected = changed(
        GOOD_GPU,
        memory=changed(GOOD_GPU.memory, used=600 * MIB),  # the first version counts what the driver reserves as used
        modes=changed(GOOD_GPU.modes, confidential=None),
        processes=GpuProcesses(source="NVML", processes=(GpuProcess(pid=41, used=512 * MIB, name="python3"),)),
        fabric=Missing("unreadable", "NVML_ERROR_FUNCTION_NOT_FOUND", "nvmlDeviceGetGpuFabricInfoV, GPU 0"),
    )
    assert isinstance(answer.nvml, Nvml)
    assert (answer.nvml.driver, answer.nvml.cuda, listed(answer)) == ("450.80.02", "11.0", (expected,))


# ------------------------------------------------------------------------------------------- faults of one GPU


def test_a_lost_gpu_hides_no_other(tmp_path: Path) -> None:
    answer = ask(tmp_path, with_faults(4, 2, nvmlDeviceGetHandleByIndex_v2=error(15)))
    lost = Gpu(source="NVML", index=2, error="NVML_ERROR_GPU_IS_LOST")
    why = Missing("unreadable", "NVML_ERROR_GPU_IS_LOST", "nvmlDeviceGetHandleByIndex, GPU 2")
    assert listed(answer) == (good(0), good(1), all_missing(lost, why), good(3))


def test_a_gpu_that_is_lost_after_its_handle_carries_the_error(tmp_path: Path) -> None:
    answer = ask(tmp_path, with_faults(2, 0, nvmlDeviceGetMemoryInfo_v2=error(15)))
    memory = Missing("unreadable", "NVML_ERROR_GPU_IS_LOST", "nvmlDeviceGetMemoryInfo, GPU 0")
    assert listed(answer) == (changed(good(0), error="NVML_ERROR_GPU_IS_LOST", memory=memory), good(1))


def test_a_gpu_that_cannot_tell_its_name_is_known_by_its_address(tmp_path: Path) -> None:
    answer = ask(tmp_path, with_faults(1, 0, nvmlDeviceGetName=error(999)))
    assert listed(answer) == (changed(good(0), name=None, error="NVML_ERROR_UNKNOWN"),)


def test_a_refused_permission_costs_its_own_group(tmp_path: Path) -> None:
    answer = ask(tmp_path, with_faults(1, 0, nvmlDeviceGetMemoryInfo_v2=error(4)))
    memory = Missing("unreadable", "NVML_ERROR_NO_PERMISSION", "nvmlDeviceGetMemoryInfo, GPU 0")
    assert listed(answer) == (changed(good(0), memory=memory),)


@pytest.mark.parametrize("index", [1, 3])
def test_a_gpu_whose_handle_hangs_hides_no_other(tmp_path: Path, index: int) -> None:
    answer = ask(tmp_path, with_faults(4, index, nvmlDeviceGetHandleByIndex_v2=HANG))
    why = Missing("timed-out", "no answer for 2 s", f"nvmlDeviceGetHandleByIndex, GPU {index}")
    expected = [good(0), good(1), good(2), good(3)]
    expected[index] = all_missing(Gpu(source="NVML", index=index), why)
    assert (answer.nvml, listed(answer)) == (good_nvml(tmp_path), tuple(expected))


def test_a_hang_in_one_reading_costs_that_group_alone(tmp_path: Path) -> None:
    answer = ask(tmp_path, with_faults(2, 0, nvmlDeviceGetPersistenceMode=HANG))
    modes = Missing("timed-out", "no answer for 2 s", "nvmlDeviceGetPersistenceMode, GPU 0")
    assert listed(answer) == (changed(good(0), modes=modes), good(1))


def test_a_gpu_that_hangs_again_is_given_up(tmp_path: Path) -> None:
    hanging = {"nvmlDeviceGetCudaComputeCapability": HANG, "nvmlDeviceGetComputeMode": HANG}
    answer = ask(tmp_path, with_faults(2, 0, **hanging))
    first = Missing("timed-out", "no answer for 2 s", "nvmlDeviceGetCudaComputeCapability, GPU 0")
    second = Missing("timed-out", "no answer for 2 s", "nvmlDeviceGetComputeMode, GPU 0")
    known = good(0)
    expected = changed(known, **{**dict.fromkeys(GROUPS, second), "capability": first, "memory": known.memory})
    assert listed(answer) == (expected, good(1))


@pytest.mark.parametrize(("fault", "name"), [(SEGV, "SIGSEGV"), (ABORT, "SIGABRT")])
def test_a_crash_inside_nvml_costs_that_group_alone(tmp_path: Path, fault: str, name: str) -> None:
    answer = ask(tmp_path, with_faults(3, 1, nvmlDeviceGetTemperatureThreshold=fault))
    clocks = Missing("crashed", f"signal {name}", "nvmlDeviceGetTemperatureThreshold, GPU 1")
    assert listed(answer) == (good(0), changed(good(1), clocks=clocks), good(2))


def test_a_gpu_that_crashes_nvml_again_and_again_is_given_up(tmp_path: Path) -> None:
    crashing = dict.fromkeys(
        ("nvmlDeviceGetComputeMode", "nvmlDeviceGetEccMode", "nvmlDeviceGetClockInfo", "nvmlDeviceGetMaxPcieLinkWidth"),
        SEGV,
    )
    answer = ask(tmp_path, with_faults(2, 0, **crashing))
    first, second, third = (
        Missing("crashed", "signal SIGSEGV", f"{name}, GPU 0")
        for name in ("nvmlDeviceGetComputeMode", "nvmlDeviceGetEccMode", "nvmlDeviceGetClockInfo")
    )
    given_up = dict.fromkeys(("clocks", "link", "nvlink", "fabric"), third)
    assert listed(answer) == (changed(good(0), modes=first, ecc=second, **given_up), good(1))


def test_a_gpu_whose_call_spins_leaves_time_for_the_others(tmp_path: Path) -> None:
    answer = ask(tmp_path, with_faults(2, 0, nvmlDeviceGetCudaComputeCapability=SPIN), seconds=12)
    capability = Missing("timed-out", "no answer in time", "nvmlDeviceGetCudaComputeCapability, GPU 0")
    assert listed(answer) == (changed(good(0), capability=capability), good(1))


def test_after_a_failure_the_other_gpus_come_first() -> None:
    survey = _Survey(work=[(0, "modes"), (0, "ecc"), (1, "modes"), (1, "ecc")])
    assert survey.go_on(_Blame((0, "modes"), Missing("timed-out")))
    assert survey.work == [(1, "modes"), (1, "ecc"), (0, "ecc")]


# ------------------------------------------------------------------------------------------ faults of the whole


def test_a_hang_at_the_start_is_told_and_ends_in_time(tmp_path: Path) -> None:
    started = time.monotonic()
    answer = ask(tmp_path, Machine(faults={"nvmlInitWithFlags": HANG}))
    why = Missing("timed-out", "no answer for 2 s", "nvmlInit")
    assert answer == NvmlAnswer(why, why)
    assert time.monotonic() - started < IDLE + BUSY
    assert not children._running


def test_the_overall_deadline_holds_whatever_hangs(tmp_path: Path) -> None:
    machine = Machine(gpus=gpus(4), faults={"nvmlDeviceGetHandleByIndex_v2": HANG})
    started = time.monotonic()
    found = listed(ask(tmp_path, machine, seconds=10, idle=60))
    assert time.monotonic() - started < 10 + BUSY
    assert all(isinstance(gpu.memory, Missing) and gpu.memory.kind == "timed-out" for gpu in found)
    assert len(found) == 4


def test_a_libcuda_that_crashes_inside_nvml_does_not_cost_the_gpus(tmp_path: Path) -> None:
    answer = ask(tmp_path, Machine(faults={"nvmlSystemGetCudaDriverVersion_v2": SEGV}))
    detail = "crashed: nvmlSystemGetCudaDriverVersion_v2: signal SIGSEGV"
    assert answer.nvml == changed(good_nvml(tmp_path), cuda=None, detail=detail)
    assert listed(answer) == (GOOD_GPU,)


def test_a_driver_that_prints_on_standard_output_changes_nothing(tmp_path: Path) -> None:
    answer = ask(tmp_path, Machine(faults={"nvmlDeviceGetName": prints('NVRM: {"step": 1} @gpudoctor')}))
    assert answer == NvmlAnswer(good_nvml(tmp_path), Gpus(source="NVML", gpus=(GOOD_GPU,)))


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    name = b"\x1b[31m[bold]\xff\xfe\r\n@gpudoctor {}\x07 100%"
    gpu = FakeGpu(name=name, uuid=b"GPU-\xc3\x28", compute=(Process(41, 1, b"\x80" + b"x" * 10_000),))
    answer = ask(tmp_path, Machine(gpus=(gpu,)))
    found = listed(answer)[0]
    assert found.name == "\x1b[31m[bold]\ufffd\ufffd\r\n@gpudoctor {}\x07 100%"
    assert found.uuid == "GPU-\ufffd("
    assert isinstance(found.processes, GpuProcesses)
    assert found.processes.processes[0].name == "\ufffd" + "x" * 1022
    facts = Facts(nvml=answer.nvml, gpus=answer.gpus)
    assert decode(encode(facts)) == facts


def test_nothing_in_the_working_directory_or_pythonpath_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trap = tmp_path / "trap"
    trap.mkdir()
    for name in ("json", "ctypes", "os", "pynvml", "sitecustomize", "usercustomize"):
        (trap / f"{name}.py").write_text(f"open({str(trap / 'sprung')!r}, 'w').close()\nraise SystemExit(3)\n")
    monkeypatch.chdir(trap)
    monkeypatch.syspath_prepend(str(trap))
    monkeypatch.syspath_prepend("")
    monkeypatch.setenv("PYTHONPATH", str(trap))
    answer = ask(tmp_path / "machine", Machine())
    assert listed(answer) == (GOOD_GPU,)
    assert sorted(path.suffix for path in trap.iterdir()) == [".py"] * 6


# -------------------------------------------------------------------------------------------------- the witness


def test_a_witness_tells_memory_and_which_of_the_processes_the_driver_sees(tmp_path: Path) -> None:
    second = replace(gpus(2)[1], memory=(80 * GIB, 0, 5 * GIB), compute=(Process(41, 4 * GIB), Process(7, GIB)))
    world = world_of(tmp_path, Machine(gpus=(FakeGpu(), second)))
    assert witness(world, (41, 99), 1, Limits.within(10)) == Witness(
        gpu=1, used=5 * GIB, total=80 * GIB, processes=(GpuProcess(pid=41, used=4 * GIB),), listed=2
    )


def test_a_witness_without_a_process_list_says_so_and_keeps_the_memory(tmp_path: Path) -> None:
    world = world_of(tmp_path, Machine(gpus=(FakeGpu(compute=None),)))  # as in WSL
    refused = "nvmlDeviceGetComputeRunningProcesses_v3: NVML_ERROR_NOT_SUPPORTED"
    assert witness(world, (41,), 0, Limits.within(10)) == Witness(gpu=0, used=0, total=80 * GIB, refused=refused)


@pytest.mark.parametrize(
    ("machine", "index", "expected"),
    [
        (
            with_faults(1, 0, nvmlDeviceGetHandleByIndex_v2=error(15)),
            0,
            Missing("unreadable", "NVML_ERROR_GPU_IS_LOST", "nvmlDeviceGetHandleByIndex, GPU 0"),
        ),
        (
            with_faults(1, 0, nvmlDeviceGetMemoryInfo_v2=HANG),
            0,
            Missing("timed-out", "no answer for 2 s", "nvmlDeviceGetMemoryInfo, GPU 0"),
        ),
        (
            Machine(faults={"nvmlInitWithFlags": error(18)}),
            0,
            Missing("unreadable", "NVML_ERROR_LIB_RM_VERSION_MISMATCH", "nvmlInit"),
        ),
        (Machine(), 5, Missing("unreadable", "NVML_ERROR_INVALID_ARGUMENT", "nvmlDeviceGetHandleByIndex, GPU 5")),
    ],
)
def test_a_witness_that_cannot_look_is_missing(tmp_path: Path, machine: Machine, index: int, expected: Missing) -> None:
    assert witness(world_of(tmp_path, machine), (1,), index, Limits.within(10, IDLE)) == expected


# ------------------------------------------------------------------------------------------------ small and pure


@pytest.mark.parametrize(
    ("number", "version"), [(13000, "13.0"), (12080, "12.8"), (11020, "11.2"), (9010, "9.1"), (0, "0.0")]
)
def test_a_cuda_version_number_is_read_as_major_and_minor(number: int, version: str) -> None:
    assert nvml_child.cuda_version(number) == version


# ------------------------------------------------------------------- the laboratory, seen by nvidia-ml-py's own API

CLIENT = """
import json, pynvml as n
n.nvmlInit()
g = n.nvmlDeviceGetHandleByUUID("GPU-5e1f7c2a-0000-4000-8000-0000000000a1")
pci, memory = n.nvmlDeviceGetPciInfo(g), n.nvmlDeviceGetMemoryInfo(g, n.nvmlMemory_v2)
[process] = n.nvmlDeviceGetComputeRunningProcesses(g)
print(json.dumps([
    n.nvmlSystemGetDriverVersion(), n.nvmlSystemGetNVMLVersion(), n.nvmlDeviceGetCount(), n.nvmlDeviceGetIndex(g),
    n.nvmlDeviceGetName(g), n.nvmlDeviceGetUUID(g), pci.busId, pci.busIdLegacy, pci.bus, hex(pci.pciDeviceId),
    [memory.total, memory.reserved, memory.free, memory.used], n.nvmlDeviceGetCudaComputeCapability(g),
    [process.pid, process.usedGpuMemory, process.gpuInstanceId], n.nvmlSystemGetProcessName(process.pid),
    n.nvmlDeviceGetUtilizationRates(g).gpu, n.nvmlDeviceGetTemperature(g, 0),
]))
n.nvmlShutdown()
try:
    n.nvmlDeviceGetCount()
except n.NVMLError_Uninitialized as error:
    print(error)
"""


def test_nvidia_ml_py_itself_sees_the_described_machine(tmp_path: Path) -> None:
    second = replace(gpus(2)[1], compute=(Process(41, 3 * GIB, "train.py"),))
    environ = {**os.environ, **install(tmp_path, Machine(gpus=(FakeGpu(), second)))}
    done = subprocess.run([sys.executable, "-c", CLIENT], env=environ, capture_output=True, text=True, check=True)
    first, second_line = done.stdout.splitlines()
    assert json.loads(first) == [
        "580.65.06", "13.580.65.06", 2, 1,
        "NVIDIA H100 80GB HBM3", second.uuid, "00000000:27:00.0", "0000:27:00.0", 0x27, "0x233010de",
        [80 * GIB, 600 * MIB, 80 * GIB - 600 * MIB, 0], [9, 0],
        [41, 3 * GIB, 0xFFFFFFFF], "train.py", 0, 34,
    ]  # fmt: skip
    assert second_line == "Uninitialized"
