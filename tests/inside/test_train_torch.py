"""PyTorch's child as it speaks: the protocol of a whole job, with the real PyTorch."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gpudoctor.children import Child, Limits
from gpudoctor.facts import FrameworkName
from gpudoctor.smoke import program
from tests.inside.joined import joined

pytestmark = pytest.mark.framework

STAGES = ["start", "import", "init", "init", "copy", "compute", "train", "verify", "done"]


def converse(python: Path, name: FrameworkName, go: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """All messages of a child that is told ``go`` once it has listed its devices, or to stop."""
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "CUDA_VISIBLE_DEVICES": "-1"}
    heard = []
    with Child.python(str(python), program(name), environ=environ, limits=Limits.within(180), listens=True) as child:
        for message in child.messages():
            heard.append(message)
            if "listed" in message:
                child.send({"go": go} if go else {"stop": True})
        assert child.ending().words == "exit code 0"
    return heard


def told(messages: list[dict[str, Any]], key: str) -> list[Any]:
    return [message[key] for message in messages if key in message]


def steps(messages: list[dict[str, Any]]) -> dict[str, list[int]]:
    """The steps that were told of each network."""
    found: dict[str, list[int]] = {}
    for message in messages:
        if "step" in message:
            found.setdefault(message["network"], []).append(message["step"])
    return found


def version_text(python: Path, package: str) -> str:
    (file,) = python.parent.parent.glob(f"lib/python3*/site-packages/{package}")
    return file.read_text()


CHOSEN = """
lessons = [make() for make in NETWORKS]
learners = []
for lesson in lessons:
    learner = framework.learner(lesson, "fp32")
    for batch in learner.batches(5, 64):
        loss = learner.number(learner.step(batch))
    learners.append(learner)
pairs = [(framework.gradients(lesson, 32), framework.reference(lesson, 32)) for lesson in lessons]
framework.hold(4096)
framework.let_go()
places = [learner.places() for learner in learners]
print(json.dumps({
    "echo": max(distance([framework.echo(lesson)], [lesson.first_image()]) for lesson in lessons),
    "product": framework.multiply(*matrices()[:2]) == matrices()[2],
    "places": {name: sorted({place for each in places for place in each[name]}) for name in places[0]},
    "apart": max(distance(ours["gradients"], cpu["gradients"]) for ours, cpu in pairs),
    "classes": [len(learner.classes()) for learner in learners],
}))
"""


def assert_all_goes_to(device: str, python: Path, name: FrameworkName, elsewhere: str, **environ: str) -> None:
    """The verbs of a framework on a second device of the CPU: the nearest to a GPU that every machine has."""
    script = f"{joined(name)}\nframework = Framework()\nframework.bring_in()\n{elsewhere}\n{CHOSEN}"
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environ}
    ran = subprocess.run(
        [str(python), "-c", script], env=environment, capture_output=True, text=True, timeout=180, check=False
    )
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout.splitlines()[-1])
    assert told.pop("echo") < 1e-6
    assert told.pop("apart") < 1e-4
    assert told == {
        "product": True,
        "places": {name: [device] for name in ("parameters", "gradients", "outputs", "optimiser")},
        "classes": [512, 256],
    }


def test_a_job_tells_every_stage_and_says_what_its_version_file_says(torch_python: Path) -> None:
    messages = converse(torch_python, "torch", {"device": "cpu", "steps": 40})
    text = version_text(torch_python, "torch/version.py")
    version = re.search(r"__version__ = '(.+)'", text)
    cuda = re.search(r"^cuda: [^=]*= (?:'(.+)'|None)$", text, re.M)
    assert version
    assert cuda
    assert told(messages, "stage") == STAGES
    (said,) = told(messages, "imported")
    assert (said["version"], said["cuda"]) == (version[1], cuda[1])
    assert (cuda[1] is None) == (said["targets"] == [])
    assert (cuda[1] is None) == (said["cudnn_built"] is None)
    (listed,) = told(messages, "listed")
    assert (listed["available"], listed["devices"], listed["pci"]) == (False, [], None)
    # A build for CUDA has mapped its libraries without any GPU, a build for the CPU has none.
    assert (cuda[1] is None) == (listed["libraries"] == [])
    assert steps(messages) == {network: [*range(0, 40, 2), 39] for network in ("convolutional", "perceptron")}
    assert told(messages, "device") == ["cpu"]
    assert told(messages, "failed") == []


def test_a_child_that_is_told_to_stop_trains_nothing(torch_python: Path) -> None:
    assert told(converse(torch_python, "torch", None), "stage") == ["start", "import", "init"]


def test_a_parent_that_is_gone_ends_the_child(torch_python: Path) -> None:
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    with Child.python(
        str(torch_python), program("torch"), environ=environ, limits=Limits.within(60), listens=True
    ) as child:
        for message in child.messages():
            if "listed" in message:
                assert child._process is not None
                assert child._process.stdin is not None
                child._process.stdin.close()
        assert child.ending().words == "exit code 0"
