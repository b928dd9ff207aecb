"""Each further format, by what its tool prints: the records it gives, and what it must not claim."""

from __future__ import annotations

import pytest

from gpudoctor import facts as f
from tests.intake.pastes import facts, known, told


def test_lspci_with_ids_drivers_and_other_vendors() -> None:
    seen = facts(
        "$ lspci -nnk\n"
        "00:02.0 VGA compatible controller [0300]: Intel Corporation TigerLake-LP GT2 [Iris Xe Graphics] [8086:9a49] (rev 01)\n"  # noqa: E501
        "\tKernel driver in use: i915\n"
        "01:00.0 3D controller [0302]: NVIDIA Corporation AD107M [GeForce RTX 4060 Max-Q / Mobile] [10de:28e0] (rev a1)\n"  # noqa: E501
        "\tSubsystem: Lenovo Device [17aa:3c9a]\n\tKernel driver in use: nouveau\n\tKernel modules: nvidiafb, nouveau, nvidia\n"  # noqa: E501
    )
    assert isinstance(seen.pci, f.PciDevices)
    assert [told(device) for device in seen.pci.devices] == [
        {
            "address": "0000:00:02.0",
            "vendor": "8086",
            "device": "9a49",
            "driver": "i915",
            "name": "Intel Corporation TigerLake-LP GT2 [Iris Xe Graphics]",
            "revision": "01",
        },
        {
            "address": "0000:01:00.0",
            "vendor": "10de",
            "device": "28e0",
            "driver": "nouveau",
            "name": "NVIDIA Corporation AD107M [GeForce RTX 4060 Max-Q / Mobile]",
            "revision": "a1",
        },
    ]


def test_a_search_for_vga_alone_does_not_say_that_there_is_no_nvidia_gpu() -> None:
    line = "00:02.0 VGA compatible controller: Intel Corporation UHD Graphics 630\n"
    narrow, whole = (
        facts(f"$ lspci | grep VGA\n{line}\nNVIDIA-SMI has failed\n"),
        facts(f"$ lspci | grep -iE 'vga|3d|nvidia'\n{line}"),
    )
    assert isinstance(whole.pci, f.PciDevices)
    assert isinstance(narrow.pci, f.PciDevices)
    assert [device.vendor for device in whole.pci.devices] == ["8086"]


def test_device_nodes_with_modes() -> None:
    seen = facts(
        "$ ls -l /dev/nvidia*\ncrw-rw-rw- 1 root root 195,   0 Jan  2 03:04 /dev/nvidia0\n"
        "crw-rw---- 1 root video 195, 255 Jan  2 03:04 /dev/nvidiactl\n"
    )
    assert isinstance(seen.device_nodes, f.DeviceNodes)
    assert [told(node) for node in seen.device_nodes.nodes] == [
        {"path": "/dev/nvidia0", "mode": "0666", "owner": 0, "group": 0},
        {"path": "/dev/nvidiactl", "mode": "0660", "owner": 0},
    ]


def test_no_device_nodes_is_known_absence() -> None:
    seen = facts("$ ls -l /dev/nvidia*\nls: cannot access '/dev/nvidia*': No such file or directory\n")
    assert seen.device_nodes == f.DeviceNodes(source="line 2", nodes=())


def test_lsmod_with_and_without_nvidia() -> None:
    loaded = facts(
        "$ lsmod | grep nvidia\nnvidia_uvm           1069056  0\nnvidia              35340288  1 nvidia_uvm\n"
    )
    other = facts("$ lsmod | grep -E 'nvidia|nouveau'\nnouveau              2334720  1\n")
    narrow = facts("$ lsmod | grep nouveau\nnouveau              2334720  1\n")
    assert loaded.kernel_modules == f.KernelModules(source="lines 2-3", loaded=("nvidia_uvm", "nvidia"))
    assert isinstance(loaded.kernel_driver, f.Missing)
    assert other.kernel_driver == f.KernelDriver(source="line 2", version=None)
    assert isinstance(narrow.kernel_driver, f.Missing)


