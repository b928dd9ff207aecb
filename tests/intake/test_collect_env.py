"""collect_env of every generation gives the same facts that a machine would."""

from __future__ import annotations

import pytest

from gpudoctor import facts as f
from tests.intake import pastes
from tests.intake.pastes import facts, known, reading, told


def test_the_first_generation_gives_whole_facts() -> None:
    seen = facts(pastes.COLLECT_ENV_1_0)
    assert told(seen.system, "source") == {
        "os": "linux",
        "distribution": "ubuntu",
        "release": "16.04.5",
        "name": "Ubuntu 16.04.5 LTS",
        "like": ("debian",),
    }
    assert told(seen.nvml) == {
        "source": "line 13, compatibility matrix",
        "result": "NVML_SUCCESS",
        "driver": "410.73",
        "cuda": "10.0",
    }
    [gpu] = seen.known_gpus()
    assert (gpu.index, gpu.name, gpu.source) == (0, "GeForce GTX 1080 Ti", "line 12")
    assert gpu.capability == f.GpuCapability(source="line 12, compatibility matrix", value="6.1")
    torch = seen.framework("torch")
    assert torch is not None
    assert torch.installed
    assert told(torch.build, "source", "location") == {
        "distribution": "torch",
        "version": "1.0.0",
        "accelerator": "cuda",
        "cuda": "9.0.176",
        "cudnn": "7.4.1",
        "targets": ("sm_35", "sm_50", "sm_60", "sm_70", "compute_50"),
        "channel": "conda",
        "installer": "conda",
        "debug": False,
    }
    assert told(torch.imported, "source") == {"ok": True, "available": True, "cuda": "9.0.176"}
    assert [copy.version for copy in seen.cudnn.copies] == ["7.3.1"]  # type: ignore[union-attr]


def test_the_present_generation_gives_whole_facts_and_every_line_is_recognised() -> None:
    intake = reading(pastes.COLLECT_ENV_2_4)
    seen = intake.facts
    assert (intake.recognised, intake.unread) == (intake.lines, {})
    assert sorted(known(seen)) == [
        "frameworks",
        "gpus",
        "interpreter",
        "libc",
        "nvml",
        "packages",
        "processor",
        "system",
        "toolkits",
    ]
    assert told(seen.system, "source") == {
        "os": "linux",
        "distribution": "ubuntu",
        "release": "22.04.4",
        "name": "Ubuntu 22.04.4 LTS (x86_64)",
        "like": ("debian",),
        "kernel": "5.15.0-117-generic",
        "architecture": "x86_64",
    }
    assert seen.libc == f.Libc(source="line 11", name="glibc", version="2.35")
    assert told(seen.processor, "source") == {
        "model": "Intel(R) Xeon(R) Platinum 8358 CPU @ 2.60GHz",
        "flags": frozenset({"fpu", "sse4_2", "avx", "avx2", "avx512f"}),
        "count": 128,
    }
    assert [(gpu.index, gpu.name, gpu.source) for gpu in seen.known_gpus()] == [
        (0, "NVIDIA A100-SXM4-80GB", "line 19"),
        (1, "NVIDIA A100-SXM4-80GB", "line 20"),
    ]
    assert told(seen.nvml, "source") == {"result": "NVML_SUCCESS", "driver": "550.54.15", "cuda": "12.4"}
    torch = seen.framework("torch")
    assert torch is not None
    assert told(torch.build, "source", "location", "cudnn", "nccl") == {
        "distribution": "torch",
        "version": "2.4.0+cu121",
        "accelerator": "cuda",
        "cuda": "12.1",
        "targets": ("sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90"),
        "channel": "release",
        "debug": False,
    }
    assert isinstance(torch.build, f.Build)
    assert torch.build.source.endswith("compatibility matrix")
    assert [t.version for t in seen.toolkits.toolkits] == ["12.4.131"]  # type: ignore[union-attr]
    assert isinstance(seen.interpreter, f.Interpreter)
    assert seen.interpreter.version == "3.10.14"
    assert isinstance(seen.packages, f.Packages)
    assert seen.packages.version("nvidia-nccl-cu12") == "2.20.5"
    assert not seen.packages.complete
    assert len(seen.packages.copies("torch")) == 1


