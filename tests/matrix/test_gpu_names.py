"""GPU names as machines print them lead to the right compute capability, or to no answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpudoctor.matrix import GpuModel, Unlisted, load


def _printed_names() -> list[tuple[str, str]]:
    capability, pairs = "", []
    for line in (Path(__file__).parent / "gpu_names.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("== "):
            capability = line.removeprefix("== ")
        elif not line.startswith("#"):
            pairs.append((line, capability))
    return pairs


PRINTED = _printed_names()


def _model(name: str) -> GpuModel:
    found = load().gpu(name)
    assert isinstance(found, GpuModel), found
    return found


def test_there_are_at_least_two_hundred_names() -> None:
    """The list is as long as was asked for, and says each name once."""
    names = [name for name, _ in PRINTED]
    assert len(set(names)) == len(names) >= 200


@pytest.mark.parametrize(("name", "capability"), PRINTED)
def test_a_printed_name_has_its_capability(name: str, capability: str) -> None:
    """A name that machines print is not confused with a sibling's."""
    assert _model(name).capability == capability


@pytest.mark.parametrize(
    ("name", "listed"),
    [
        ("NVIDIA GeForce RTX 4070 Ti SUPER", "NVIDIA GeForce RTX 4070 Ti SUPER"),
        ("RTX 4070 Ti", "NVIDIA GeForce RTX 4070 Ti"),
        ("RTX 4070", "NVIDIA GeForce RTX 4070"),
        ("RTX 4070 SUPER", "NVIDIA GeForce RTX 4070 SUPER"),
        ("RTX 4070 Laptop GPU", "NVIDIA GeForce RTX 4070 Laptop GPU"),
        ("GeForce GTX TITAN X", "NVIDIA GeForce GTX TITAN X"),
        ("TITAN X (Pascal)", "NVIDIA TITAN X (Pascal)"),
        ("Quadro RTX 5000", "Quadro RTX 5000"),
        ("NVIDIA RTX A5000", "NVIDIA RTX A5000"),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", "NVIDIA A100-SXM4-40GB"),
    ],
)
def test_siblings_stay_apart(name: str, listed: str) -> None:
    """Ti, SUPER, Laptop and other siblings are models of their own."""
    assert _model(name).name == listed


@pytest.mark.parametrize(
    "name",
    [
        "NVIDIA GeForce RTX 4075",
        "NVIDIA GeForce RTX 6090",
        "NVIDIA Graphics Device",
        "NVIDIA GeForce ...",
        "NVIDIA X100",
        "RTX 5000",
        "AMD Radeon RX 7900 XTX",
        "Intel Arc A770",
        "01:00.0 VGA compatible controller: NVIDIA Corporation Device ffff (rev a1)",
        "NVIDIA GeForce RTX 4090 Ultra",
        "",
        "...",
    ],
)
def test_an_unknown_name_is_unlisted(name: str) -> None:
    """What the matrix does not know it does not guess, also when it resembles something known."""
    assert isinstance(load().gpu(name), Unlisted)


def test_an_unknown_name_says_what_is_close() -> None:
    """The answer to a misprint names the likely models."""
    found = load().gpu("NVIDIA GeForce RTX 4075")
    assert isinstance(found, Unlisted)
    assert any(name.startswith("NVIDIA GeForce RTX 407") for name in found.close)


def test_a_name_on_several_chips_is_not_certain() -> None:
    """One name, two chips: the answer says so."""
    model = _model("GeForce GT 730")
    assert model.other_capabilities
    assert not model.verified


@pytest.mark.parametrize("text", ["2684", "0x2684", "10DE:2684", "10de:2684"])
def test_a_pci_id_leads_to_the_model(text: str) -> None:
    """All spellings of a device id mean the same."""
    found = load().gpu_by_pci_id(text)
    assert isinstance(found, GpuModel)
    assert (found.name, found.found_by) == ("NVIDIA GeForce RTX 4090", "pci-id")


def test_a_vgpu_has_no_figures_of_the_whole_board() -> None:
    """A slice of a board must not be measured against the board's peaks."""
    assert _model("GRID A100-10C").memory_gb is None


@given(st.text(max_size=60))
def test_any_text_is_answered(text: str) -> None:
    """No text makes the look-up fail."""
    assert isinstance(load().gpu(text), GpuModel | Unlisted)