@pytest.mark.parametrize(
    ("line", "flavour"),
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.129.03  Thu Oct 19 18:56:32 UTC 2023", "proprietary"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  535.129.03  Release Build", "open"),
        ("[    4.2] NVRM: loading NVIDIA UNIX x86_64 Kernel Module  535.129.03  Thu Oct 19", "proprietary"),
    ],
)
def test_the_loaded_modules_version_and_flavour(line: str, flavour: str) -> None:
    assert told(facts(line + "\n").kernel_driver, "source") == {"version": "535.129.03", "flavour": flavour}


def test_modinfo_is_of_the_file_and_not_of_the_kernel() -> None:
    seen = facts(
        "$ modinfo nvidia\nfilename:       /lib/modules/6.8.0-40-generic/updates/dkms/nvidia.ko\nlicense:        Dual MIT/GPL\n"  # noqa: E501
        "version:        560.35.03\nvermagic:       6.8.0-40-generic SMP preempt mod_unload\n"
    )
    assert told(seen.driver_files, "source") == {
        "modules": (f.ModuleFile(kernel="6.8.0-40-generic", version="560.35.03"),),
        "flavour": "open",
    }


def test_xids_and_sentences_that_nvrm_breaks_over_lines() -> None:
    seen = facts(
        "[  100.1] NVRM: Xid (PCI:0000:03:00): 79, pid=1, GPU has fallen off the bus.\n"
        "[  101.1] NVRM: API mismatch: the client has the version 535.54.03, but\n"
        "[  101.2] NVRM: this kernel module has the version 530.30.02.  Please\n"
        "[  101.3] NVRM: make sure that this kernel module and all NVIDIA driver\n"
        "[  101.4] NVRM: components have the same version.\n"
    )
    assert isinstance(seen.kernel_log, f.KernelLog)
    assert [(x.xid, x.pci) for x in seen.kernel_log.xids] == [(79, "0000:03:00")]
    assert len(seen.kernel_log.lines) == 5
    assert [message.text for message in seen.messages] == [
        "NVRM: Xid (PCI:0000:03:00): 79, pid=1, GPU has fallen off the bus.",
        (
            "NVRM: API mismatch: the client has the version 535.54.03, but this kernel module has the version "
            "530.30.02.  Please make sure that this kernel module and all NVIDIA driver components have the same "
            "version."
        ),
    ]
    assert seen.messages[1].source == "lines 2-5"


def test_dkms_secure_boot_and_distribution_packages() -> None:
    seen = facts(
        "$ dkms status\nnvidia/535.129.03, 6.2.0-26-generic, x86_64: installed\n$ mokutil --sb-state\nSecureBoot enabled\n"  # noqa: E501
        "$ dpkg -l | grep nvidia\nii  nvidia-driver-535  535.129.03-0ubuntu0.22.04.1  amd64  NVIDIA driver metapackage\n"  # noqa: E501
    )
    assert told(seen.driver_files, "source") == {
        "modules": (f.ModuleFile(kernel="6.2.0-26-generic", version="535.129.03", how="dkms"),),
        "dkms": ("nvidia/535.129.03, 6.2.0-26-generic, x86_64: installed",),
        "packages": ("nvidia-driver-535 535.129.03-0ubuntu0.22.04.1",),
    }
    assert told(seen.secure_boot, "source") == {"enabled": True}


def test_services_by_status_and_by_absence() -> None:
    seen = facts(
        "$ systemctl status nvidia-fabricmanager\n● nvidia-fabricmanager.service - NVIDIA fabric manager service\n"
        "     Loaded: loaded (/lib/systemd/system/nvidia-fabricmanager.service; enabled)\n"
        "     Active: failed (Result: exit-code) since Mon 2024-01-01\n$ systemctl status nvidia-persistenced\n"
        "Unit nvidia-persistenced.service could not be found.\n"
    )
    assert isinstance(seen.services, f.Services)
    assert [told(service) for service in seen.services.services] == [
        {"name": "nvidia-persistenced", "state": "not-found"},
        {"name": "nvidia-fabricmanager", "state": "failed"},
    ]


def test_a_docker_command_is_what_was_asked_for() -> None:
    seen = facts(
        "$ docker run --rm -it --gpus '\"device=0\"' --shm-size=8g -e NVIDIA_DRIVER_CAPABILITIES=compute \\\n"
        "    --runtime nvidia -v /data:/data nvcr.io/nvidia/pytorch:24.01-py3 python train.py\n"
    )
    assert told(seen.container_start, "source", "text") == {
        "engine": "docker",
        "image": "nvcr.io/nvidia/pytorch:24.01-py3",
        "gpus": "device=0",
        "runtime": "nvidia",
        "capabilities": "compute",
        "shm": "8g",
        "variables": {"NVIDIA_DRIVER_CAPABILITIES": "compute"},
    }
    assert isinstance(seen.container, f.Container)
    assert seen.container.engine == "docker"


