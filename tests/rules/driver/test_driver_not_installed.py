from __future__ import annotations

from gpudoctor import facts as f
from tests.good import change, findings, found, outcome, says, verdict
from tests.rules.driver.test_nouveau_in_use import BARE, bound_to

UNBOUND = bound_to(None, BARE)


def test_a_gpu_without_any_trace_of_a_driver_is_the_cause() -> None:
    assert verdict(UNBOUND) == ("broken", "driver-not-installed")
    assert found(UNBOUND, "driver-not-installed").title == "H100 is present, and no NVIDIA driver is installed."


def test_the_driver_advised_still_drives_that_gpu() -> None:
    """A Tesla V100 (device 1db1) was dropped after R580, and the open modules never drove it."""
    old = f.PciDevice(address="0000:1b:00.0", vendor="10de", device="1db1", driver=None)
    commands = found(change(UNBOUND, pci={"devices": (old,)}), "driver-not-installed").fixes[0].commands
    assert commands == ("sudo apt update", "sudo apt install nvidia-driver-580", "sudo reboot")


def test_in_a_container_the_host_is_named_and_no_command_is_given() -> None:
    fix = found(change(UNBOUND, container={"engine": "docker"}), "driver-not-installed").fixes[0]
    assert (fix.where, fix.commands) == ("host", ())


def test_module_files_on_disk_mean_that_it_is_installed() -> None:
    module = f.ModuleFile(kernel="6.8.0-80-generic", version="580.65.06")
    assert outcome(change(UNBOUND, driver_files={"modules": (module,)}), "driver-not-installed") == "passed"


def test_a_driver_library_for_the_loader_means_that_it_is_installed() -> None:
    facts = change(UNBOUND, nvml=f.Nvml(source="NVML", result="NVML_ERROR_DRIVER_NOT_LOADED"))
    assert outcome(facts, "driver-not-installed") == "passed"


def test_the_nvidia_smi_program_is_not_needed_to_see_a_driver() -> None:
    """Pitfall 2: NVML answers, so there is a driver, whatever programs are installed."""
    from tests.good import GOOD

    assert outcome(GOOD, "driver-not-installed") == "passed"


def test_a_jetson_has_its_driver_elsewhere() -> None:
    board = change(UNBOUND, jetson={"l4t": "35.4.1", "model": "Jetson AGX Orin"}, pci={"devices": ()})
    assert outcome(board, "driver-not-installed") == "not-applicable"


BARE = change(
    UNBOUND,
    cuda=f.NOT_IN_PASTE,
    nvml=f.NOT_IN_PASTE,
    kernel_driver=f.NOT_IN_PASTE,
    kernel_modules=f.NOT_IN_PASTE,
    pci=f.NOT_IN_PASTE,
    gpus=f.NOT_IN_PASTE,
    container=f.NOT_IN_PASTE,
)
TORCH = "RuntimeError: Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU"


def test_a_program_that_finds_no_driver_is_enough_outside_of_a_container() -> None:
    assert found(says(TORCH, BARE), "driver-not-installed").confidence.value == "likely"
    inside = says(TORCH, change(BARE, container=f.Container(source="line 1", engine="docker")))
    assert outcome(inside, "driver-not-installed") != "found"
    assert verdict(inside)[1] == "container-no-gpu-access"


def test_a_container_runtime_that_finds_no_driver_speaks_of_the_host() -> None:
    text = "nvidia-container-cli: load library failed: libnvidia-ml.so.1: cannot open shared object file"
    inside = change(BARE, container=f.Container(source="line 1", engine="docker"))
    assert found(says(text, inside), "driver-not-installed").title == "No NVIDIA driver is installed on the host."


def test_a_missing_program_says_nothing_where_a_driver_is_named() -> None:
    named = change(BARE, nvml=f.Nvml(source="line 3", result="not-shown", driver="535.54.03"))
    assert outcome(says("nvidia-smi: command not found", named), "driver-not-installed") != "found"


def test_windows_without_a_driver_gives_wsl_no_library() -> None:
    wsl = change(
        UNBOUND,
        pci=f.Missing("unreadable"),
        libcuda={"taken": None},
        wsl={"version": 2, "dxg": True, "libraries": ("libd3d12.so",)},
    )
    assert found(wsl, "driver-not-installed").fixes[0].where == "host"
    assert outcome(change(wsl, wsl={"libraries": ("libcuda.so.1",)}), "driver-not-installed") != "found"


def test_what_tensorflow_and_pytorch_log_in_passing_counts_only_where_a_gpu_is_missed() -> None:
    text = "Could not load dynamic library 'libcuda.so.1'; dlerror: libcuda.so.1: cannot open shared object file"
    warning = "UserWarning: CUDA initialization: Found no NVIDIA driver on your system."
    assert findings(says(text, says(warning, BARE)), "driver-not-installed") == ()
    missed = says("torch.cuda.is_available() returns False", says(warning, BARE))
    assert found(missed, "driver-not-installed").severity.value == "error"


def test_a_missing_tool_is_no_missing_driver_where_its_module_is_loaded() -> None:
    loaded = change(BARE, kernel_modules=f.KernelModules(source="lines 2-4", loaded=("nvidia_drm", "nvidia")))
    assert findings(says("nvidia-smi not found", loaded), "driver-not-installed") == ()
    assert len(findings(says("nvidia-smi not found", BARE), "driver-not-installed")) == 1
