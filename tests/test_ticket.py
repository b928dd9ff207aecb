"""The facts of a ticket come back exactly, whatever it went through; a damaged block is said and never guessed at."""

from __future__ import annotations

import base64
import textwrap
import zlib
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gpudoctor import ticket
from gpudoctor.facts import Facts, KernelLog, Message, Sample, decode, encode
from gpudoctor.findings import Report
from gpudoctor.intake import read
from gpudoctor.pasted import triage
from gpudoctor.privacy import redact_report
from gpudoctor.render.markdown import MOST, markdown
from gpudoctor.report import judge
from tests import reports
from tests.cases.measure import measure
from tests.cases.render import cases, held_out

MACHINES = Path(__file__).with_name("machines")


def _verdict(report: Report) -> tuple[object, ...]:
    found = [(one.rule, one.severity, one.confidence, one.about, one.because_of) for one in report.findings]
    return report.status, report.cause, report.candidates, found


def _assert_comes_back(facts: Facts) -> None:
    """Facts → report → ticket → triage: the same redacted facts, and what follows from them."""
    shown = redact_report(judge(replace(facts, gpudoctor="0.1.0", created=reports.CREATED)))
    again = triage(markdown(shown), "ticket.md")
    kept = decode(encode(shown.facts))
    assert again.facts == kept
    assert _verdict(again) == _verdict(judge(kept))
    assert again.reading is not None
    assert not again.reading.damaged
    assert (again.status, [f.rule for f in again.findings]) == (shown.status, [f.rule for f in shown.findings])
    assert (again.cause and again.cause.rule) == (shown.cause and shown.cause.rule)


@pytest.mark.parametrize("make", [*reports.ALL, reports.timed], ids=lambda make: make.__name__)
def test_the_facts_of_a_ticket_come_back_exactly_and_so_does_the_cause(make: Callable[[], Report]) -> None:
    _assert_comes_back(make().facts)


def test_the_facts_of_every_real_case_come_back_exactly_and_so_does_the_cause() -> None:
    for measured in measure([*cases(), *held_out()]):
        _assert_comes_back(measured.intake.facts)


def _machines() -> Iterator[Path]:
    return (path for path in sorted(MACHINES.rglob("*.json")) if '"gpudoctor.facts/1"' in path.read_text("utf-8"))


@pytest.mark.skipif(not any(_machines()), reason="no machine is recorded in tests/machines")
def test_the_facts_of_every_recorded_machine_come_back_exactly_and_so_does_the_cause() -> None:
    for path in _machines():
        _assert_comes_back(decode(path.read_bytes()))


# ------------------------------------------------------------------------------------ what happens to tickets

TICKET = markdown(redact_report(reports.broken()))
FACTS = redact_report(reports.broken()).facts


def _quoted(text: str) -> str:
    return "".join(f"> {line}\n" for line in text.splitlines())


def _wrapped(text: str, width: int = 60) -> str:
    return "\n".join("\n".join(textwrap.wrap(line, width)) for line in text.splitlines())


def _without_markup(text: str) -> str:
    kept = [line for line in text.splitlines() if not line.startswith(("<", "```", "#", "|", "---"))]
    return "\n".join(line.replace("`", "").replace("*", "") for line in kept)


def _quoted_printable(text: str) -> str:
    import quopri

    return quopri.encodestring(text.encode()).decode()


def _as_html(text: str) -> str:
    return "".join(f"<p class='x'>{escape(line)}</p>\n" for line in text.splitlines())