def test_a_docker_command_without_gpus_asks_for_none() -> None:
    seen = facts("$ docker run -it ufoym/deepo:tensorflow-py36-cu90\n")
    assert told(seen.container_start, "source", "text") == {
        "engine": "docker",
        "image": "ufoym/deepo:tensorflow-py36-cu90",
    }


def test_a_compose_file_with_a_device_reservation() -> None:
    seen = facts(
        "services:\n  app:\n    image: pytorch/pytorch:2.4.0-cuda12.1-cudnn9-runtime\n    shm_size: 1gb\n    deploy:\n"
        "      resources:\n        reservations:\n          devices:\n            - driver: nvidia\n"
        "              count: 1\n              capabilities: [gpu]\n"
    )
    assert told(seen.container_start, "source", "text") == {
        "engine": "docker",
        "image": "pytorch/pytorch:2.4.0-cuda12.1-cudnn9-runtime",
        "gpus": "1",
        "shm": "1gb",
    }


def test_variables_in_every_spelling_and_no_secret() -> None:
    seen = facts(
        'export CUDA_VISIBLE_DEVICES=""\nLD_LIBRARY_PATH=/usr/local/cuda-11.2/lib64\nset TF_FORCE_GPU_ALLOW_GROWTH=true\n'  # noqa: E501
        "ENV NVIDIA_VISIBLE_DEVICES=all\nNVIDIA_API_KEY=nvapi-123\nHOME=/home/ann\n"
        'os.environ["NCCL_P2P_DISABLE"] = "1"\n$ echo $CUDA_HOME\n/usr/local/cuda-11.2\n'
    )
    assert isinstance(seen.environment, f.Environment)
    assert seen.environment.variables == {
        "CUDA_HOME": "/usr/local/cuda-11.2",
        "CUDA_VISIBLE_DEVICES": "",
        "LD_LIBRARY_PATH": "/usr/local/cuda-11.2/lib64",
        "NCCL_P2P_DISABLE": "1",
        "NVIDIA_VISIBLE_DEVICES": "all",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    }
    assert isinstance(seen.toolkits, f.Toolkits)
    assert [(t.path, t.version) for t in seen.toolkits.toolkits] == [("/usr/local/cuda-11.2", "11.2")]


def test_nvcc() -> None:
    seen = facts(
        "$ nvcc --version\nnvcc: NVIDIA (R) Cuda compiler driver\nCopyright (c) 2005-2023 NVIDIA Corporation\n"
        "Built on Tue_Aug_15_22:02:13_PDT_2023\nCuda compilation tools, release 12.2, V12.2.140\n"
        "Build cuda_12.2.r12.2/compiler.33191640_0\n"
    )
    assert isinstance(seen.toolkits, f.Toolkits)
    assert [told(t, "path") for t in seen.toolkits.toolkits] == [
        {"version": "12.2.140", "nvcc": "12.2.140", "found_by": "nvcc"}
    ]
    assert seen.messages == ()


@pytest.mark.parametrize(
    "text",
    [
        "$ uname -a\nLinux box 5.15.153.1-microsoft-standard-WSL2 #1 SMP Fri Mar 29 23:14:13 UTC 2024 x86_64 x86_64 GNU/Linux\n",  # noqa: E501
        "$ uname -r\n5.15.153.1-microsoft-standard-WSL2\n",
        "OS: Ubuntu 22.04 (WSL2)\n",
        "Python platform: Linux-5.15.153.1-microsoft-standard-WSL2-x86_64-with-glibc2.35\n",
        "WSL version: 2.2.4.0\nKernel version: 5.15.153.1-2\nWindows version: 10.0.22631.3880\n",
        "  NAME      STATE           VERSION\n* Ubuntu    Running         2\n",
    ],
)
def test_wsl_is_seen_in_every_spelling(text: str) -> None:
    seen = facts(text)
    assert isinstance(seen.wsl, f.Wsl)
    assert seen.wsl.version == 2
    assert isinstance(seen.system, f.System)
    assert seen.system.os == "linux"


