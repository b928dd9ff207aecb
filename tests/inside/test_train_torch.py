"""PyTorch's child as it speaks: the protocol of a whole job, with the real PyTorch."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gpudoctor.children import Child, Limits
from gpudoctor.facts import FrameworkName
from gpudoctor.smoke.jobs import child_environ, program
from tests.inside.joined import joined

pytestmark = pytest.mark.framework

STAGES = ["start", "import", "init", "init", "copy", "compute", "train", "verify", "done"]


def converse(
    python: Path, name: FrameworkName, go: Mapping[str, Any] | None, ended: str = "exit code 0", **environ: str
) -> list[dict[str, Any]]:
    """All messages of a child that is told ``go`` once it has listed its devices, or to stop."""
    with tempfile.TemporaryDirectory() as scratch:
        environment = child_environ({**os.environ, "CUDA_VISIBLE_DEVICES": "-1", **environ}, name, Path(scratch))
        heard = []
        limits = Limits.within(180)
        with Child.python(str(python), program(name), environ=environment, limits=limits, listens=True) as child:
            for message in child.messages():
                heard.append(message)
                if "listed" in message:
                    child.send({"go": go} if go else {"stop": True})
                if "opened" in message:
                    child.send({"continue": True})
                if "hold" in message:
                    child.send({"continue": True, "profile": False})
            assert child.ending().words == ended
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


BOTH = ("convolutional", "perceptron")
PROOFS = (
    "weights-changed",
    "loss-fell",
    "parameters-on-device",
    "gradients-on-device",
    "outputs-on-device",
    "optimiser-on-device",
    "matches-cpu",
    "repeatable",
)


def asked(python: Path, name: FrameworkName, script: str, **environ: str) -> Any:
    """What a script that uses the framework's verbs prints as JSON in its last line."""
    source = f"{joined(name)}\nframework = Framework()\nframework.bring_in()\n{script}"
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environ}
    ran = subprocess.run(
        [str(python), "-c", source], env=environment, capture_output=True, text=True, timeout=180, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


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
    told = asked(python, name, f"{elsewhere}\n{CHOSEN}", **environ)
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


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_training_in_half_the_bits_learns_as_well_and_is_compared_in_full(torch_python: Path, precision: str) -> None:
    messages = converse(torch_python, "torch", {"device": "cpu", "steps": 100, "precision": precision, "batch": 32})
    assert told(messages, "failed") == []
    losses = {network: [m["loss"] for m in messages if m.get("network") == network and "loss" in m] for network in BOTH}
    assert {network: curve[-1] < 0.1 * curve[0] for network, curve in losses.items()} == dict.fromkeys(BOTH, True)
    scored = {message["network"]: message["scores"]["accuracy"] for message in messages if "scores" in message}
    assert {network: accuracy > 0.9 for network, accuracy in scored.items()} == dict.fromkeys(BOTH, True)
    proofs = {proof["name"]: proof for proof in told(messages, "proof")}
    assert {name: proof["holds"] for name, proof in proofs.items()} == dict.fromkeys(PROOFS, True)
    # Half the bits would differ by a hundred times more.
    differences = re.findall(r"gradients differ by (\S+) of", proofs["matches-cpu"]["detail"])
    assert [float(difference) < 1e-5 for difference in differences] == [True, True]


def test_the_precision_of_training_is_what_was_asked_for(torch_python: Path) -> None:
    """The outputs of a network tell in which numbers it computed."""
    script = """
framework.init(False)
lesson, kinds = convolutional(), []
for precision in ("fp32", "bf16", "fp16"):
    learner = framework.learner(lesson, precision)
    for batch in learner.batches(2, 64):
        learner.step(batch)
    kinds.append(str(learner.outputs.dtype))
    kinds.append(str(next(iter(learner.network.parameters())).dtype))
print(json.dumps(kinds))
"""
    assert asked(torch_python, "torch", script) == [
        *("torch.float32", "torch.float32"),
        *("torch.bfloat16", "torch.float32"),
        *("torch.float16", "torch.float32"),
    ]


def test_a_precision_that_this_device_lacks_fails_with_the_reason(torch_python: Path) -> None:
    messages = converse(torch_python, "torch", {"device": "cpu", "steps": 40, "precision": "tf32"})
    assert told(messages, "stage") == ["start", "import", "init", "init"]
    assert told(messages, "failed") == ["tf32 is a mode of NVIDIA GPUs; this job is on the CPU"]


def test_an_autocast_that_does_nothing_is_no_bf16(torch_python: Path) -> None:
    script = """
import contextlib
framework.init(False)
framework.autocast = lambda device, precision: warnings.catch_warnings()
try:
    framework.allow("bf16")
except Unsupported as why:
    print(json.dumps(str(why)))
"""
    assert asked(torch_python, "torch", script) == "bf16: autocast on the CPU gives torch.float32"


def test_batches_go_round_and_round(torch_python: Path) -> None:
    script = """
framework.init(False)
learner = framework.learner(perceptron(), "fp32")
rows = [batch for batch in learner.batches(3, 600)]
images, labels = learner.trained
print(json.dumps([
    [tuple(batch[0].shape) for batch in rows],
    all(torch.equal(batch[0], images[places]) and torch.equal(batch[1], labels[places])
        for batch, places in zip(rows, [range(600), [*range(600, 1024), *range(176)], range(176, 776)])),
]))
"""
    assert asked(torch_python, "torch", f"torch = framework.torch\n{script}") == [[[600, 3, 32, 32]] * 3, True]


@pytest.mark.parametrize("batch", [1, 3])
def test_few_images_at_a_time_are_learnt_as_well(torch_python: Path, batch: int) -> None:
    messages = converse(torch_python, "torch", {"device": "cpu", "steps": 200, "batch": batch})
    assert {proof["name"]: proof["holds"] for proof in told(messages, "proof")} == dict.fromkeys(PROOFS, True)


def test_where_time_is_over_only_the_first_network_learns(torch_python: Path) -> None:
    messages = converse(torch_python, "torch", {"device": "cpu", "steps": 40, "seconds": 1e-3, "parts": True})
    assert steps(messages) == {"convolutional": [*range(0, 40, 2), 39]}
    assert told(messages, "stage") == [*STAGES[:-1], "parts", "done"]
    proofs = {proof["name"]: proof["holds"] for proof in told(messages, "proof")}
    assert proofs == dict.fromkeys(PROOFS, True)
    parts = told(messages, "part")
    able = [part for part in parts if "public" not in part["detail"]]
    assert {(part["holds"], part["detail"]) for part in able} == {(None, "no time left")}
    assert len(parts) == 18


def test_the_speed_of_the_cpu_is_told_where_it_is_asked_for(torch_python: Path) -> None:
    messages = converse(torch_python, "torch", {"device": "cpu", "steps": 10, "speedup": True})
    (speed,) = told(messages, "cpu_speed")
    assert speed > 100
    assert told(messages, "part") == []


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


SOBER = """
times = ((0.04, 0.05), (0.001, 0.004), (0.001, 0.01), (0.0, 0.0001))
print(json.dumps([[framework.sober(*each) for each in times], framework.doubts]))
"""


@pytest.mark.framework
def test_events_are_believed_unless_a_row_of_work_took_far_longer_by_the_wall(torch_python: Path) -> None:
    assert asked(torch_python, "torch", SOBER) == [[0.04, 0.001, 0.01, 0.0001], [False, True, True]]


OVERRIDDEN = """
framework.init(False)
framework.on_gpu = True
try:
    framework.ask_for_hardware("tf32")
except Unsupported as why:
    print(json.dumps(str(why)))
"""


@pytest.mark.framework
def test_tf32_that_the_environment_forbids_is_not_timed_and_not_called_slow(torch_python: Path) -> None:
    told = asked(torch_python, "torch", OVERRIDDEN, NVIDIA_TF32_OVERRIDE="0")
    assert told == "tf32 is switched off by NVIDIA_TF32_OVERRIDE=0"
