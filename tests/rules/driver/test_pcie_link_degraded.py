from __future__ import annotations

from tests.good import change, found, outcome, says, verdict, with_gpu

RULE = "pcie-link-degraded"


def test_fewer_lanes_than_possible_are_a_warning() -> None:
    facts = with_gpu(link={"width": 1})
    assert verdict(facts) == ("warnings", RULE)
    assert found(facts, RULE).title.endswith("runs with 1 of 16 lanes.")


def test_a_low_generation_is_how_an_idle_gpu_looks() -> None:
    assert outcome(with_gpu(link={"generation": 1}), RULE) == "passed"


def test_a_card_made_for_four_lanes_has_its_four() -> None:
    assert outcome(with_gpu(link={"width": 4, "width_max": 4}), RULE) == "passed"


def test_a_virtual_machine_invents_its_lanes() -> None:
    assert outcome(with_gpu(change(virtual_machine={"hypervisor": "kvm"}), link={"width": 8}), RULE) == "not-applicable"


def test_bus_errors_of_the_kernel_are_a_warning() -> None:
    text = "pcieport 0000:00:1b.0: PCIe Bus Error: severity=Correctable, type=Physical Layer, (Receiver ID)"
    assert found(says(text), RULE).severity.value == "warning"