def test_wsl_1_and_the_windows_build_around_it() -> None:
    seen = facts("OS: Windows 10.0.17763.292 / Ubuntu (WSL2)\n\nwsl:\nversion: 1\n")
    assert told(seen.wsl, "source") == {"version": 1, "windows": "10.0.17763.292"}
    assert isinstance(seen.system, f.System)
    assert (seen.system.os, seen.system.distribution, seen.system.release) == ("linux", "ubuntu", None)


@pytest.mark.parametrize(
    ("text", "framework", "available"),
    [
        (">>> torch.cuda.is_available()\nFalse\n", "torch", False),
        ("torch.cuda.is_available() returns False\n", "torch", False),
        ("print(torch.cuda.is_available()) -> True\n", "torch", True),
        (">>> tf.config.list_physical_devices('GPU')\n[]\n", "tensorflow", False),
        ("[PhysicalDevice(name='/physical_device:GPU:0', device_type='GPU')]\n", "tensorflow", True),
        ("jax.devices() -> [CpuDevice(id=0)]\n", "jax", False),
        ("[CudaDevice(id=0)]\n", "jax", True),
    ],
)
def test_what_python_prints_of_a_framework(text: str, framework: f.FrameworkName, available: bool) -> None:
    seen = facts(text).framework(framework)
    assert seen is not None
    assert isinstance(seen.imported, f.Imported)
    assert seen.imported.available is available


def test_versions_that_python_prints() -> None:
    seen = facts(">>> torch.__version__\n'2.1.0+cu118'\n>>> torch.version.cuda\n'11.8'\n").framework("torch")
    assert seen is not None
    assert isinstance(seen.build, f.Build)
    assert (seen.build.version, seen.build.cuda, seen.build.accelerator) == ("2.1.0+cu118", "11.8", "cuda")


def test_tensorflows_build_information() -> None:
    seen = facts(
        "tensorflow==2.8.0\n>>> tf.sysconfig.get_build_info()\n"
        "OrderedDict([('cpu_compiler', '/usr/bin/gcc-5'), ('cuda_version', '11.2'), ('cudnn_version', '8'), ('is_cuda_build', True)])\n"  # noqa: E501
    ).framework("tensorflow")
    assert seen is not None
    assert isinstance(seen.build, f.Build)
    assert (seen.build.cuda, seen.build.cudnn, seen.build.accelerator) == ("11.2", "8", "cuda")


ISSUE = """\
**System information**
- Have I written custom code (as opposed to using a stock example script provided in TensorFlow): No
- OS Platform and Distribution (e.g., Linux Ubuntu 16.04): Linux Ubuntu 20.04
- TensorFlow installed from (source or binary): binary
- TensorFlow version (use command below): v2.4.0-49-g85c8b2a817f 2.4.1
- Python version: 3.8.5
- CUDA/cuDNN version: 11.0/8.0
- GPU model and memory: GeForce GTX 1080 Ti, 11GB
"""


def test_tensorflows_issue_template() -> None:
    seen = facts(ISSUE)
    kinds = ["cudnn", "frameworks", "gpus", "interpreter", "messages", "packages", "system", "toolkits"]
    assert sorted(known(seen)) == kinds
    assert [message.text for message in seen.messages] == ["System information"]  # a heading may be an error's text
    assert isinstance(seen.toolkits, f.Toolkits)
    assert isinstance(seen.cudnn, f.CudnnCopies)
    assert [t.version for t in seen.toolkits.toolkits] == ["11.0"]
    assert [c.version for c in seen.cudnn.copies] == ["8.0"]
    assert [gpu.name for gpu in seen.known_gpus()] == ["GeForce GTX 1080 Ti"]
    assert isinstance(seen.packages, f.Packages)
    assert seen.packages.version("tensorflow") == "2.4.1"
    assert isinstance(seen.system, f.System)
    assert (seen.system.distribution, seen.system.release) == ("ubuntu", "20.04")


