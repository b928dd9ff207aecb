from __future__ import annotations

import pytest

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, only, outcome, says, verdict, with_framework

RULE = "cpu-lacks-avx"
PASTE = f.Facts(origin="paste")
GUEST = f.Processor(
    source="/proc/cpuinfo", model="QEMU Virtual CPU version 2.5+", flags=frozenset({"sse2", "hypervisor"}), count=4
)
KILLED = {"ok": False, "ended": "signal SIGILL", "available": None, "devices": ()}


def test_an_import_ended_by_an_illegal_instruction_without_avx_is_the_cause() -> None:
    facts = with_framework("tensorflow", change(only("tensorflow"), processor=GUEST, smokes=()), imported=KILLED)
    assert verdict(facts) == ("broken", RULE)
    assert found(facts, RULE).fixes[0].title == "Give the virtual machine the host's processor model"
    assert found(facts, "framework-import-failed").because_of == RULE


def test_a_processor_without_avx_on_which_the_import_works_is_nothing() -> None:
    assert outcome(change(processor=GUEST), RULE) == "passed"


def test_an_illegal_instruction_alone_is_likely_and_with_the_model_certain() -> None:
    text = "Illegal instruction (core dumped)"
    assert found(says(text, PASTE), RULE).confidence.value == "likely"
    model = f.Processor(source="line 3", model="Intel Xeon X5675", flags=frozenset(), count=12)
    assert found(says(text, change(PASTE, processor=model)), RULE).confidence.value == "certain"


@pytest.mark.parametrize("model", ["Intel Xeon E5-2680 v4", "Intel Core i7-2600", "AMD Ryzen 5 3600"])
def test_a_processor_with_avx_is_not_taken_for_one_without(model: str) -> None:
    processor = f.Processor(source="line 3", model=model, flags=frozenset(), count=12)
    finding = found(says("Illegal instruction", change(PASTE, processor=processor)), RULE)
    assert finding.confidence.value == "likely"


def test_flags_with_avx_contradict_the_message() -> None:
    assert findings(says("Illegal instruction (core dumped)", GOOD), RULE) == ()


def test_arm_has_no_avx_and_needs_none() -> None:
    arm = f.System(source="line 1", os="linux", architecture="aarch64")
    assert findings(says("Illegal instruction", change(PASTE, system=arm)), RULE) == ()
