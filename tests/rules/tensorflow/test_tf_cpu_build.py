from __future__ import annotations

from tests.good import GOOD, change, found, only, outcome, verdict, with_framework

RULE = "tf-cpu-build"
CPU = {"accelerator": "cpu", "cuda": None, "targets": (), "distribution": "tensorflow-cpu"}


def test_tensorflow_cpu_beside_a_gpu_is_the_cause_and_is_removed_first() -> None:
    facts = change(only("tensorflow"), smokes=())
    facts = with_framework("tensorflow", facts, build=CPU, imported={"available": False, "devices": ()})
    assert verdict(facts) == ("broken", RULE)
    commands = found(facts, RULE).fixes[0].commands
    assert commands[0] == "/home/ann/venv/bin/python -m pip uninstall -y tensorflow-cpu"
    assert commands[1].startswith("/home/ann/venv/bin/python -m pip install 'tensorflow[and-cuda]==")


def test_a_cuda_build_passes() -> None:
    assert outcome(GOOD, RULE) == "passed"