def test_githubs_issue_form_has_values_below_headings() -> None:
    seen = facts(
        "### TensorFlow version\n\ntf 2.12\n\n### OS platform and distribution\n\nLinux Ubuntu 22.04\n\n### Python version\n\n3.10\n"  # noqa: E501
    )
    assert isinstance(seen.packages, f.Packages)
    assert seen.packages.version("tensorflow") == "2.12"
    assert isinstance(seen.system, f.System)
    assert seen.system.release == "22.04"
    assert isinstance(seen.interpreter, f.Interpreter)
    assert seen.interpreter.version == "3.10"


def test_the_shell_script_of_tensorflow() -> None:
    seen = facts(
        "\n== check python ===================================================\npython version: 3.6.8\n"
        "\n== check os platform ===============================================\nos: Linux\nos release version: 5.0.0-31-generic\n"  # noqa: E501
        "linux distribution: ('Ubuntu', '18.04', 'bionic')\nmachine: x86_64\n"
        "\n== are we in docker =============================================\nNo\n"
        "\n== check pips ===================================================\nnumpy                  1.17.2\ntensorflow-gpu         1.14.0\n"  # noqa: E501
        "\n== tensorflow import ============================================\ntf.version.VERSION = 1.14.0\n"
        "\n== env ==========================================================\nLD_LIBRARY_PATH /usr/local/cuda/lib64\n"
        "\n== cuda libs  ===================================================\n/usr/local/cuda-10.0/lib64/libcudart.so.10.0.130\n"  # noqa: E501
    )
    assert isinstance(seen.container, f.Missing)
    assert isinstance(seen.environment, f.Environment)
    assert seen.environment.variables == {"LD_LIBRARY_PATH": "/usr/local/cuda/lib64"}
    tensorflow = seen.framework("tensorflow")
    assert tensorflow is not None
    assert told(tensorflow.build, "source", "location", "targets") == {
        "distribution": "tensorflow-gpu",
        "version": "1.14.0",
        "accelerator": "cuda",
        "cuda": "10.0",
        "cudnn": "7",
        "installer": "pip",
    }


def test_jaxs_environment_information() -> None:
    seen = facts(
        "jax:    0.4.31\njaxlib: 0.4.31\nnumpy:  1.26.4\npython: 3.11.9 (main, Apr  6 2024) [GCC 13.2.0]\n"
        "jax.devices (1 total, 1 local): [CudaDevice(id=0)]\nprocess_count: 1\n"
        "platform: uname_result(system='Linux', node='box', release='6.8.0-40-generic', version='#40', machine='x86_64')\n"  # noqa: E501
    )
    jax = seen.framework("jax")
    assert jax is not None
    assert isinstance(jax.imported, f.Imported)
    assert jax.imported.available is True
    assert isinstance(seen.system, f.System)
    assert (seen.system.kernel, seen.system.architecture) == ("6.8.0-40-generic", "x86_64")


def test_values_inside_messages() -> None:
    seen = facts(
        "UserWarning: NVIDIA GeForce RTX 5090 with CUDA capability sm_120 is not compatible with the current PyTorch installation.\n"  # noqa: E501
        "The current PyTorch install supports CUDA capabilities sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90.\n"
        "failed call to cuInit: CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected\n"
        "libcuda reported version is: 535.129.3\nkernel reported version is: 530.30.2\n"
    )
    [gpu] = seen.known_gpus()
    assert (gpu.name, gpu.capability) == ("NVIDIA GeForce RTX 5090", f.GpuCapability(source="line 1", value="12.0"))
    torch = seen.framework("torch")
    assert torch is not None
    assert isinstance(torch.imported, f.Imported)
    assert torch.imported.targets == ("sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90")
    assert told(seen.cuda) == {"source": "line 3", "result": "CUDA_ERROR_NO_DEVICE", "code": 100}
    assert isinstance(seen.libcuda, f.LibcudaFiles)
    assert seen.libcuda.taken == f.LibraryFile(path="libcuda.so.1", version="535.129.03")
    assert told(seen.kernel_driver, "source") == {"version": "530.30.02"}
    assert len(seen.messages) == 5


@pytest.mark.parametrize(
    ("text", "framework"),
    [
        ("RuntimeError: Found no NVIDIA driver on your system.", None),
        ("torch.cuda.OutOfMemoryError: CUDA out of memory.", "torch"),
        ("W tensorflow/stream_executor/platform/default/dso_loader.cc:64] Could not load dynamic library 'libcudart.so.11.0'", "tensorflow"),  # noqa: E501
        ("An NVIDIA GPU may be present on this machine, but a CUDA-enabled jaxlib is not installed. Falling back to cpu.", "jax"),  # noqa: E501
    ],
)  # fmt: skip
def test_a_message_names_its_framework_only_where_the_line_does(text: str, framework: str | None) -> None:
    [message] = facts(text + "\n").messages
    assert (message.text, message.framework) == (text, framework)


