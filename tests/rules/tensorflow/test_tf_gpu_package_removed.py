from __future__ import annotations

import pytest

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, says, verdict

RULE = "tf-gpu-package-removed"
PASTE = f.Facts(origin="paste")


@pytest.mark.parametrize(
    "text",
    [
        'The "tensorflow-gpu" package has been removed!',
        "Using cached tensorflow-gpu-2.12.0.tar.gz (2.6 kB)",
    ],
)
def test_the_stubs_message_or_its_file_name_is_the_cause(text: str) -> None:
    assert verdict(says(text, PASTE))[1] == RULE
    assert found(says(text, PASTE), RULE).confidence.value == "certain"


def test_an_installed_stub_is_the_cause() -> None:
    stub = f.Package(name="tensorflow-gpu", version="2.12.0", location="/lib")
    assert (
        found(change(packages={"packages": (stub,)}), RULE)
        .fixes[0]
        .commands[0]
        .endswith("'tensorflow[and-cuda]==2.21.0'")
    )


def test_an_older_tensorflow_gpu_is_a_package_like_others() -> None:
    older = f.Package(name="tensorflow-gpu", version="2.10.1", location="/lib")
    assert findings(change(packages={"packages": (older,)}), RULE) == ()
    assert findings(says("Using cached tensorflow_gpu-2.10.1-cp310-cp310-win_amd64.whl", GOOD), RULE) == ()
