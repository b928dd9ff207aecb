from __future__ import annotations

import pytest

from gpudoctor import facts as f
from tests.good import change, found, outcome, says, verdict

RULE = "container-image-has-driver-files"
DEAD = f.CudaDriver(source="libcuda", result="CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", code=803)
OWN = f.LibraryFile(path="/usr/lib/x86_64-linux-gnu/libcuda.so.1", version="535.54.03", kind="image")
INSIDE = change(container={"engine": "docker"}, libcuda={"taken": OWN}, cuda=DEAD, smokes=())


def test_the_images_own_libcuda_is_the_cause() -> None:
    assert verdict(INSIDE) == ("broken", RULE)
    assert found(INSIDE, RULE).fixes[0].where == "host"


def test_it_is_a_remark_where_cuda_works() -> None:
    assert found(change(container={"engine": "docker"}, libcuda={"taken": OWN}), RULE).severity.value == "info"


def test_the_mounted_one_is_right_and_so_is_the_hosts_own() -> None:
    assert outcome(change(container={"engine": "docker"}), RULE) == "passed"
    assert outcome(change(libcuda={"taken": OWN}), RULE) == "not-applicable"


@pytest.mark.parametrize(
    "text",
    [
        "nvidia-container-cli: mount error: file creation failed: /a/merged/usr/lib/libnvidia-ml.so.1: file exists",
        "/sbin/ldconfig.real: File /usr/lib/x86_64-linux-gnu/libcuda.so.1 is empty, not checked.",
    ],
)
def test_tools_stumble_over_the_files(text: str) -> None:
    bare = change(container=f.NOT_IN_PASTE, cuda=f.NOT_IN_PASTE, smokes=())
    assert found(says(text, bare), RULE).severity.value == "error"


def test_cudnn_of_an_image_is_its_own_business() -> None:
    text = "mount error: file creation failed: /a/merged/usr/lib/aarch64-linux-gnu/libcudnn.so.8: file exists"
    assert outcome(says(text, change(cuda=f.NOT_IN_PASTE)), RULE) != "found"