def test_vllms_descendant_gives_the_same_facts() -> None:
    intake = reading(pastes.COLLECT_ENV_VLLM)
    seen = intake.facts
    assert (intake.recognised, intake.unread) == (intake.lines, {})
    assert told(seen.nvml, "source") == {"result": "NVML_SUCCESS", "driver": "570.86.10", "cuda": "12.8"}
    assert [gpu.name for gpu in seen.known_gpus()] == ["NVIDIA GeForce RTX 4090"]
    torch = seen.framework("torch")
    assert torch is not None
    assert isinstance(torch.build, f.Build)
    assert (torch.build.version, torch.build.cuda, torch.build.accelerator) == ("2.7.0+cu126", "12.6", "cuda")
    assert seen.environment == f.Environment(
        source="line 68, line 69",
        variables={"LD_LIBRARY_PATH": "/usr/local/cuda/lib64", "NCCL_CUMEM_ENABLE": "0"},
    )
    assert isinstance(seen.packages, f.Packages)
    assert seen.packages.version("vllm") == "0.9.0.1"


def test_no_cuda_is_a_cpu_build_and_says_nothing_of_the_gpu() -> None:
    seen = facts(pastes.COLLECT_ENV_CPU)
    torch = seen.framework("torch")
    assert torch is not None
    assert isinstance(torch.build, f.Build)
    assert (torch.build.accelerator, torch.build.cuda, torch.build.targets) == ("cpu", None, ())
    assert isinstance(torch.imported, f.Imported)
    assert torch.imported.available is False
    assert isinstance(seen.gpus, f.Missing)
    assert isinstance(seen.nvml, f.Missing)
    assert isinstance(seen.system, f.System)
    assert seen.system.os == "windows"


@pytest.mark.parametrize("printed", ["None", "Could not collect"])
def test_a_build_without_cuda_is_a_cpu_build_however_it_is_printed(printed: str) -> None:
    seen = facts(f"PyTorch version: 2.5.1\nCUDA used to build PyTorch: {printed}\nIs CUDA available: False\n")
    torch = seen.framework("torch")
    assert torch is not None
    assert isinstance(torch.build, f.Build)
    assert torch.build.accelerator == "cpu"


def test_a_rocm_build_and_amd_gpus_are_no_nvidia_gpus() -> None:
    text = (
        "PyTorch version: 2.6.0+rocm6.2.4\nCUDA used to build PyTorch: N/A\nROCM used to build PyTorch: 6.2.41134\n"
        "Is CUDA available: True\nGPU models and configuration: GPU 0: AMD Instinct MI250X/MI250 (gfx90a:sramecc+:xnack-)\n"  # noqa: E501
        "Nvidia driver version: Could not collect\n"
    )
    seen = facts(text)
    torch = seen.framework("torch")
    assert torch is not None
    assert isinstance(torch.build, f.Build)
    assert torch.build.accelerator == "rocm"
    assert isinstance(seen.gpus, f.Missing)
    assert isinstance(seen.pci, f.PciDevices)
    assert [(device.vendor, device.name) for device in seen.pci.devices] == [
        ("1002", "AMD Instinct MI250X/MI250 (gfx90a:sramecc+:xnack-)")
    ]


def test_another_interpreter_without_torch_is_known_absence() -> None:
    seen = facts("PyTorch version: N/A\nIs debug build: N/A\nCUDA used to build PyTorch: N/A\nIs CUDA available: N/A\n")
    torch = seen.framework("torch")
    assert torch is not None
    assert not torch.installed


def test_a_driver_whose_cuda_is_older_than_the_cuda_in_use_is_not_looked_up() -> None:
    text = (
        "PyTorch version: 2.4.0+cu121\nCUDA used to build PyTorch: 12.1\nIs CUDA available: True\n"
        "GPU models and configuration: GPU 0: NVIDIA A800-SXM4-80GB\nNvidia driver version: 470.182.03\n"
    )
    working, broken = facts(text), facts(text.replace("available: True", "available: False"))
    assert isinstance(working.nvml, f.Nvml)
    assert isinstance(broken.nvml, f.Nvml)
    assert (working.nvml.cuda, broken.nvml.cuda) == (None, "11.4")


def test_a_version_that_is_no_driver_version_is_left() -> None:
    seen = facts("PyTorch version: 1.1.0\nCUDA used to build PyTorch: 10.0\nNvidia driver version: 1.1.0\n")
    assert isinstance(seen.nvml, f.Nvml)
    assert seen.nvml.driver is None
