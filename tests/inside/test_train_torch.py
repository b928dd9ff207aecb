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


def version_text(python: Path, package: str) -> str:
    (file,) = python.parent.parent.glob(f"lib/python3*/site-packages/{package}")
    return file.read_text()


CHOSEN = """
images, weights = Images(), first_weights()
echo = framework.load(images)
framework.build(weights)
for step in range(5):
    loss = framework.number(framework.step(step * BATCH))
ours, cpu = framework.gradients(weights, 32), framework.reference(weights, 32)
framework.hold(4096)
print(json.dumps({
    "echo": distance([echo], [images.templates[0]]),
    "product": framework.multiply(*matrices()[:2]) == matrices()[2],
    "places": {name: sorted(set(places)) for name, places in framework.places().items()},
    "apart": distance(ours["gradients"], cpu["gradients"]),
    "classes": len(framework.classes()),
}))
"""


def assert_all_goes_to(device: str, python: Path, name: FrameworkName, elsewhere: str, **environ: str) -> None:
    """The verbs of a framework on a second device of the CPU: the nearest to a GPU that every machine has."""
    source = program(name).rpartition("\nmain(")[0]
    script = f"{source}\nframework = Framework()\nframework.bring_in()\n{elsewhere}\n{CHOSEN}"
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
        "places": {"parameters": [device], "gradients": [device], "outputs": [device]},
        "classes": 512,
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
    assert told(messages, "step") == [*range(0, 40, 2), 39]
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