def test_prose_counts_where_nothing_else_does() -> None:
    weak = facts("Hi all, this is on my RTX 3090 and Ubuntu 22.04, driver 535.129.03.\n")
    strong = facts("My RTX 3090 is fine.\nGPU 0: NVIDIA GeForce RTX 2080 Ti\n")
    two = facts("I have an RTX 3090 here.\nThe other box has a GTX 1080.\n")
    assert [gpu.name for gpu in weak.known_gpus()] == ["RTX 3090"]
    assert isinstance(weak.nvml, f.Nvml)
    assert (weak.nvml.driver, weak.nvml.result) == ("535.129.03", "not-shown")
    assert [gpu.name for gpu in strong.known_gpus()] == ["NVIDIA GeForce RTX 2080 Ti"]
    assert two.known_gpus() == ()


def test_a_saved_report_restores_its_facts_exactly() -> None:
    from tests.good import GOOD

    saved = f.encode(GOOD).decode()
    assert facts(saved) == GOOD
    assert facts(f'Here it is:\n```json\n{{"schema": "gpudoctor.report/1", "facts": {saved}}}\n```\n') == GOOD


def test_control_characters_in_a_saved_report_do_not_survive() -> None:
    from tests.good import GOOD, change

    hostile = change(GOOD, messages=(f.Message(source="line 1", text="a\x1b]0;b\x07c\u202ed"),))
    assert [message.text for message in facts(f.encode(hostile).decode()).messages] == ["acd"]


def test_a_broken_report_is_read_as_text() -> None:
    assert (
        facts('{"schema": "gpudoctor.facts/1", "gpus": 3}\nGPU 0: NVIDIA H100\n').known_gpus()[0].name == "NVIDIA H100"
    )


DESCENDANTS = {
    "transformers": (
        "- Platform: Linux-5.15.0-105-generic-x86_64-with-glibc2.35\n- Python version: 3.10.12\n"
        "- PyTorch version (GPU?): 2.3.0+cu121 (True)\n- GPU type: NVIDIA GeForce RTX 3090\n- Driver version: 535.129.03\n"  # noqa: E501
    ),
    "detectron2": (
        "----------------  --------------------------------\nsys.platform      linux\nPython            3.10.12 (default)\n"  # noqa: E501
        "PyTorch           2.3.0+cu121 @/home/u/torch\nGPU available     Yes\n"
        "GPU 0             NVIDIA GeForce RTX 3090 (arch=8.6)\nDriver version    535.129.03\n"
    ),
    "mmcv": (
        "sys.platform: linux\nPython: 3.10.12 (main) [GCC 11.4.0]\nCUDA available: True\nGPU 0: NVIDIA GeForce RTX 3090\n"  # noqa: E501
        "PyTorch: 2.3.0+cu121\nDriver: 535.129.03\n"
    ),
    "a table in Markdown": (
        "| Item | Value |\n|---|---|\n| OS | Linux |\n| Python | 3.10.12 |\n| GPU | NVIDIA GeForce RTX 3090 |\n"
        "| Driver | 535.129.03 |\n| PyTorch | 2.3.0+cu121 |\n"
    ),
}


@pytest.mark.parametrize("text", DESCENDANTS.values(), ids=DESCENDANTS)
def test_the_reports_of_other_projects_give_the_same_facts(text: str) -> None:
    seen = facts(text)
    torch = seen.framework("torch")
    assert torch is not None
    assert isinstance(torch.build, f.Build)
    assert isinstance(seen.system, f.System)
    assert isinstance(seen.interpreter, f.Interpreter)
    assert isinstance(seen.nvml, f.Nvml)
    assert (seen.system.os, seen.interpreter.version, torch.build.version, torch.build.cuda, seen.nvml.driver) == (
        "linux",
        "3.10.12",
        "2.3.0+cu121",
        "12.1",
        "535.129.03",
    )
    assert [(gpu.name, told(gpu.capability, "source")) for gpu in seen.known_gpus()] == [
        ("NVIDIA GeForce RTX 3090", {"value": "8.6"})
    ]


