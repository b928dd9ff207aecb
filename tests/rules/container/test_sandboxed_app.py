from __future__ import annotations

import pytest

from gpudoctor import facts as f
from tests.good import change, found, outcome, says, verdict
from tests.rules.driver.test_driver_not_loaded import UNLOADED

RULE = "sandboxed-app"
BARE = change(cuda=f.NOT_IN_PASTE, gpus=f.NOT_IN_PASTE, nvml=f.NOT_IN_PASTE, kernel_driver=f.NOT_IN_PASTE, smokes=())


@pytest.mark.parametrize("executable", ["/snap/jupyter/6/bin/python", "/app/bin/python3"])
def test_an_interpreter_in_a_sandbox_without_cuda_is_the_cause(executable: str) -> None:
    facts = change(UNLOADED, interpreter={"executable": executable})
    assert verdict(facts) == ("broken", RULE)
    assert found(facts, RULE).confidence.value == "likely"


def test_a_sandbox_in_which_cuda_works_is_none() -> None:
    assert outcome(change(interpreter={"executable": "/app/bin/python3"}), RULE) == "passed"


def test_an_ordinary_interpreter_is_none() -> None:
    assert outcome(UNLOADED, RULE) == "not-applicable"


def test_paths_of_a_sandbox_beside_a_failure() -> None:
    failed = says('init_cuda_ctx: CUDA call "cu->cuInit(0)" failed with CUDA_ERROR_UNKNOWN (999)', BARE)
    assert found(says("flatpak run com.obsproject.Studio", failed), RULE)
    assert outcome(failed, RULE) != "found"


def test_docker_as_a_snap_is_the_containers_business() -> None:
    failed = says("Error: no CUDA-capable device is detected", BARE)
    assert outcome(says("/snap/docker/2893/bin/dockerd", failed), RULE) != "found"


def test_classic_snaps_confine_nothing() -> None:
    facts = change(UNLOADED, interpreter={"executable": "/snap/pycharm-community/372/bin/python"})
    assert outcome(facts, RULE) == "not-applicable"
