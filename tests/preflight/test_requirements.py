"""What a job asks for, read from text: what is right has one spelling, what is wrong has one sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpudoctor.preflight.requirements import NAMES, RequirementError, Versioned, merged, parse, parse_all


def texts(text: str) -> list[str]:
    return [one.text for one in parse(text)]


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("gpus>=2, vram>=40GiB", ["gpus>=2", "vram>=40GiB"]),
        ("gpus", ["gpus>=1"]),
        ("GPUs >= 2,<= 8", ["gpus>=2,<=8"]),
        ("driver>=550,<600,!=560.28.03\ncuda>=12.4", ["driver>=550,<600,!=560.28.03", "cuda>=12.4"]),
        ("free_vram >= 30 GB", ["free-vram>=30GB"]),
        ("gpu~=H100|A100, gpu != NVIDIA T4", ["gpu~=H100|A100", "gpu!=NVIDIA T4"]),
        ("mig==off,ecc = ON", ["mig=off", "ecc=on"]),
        ("torch, torch-cuda>=12.4, tensorflow, jax~=0.5", ["torch", "torch-cuda>=12.4", "tensorflow", "jax~=0.5"]),
        ("nvlink,smoke,no-warnings,nccl>=2.20,shm>=8Gi", ["nvlink", "smoke", "no-warnings", "nccl>=2.20", "shm>=8Gi"]),
        ("capability>=8.0,<10", ["capability>=8.0,<10"]),
        (" , \n", []),
    ],
)
def test_a_requirement_has_one_spelling(text: str, spelled: list[str]) -> None:
    assert texts(text) == spelled
    assert texts(",".join(spelled)) == spelled, "what is saved in a report reads the same again"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("gpuss>=2", "'gpuss>=2' is no requirement. Did you mean gpus?"),
        ("vrm>=2GiB", "'vrm>=2GiB' is no requirement. Did you mean vram?"),
        ("no-warning", "'no-warning' is no requirement. Did you mean no-warnings?"),
        ("torchcuda>=12", "Did you mean torch-cuda?"),
        ("vram>=40", "vram: '40' is no size with a unit (GiB, GB, MiB, MB). Write 40GiB or 40GB."),
        ("vram>=1PiB", "vram: '1PiB' is no size with a unit (GiB, GB, MiB, MB). Write it as vram>=16GiB."),
        ("vram", "vram needs a size; write it as vram>=16GiB."),
        ("vram 40GiB", "'vram 40GiB' is no requirement."),
        ("gpus=2", "'gpus=2' cannot be read; write it as gpus>=2."),
        ("gpus~=2", "'gpus~=2' cannot be read; write it as gpus>=2."),
        ("gpus>=two", "'two' is no number of GPUs"),
        ("torch=2.6", "'torch=2.6' is no version specifier; write it as torch==2.6."),
        ("torch>=two", "'torch>=two' is no version specifier; write it as torch>=2.6."),
        ("mig", "'mig' cannot be read; write mig=on or mig=off."),
        ("ecc=maybe", "'ecc=maybe' cannot be read; write ecc=on or ecc=off."),
        ("smoke=yes", "smoke takes no value; write it alone, without '=yes'."),
        ("capability>=hopper", "'hopper' is no compute capability; write it as capability>=8.0."),
        ("gpu", "'gpu' cannot be read; write it as gpu~=H100 or gpu~=H100|A100."),
        ("gpu~=|", "cannot be read; write it as gpu~=H100"),
        (">=2", "'>=2' is no requirement."),
        ("x" * 20_000, "20000 characters are too long for requirements."),
    ],
)
def test_what_is_wrong_is_told_in_one_sentence_with_what_would_be_right(text: str, sentence: str) -> None:
    with pytest.raises(RequirementError) as raised:
        parse(text)
    assert sentence in str(raised.value)
    assert isinstance(raised.value, ValueError)
    assert "\n" not in str(raised.value)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parsed = parse(text)
    except RequirementError:
        return
    assert all(one.name in NAMES for one in parsed)
    assert parse(",".join(one.text for one in parsed)) == parsed


def test_of_several_sources_the_first_that_names_a_subject_counts() -> None:
    option, variable, file = parse("gpus>=1"), parse("vram>=16GiB,gpus>=4"), parse("vram>=80GiB,torch>=2.6,gpus>=8")
    assert [one.text for one in merged(option, variable, file)] == ["vram>=16GiB", "torch>=2.6", "gpus>=1"]


def test_within_one_source_requirements_of_one_subject_hold_together() -> None:
    assert [one.text for one in merged(parse("gpu!=T4,gpus>=1,gpu!=L4"))] == ["gpu!=T4", "gpu!=L4", "gpus>=1"]
    assert [one.text for one in parse_all(["gpus>=1", "gpus>=1,shm>=1GiB"])] == ["gpus>=1", "shm>=1GiB"]


@pytest.mark.parametrize(
    ("specifier", "version", "holds"),
    [
        ("torch>=2.6", "2.6.0+cu124", True),
        ("torch==2.6", "2.6.0+cu124", True),
        ("torch>=2.6", "2.7.0.dev20250301", True),
        ("torch>=2.6", "2.6.0rc1", False),
        ("driver>=535.129", "535.129.03", True),
        ("driver==550.*", "550.54.15", True),
        ("driver>=550", "535.183.01", False),
    ],
)
def test_versions_compare_as_python_packaging_does_and_pre_releases_count(
    specifier: str, version: str, holds: bool
) -> None:
    (requirement,) = parse(specifier)
    assert isinstance(requirement, Versioned)
    assert requirement.holds(version) is holds
