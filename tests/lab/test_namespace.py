"""End to end: the program itself on a described machine that is laid over this one, in a private mount namespace."""

from __future__ import annotations

import ctypes.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.run import ROOT, environ, survivors
from tests.lab.drivers.needs import need_compiler
from tests.lab.machines.description import Description, read
from tests.lab.machines.look import laid_out

_SECONDS = 120
_REFUSED = 125
MACHINES = (
    "healthy.h100-server",
    "healthy.8xh100-with-fabric",
    "cuda-visible-devices.minus-one",
    "device-nodes-missing.no-nvidia-uvm-after-boot",
    "driver-library-mismatch.updated-and-not-rebooted",
    "driver-not-loaded.ubuntu-24.04-after-kernel-update",
    "fabric-manager-not-running.hgx-after-reboot",
    "gpu-lost.one-of-four",
    "nouveau-in-use.fresh-ubuntu-installation",
    "torch-cpu-build.beside-a-working-gpu",
)


@pytest.fixture(scope="module", autouse=True)
def _possible() -> None:
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("a mount namespace needs Linux and root")
    if ctypes.util.find_library("cuda"):
        pytest.skip("this machine has an NVIDIA driver of its own, which would show through")
    need_compiler()


@pytest.fixture(autouse=True)
def _nothing_stays_mounted() -> Iterator[None]:
    before = Path("/proc/self/mountinfo").read_text()
    yield
    assert Path("/proc/self/mountinfo").read_text() == before


def _diagnosed(description: Description, folder: Path) -> dict[str, Any]:
    """The JSON report of ``gpudoctor diagnose --quick`` as a program inside; skips where the kernel refuses."""
    world = laid_out(description, folder / "machine")
    own = {name: value for name, value in world.environ.items() if name not in ("LD_LIBRARY_PATH", "PATH")}
    inside = {"GPUDOCTOR_LAB_MACHINE": "/lab-machine.txt", "GPUDOCTOR_LAB_RUN": str(folder)}
    variables = {**environ(Path("/home/ann")), **own, **inside}
    options = ("--quick", "--format", "json", "--no-redact", "--python", description.python.prefix)
    command = (sys.executable, "-m", "gpudoctor", "diagnose", *options)
    argv = (sys.executable, "-m", "tests.lab.machines.namespace", str(world.root), *command)
    done = subprocess.run(argv, env=variables, cwd=ROOT, capture_output=True, text=True, check=False, timeout=_SECONDS)
    assert survivors(f"GPUDOCTOR_LAB_RUN={folder}") == []
    if done.returncode == _REFUSED:
        pytest.skip(done.stderr.strip())
    report = json.loads(done.stdout)
    assert isinstance(report, dict)
    return report


@pytest.mark.parametrize("name", MACHINES)
def test_the_program_says_of_the_machine_around_it_what_its_file_says(name: str, tmp_path: Path) -> None:
    description = read(name)
    report = _diagnosed(description, tmp_path)
    cause = report["cause"]["rule"] if report["cause"] else None
    rules = {(finding["severity"], finding["rule"]) for finding in report["findings"]}
    expected = {tuple(line.split()[:2]) for line in description.findings}
    assert (report["status"], cause, rules) == (description.expect, description.cause, expected)


def test_the_program_sees_the_machine_around_it_and_not_this_one(tmp_path: Path) -> None:
    facts = _diagnosed(read("healthy.8xh100-with-fabric"), tmp_path)["facts"]
    assert facts["system"]["name"] == "Ubuntu 24.04.3 LTS"
    assert facts["system"]["kernel"] == "6.8.0-85-generic"
    assert facts["kernel_driver"]["version"] == "580.95.05"
    assert len(facts["pci"]["devices"]) == 8
    assert len(facts["gpus"]["gpus"]) == 8
    assert facts["toolkits"]["toolkits"] == []
    assert {node["opens"] for node in facts["device_nodes"]["nodes"]} == {None}
    assert facts["libcuda"]["taken"]["version"] == "580.95.05"
    fabric = next(one for one in facts["services"]["services"] if one["name"] == "nvidia-fabricmanager")
    assert (fabric["state"], fabric["version"]) == ("active", "580.95.05")
