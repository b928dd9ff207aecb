"""On a machine with an NVIDIA GPU: a job in each framework of this interpreter, or of TORCH_PYTHON and the like."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from gpudoctor.children import Limits
from gpudoctor.facts import FrameworkName, Gpus, Imported, Missing
from gpudoctor.probes.nvml import Witness, nvml, witness
from gpudoctor.smoke.jobs import Jobs, Plan, Target
from gpudoctor.world import World
from tests.smoke.required import REQUIRED

pytestmark = pytest.mark.gpu


def look(pids: tuple[int, ...], target: Target) -> Witness | Missing:
    assert target.gpu is not None
    return witness(World(), pids, target.gpu, Limits.within(30))


@pytest.mark.parametrize("name", ["torch", "tensorflow", "jax"])
def test_a_job_on_a_real_gpu_is_proved(name: FrameworkName) -> None:
    executable = os.environ.get(f"{name.upper()}_PYTHON", sys.executable)
    if not any(Path(executable).parent.parent.glob(f"lib/python3*/site-packages/{name}")):
        pytest.skip(f"no {name} beside {executable}; {name.upper()}_PYTHON may name another interpreter")
    gpus = nvml(World(), Limits.within(60)).gpus
    assert isinstance(gpus, Gpus)
    assert gpus.gpus
    plan = Plan(
        executable=executable,
        frameworks=(name,),
        environ=dict(os.environ),
        limits=Limits.within(300, 60),
        decide=lambda *_: "gpu",
        witness=look,
    )
    with Jobs(plan) as jobs:
        jobs.run(gpus.gpus)
        known = jobs.known()
    (job,) = known.smokes
    imported = known.imported[name]
    assert isinstance(imported, Imported)
    assert imported.available
    assert imported.devices
    assert (job.result, job.stage, job.error, job.ended) == ("proved", "done", None, None)
    assert job.gpu is not None
    assert {proof.name for proof in job.proofs if proof.required and proof.holds} == set(REQUIRED)
    outside = job.proof("outside-memory")
    assert outside is not None
    assert outside.holds
    assert job.accuracy is not None
    assert job.accuracy > 0.95
