"""What redaction may leave out because there is nothing to hide: it hides as much as without these shortcuts."""

from __future__ import annotations

import re
import typing
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpudoctor import facts as f
from gpudoctor.pasted import triage
from gpudoctor.privacy import (
    _ALIKE,
    _MARKS,
    _PRIVATE,
    _SECRET_MARKS,
    PROGRAM,
    Identity,
    redact,
    redact_report,
    secretive,
)
from tests.good import with_gpu


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


def _facts(package: str = "torch", version: str = "2.7.1", **gpu: Any) -> f.Facts:
    packages = (f.Package(name=package, version=version, location="the environment", installer="pip"),)
    facts = with_gpu(name="NVIDIA H100", **gpu)
    return msgspec.structs.replace(facts, packages=f.Packages(source="line 3", packages=packages))


def test_a_name_is_hidden_in_a_record_that_told_nothing_in_the_report_before() -> None:
    facts = _facts(package="wolkenburg")
    before, _ = redact(facts, Identity(user="somebody"))
    after, hidden = redact(facts, Identity(user="Wolkenburg"))
    assert [one.packages.packages[0].name for one in (before, after) if isinstance(one.packages, f.Packages)] == [
        "wolkenburg",
        "user",
    ]
    assert hidden["user-name"] == 1


def test_a_gpu_that_tells_its_uuid_is_no_other_one() -> None:
    uuid = "GPU-12345678-9abc-def0-1234-56789abcdef0"
    shown = [redact(_facts(uuid=one))[0].known_gpus()[0].uuid for one in (None, uuid, None, uuid)]
    assert shown == [None, "GPU-a01", None, "GPU-a01"]


def test_another_users_program_is_hidden_after_a_gpu_without_programs() -> None:
    process = f.GpuProcess(pid=7, kind="compute", name="secret-project")
    running = f.GpuProcesses(source="NVML", processes=(process,))
    for processes in (f.Missing("unreadable"), running, running):
        (gpu,) = redact(_facts(processes=processes))[0].known_gpus()
        names = [one.name for one in getattr(gpu.processes, "processes", ())]
        assert names == [PROGRAM] * len(names)


def test_a_version_of_four_parts_is_known_for_one_also_in_the_second_report() -> None:
    message = f.Message(source="line 9", text="loaded 9.1.0.70 from the cache")
    facts = msgspec.structs.replace(_facts(package="nvidia-cudnn-cu12", version="9.1.0.70"), messages=(message,))
    assert [redact(facts)[0].messages[0].text for _ in range(2)] == [message.text] * 2
    other = msgspec.structs.replace(_facts(), messages=(message,))
    assert redact(other)[0].messages[0].text == "loaded hidden-address from the cache"


@pytest.mark.parametrize(
    ("text", "user", "shown"),
    [
        ("Wolkenburg → GPU", "wolkenburg", "user → GPU"),
        ("… of wolkenburg", "Wolkenburg", "… of user"),
        ("\N{KELVIN SIGN}elvin", "kelvin", "user"),
    ],
)
def test_a_name_is_hidden_in_a_text_beyond_ascii(text: str, user: str, shown: str) -> None:
    facts = msgspec.structs.replace(_facts(), messages=(f.Message(source="line 9", text=text),))
    assert redact(facts, Identity(user=user))[0].messages[0].text == shown


def test_what_is_remembered_of_one_record_holds_for_all_that_are_equal_to_it() -> None:
    """A record with a dictionary in it could not be looked up, and one that is private as such must not be."""
    for kind in _ALIKE - {frozenset}:
        assert not _holds(kind, dict), kind
        assert kind not in _PRIVATE


def _holds(hint: Any, wanted: type) -> bool:
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return any(_holds(one, wanted) for one in typing.get_type_hints(hint).values())
    return (typing.get_origin(hint) or hint) is wanted or any(_holds(one, wanted) for one in typing.get_args(hint))
