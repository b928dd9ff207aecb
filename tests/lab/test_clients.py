"""Programs that nobody here wrote show the described GPUs: nvidia-ml-py, gpustat and nvitop on the fake libraries."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.lab.drivers.fake import MIB, Machine, Process, install
from tests.lab.drivers.needs import need_compiler
from tests.lab.machines.description import read
from tests.lab.machines.root import machine

_SECONDS = 120

# Every GPU with one reading a line; what nvidia-ml-py raises is told by its own words.
_CALLS = """
import json, pynvml as n
n.nvmlInit()

READINGS = ("Name", "UUID", "CudaComputeCapability", "MemoryInfo", "PowerManagementLimit", "MaxPcieLinkGeneration",
            "ComputeMode", "MigMode", "EccMode", "RemappedRows")

def said(call, argument):
    try:
        value = call(argument)
    except n.NVMLError as error:
        return str(error)
    return {field: getattr(value, field) for field, _ in value._fields_} if hasattr(value, "_fields_") else value

def gpu(index):
    try:
        handle = n.nvmlDeviceGetHandleByIndex(index)
    except n.NVMLError as error:
        return str(error)
    return {reading: said(getattr(n, "nvmlDeviceGet" + reading), handle) for reading in READINGS}

print(json.dumps({
    "driver": n.nvmlSystemGetDriverVersion(),
    "cuda": n.nvmlSystemGetCudaDriverVersion(),
    "gpus": [gpu(index) for index in range(n.nvmlDeviceGetCount())],
}))
"""


@pytest.fixture(scope="session")
def clients(clients_python: Path) -> Path:
    """An interpreter that has nvidia-ml-py, gpustat and nvitop."""
    need_compiler()
    return clients_python


def _environ(folder: Path, described: Machine) -> Mapping[str, str]:
    # As wide as nvitop needs for everything.
    terminal = {"COLUMNS": "120", "LINES": "60", "TERM": "xterm", "PYTHONIOENCODING": "utf-8"}
    return {**os.environ, **install(folder, described), **terminal}


def _ran(python: Path, environ: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [str(python), *arguments]
    return subprocess.run(argv, env=dict(environ), capture_output=True, text=True, check=False, timeout=_SECONDS)


def _described(name: str) -> Machine:
    return machine(read(name))


def test_nvidia_ml_py_reads_what_the_description_says(clients: Path, tmp_path: Path) -> None:
    ran = _ran(clients, _environ(tmp_path / "m", _described("gpu-lost.one-of-four")), "-c", _CALLS)
    told: dict[str, Any] = json.loads(ran.stdout)
    assert (told["driver"], told["cuda"]) == ("580.95.05", 13000)
    assert told["gpus"][2] == "GPU is lost"
    healthy = {
        "Name": "NVIDIA H100 80GB HBM3",
        "CudaComputeCapability": [9, 0],
        "MemoryInfo": {"total": 81559 * MIB, "free": 81159 * MIB, "used": 400 * MIB},
        "PowerManagementLimit": 700_000,
        "MaxPcieLinkGeneration": 5,
        "ComputeMode": 0,
        "MigMode": [0, 0],
        "EccMode": [1, 1],
        "RemappedRows": [0, 0, 0, 0],
    }
    uuid = "GPU-5e1f7c2a-0000-4000-8000-0000000000a"
    assert [gpu for gpu in told["gpus"] if isinstance(gpu, dict)] == [
        {**healthy, "UUID": f"{uuid}{index}"} for index in (0, 1, 3)
    ]


def test_what_a_gpu_does_not_have_is_not_supported_to_nvidia_ml_py(clients: Path, tmp_path: Path) -> None:
    ran = _ran(clients, _environ(tmp_path / "m", _described("healthy.k80-driver-470-cuda-11-build")), "-c", _CALLS)
    told: dict[str, Any] = json.loads(ran.stdout)
    assert (told["driver"], told["cuda"], len(told["gpus"])) == ("470.256.02", 11040, 2)
    assert (told["gpus"][0]["MigMode"], told["gpus"][0]["RemappedRows"]) == ("Not Supported", "Not Supported")
    assert told["gpus"][0]["CudaComputeCapability"] == [3, 7]


def test_gpustat_prints_the_described_gpus_and_their_processes(clients: Path, tmp_path: Path) -> None:
    described = _described("healthy.two-rtx-3090-without-nvlink")
    first = replace(described.gpus[0], compute=(Process(os.getpid(), 2048 * MIB),), utilization=37)
    described = replace(described, gpus=(first, described.gpus[1]))
    told = json.loads(_ran(clients, _environ(tmp_path / "m", described), "-m", "gpustat", "--json").stdout)
    assert told["driver_version"] == "550.163.01"
    shown = [(gpu["index"], gpu["name"], gpu["memory.total"], gpu["utilization.gpu"]) for gpu in told["gpus"]]
    assert shown == [(0, "NVIDIA GeForce RTX 3090", 24576, 37), (1, "NVIDIA GeForce RTX 3090", 24576, 0)]
    processes = [(process["pid"], process["gpu_memory_usage"]) for process in told["gpus"][0]["processes"]]
    assert processes == [(os.getpid(), 2048)]


def test_gpustat_shows_the_lost_gpu_among_the_others(clients: Path, tmp_path: Path) -> None:
    told = json.loads(
        _ran(clients, _environ(tmp_path / "m", _described("gpu-lost.one-of-four")), "-m", "gpustat", "--json").stdout
    )
    h100 = "NVIDIA H100 80GB HBM3"
    assert [gpu["name"] for gpu in told["gpus"]] == [h100, h100, "((GPU is lost))", h100]


def test_nvitop_prints_the_described_gpus(clients: Path, tmp_path: Path) -> None:
    ran = _ran(clients, _environ(tmp_path / "m", _described("healthy.rtx-5090-desktop")), *_NVITOP)
    lines = [line for line in ran.stdout.splitlines() if "|   0  " in line or "/ 575W" in line]
    assert "Driver Version: 580.95.05      CUDA Driver Version: 13.0" in ran.stdout
    first, second = (re.sub(r" +", " ", line) for line in lines[:2])
    assert "| 0 GeForce RTX 5090 On | 00000000:17:00.0 On | N/A |" in first
    assert "34C N/A 71W / 575W | 500.0MiB / 31.84GiB | 0% Default |" in second


def test_nvitop_prints_the_mig_instance(clients: Path, tmp_path: Path) -> None:
    ran = _ran(clients, _environ(tmp_path / "m", _described("healthy.a100-mig-slice")), *_NVITOP)
    instance = next((line for line in ran.stdout.splitlines() if "1g.10gb" in line), ran.stderr)
    assert re.sub(r" +", " ", instance).startswith("| 0:0 1g.10gb @ GI/CI:N/A/N/A| 0B / 10240MiB |")


@pytest.mark.parametrize("program", ["gpustat", "nvitop"])
def test_a_version_mismatch_is_what_the_real_library_says_it_is(clients: Path, tmp_path: Path, program: str) -> None:
    described = _described("driver-library-mismatch.updated-and-not-rebooted")
    arguments = _NVITOP if program == "nvitop" else ("-m", "gpustat")
    ran = _ran(clients, _environ(tmp_path / "m", described), *arguments)
    assert ran.returncode == 1
    assert "RM has detected an NVML/RM version mismatch." in ran.stdout + ran.stderr


_NVITOP = ("-m", "nvitop", "--once", "--ascii")