WAYS: dict[str, Callable[[str], str]] = {
    "unchanged": lambda text: text,
    "CRLF": lambda text: text.replace("\n", "\r\n"),
    "CR": lambda text: text.replace("\n", "\r"),
    "quoted": _quoted,
    "quoted twice": lambda text: _quoted(_quoted(text)),
    "quoted without blanks": lambda text: "".join(f">{line}\n" for line in text.splitlines()),
    "quoted and wrapped": lambda text: _wrapped(_quoted(text)),
    "wrapped": _wrapped,
    "wrapped narrowly": lambda text: _wrapped(text, 24),
    "wrapped, then quoted": lambda text: _quoted(_wrapped(text, 40)),
    "indented": lambda text: textwrap.indent(text, "    "),
    "indented with tabs": lambda text: textwrap.indent(text, "\t"),
    "blank lines between": lambda text: text.replace("\n", "\n\n"),
    "on one line": lambda text: " ".join(text.split("\n")),
    "without line ends": lambda text: text.replace("\n", ""),
    "within prose": lambda text: f"Hi all,\n\nit crashes since Monday:\n\n{text}\n\nThanks!\n-- \nAlice\n",
    "after another block": lambda text: f"{ticket.MARK}1:99:deadbeef:\nAAAA\n{ticket.END}\n{text}",
    "as a form's answer": lambda text: f"### Report\n\n```shell\n{text}\n```\n\n### OS\n\nLinux\n",
    "without markup": _without_markup,
    "as HTML": _as_html,
    "quoted-printable": _quoted_printable,
    "with line numbers": lambda text: "".join(f"{n:4} {line}\n" for n, line in enumerate(text.splitlines(), 1)),
    "with zero-width characters": lambda text: text.replace("\n", "\u200b\n\ufeff"),
    "in a table": lambda text: "".join(f"| {line} |\n" for line in text.splitlines()),
    "with initials": lambda text: "".join(f"AL> {line}\n" for line in text.splitlines()),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_ticket_that_went_through_mail_and_forms_is_restored(way: str) -> None:
    intake = read(WAYS[way](TICKET))
    assert intake.facts == FACTS
    assert not intake.damaged


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_a_ticket_in_a_file_of_any_encoding_is_restored(encoding: str) -> None:
    assert read(TICKET.encode(encoding)).facts == FACTS


@settings(max_examples=60, deadline=None)
@given(
    ways=st.lists(st.sampled_from(["CRLF", "quoted", "indented", "blank lines between", "within prose"]), max_size=4),
    width=st.integers(24, 200),
    before=st.text(max_size=200),
    after=st.text(max_size=200),
)
def test_a_ticket_survives_any_series_of_harmless_changes(ways: list[str], width: int, before: str, after: str) -> None:
    text = _wrapped(TICKET, width)
    for way in ways:
        text = WAYS[way](text)
    found = ticket.find(f"{before}\n{text}\n{after}")
    assert found is not None
    assert found.facts == FACTS


BLOCK = "\n".join(ticket.pack(FACTS, MOST).lines)  # type: ignore[union-attr]


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_a_block_with_a_changed_character_is_damaged_and_never_another_machine(data: st.DataObject) -> None:
    place = data.draw(st.integers(len(ticket.MARK), len(BLOCK) - len(ticket.END) - 1))
    new = data.draw(st.sampled_from("abcXYZ019+/ \n:"))
    found = ticket.find(BLOCK[:place] + new + BLOCK[place + 1 :])
    assert found is not None
    body = place > BLOCK.index("\n") and BLOCK[place] != "\n"
    assert found.facts == (None if body and new != BLOCK[place] else found.facts and FACTS)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_block_that_lost_some_lines_or_was_cut_is_damaged(data: st.DataObject) -> None:
    lines = BLOCK.split("\n")
    gone = data.draw(st.sets(st.integers(1, len(lines) - 2), min_size=1))
    found = ticket.find("\n".join(line for number, line in enumerate(lines) if number not in gone))
    assert found == ticket.Found(None)


def test_a_damaged_ticket_is_judged_by_its_words_and_says_so() -> None:
    lines = TICKET.split("\n")
    place = next(number for number, line in enumerate(lines) if line.startswith(ticket.MARK))
    report = triage("\n".join([*lines[: place + 2], *lines[place + 3 :]]), "ticket.md")
    assert report.reading is not None
    assert report.reading.damaged
    assert report.status == "broken"
    assert report.cause is not None
    assert report.cause.rule == "torch-arch-unsupported"
    assert [gpu.name for gpu in report.facts.known_gpus()] == [reports.BLACKWELL]
    assert report.facts.origin == "paste"


def test_what_rules_said_is_no_evidence_in_a_damaged_ticket() -> None:
    shown = redact_report(judge(reports.healthy().facts))
    text = markdown(shown).replace(":gpudoctor:end", "").replace("eNr", "eNx")
    report = triage(text, "ticket.md")
    assert report.reading is not None
    assert report.reading.damaged
    assert [(one.rule, one.title) for one in report.findings if one.severity.value != "info"] == []


@pytest.mark.parametrize("text", ["see the docs on gpudoctor: facts and how they are packed", "gpudoctor facts: none"])
def test_a_text_that_only_talks_of_blocks_holds_none(text: str) -> None:
    assert ticket.find(text) is None


# -------------------------------------------------------------------------------------------- hostile blocks


def _block(data: bytes) -> str:
    text = base64.b64encode(data).decode().rstrip("=")
    return f"{ticket.MARK}1:{len(text)}:{zlib.crc32(text.encode()):08x}:\n{text}\n{ticket.END}\n"


@pytest.mark.parametrize(
    "data",
    [
        zlib.compress(b"0" * (64 << 20), 9)[:70_000],
        zlib.compress(b" " * (40 << 20), 9),
        zlib.compress(b"{}"),
        zlib.compress(b'{"schema": "gpudoctor.facts/1", "gpus": 7}'),
        zlib.compress(b"[" * 200_000),
        zlib.compress(b'{"schema": "gpudoctor.facts/1", "x": ' + b"[" * 100_000),
        zlib.compress(b"\xff\xfe not JSON"),
        zlib.compress(encode(FACTS))[:-1],
        b"no zlib at all",
        b"",
    ],
    ids=["cut bomb", "bomb", "empty", "wrong type", "deep", "deep facts", "no text", "cut", "no zlib", "nothing"],
)
def test_a_hostile_block_is_damaged_and_harms_nothing(data: bytes) -> None:
    assert ticket.find(_block(data)) == ticket.Found(None)
    report = triage(f"torch 2.1.0\n{_block(data)}", "ticket.md")
    assert report.reading is not None
    assert report.reading.damaged


@pytest.mark.parametrize(
    "head", ["1:999999:00000000:", "1:0:00000000:", "2:8:00000000:", "1::", "", "1:-5:00000000:", "1:" + "9" * 5000]
)
def test_a_hostile_head_is_damaged_and_harms_nothing(head: str) -> None:
    assert ticket.find(f"{ticket.MARK}{head}\n{'A' * 1000}") == ticket.Found(None)


def test_thousands_of_heads_take_no_time() -> None:
    text = f"{ticket.MARK}1:99999:deadbeef:\n" * 50_000 + "A" * 100_000
    assert ticket.find(text) == ticket.Found(None)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300), st.text(alphabet="0123456789abcdef:\n> ", max_size=40))
