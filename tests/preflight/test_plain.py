"""The law of plain facts: no rule finds an error on them, and nothing essential is unknown."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from gpudoctor import facts as f
from gpudoctor.preflight.fit import status_of
from gpudoctor.preflight.judged import request_for
from gpudoctor.preflight.plain import plain
from gpudoctor.preflight.requirements import parse
from gpudoctor.report import judge
from tests.good import GOOD, H100, change, with_gpu

_ENVIRONMENT = ("interpreter", "packages", "pins", "shadows", "other_environments", "frameworks", "toolkits", "cudnn")
SOUND = with_gpu(
    change(
        request=request_for(parse("gpus>=1")),
        smokes=(),
        **dict.fromkeys(_ENVIRONMENT, f.NOT_ASKED),  # type: ignore[arg-type]
    ),
    fabric=f.GpuFabric(source="NVML", state="completed", status="NVML_SUCCESS"),
    nvlink=f.NvLink(source="NVML", links=18, active=18),
)

HUNG = f.Missing("timed-out", "no answer in time")
TEXTS = (
    "NVRM: Xid (PCI:0000:1b:00): 79, pid=1, GPU has fallen off the bus.",
    "NVRM: GPU 0000:1b:00.0: RmInitAdapter failed! (0x62:0xffff:2477)",
    "NVRM: API mismatch: the client has the version 580.65.06, but this kernel module has the version 575.57.08.",
    "nouveau 0000:1b:00.0: NVIDIA GH100",
    "NVRM: loading NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build",
    "python[14220]: segfault at 8 ip 00007fbe78726594 sp 00007ffdc0c07ea0 error 6 in libnvidia-ml.so.580.65.06",
    "nvidia 0000:1b:00.0: BAR 1: no space for [mem size 0x2000000000 64bit pref]",
    "traps: python[77] trap invalid opcode ip:7f sp:7f error:0 in libtorch_cpu.so",
)

# One field of the machine, or of GPU 0, and the values that it may take beside the sound one.
MACHINE: dict[str, tuple[Any, ...]] = {
    "system": (HUNG, {"os": "windows"}, {"kernel": None}, {"distribution": "fedora", "kernel": "6.18.1"}),
    "wsl": (HUNG, {"version": 2}, {"version": 1}),
    "container": (HUNG, *({"engine": name} for name in ("docker", "podman", "containerd", "lxc", "apptainer"))),
    "jetson": ({"l4t": "36.4.0"}, HUNG),
    "hosted": ({"service": "colab"},),
    "scheduler": ({"name": "slurm", "job": "1"}, {"name": "slurm", "job": "1", "gpus": ""}),
    "pci": (HUNG, {"devices": ()}, *({"devices": (d,)} for d in (
        f.PciDevice(address="0000:1b:00.0", vendor="10de", device="2330", driver=None),
        f.PciDevice(address="0000:1b:00.0", vendor="10de", device="2330", driver="nouveau"),
        f.PciDevice(address="0000:1b:00.0", vendor="10de", device="2330", driver="vfio-pci"),
        f.PciDevice(address="0000:1b:00.0", vendor="10de", device="2330", driver="nvidia", revision="ff"),
        f.PciDevice(address="0000:03:00.0", vendor="1002", device="73bf", driver="amdgpu"),
    ))),
    "kernel_modules": (HUNG, {"loaded": ()}, {"loaded": ("nouveau",)}, {"loaded": ("nvidia",)}),
    "kernel_driver": (HUNG, {"version": None, "flavour": None}, {"version": "575.57.08"}, {"flavour": "proprietary"}),
    "driver_files": (HUNG, {"libraries": ("580.65.06", "575.57.08")}, {"modules": ()}, {"libraries": ()}),
    "secure_boot": ({"enabled": True}, HUNG),
    "device_nodes": (HUNG, {"nodes": ()}, {"nodes": (f.DeviceNode(path="/dev/nvidia0", opens="EACCES"),)}),
    "kernel_log": (
        f.Missing("unreadable", "Operation not permitted"),
        HUNG,
        *({"lines": (text,)} for text in TEXTS),
        *({"xids": (f.XidEvent(xid=xid, pci="0000:1b:00.0", text=TEXTS[0]),)} for xid in (13, 31, 48, 79, 119)),
    ),
    "services": (HUNG, *({"services": (f.Service(name="nvidia-fabricmanager", state=state, version=version),)}
                         for state in ("active", "failed", "inactive") for version in (None, "575.57.08"))),
    "environment": tuple({"variables": one} for one in (
        {"CUDA_VISIBLE_DEVICES": ""}, {"CUDA_VISIBLE_DEVICES": "0"}, {"CUDA_VISIBLE_DEVICES": "MIG-1,MIG-2"},
        {"NVIDIA_VISIBLE_DEVICES": "void"}, {"NVIDIA_DRIVER_CAPABILITIES": "graphics"}, {"LD_LIBRARY_PATH": "/opt/x"},
        {"CUDA_HOME": "/none"}, {"SLURM_JOB_ID": "7"},
    )),
    "nvml": (HUNG, {"result": "NVML_ERROR_LIB_RM_VERSION_MISMATCH"}, {"driver": "470.256.02"}, {"cuda": "12.2"}),
    "gpus": (HUNG, {"gpus": ()}, {"gpus": (H100, msgspec.structs.replace(H100, index=1))}),
    "libcuda": (HUNG, {"taken": None}, *({"taken": f.LibraryFile(path="/usr/lib/libcuda.so.1", kind=kind)}
                                          for kind in ("stub", "compat", "image", "wsl", "unknown", "driver"))),
    "cuda": (HUNG, {"code": 802, "result": "CUDA_ERROR_SYSTEM_NOT_READY", "count": None}, {"version": "12.2"},
             {"count": 0}, {"count": 2}, {"code": 999, "result": "CUDA_ERROR_UNKNOWN", "count": None}),
    "shared_memory": ({"total": 64 << 20, "free": 1 << 20}, HUNG),
    "memory": (HUNG, {"total": 1 << 30}),
    "virtual_machine": ({"hypervisor": "kvm"}, HUNG),
    "libc": ({"name": "musl", "version": "1.2"}, HUNG),
    "processor": ({"flags": frozenset()}, HUNG),
}  # fmt: skip
GPU: dict[str, tuple[Any, ...]] = {
    "error": ("NVML_ERROR_GPU_IS_LOST",),
    "name": (None, "NVIDIA GeForce GTX 750", "NVIDIA GB200", "GRID T4-16Q"),
    "capability": (HUNG, "5.0", "12.1", "3.5"),
    "memory": (HUNG, {"free": 0, "used": 85520809984}),
    "modes": (HUNG, {"compute": "prohibited"}, {"compute": "exclusive-process"}, {"mig": True}, {"mig_pending": True},
              {"confidential": "not-ready"}, {"vgpu_license": "unlicensed"}, {"virtualization": "vgpu"},
              {"model": "TCC"}, {"persistence": False}),
    "ecc": (HUNG, {"uncorrected": 3}, {"remap_failure": True}, {"retired_pages": 90}, {"enabled": False},
            f.Missing("unreadable", "NVML_ERROR_NOT_SUPPORTED")),
    "clocks": (HUNG, {"throttle": ("hw-thermal-slowdown",)}, {"throttle": ("gpu-idle",)}, {"temperature": 95}),
    "link": (HUNG, {"width": 1, "generation": 1}),
    "nvlink": (HUNG, {"active": 0}),
    "fabric": (HUNG, {"state": "in-progress", "status": None}, {"state": "completed", "status": "NVML_ERROR_UNKNOWN"},
               {"state": "not-supported", "status": None}),
    "processes": (HUNG, {"processes": (f.GpuProcess(pid=7, used=80 << 30),)}),
    "vbios": ("90.00",),
}  # fmt: skip

CHANGES = [("machine", name, value) for name, values in MACHINE.items() for value in values]
CHANGES += [("gpu", name, value) for name, values in GPU.items() for value in values]


def changed(facts: f.Facts, *changes: tuple[str, str, Any]) -> f.Facts:
    for place, name, value in changes:
        try:
            facts = change(facts, **{name: value}) if place == "machine" else with_gpu(facts, **{name: value})
        except (IndexError, AttributeError, TypeError):
            continue  # what is to be changed is no longer there
    return facts


def machines() -> Iterator[f.Facts]:
    yield SOUND
    for one in CHANGES:
        yield changed(SOUND, one)
    for pair in itertools.combinations(CHANGES, 2):
        yield changed(SOUND, *pair)


def test_the_sound_machine_is_plain_and_others_are_too() -> None:
    assert plain(SOUND)
    assert sum(plain(changed(SOUND, one)) for one in CHANGES) > 20


def test_no_rule_finds_an_error_on_plain_facts() -> None:
    for facts in filter(plain, machines()):
        assert status_of(facts, {}) in ("healthy", "warnings"), facts


@pytest.mark.parametrize("index", range(len(CHANGES)))
def test_the_short_judgement_and_the_report_agree(index: int) -> None:
    facts = changed(SOUND, CHANGES[index])
    report = judge(facts)
    assert status_of(facts, {}) == report.status
    assert not (plain(facts) and report.status in ("broken", "undetermined"))


def test_facts_of_a_kind_that_no_preflight_asks_for_are_not_plain() -> None:
    assert not plain(change(SOUND, toolkits=GOOD.toolkits))
    assert not plain(change(SOUND, smokes=GOOD.smokes))
    assert not plain(change(SOUND, messages=(f.Message(source="stderr", text="CUDA error"),)))
