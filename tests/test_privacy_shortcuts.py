"""What redaction may leave out because there is nothing to hide: it hides as much as without these shortcuts."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpudoctor.pasted import triage
from gpudoctor.privacy import _MARKS, _SECRET_MARKS, redact, redact_report, secretive


def test_a_secret_is_hidden_also_where_no_name_is_known() -> None:
    report = triage("RuntimeError: CUDA error: hf_abcdefgh12345678ABCD, torch==2.1.0\n", "ticket.txt")
    clean = redact_report(report)
    assert [message.text for message in clean.facts.messages] == [
        "RuntimeError: CUDA error: hidden-secret, torch==2.1.0"
    ]
    assert redact(report.facts)[0] == clean.facts


@pytest.mark.parametrize("pattern", _MARKS, ids=lambda pattern: pattern.pattern[:40])
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_text_without_a_patterns_marks_has_no_match_of_it(pattern: re.Pattern[str], data: st.DataObject) -> None:
    text = data.draw(st.from_regex(pattern, alphabet=st.characters(codec="ascii")))
    assert not pattern.search(text) or any(mark in text.lower() for mark in _MARKS[pattern])


_PARTS = st.sampled_from([*_SECRET_MARKS, "Api", "ssh", "Db", "X", "_", "-", "pa", "ss", "ke", "y", "Tok", "en"])


@given(st.lists(_PARTS))
def test_every_secretive_name_holds_a_mark_of_one(parts: list[str]) -> None:
    name = "".join(parts)
    assert not secretive(name) or any(mark in name.lower() for mark in _SECRET_MARKS)
