"""facts.json is a bug report, a test fixture and a corpus case: what goes in comes out."""

from __future__ import annotations

import math

import msgspec
import pytest

from gpudoctor import facts as f
from tests.good import GOOD, change, proved, with_gpu


def test_facts_survive_the_way_through_json() -> None:
    assert f.decode(f.encode(GOOD)) == GOOD


def test_missing_survives_with_its_kind_and_place() -> None:
    facts = change(nvml=f.Missing("timed-out", "no answer", "nvmlInit"))
    assert f.decode(f.encode(facts)) == facts


def test_a_loss_that_is_no_number_becomes_none() -> None:
    job = msgspec.structs.replace(proved("torch"), loss=(2.3, math.nan, math.inf))
    assert f.decode(f.encode(change(smokes=(job,)))).smokes[0].loss == (2.3, None, None)


def test_text_that_is_no_unicode_is_kept_escaped() -> None:
    facts = with_gpu(name="GPU \udcff")
    assert f.decode(f.encode(facts)).known_gpus()[0].name == "GPU \\udcff"


@pytest.mark.parametrize(
    "text", ["", "[]", '{"schema": "other/1"}', '{"schema": "gpudoctor.facts/1", "nvml": 7}', "\xff"]
)
def test_what_is_no_facts_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        f.decode(text.encode("latin-1"))


def test_every_fact_has_a_source() -> None:
    kinds = [
        kind for kind in vars(f).values() if isinstance(kind, type) and issubclass(kind, f.Fact) and kind is not f.Fact
    ]
    assert len(kinds) > 40
    assert all("source" in kind.__struct_fields__ for kind in kinds)
