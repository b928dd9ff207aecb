"""Every requirement on a machine that meets it, on one that does not, and where it cannot be told."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gpudoctor import facts as f
from gpudoctor.preflight.judged import Judged, Met, NotJudged, NotMet, judged, request_for, requirements
from gpudoctor.preflight.requirements import NAMES, parse
from gpudoctor.report import judge
from tests.good import GIB, GOOD, H100, change, proved, with_framework, with_gpu, without_gpu

HUNG = f.Missing("timed-out", "no answer in time", "nvmlInit")


def one(text: str, facts: f.Facts = GOOD) -> Judged:
    (requirement,) = parse(text)
    return judged(requirement, facts)


def several(*gpus: f.Gpu, **fields: Any) -> f.Facts:
    """A machine with these GPUs, all of which CUDA shows."""
    names = tuple(gpu.name or "" for gpu in gpus)
    return change(gpus={"gpus": gpus}, **{"cuda": {"count": len(gpus), "names": names}, **fields})


def gpu(index: int, **fields: Any) -> f.Gpu:
    uuid = f"GPU-{index}f1a0ed3-5e43-4c0e-9d6b-0c3c4f1d2a10"
    return msgspec.structs.replace(H100, index=index, uuid=uuid, **fields)


T4 = gpu(1, name="Tesla T4", memory=f.GpuMemory(source="NVML", total=15843721216, used=0, free=15843721216))
TORCH_CPU = with_framework(
    "torch",
    build={"version": "2.13.0+cpu", "accelerator": "cpu", "cuda": None, "nccl": None},
    imported=f.NOT_ASKED,
)
NO_TORCH = with_framework("torch", installed=False, build=f.NOT_ASKED, imported=f.NOT_ASKED)
UNREAD = change(frameworks=f.Missing("crashed", "signal SIGSEGV", "interpreter under test"))
BUILD_UNREAD = {name: with_framework(name, build=f.Missing("unreadable", "no metadata")) for name in f.FRAMEWORKS}

PASSES: dict[str, tuple[str, f.Facts]] = {
    "gpus": ("gpus>=1", GOOD),
    "vram": ("vram>=79GiB", GOOD),
    "free-vram": ("free-vram>=70GiB", GOOD),
    "capability": ("capability>=8.0", GOOD),
    "gpu": ("gpu~=H100", GOOD),
    "driver": ("driver>=550", GOOD),
    "cuda": ("cuda>=12.4", GOOD),
    "torch": ("torch>=2.6", GOOD),
    "torch-cuda": ("torch-cuda>=12.4", GOOD),
    "tensorflow": ("tensorflow", GOOD),
    "jax": ("jax", with_framework("jax", installed=True, build=f.Build(
        source="metadata", distribution="jax", version="0.7.2", location="/x", accelerator="cuda"
    ))),
    "nccl": ("nccl>=2.20", GOOD),
    "shm": ("shm>=8GiB", GOOD),
    "mig": ("mig=off", GOOD),
    "ecc": ("ecc=on", GOOD),
    "nvlink": ("nvlink", with_gpu(nvlink=f.NvLink(source="NVML", links=18, active=18))),
    "smoke": ("smoke", GOOD),
    "no-warnings": ("no-warnings", GOOD),
}  # fmt: skip

FAILS: dict[str, tuple[str, f.Facts, str]] = {
    "gpus": ("gpus>=2", GOOD, "CUDA shows 1 GPU"),
    "vram": ("vram>=141GB", GOOD, "GPU 0 (NVIDIA H100 80GB HBM3): 79.6 GiB"),
    "free-vram": (
        "free-vram>=30GiB",
        with_gpu(memory={"used": 70 * GIB, "free": 9 * GIB}),
        "GPU 0 (NVIDIA H100 80GB HBM3): 9.0 GiB of 79.6 GiB free",
    ),
    "capability": ("capability>=10.0", GOOD, "GPU 0 (NVIDIA H100 80GB HBM3): compute capability 9.0"),
    "gpu": ("gpu~=A100|B200", GOOD, "GPU 0 (NVIDIA H100 80GB HBM3): NVIDIA H100 80GB HBM3"),
    "driver": ("driver>=590", GOOD, "driver 580.65.06"),
    "cuda": ("cuda>=13.1", GOOD, "the driver's CUDA is 13.0"),
    "torch": ("torch<2.13", GOOD, "PyTorch 2.13.0+cu130"),
    "torch-cuda": ("torch-cuda>=12.4", TORCH_CPU, "PyTorch 2.13.0+cpu is a CPU build, without CUDA"),
    "tensorflow": ("tensorflow>=2.22", GOOD, "TensorFlow 2.21.0"),
    "jax": ("jax>=0.5", GOOD, "JAX is not installed in /home/ann/venv"),
    "nccl": ("nccl>=2.30", GOOD, "PyTorch 2.13.0+cu130 has NCCL 2.29.7"),
    "shm": ("shm>=8GiB", change(shared_memory={"total": 64 << 20}), "/dev/shm has 64 MiB"),
    "mig": ("mig=on", GOOD, "GPU 0 (NVIDIA H100 80GB HBM3): MIG is off"),
    "ecc": ("ecc=on", with_gpu(ecc={"enabled": None}), "GPU 0 (NVIDIA H100 80GB HBM3): it has no ECC"),
    "nvlink": (
        "nvlink",
        with_gpu(nvlink=f.NvLink(source="NVML", links=0, active=0)),
        "GPU 0 (NVIDIA H100 80GB HBM3): it has no NVLink",
    ),
    "smoke": (
        "smoke",
        change(smokes=(msgspec.structs.replace(proved("torch"), result="ran-on-cpu"), proved("tensorflow"))),
        "PyTorch trained on the CPU",
    ),
    "no-warnings": ("no-warnings", with_gpu(modes={"mig_pending": True}), "mig-misconfigured"),
}

OPEN: dict[str, tuple[str, f.Facts, str]] = {
    "gpus": ("gpus>=1", change(cuda=HUNG), "CUDA: timed out: nvmlInit: no answer in time"),
    "vram": ("vram>=1GiB", with_gpu(memory=HUNG), "timed out"),
    "free-vram": ("free-vram>=1GiB", with_gpu(memory={"free": None}), "its free memory is not told"),
    "capability": ("capability>=8.0", with_gpu(capability=HUNG), "timed out"),
    "gpu": ("gpu~=H100", with_gpu(name=None, error="NVML_ERROR_UNKNOWN"), "NVML_ERROR_UNKNOWN"),
    "driver": ("driver>=550", change(nvml=HUNG, kernel_driver=HUNG), "the driver: timed out"),
    "cuda": ("cuda>=12.4", change(nvml=HUNG, cuda=HUNG), "CUDA: timed out"),
    "torch": ("torch>=2.6", UNREAD, "the environment under test: crashed"),
    "torch-cuda": ("torch-cuda>=12", with_framework("torch", build={"cuda": None}, imported=f.NOT_ASKED), "not say"),
    "tensorflow": ("tensorflow", BUILD_UNREAD["tensorflow"], "the build of TensorFlow: unreadable: no metadata"),
    "jax": ("jax", UNREAD, "the environment under test: crashed"),
    "nccl": ("nccl>=2.20", with_framework("torch", build={"nccl": None}), "does not say its NCCL"),
    "shm": ("shm>=1GiB", change(shared_memory=f.Missing("unreadable", "Permission denied")), "/dev/shm: unreadable"),
    "mig": ("mig=off", with_gpu(modes=HUNG), "timed out"),
    "ecc": ("ecc=on", with_gpu(ecc=HUNG), "timed out"),
    "nvlink": ("nvlink", with_gpu(nvlink=HUNG), "timed out"),
    "smoke": ("smoke", change(smokes=()), "whether PyTorch trains was not seen"),
    "no-warnings": ("no-warnings", with_gpu(capability=HUNG), "GPU 0: timed out"),
}


def test_every_requirement_is_tried_in_all_three_ways() -> None:
    assert set(PASSES) == set(FAILS) == set(OPEN) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_passes_where_it_holds(name: str) -> None:
    text, facts = PASSES[name]
    answer = one(text, facts)
    assert isinstance(answer, Met), answer
    assert answer.found


@pytest.mark.parametrize("name", NAMES)
def test_it_fails_where_it_does_not_with_what_was_found(name: str) -> None:
    text, facts, found = FAILS[name]
    answer = one(text, facts)
    assert isinstance(answer, NotMet), answer
    assert answer.found == found


@pytest.mark.parametrize("name", NAMES)
def test_it_is_not_judged_where_the_fact_is_missing(name: str) -> None:
    text, facts, why = OPEN[name]
    answer = one(text, facts)
    assert isinstance(answer, NotJudged), answer
    assert why in answer.why


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("shm", "no-warnings")])
def test_where_nothing_is_there_it_does_not_hold_and_says_that_it_is_absent(name: str) -> None:
    bare = without_gpu(change(frameworks={"frameworks": ()}, packages={"packages": ()}))
    bare = change(
        bare, frameworks={"frameworks": tuple(f.Framework(source="x", name=n, installed=False) for n in f.FRAMEWORKS)}
    )
    answer = one(PASSES[name][0], bare)
    assert isinstance(answer, NotMet), answer
    assert answer.absent


# ------------------------------------------------------------------------------------------------- near misses


def test_an_80gb_h100_has_79_6_gib_and_is_told_so() -> None:
    assert isinstance(one("vram>=80GB"), Met)
    answer = one("vram>=80GiB")
    assert isinstance(answer, NotMet)
    assert "79.6 GiB are 85.5 GB; vram>=79GiB or vram>=85GB would hold" in answer.why


def test_a_card_that_is_far_too_small_is_no_near_miss() -> None:
    answer = one("vram>=141GiB")
    assert isinstance(answer, NotMet)
    assert answer.why == ""


def test_a_16gb_t4_does_not_have_16_gb() -> None:
    answer = one("vram>=16GB", several(T4))
    assert isinstance(answer, NotMet)
    assert answer.found == "GPU 1 (Tesla T4): 14.8 GiB"
    assert "vram>=14GiB or vram>=15GB would hold" in answer.why


@pytest.mark.parametrize(
    ("version", "channel", "text", "met"),
    [
        ("2.6.0a0+ecf3bae40a.nv25.01", "ngc", "torch>=2.6", True),
        ("2.6.0a0+ecf3bae40a.nv25.01", "ngc", "torch>=2.7", False),
        ("2.6.0a0+git1234567", "source", "torch>=2.6", False),
        ("2.7.0.dev20250310+cu126", "nightly", "torch>=2.6", True),
    ],
)
def test_an_ngc_build_counts_as_its_release(version: str, channel: str, text: str, met: bool) -> None:
    answer = one(text, with_framework("torch", build={"version": version, "channel": channel}))
    assert isinstance(answer, Met) is met, answer


def test_a_pre_release_says_that_it_comes_before_the_release() -> None:
    answer = one("torch>=2.6", with_framework("torch", build={"version": "2.6.0rc2"}))
    assert isinstance(answer, NotMet)
    assert answer.why == "2.6.0rc2 comes before 2.6.0"


@pytest.mark.parametrize(
    ("wanted", "name", "met"),
    [
        ("A10", "NVIDIA A100-SXM4-80GB", False),
        ("A100", "NVIDIA A100-SXM4-80GB", True),
        ("a100 sxm4", "NVIDIA A100-SXM4-80GB", True),
        ("RTX 4090", "NVIDIA GeForce RTX 4090", True),
        ("4090|5090", "NVIDIA GeForce RTX 5090", True),
    ],
)
def test_a_name_is_found_by_whole_words(wanted: str, name: str, met: bool) -> None:
    assert isinstance(one(f"gpu~={wanted}", with_gpu(name=name)), Met) is met


# --------------------------------------------------------------------------------------------- which GPUs are meant


def test_every_gpu_that_cuda_shows_must_do() -> None:
    answer = one("vram>=40GiB", several(gpu(0), T4))
    assert isinstance(answer, NotMet)
    assert (answer.gpu, answer.found) == (1, "GPU 1 (Tesla T4): 14.8 GiB")


def visible(value: str, *gpus: f.Gpu, names: tuple[str, ...], order: str | None = None) -> f.Facts:
    variables = {"CUDA_VISIBLE_DEVICES": value, **({"CUDA_DEVICE_ORDER": order} if order else {})}
    environment = f.Environment(source="environment", variables=variables)
    return several(*gpus, cuda={"count": len(names), "names": names}, environment=environment)


def test_a_gpu_that_is_hidden_need_not() -> None:
    h100, t4 = H100.name or "", T4.name or ""
    assert isinstance(one("vram>=40GiB", visible(gpu(0).uuid or "", gpu(0), T4, names=(h100,))), Met)
    assert isinstance(one("vram>=40GiB", visible("1", gpu(0), T4, names=(t4,), order="PCI_BUS_ID")), NotMet)
    assert isinstance(one("vram>=40GiB", visible("0", gpu(0), T4, names=(h100,))), Met), "told by CUDA's names"


def test_where_cuda_counts_otherwise_it_is_told_only_if_it_makes_no_difference() -> None:
    held = msgspec.structs.replace(gpu(1), memory=f.GpuMemory(source="NVML", total=80 * GIB, free=GIB))
    facts = visible("0", gpu(0), held, T4, names=(H100.name or "",))
    assert isinstance(one("vram>=40GiB", facts), Met)
    answer = one("free-vram>=40GiB", facts)
    assert isinstance(answer, NotJudged)
    assert answer.settled_by == ("export CUDA_DEVICE_ORDER=PCI_BUS_ID",)


def test_the_number_is_what_cuda_shows_and_says_what_hides_the_others() -> None:
    answer = one("gpus>=2", visible("0", gpu(0), gpu(1), names=(H100.name or "",)))
    assert isinstance(answer, NotMet)
    assert (answer.found, answer.why) == ("CUDA shows 1 GPU", "the driver lists 2; CUDA_VISIBLE_DEVICES=0")


def test_with_mig_the_memory_is_that_of_an_instance() -> None:
    instances = f.MigInstances(source="NVML", instances=(f.MigInstance(uuid="MIG-1", memory=10 * GIB),))
    on = {"mig": True, "mig_pending": True}
    answer = one("vram>=40GiB", with_gpu(modes=on, mig=instances))
    assert isinstance(answer, NotMet)
    assert answer.found == "GPU 0 (NVIDIA H100 80GB HBM3): a MIG instance of 10.0 GiB"
    assert isinstance(one("vram>=10GiB", with_gpu(modes=on, mig=instances)), Met)
    assert isinstance(one("vram>=10GiB", with_gpu(modes=on, mig=f.NOT_ASKED)), NotJudged)


def test_a_lost_gpu_is_not_judged_by_what_cannot_be_read() -> None:
    lost = gpu(1, name=None, error="NVML_ERROR_GPU_IS_LOST", memory=f.Missing("unreadable", "NVML_ERROR_GPU_IS_LOST"))
    answer = one("vram>=16GiB", several(gpu(0), lost))
    assert isinstance(answer, NotJudged)
    assert answer.why == "GPU 1: NVML_ERROR_GPU_IS_LOST"


def test_the_request_names_the_frameworks_that_must_work_and_trains_only_for_smoke() -> None:
    request = request_for(parse("gpus>=1,torch-cuda>=12.4,torch>=2.6"))
    assert (request.required, request.quick) == (("torch",), True)
    assert request.requirements == ("gpus>=1", "torch-cuda>=12.4", "torch>=2.6")
    assert not request_for(parse("smoke")).quick


def test_saved_facts_with_a_text_that_is_no_requirement_are_not_judged() -> None:
    facts = change(request=f.Request(source="test", requirements=("gpus>=1", "tpus>=1")))
    first, second = requirements(facts).judged
    assert isinstance(first, Met)
    assert isinstance(second, NotJudged)
    assert judge(facts).status == "undetermined"


def test_training_on_the_cpu_meets_smoke_only_where_a_gpu_is_not_required() -> None:
    facts = FAILS["smoke"][1]
    assert isinstance(one("smoke", facts), NotMet)
    assert isinstance(one("smoke", change(facts, request={"allow_cpu": True})), Met)


def test_smoke_asks_for_every_framework_that_is_required() -> None:
    only_torch = change(smokes=(proved("torch"),))
    assert isinstance(one("smoke", only_torch), NotJudged)
    assert isinstance(one("smoke", change(only_torch, request={"required": ("torch",)})), Met)
