"""Waiting helps a machine that comes up, and nobody else."""

from __future__ import annotations

import pytest

from gpudoctor import facts as f
from gpudoctor.preflight.durations import seconds
from gpudoctor.preflight.judged import request_for
from gpudoctor.preflight.requirements import parse
from gpudoctor.preflight.wait import FIRST_PAUSE, LONGEST_PAUSE, awaited, longer
from gpudoctor.report import judge
from tests.good import GOOD, change, with_framework, without_gpu

NO_MODULE = change(
    request=request_for(parse("gpus>=1")),
    pci={"devices": (f.PciDevice(address="0000:1b:00.0", vendor="10de", device="2330", driver=None),)},
    kernel_driver={"version": None, "flavour": None},
    kernel_modules={"loaded": ()},
    device_nodes={"nodes": ()},
    nvml=f.Nvml(source="NVML", result="NVML_ERROR_DRIVER_NOT_LOADED"),
    gpus={"gpus": ()},
    cuda={"result": "CUDA_ERROR_NO_DEVICE", "code": 100, "count": None, "names": ()},
    smokes=(),
)
NOT_READY = change(
    request=request_for(parse("gpus>=1")),
    cuda={"result": "CUDA_ERROR_SYSTEM_NOT_READY", "code": 802, "count": None, "names": ()},
    smokes=(),
)
NO_NODES = change(
    request=request_for(parse("gpus>=1")),
    device_nodes={"nodes": ()},
    nvml=f.Nvml(source="NVML", result="NVML_ERROR_UNKNOWN"),
    gpus={"gpus": ()},
    cuda={"result": "CUDA_ERROR_UNKNOWN", "code": 999, "count": None, "names": ()},
    smokes=(),
)


def manager(state: str) -> f.Services:
    return f.Services(source="systemd", services=(f.Service(name="nvidia-fabricmanager", state=state),))


@pytest.mark.parametrize(
    ("facts", "what"),
    [
        (NO_MODULE, "the NVIDIA kernel module to be loaded"),
        (NO_NODES, "the device nodes /dev/nvidia* to appear"),
        (NOT_READY, "the fabric manager to set up NVSwitch"),
        (change(NOT_READY, services=manager("activating")), "the fabric manager to set up NVSwitch"),
        (
            change(NOT_READY, nvml=f.Missing("timed-out", "no answer"), gpus=f.Missing("timed-out", "no answer")),
            "the fabric manager to set up NVSwitch",
        ),
    ],
)
def test_a_machine_that_is_coming_up_is_waited_for(facts: f.Facts, what: str) -> None:
    assert awaited(judge(facts)) == what


@pytest.mark.parametrize(
    "facts",
    [
        without_gpu(change(request=request_for(parse("gpus>=1")))),
        change(NO_MODULE, secure_boot={"enabled": True}),
        change(NO_MODULE, driver_files={"modules": (f.ModuleFile(kernel="6.1.0-old", version="580.65.06"),)}),
        change(NOT_READY, services=manager("failed")),
        change(NO_NODES, device_nodes={"nodes": (f.DeviceNode(path="/dev/nvidiactl", opens="EACCES"),)}),
        change(GOOD, request=request_for(parse("vram>=141GB"))),
        change(GOOD, request=request_for(parse("gpus>=2"))),
        with_framework("torch", NOT_READY, build={"accelerator": "cpu", "cuda": None, "version": "2.13.0+cpu"}),
    ],
)
def test_what_no_time_will_cure_is_not_waited_for(facts: f.Facts) -> None:
    report = judge(facts)
    assert report.status == "broken"
    assert awaited(report) is None


def test_gpus_that_the_driver_holds_and_does_not_list_yet_are_waited_for() -> None:
    bound = tuple(
        f.PciDevice(address=f"0000:{bus}b:00.0", vendor="10de", device="2330", driver="nvidia") for bus in (1, 2)
    )
    facts = change(GOOD, request=request_for(parse("gpus>=2")), pci={"devices": bound})
    assert awaited(judge(facts)) == "the driver to start all GPUs"
    assert awaited(judge(change(facts, container={"engine": "docker"}))) is None, "they may be meant for others"
    assert awaited(judge(change(facts, request=request_for(parse("gpus>=2,vram>=141GB"))))) is None


def test_a_driver_that_does_not_answer_yet_is_waited_for() -> None:
    hung = f.Missing("timed-out", "no answer in time", "nvmlInit")
    report = judge(change(GOOD, request=request_for(parse("gpus>=1")), nvml=hung, gpus=hung, cuda=hung, smokes=()))
    assert report.status == "undetermined"
    assert awaited(report) == "the driver to answer"


def test_a_driver_that_crashed_is_not() -> None:
    crashed = f.Missing("crashed", "signal SIGSEGV", "nvmlInit")
    facts = change(GOOD, request=request_for(parse("gpus>=1")), nvml=crashed, gpus=crashed, cuda=crashed, smokes=())
    assert awaited(judge(facts)) is None


def test_pauses_grow_up_to_a_limit() -> None:
    pause, seen = FIRST_PAUSE, []
    for _ in range(20):
        seen.append(pause)
        pause = longer(pause)
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (FIRST_PAUSE, LONGEST_PAUSE)


@pytest.mark.parametrize(
    ("text", "length"), [("60", 60), ("60s", 60), ("2m", 120), ("1m30s", 90), ("1h", 3600), ("0.5", 0.5), ("0", 0)]
)
def test_lengths_of_time_are_read_as_they_are_written(text: str, length: float) -> None:
    assert seconds(text) == length


@pytest.mark.parametrize("text", ["", "soon", "-5", "5 minutes", "25h", "s", "1d", "1e3"])
def test_other_lengths_of_time_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"length of time|longer than a day"):
        seconds(text)