def test_a_pod_asks_for_gpus_under_their_resource_name() -> None:
    seen = facts(
        "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n    - name: cuda\n      image: nvcr.io/nvidia/cuda:12.4.1-base-ubuntu22.04\n"  # noqa: E501
        "      resources:\n        limits:\n          nvidia.com/gpu: 1\n"
    )
    assert told(seen.container_start, "source", "text") == {
        "engine": "kubernetes",
        "image": "nvcr.io/nvidia/cuda:12.4.1-base-ubuntu22.04",
        "gpus": "1",
    }
    assert isinstance(seen.container, f.Container)
    assert seen.container.orchestrator == "kubernetes"
    assert isinstance(seen.memory, f.Missing)


def test_lshw_gives_vendor_place_and_driver() -> None:
    seen = facts(
        "  *-display:0\n       description: VGA compatible controller\n       product: GP104 [GeForce GTX 1080]\n"
        "       vendor: NVIDIA Corporation\n       physical id: 0\n       bus info: pci@0000:02:00.0\n"
        "       version: a1\n       configuration: driver=nouveau latency=0\n"
    )
    assert isinstance(seen.pci, f.PciDevices)
    (device,) = seen.pci.devices
    assert (device.vendor, device.address, device.driver) == ("10de", "0000:02:00.0", "nouveau")


def test_lshw_without_nvidia_is_known_absence() -> None:
    seen = facts("*-display UNCLAIMED\n  product: Ellesmere [Radeon RX 470/480]\n  vendor: AMD/ATI\n")
    assert isinstance(seen.pci, f.PciDevices)
    assert [device.vendor for device in seen.pci.devices] == ["1002"]


def test_a_schedulers_sentence_is_not_a_pods_limit() -> None:
    seen = facts("0/3 nodes are available: 3 Insufficient nvidia.com/gpu.\nimage: nvcr.io/nvidia/cuda:12.4.1-base\n")
    assert isinstance(seen.container_start, f.Missing)


def test_a_sentence_of_a_program_is_no_version_of_it() -> None:
    assert "packages" not in known(facts("tensorflow: this build requires cuDNN 8.6"))
    assert "packages" in known(facts("tensorflow: 2.16.1"))


def test_a_command_that_says_where_a_program_runs_is_kept() -> None:
    assert [message.text for message in facts("$ srun python train.py\n$ ls -l\n").messages] == ["srun python train.py"]


def test_who_draws_the_screen_is_not_all_that_a_machine_has() -> None:
    assert isinstance(facts("OS: Fedora 24\nGPU: Mesa DRI Intel(R) HD Graphics 520 (Skylake GT2)\n").pci, f.Missing)
    assert isinstance(facts("OS: Fedora 24\nGPU: Intel(R) HD Graphics 520\n").pci, f.PciDevices)


@pytest.mark.parametrize("name", ["macOS", "MacOS", "Mac OS"])
def test_apples_system_is_written_in_more_ways_than_one(name: str) -> None:
    system = facts(f"I train on {name} 13 with Python 3.9.\n").system
    assert isinstance(system, f.System)
    assert system.os == "macos"
    assert isinstance(facts("the macro's os 13 output\n").system, f.Missing)


@pytest.mark.parametrize(
    "value", ['"$(nvisel -n 2)"', "`pick-gpus`", "$GPUS", "${GPUS}", "%GPUS%", "<gpu ids>", "{{ gpus }}"]
)
def test_a_value_that_is_still_to_be_computed_is_none(value: str) -> None:
    assert isinstance(facts(f"export CUDA_VISIBLE_DEVICES={value}\n").environment, f.Missing)


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("export CUDA_VISIBLE_DEVICES=GPUS", "CUDA_VISIBLE_DEVICES", "GPUS"),
        ("export LD_LIBRARY_PATH=$HOME/lib:/usr/lib", "LD_LIBRARY_PATH", "$HOME/lib:/usr/lib"),
    ],
)
def test_a_value_with_something_of_its_own_is_kept(line: str, name: str, value: str) -> None:
    environment = facts(f"{line}\n").environment
    assert isinstance(environment, f.Environment)
    assert environment.variables[name] == value
