from __future__ import annotations

from gpudoctor import facts as f
from tests.good import change, found, outcome, says, verdict
from tests.rules.container.test_wsl_unsupported import WSL

RULE = "wsl-libcuda-shadowed"
LINUX = f.LibraryFile(path="/usr/lib/x86_64-linux-gnu/libcuda.so.1", version="510.47.03", kind="driver")
SHADOWED = change(WSL, libcuda={"taken": LINUX})


def test_a_linux_driver_before_windows_library_is_the_cause() -> None:
    assert verdict(SHADOWED) == ("broken", RULE)
    assert "sudo apt purge" in found(SHADOWED, RULE).fixes[0].commands[0]


def test_a_stub_is_taken_off_the_path() -> None:
    stub = f.LibraryFile(path="/usr/local/cuda/lib64/stubs/libcuda.so.1", kind="stub")
    assert found(change(WSL, libcuda={"taken": stub}), RULE).fixes[0].commands == ("unset LD_LIBRARY_PATH",)


def test_windows_own_library_is_right() -> None:
    own = f.LibraryFile(path="/usr/lib/wsl/lib/libcuda.so.1", kind="wsl")
    assert outcome(change(WSL, libcuda={"taken": own}), RULE) == "passed"


def test_on_real_linux_the_linux_driver_is_right() -> None:
    assert outcome(change(), RULE) == "not-applicable"


def test_driver_packages_inside_wsl_beside_a_failure() -> None:
    blocked = says("Failed to initialize NVML: GPU access blocked by the operating system", WSL)
    assert found(says("ii  nvidia-utils-510  510.47.03", blocked), RULE).confidence.value == "likely"
    assert outcome(says("ii  cuda-toolkit-12-4  12.4.1", blocked), RULE) == "passed"


def test_the_loaders_remark_on_links_is_no_fault() -> None:
    text = "ldconfig: /usr/lib/wsl/lib/libcuda.so.1 is not a symbolic link"
    assert outcome(says(text, WSL), RULE) == "passed"
