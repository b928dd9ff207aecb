"""Laws that hold for any text: no crash, order does not matter, everything keeps its line, time stays linear."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpudoctor import facts as f
from gpudoctor.intake import FORMATS, Format, Unreadable, read
from gpudoctor.intake.paste import Paste
from gpudoctor.matrix import load
from gpudoctor.report import judge
from tests.cases.render import cases, render
from tests.intake import pastes, test_formats, test_nvidia_smi

WHOLE = (
    *(text for name, text in vars(pastes).items() if name.isupper()),
    test_nvidia_smi.QUERY,
    test_nvidia_smi.XML,
    test_formats.ISSUE,
    *(render(case) for case in cases()[::20]),
)
LINES = tuple(dict.fromkeys(line for text in WHOLE for line in text.splitlines()))

_soup = st.lists(
    st.one_of(
        st.sampled_from(LINES),
        st.text(max_size=120),
        st.builds(lambda a, b: a + b, st.sampled_from(LINES), st.text(max_size=20)),
    ),
    max_size=40,
).map("\n".join)


@settings(max_examples=300, deadline=None)
@given(_soup)
def test_any_mixture_of_lines_gives_facts_that_can_be_saved_and_judged(text: str) -> None:
    try:
        intake = read(text)
    except Unreadable:
        return
    assert f.decode(f.encode(intake.facts)) == intake.facts
    assert 0 <= intake.recognised <= intake.lines
    assert [outcome for outcome in judge(intake.facts).outcomes if outcome.outcome == "crashed"] == []


@pytest.mark.parametrize("read_format", FORMATS)
def test_no_format_says_anything_of_lines_that_are_read(read_format: Format) -> None:
    for text in WHOLE:
        paste = Paste(text)
        paste.take(0, len(paste) - 1)
        paste.settle()
        assert list(read_format(paste)) == []


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=2000))
def test_any_bytes_give_facts_or_a_clear_refusal(data: bytes) -> None:
    try:
        intake = read(data)
    except Unreadable as error:
        refusal = str(error)
    else:
        refusal = "" if intake.lines else "no lines"
    assert refusal in ("", "The text is empty.", "This is a binary file, not text.")


@pytest.mark.parametrize("read_format", FORMATS, ids=lambda one: one.__name__)
@settings(max_examples=40, deadline=None)
@given(text=_soup)
def test_each_format_takes_any_text(read_format: Any, text: str) -> None:
    paste = Paste(text)
    for piece in read_format(paste):
        assert piece is not None
    assert len(paste.taken) == len(paste)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(WHOLE), st.data())
def test_a_torn_paste_is_read_as_far_as_it_goes(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    try:
        assert read(text[start:end]).lines > 0
    except Unreadable:
        assert not re.sub(r"[`~>#*+$ \r\n\t-]|details", "", text[start:end])


BLOCKS = (
    pastes.COLLECT_ENV_2_4,
    pastes.SMI_418.replace("418.67", "550.54.15").replace("10.1", "12.4"),
    test_formats.ISSUE,
)


def test_the_order_of_blocks_does_not_matter() -> None:
    first = _without_sources(read("\n\n".join(BLOCKS)).facts)
    second = _without_sources(read("\n\n".join(reversed(BLOCKS))).facts)
    assert first == second


def test_a_tool_goes_before_a_person() -> None:
    for text in (f"Driver version: 470.42\n\n{pastes.SMI_610}", f"{pastes.SMI_610}\n\nDriver version: 470.42\n"):
        nvml = read(text).facts.nvml
        assert isinstance(nvml, f.Nvml)
        assert (nvml.driver, nvml.cuda) == ("610.43.02", "13.3")


def _without_sources(value: Any) -> Any:
    """The facts as plain values, without sources, and lists in one order."""
    plain = msgspec.to_builtins(value) if isinstance(value, msgspec.Struct) else value
    if isinstance(plain, dict):
        return {key: _without_sources(item) for key, item in plain.items() if key not in ("source", "messages")}
    if isinstance(plain, list | tuple):
        return sorted((_without_sources(item) for item in plain), key=repr)
    return plain


@pytest.mark.parametrize("text", WHOLE)
def test_every_fact_names_lines_that_exist(text: str) -> None:
    count = text.count("\n") + 1
    for source in _sources(read(text).facts):
        numbers = [int(number) for number in re.findall(r"\d+", source)]
        assert numbers, source
        assert all(1 <= number <= count for number in numbers), source


def _sources(facts: f.Facts) -> Iterator[str]:
    """The source of every record but the request's."""
    pending: list[Any] = [getattr(facts, name) for name in facts.__struct_fields__ if name != "request"]
    while pending:
        value = pending.pop()
        if isinstance(value, f.Fact):
            yield value.source
        if isinstance(value, msgspec.Struct):
            pending += [getattr(value, name) for name in value.__struct_fields__]
        elif isinstance(value, tuple):
            pending += value


HOSTILE = (
    "a" * 100_000,
    "(" * 50_000,
    "[[" * 20_000 + "]",
    "GPU 0: " + "NVIDIA " * 20_000,
    "| " * 40_000,
    "=" * 80_000,
    ("x" * 3_900 + "@") * 20,
    "user@host:" + "a/" * 2_000 + "\n" + "(venv) " * 10_000,
    "\n".join("GPU 0: NVIDIA Nonsense " + str(n) for n in range(3_000)),
    "\n".join("error: cuda " + str(n) for n in range(30_000)),
    "\n".join(f"package{n}==1.{n}" for n in range(30_000)),
    "\x1b[" * 50_000 + "\x1b]" * 50_000,
    "&lt;" * 100_000,
    "{" * 20_000 + '"gpudoctor.facts/1"',
    ("docker run " + "-e A=B \\\n" * 5_000),
    "NVIDIA-SMI " * 10_000,
    "2024-01-01 12:00:00 " * 10_000,
    "CUDA Version: 9" + "9" * 50_000 + "." + "9" * 50_000,
    "Driver Version: " + "535." * 20_000,
    "\n".join(["services:", "image: a"] + ["  a: b"] * 20_000),
    "0: " * 30_000,
    " " * 200_000 + "x",
    "\n".join("> " * 400 + str(n) for n in range(300)),
)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts_end_soon(text: str) -> None:
    load()
    begin = time.process_time()
    try:
        intake = read(text)
    except Unreadable:
        intake = read("nothing was left of it")
    assert time.process_time() - begin < 5
    assert len(intake.facts.messages) <= 1_000
    assert len(intake.facts.known_gpus()) <= 128


def test_fifty_megabytes_end_in_seconds() -> None:
    data = (pastes.COLLECT_ENV_2_4 + "\nRuntimeError: CUDA error: out of memory\n" + "some other line\n" * 50).encode()
    begin = time.process_time()
    intake = read(data * (50_000_000 // len(data)))
    assert intake.cut
    assert time.process_time() - begin < 20
    assert intake.facts.framework("torch") is not None