def test_no_text_makes_reading_fail(text: str, head: str) -> None:
    ticket.find(f"{text}{ticket.MARK}{head}{text}")
    assert ticket.MARK not in ticket.visible(f"{text}\n{ticket.MARK}{head}{text}")


# ----------------------------------------------------------------------------------------------------- length


def _noise(number: int) -> str:
    return base64.b85encode(
        zlib.crc32(str(number).encode()).to_bytes(4, "big") * 3 + number.to_bytes(4, "big")
    ).decode()


def test_of_facts_that_are_too_long_what_no_rule_rests_on_goes_first() -> None:
    facts = reports.healthy().facts
    samples = tuple(Sample(at=n / 7, temperature=n % 90, power=n * 1.37, sm_clock=n) for n in range(3000))
    long = replace(facts, smokes=tuple(replace(smoke, timeline=samples) for smoke in facts.smokes))
    some, none = ticket.pack(long, 10_000), ticket.pack(long, 3_000)
    assert some is not None
    assert some.left_out == ("most samples of the smoke jobs",)
    found = ticket.find("\n".join(some.lines))
    assert found is not None
    assert found.facts is not None
    assert [len(smoke.timeline) for smoke in found.facts.smokes] == [30] * 4
    assert none is not None
    assert none.left_out == ("most samples of the smoke jobs", "the other samples of the smoke jobs")
    assert ticket.find("\n".join(none.lines)) == ticket.Found(facts)


def test_facts_that_cannot_be_made_short_enough_are_not_carried_and_the_ticket_says_so() -> None:
    many = Facts(
        kernel_log=KernelLog(source="dmesg", lines=tuple(_noise(n) * 40 for n in range(300))),
        messages=tuple(Message(source="line 1", text=_noise(n) * 20 + _noise(n + 1)) for n in range(9000)),
    )
    long = replace(many, system=replace(reports.SYSTEM, kernel="".join(map(_noise, range(9000)))))
    assert ticket.pack(long, MOST) is None
    text = markdown(judge(long))
    assert len(text) < MOST
    assert "The facts are too long for a ticket." in text
    assert ticket.MARK not in text
