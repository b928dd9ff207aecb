"""Laws: the collector brings home the facts that ``diagnose --quick`` finds, field by field, and so the same cause."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from gpudoctor.facts import Facts, Gpus, Missing
from gpudoctor.privacy import identify, redact
from gpudoctor.report import judge
from gpudoctor.world import World
from tests.collector.places import diagnosed, differences, elsewhere, interpreters, run, triaged, written
from tests.lab.drivers.fake import ABORT, HANG, SEGV, FakeGpu, Machine, MigSlice, Process, error, gpus, install, prints
from tests.lab.drivers.needs import need_compiler
from tests.made_environment import Made, install_cuda_torch, make, put, torch_files
from tests.made_environment import install as package
from tests.probes.roots import GOOD, UNREADABLE, Content, changed, write_root


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("collector"))


@pytest.fixture(scope="module")
def cuda_torch(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """An environment with PyTorch for CUDA 12.6 and a package whose requirement is not met."""
    made = make(tmp_path_factory.mktemp("environments") / "cuda" / ".venv")
    install_cuda_torch(made.site)
    made.install("torchvision", "0.20.0", requires=("torch==2.5.0", "numpy"))
    made.install("nvidia-cudnn-cu12", "9.5.1.17", files={"nvidia/cudnn/lib/libcudnn.so.9": b""})
    (made.root.parent / "uv.lock").write_text("version = 1\n")
    return made


@pytest.fixture(scope="module")
def new_torch(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """An environment with PyTorch for CUDA 13.0, which has no code for old GPUs."""
    made = make(tmp_path_factory.mktemp("environments") / "new")
    made.install("torch", "2.9.0+cu130", files=torch_files("2.9.0+cu130", "13.0", "sm_75 sm_80 sm_90 sm_100 sm_120"))
    return made


@pytest.fixture(scope="module")
def cpu_torch(tmp_path_factory: pytest.TempPathFactory) -> Made:
    made = make(tmp_path_factory.mktemp("environments") / "cpu")
    made.install("torch", "2.9.0+cpu", files=torch_files("2.9.0+cpu", None))
    return made


def same(file: Path, world: World, made: Made) -> Facts:
    """The facts of the collector, after they were compared with those of gpudoctor."""
    found, brought = diagnosed(world, made.python), triaged(elsewhere(file, world, made.python))
    assert differences(found, brought, world.is_real) == {}
    one, other = judge(found), judge(brought)
    assert (other.status, other.cause, other.findings) == (one.status, one.cause, one.findings)
    return brought


# --------------------------------------------------------------------------------------------------- this machine


@pytest.mark.parametrize("version", interpreters())
def test_the_facts_of_this_machine_are_the_same_whichever_python_collects(
    file: Path, cuda_torch: Made, version: str
) -> None:
    environ = {**os.environ, "CUDA_VISIBLE_DEVICES": "0,1", "SECRET_THING": "x"}
    done = run(file, "--python", cuda_torch.python, "--no-redact", python=interpreters()[version], environ=environ)
    assert (done.returncode, done.stderr) == (0, "")
    found = diagnosed(World(environ=environ), cuda_torch.python)
    assert differences(found, triaged(done.stdout)) == {}


def test_what_leaves_is_redacted_as_a_report_is(file: Path, cuda_torch: Made) -> None:
    done = run(file, "--python", cuda_torch.python)
    assert (done.returncode, done.stderr) == (0, "")
    found, _ = redact(diagnosed(World(), cuda_torch.python), identify(os.environ, platform.node()))
    assert differences(found, triaged(done.stdout)) == {}


def test_redaction_costs_no_fact_of_an_environment_in_a_home_folder(file: Path, tmp_path: Path) -> None:
    home = tmp_path / "home" / "annaberg"
    made = make(home / "project" / ".venv")
    install_cuda_torch(made.site)
    (home / "project" / "uv.lock").write_text("version = 1\n")
    put(home / "late" / "numpy", {"__init__.py": ""})
    for folder, version in ((home / "early", "2.5.0"), (home / "late", "2.6.0")):
        package(folder, "torch", version, files=torch_files(version, "12.4", "sm_80"))
        package(folder, "tensorflow", version, requires=("numpy>=2", "nvidia-cublas-cu12==12.4.5.8"))
    (home / "work").mkdir()
    environ = {
        "PATH": f"{home}/bin:{os.environ['PATH']}",
        "HOME": str(home),
        "USER": "annaberg",
        "PYTHONPATH": f"{home}/early:{home}/late",
        "LD_LIBRARY_PATH": f"{home}/lib",
        "VIRTUAL_ENV": str(made.root),
    }
    world = World(environ=environ)
    found, _ = redact(diagnosed(world, made.python), identify(environ, platform.node()))
    brought = triaged(elsewhere(file, world, made.python, redact=True))
    assert differences(found, brought) == {}
    assert "annaberg" not in str(brought)


def test_the_plain_form_carries_the_same_facts(file: Path, cuda_torch: Made) -> None:
    done = run(file, "--python", cuda_torch.python, "--plain", "--no-redact")
    assert (done.returncode, done.stderr) == (0, "")
    assert differences(diagnosed(World(), cuda_torch.python), triaged(done.stdout)) == {}


# ---------------------------------------------------------------------------------------------- machines with GPUs

WITH_DRIVERS: dict[str, Machine] = {
    "one healthy GPU": Machine(),
    "eight healthy GPUs": Machine(gpus=gpus(8)),
    "an old driver": Machine(driver="470.223.02", cuda_version=11040),
    "a kernel module of another version": Machine(faults={"nvmlInitWithFlags": error(18), "cuInit": error(803)}),
    "a GPU that fell off the bus": Machine(
        gpus=(
            FakeGpu(),
            FakeGpu(uuid="GPU-2", pci="00000000:27:00.0", faults={"nvmlDeviceGetHandleByIndex_v2": error(15)}),
        )
    ),
    "NVML crashes at one GPU's name": Machine(
        gpus=(gpus(2)[0], replace(gpus(2)[1], faults={"nvmlDeviceGetName": SEGV}))
    ),
    "NVML aborts at the ECC mode": Machine(gpus=(FakeGpu(faults={"nvmlDeviceGetEccMode": ABORT}),)),
    "no libcuda": Machine(cuda=False),
    "no NVML": Machine(nvml=False),
    "fabric manager does not run": Machine(gpus=(FakeGpu(fabric=(2, 0)),), faults={"cuInit": error(802)}),
    "cuInit knows no device": Machine(faults={"cuInit": error(100)}),
    "an unknown error": Machine(faults={"cuInit": error(999)}),
    "MIG": Machine(
        gpus=(FakeGpu(mig_mode=(True, True), mig_slices=(MigSlice(uuid="MIG-5e1f7c2a-0000-4000-8000-000000000001"),)),)
    ),
    "a GPU for one process": Machine(
        gpus=(FakeGpu(compute_mode=3, compute=(Process(4242), Process(17, None, b"\xff\xfe"))),)
    ),
    "uncorrectable memory errors": Machine(gpus=(FakeGpu(ecc_errors=(0, 0, 3, 3), remapped=(0, 1, True, False)),)),
    "a GPU too old for the build": Machine(
        gpus=(FakeGpu(name="Tesla V100-SXM2-16GB", capability=(7, 0), fabric=None, nvlink=()),)
    ),
    "a name that is no UTF-8": Machine(gpus=(FakeGpu(name=b"H\xff100\x1b[31m"),)),
    "a driver that prints": Machine(faults={"nvmlInitWithFlags": prints("@gpudoctor {}"), "cuInit": prints("hello")}),
    "an old NVML": Machine(
        without=("nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetGpuFabricInfoV")
    ),
}


@pytest.mark.parametrize("name", WITH_DRIVERS)
def test_a_machine_with_a_driver_gives_the_same_facts_and_cause(
    name: str, file: Path, new_torch: Made, tmp_path: Path
) -> None:
    need_compiler()
    environ = {"PATH": os.environ["PATH"], **install(tmp_path / "driver", WITH_DRIVERS[name])}
    facts = same(file, World(environ=environ), new_torch)
    assert facts.framework("torch") is not None


@pytest.mark.parametrize("version", interpreters())
def test_the_driver_tells_the_same_whichever_python_asks(
    version: str, file: Path, new_torch: Made, tmp_path: Path
) -> None:
    need_compiler()
    driver = install(tmp_path / "driver", replace(WITH_DRIVERS["a GPU that fell off the bus"], confidential=(1, 1, 0)))
    world = World(environ={**os.environ, **driver})
    arguments = ("--python", new_torch.python, "--no-redact")
    done = run(file, *arguments, python=interpreters()[version], environ=world.environ)
    assert (done.returncode, done.stderr) == (0, "")
    assert differences(diagnosed(world, new_torch.python), triaged(done.stdout)) == {}


def test_a_driver_that_hangs_at_one_gpu_costs_that_reading_alone(file: Path, new_torch: Made, tmp_path: Path) -> None:
    need_compiler()
    first, second, third = gpus(3)
    hanging = Machine(gpus=(first, replace(second, faults={"nvmlDeviceGetEccMode": HANG}), third))
    environ = {"PATH": os.environ["PATH"], **install(tmp_path / "driver", hanging)}
    brought = triaged(elsewhere(file, World(environ=environ), new_torch.python, seconds=12.0)).gpus
    assert isinstance(brought, Gpus)
    assert [isinstance(gpu.ecc, Missing) for gpu in brought.gpus] == [False, True, False]
    assert [isinstance(gpu.memory, Missing) for gpu in brought.gpus] == [False, False, False]
    ecc = brought.gpus[1].ecc
    assert isinstance(ecc, Missing)
    assert (ecc.kind, ecc.where) == ("timed-out", "nvmlDeviceGetEccMode, GPU 1")


def test_the_lab_machines_differ_in_their_causes(file: Path, new_torch: Made, tmp_path: Path) -> None:
    need_compiler()
    causes = set()
    for name in (
        "one healthy GPU",
        "an old driver",
        "a kernel module of another version",
        "a GPU too old for the build",
    ):
        environ = {"PATH": os.environ["PATH"], **install(tmp_path / name, WITH_DRIVERS[name])}
        cause = judge(triaged(elsewhere(file, World(environ=environ), new_torch.python))).cause
        causes.add(cause.rule if cause else None)
    assert len(causes) >= 3


# ------------------------------------------------------------------------------------------------- recorded machines

RECORDED: dict[str, Mapping[str, Content | None]] = {
    "a desktop": {},
    "no kernel module loaded": {
        "/proc/driver/nvidia": None,
        "/sys/module/nvidia": None,
        "/proc/modules": "snd 1 0 - Live 0x0\n",
    },
    "a log with an Xid": {"/var/log/kern.log": "[ 9.1] NVRM: Xid (PCI:0000:01:00): 79, GPU has fallen off the bus.\n"},
    "a container": {"/run/.containerenv": "", "/proc/self/cgroup": "0::/libpod-0123456789abcdef\n"},
    "WSL": {"/proc/sys/kernel/osrelease": "5.15.90.1-microsoft-standard-WSL2\n", "/dev/dxg": ""},
    "a Jetson": {
        "/etc/nv_tegra_release": "# R36 (release), REVISION: 4.0, GCID: 1\n",
        "/proc/device-tree/compatible": "nvidia,tegra234\0",
    },
    "a device tree of Arm": {"/proc/cpuinfo": "processor\t: 0\nFeatures\t: fp asimd\n"},
    "nothing can be read": dict.fromkeys(
        ("/proc/modules", "/proc/cpuinfo", "/proc/meminfo", "/etc/os-release"), UNREADABLE
    ),
    "toolkits and cuDNN": {
        "/usr/local/cuda-12.4/version.json": '{"cuda": {"version": "12.4.1"}}',
        "/usr/local/cuda-12.4/bin/nvcc": b"\x7fELF",
        "/usr/lib/x86_64-linux-gnu/libcudnn.so.9.1.0": b"\x7fELF\x02",
    },
}


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_machine_gives_the_same_facts_and_cause(
    name: str, file: Path, cpu_torch: Made, tmp_path: Path
) -> None:
    environ = {"PATH": "/usr/bin", "CUDA_HOME": "/usr/local/cuda-12.4", "NCCL_DEBUG": "INFO", "HOME": "/home/user"}
    same(file, write_root(tmp_path / "root", changed(GOOD, RECORDED[name]), environ), cpu_torch)


# -------------------------------------------------------------------------------------- interpreters that do not answer


@pytest.mark.parametrize(
    ("script", "kind"),
    [("exit 3", "crashed"), ("echo '@gpudoctor {\"interpreter\": 3}'", "unreadable"), ("kill -SEGV $$", "crashed")],
)
def test_an_interpreter_that_does_not_answer_is_missing_with_the_same_words(
    script: str, kind: str, file: Path, tmp_path: Path
) -> None:
    place = tmp_path / "python"
    place.write_text(f"#!/bin/sh\n{script}\n")
    place.chmod(0o755)
    found, brought = (
        diagnosed(World(), str(place)).interpreter,
        triaged(elsewhere(file, World(), str(place))).interpreter,
    )
    assert isinstance(found, Missing)
    assert isinstance(brought, Missing)
    assert brought.kind == found.kind == kind
    assert brought.where == found.where


def test_this_python_is_the_one_that_runs_the_suite() -> None:
    assert f"{sys.version_info[0]}.{sys.version_info[1]}" in interpreters()
