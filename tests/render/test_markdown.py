"""The ticket: whole outputs, nothing of a machine's text becomes Markdown, short enough whatever the machine."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from msgspec.structs import replace

from gpudoctor import ticket
from gpudoctor.facts import Environment, KernelLog, Message, Package, Packages
from gpudoctor.findings import Evidence, Fix, Outcome, Report, Silenced
from gpudoctor.render import Options, render
from gpudoctor.render.markdown import DROPPED, MOST, cell, code, fence, inline, markdown
from gpudoctor.render.text import words
from gpudoctor.report import judge
from tests import reports
from tests.cases.measure import measure
from tests.cases.render import cases

MARKDOWN = MarkdownIt("gfm-like", {"html": True, "linkify": False}).enable(["table", "strikethrough"])


WHOLE = Path(__file__).with_name("tickets")
"""Whole tickets by the name of the report, as ``python -m tests.render.test_markdown`` writes them to be looked at."""


def _without_block(text: str) -> str:
    """A ticket without what is in its block of facts, which not every zlib writes alike."""
    head, mark, rest = text.partition(ticket.MARK)
    return head + mark + rest[rest.index(ticket.END) :] if mark else head


def _ticket(make: Callable[[], Report]) -> str:
    return _without_block(render(make(), "markdown", options=Options()))


@pytest.mark.parametrize("make", [*reports.ALL, reports.timed], ids=lambda make: make.__name__)
def test_the_whole_ticket(make: Callable[[], Report]) -> None:
    assert _ticket(make) == (WHOLE / f"{make.__name__}.md").read_text("utf-8")


def test_a_text_that_could_not_be_read() -> None:
    from gpudoctor.wire import unreadable_report

    report = unreadable_report("The text is empty.", gpudoctor="0.1.0", created=reports.CREATED, input="a|b.txt")
    assert markdown(report) == "`a|b.txt`:\n\n## ❔ Not judged: it cannot be read: the text is empty.\n"


def test_what_was_hidden_is_counted() -> None:
    text = render(reports.private(), "markdown", options=Options())
    assert "- Hidden: 5 home folders, 1 GPU or device id, 1 program of another user.\n" in text
    assert "Hidden:" not in render(reports.private(), "markdown", options=Options(redact=False))
    for private in ("alice", "bob", "secret_project", "1111-2222"):
        assert private not in text


# ------------------------------------------------------------------------------------------- inert text

HOSTILE = (
    "@alice",
    "@org/team",
    "#123",
    "org/repo#7",
    "GH-12",
    "!45",
    "~label",
    "$x$",
    "%1.0",
    "&17",
    "https://evil.example/x",
    "www.evil.example",
    "evil.example",
    "a@evil.example",
    "<script>alert(1)</script>",
    "<details>",
    "</details>",
    "<!-- -->",
    "&lt;b&gt;",
    "![x](https://evil.example/x.png)",
    "[x](javascript:alert(1))",
    "[x]: https://evil.example",
    "[^1]",
    "**bold**",
    "__bold__",
    "_em_",
    "*em*",
    "~~gone~~",
    "`code`",
    "```",
    "~~~",
    "# heading",
    "- item",
    "+ item",
    "* item",
    "1. item",
    "1) item",
    "> quote",
    "---",
    "===",
    "***",
    "| a | b |",
    "|---|---|",
    "a|b",
    "a\\|b",
    "a\\\\|b",
    "\\",
    "\\`",
    "    indented",
    "- [ ] task",
    ":smile:",
    "deadbeef0123",
    "</summary>",
    "$$\nx\n$$",
    "line one\n# two\n\n- three",
    "x\r\n\r\n<img src=x onerror=alert(1)>",
    "{% raw %}",
    "[[wiki]]",
    "term\n: definition",
    "\x00\x1b[31m\u202e",
)
OURS = re.compile(r"</?details>|<summary>[A-Za-z ]+(?:<code>gpudoctor triage</code>)?</summary>|\s+")


def _tokens(text: str) -> Iterator[Token]:
    for token in MARKDOWN.parse(text):
        yield token
        yield from token.children or ()


def _assert_inert(text: str) -> None:
    """Nothing is in the report but what the report puts there."""
    for token in _tokens(text):
        assert token.type not in (
            "image",
            "link_open",
            "em_open",
            "s_open",
            "html_inline",
            "blockquote_open",
            "code_block",
        ), text
        if token.type == "html_block":
            assert OURS.sub("", token.content) == "", text
        if token.type == "text":
            assert not re.search(r"[@#<>&$~*_\[\]|`\\]|://|www\.", token.content), token.content


def _everywhere(value: Any, plant: str) -> Any:
    """The same value with the text appended to every string that its type lets be any text."""
    if isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            planted = replace(value, **{name: _everywhere(getattr(value, name), plant)})
            try:
                value = msgspec.convert(msgspec.to_builtins(planted), type(value))
            except msgspec.ValidationError:
                continue
        return value
    if isinstance(value, dict):
        return {f"{key} {plant}": _everywhere(item, plant) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_everywhere(item, plant) for item in value)
    return f"{plant} {value} {plant}" if isinstance(value, str) else value


@pytest.mark.parametrize("plant", HOSTILE)
def test_text_of_a_machine_in_every_place_of_a_report_becomes_no_element(plant: str) -> None:
    report = reports.timed() if plant.startswith(("|", "a")) else reports.broken()
    facts = _everywhere(_full(report), plant)
    findings = tuple(
        replace(_everywhere(finding, plant), rule=finding.rule, because_of=finding.because_of, about=finding.about)
        for finding in report.findings
    )
    planted = replace(
        report,
        input=plant,
        facts=facts,
        findings=findings,
        cause=report.cause and replace(report.cause, title=plant),
        outcomes=tuple(replace(outcome, why=plant) for outcome in report.outcomes[-9:]),
        unknown=(),
        silenced=(Silenced(rule="rule", by=plant),),
    )
    text = markdown(planted)
    _assert_inert(text)
    plain = Counter(token.type for token in MARKDOWN.parse(markdown(replace(planted, input="in"))))
    assert plain["table_open"] == plain["table_close"] > 0


def _full(report: Report) -> Any:
    return replace(
        report.facts,
        environment=Environment(source="environ", variables={"CUDA_VISIBLE_DEVICES": "0"}),
        kernel_log=KernelLog(source="dmesg", lines=("NVRM: loading",)),
        packages=Packages(source="m", packages=(Package(name="torch", version="2.5.1", location="/x"),)),
        messages=(Message(source="line 1", text="oops"),),
    )


_SNIPPETS = st.lists(st.sampled_from(HOSTILE) | st.text(max_size=6), max_size=5).map(" ".join)


@settings(max_examples=400, deadline=None)
@given(_SNIPPETS | st.text(alphabet="`|\\<>[]()!#*_~@:/.-+ 1a\n", max_size=30))
def test_no_text_leaves_its_line_its_cell_or_its_fence(text: str) -> None:
    _assert_inert(f"{inline(text)}\n")
    _assert_inert(f"- {inline(text)}: {code(words(text) or 'x')}\n")
    row = MARKDOWN.parse(f"| a | b |\n| --- | --- |\n| {cell(text)} | end |\n")
    assert [token.type for token in row].count("td_open") == 2
    assert next(t for t in reversed(row) if t.type == "inline").content == "end"
    fenced = MARKDOWN.parse(fence(text.split("\n")) + "\n")
    assert [token.type for token in fenced] == ["fence"]


def test_lines_in_a_fence_stay_as_they_are() -> None:
    lines = ["```", "pip install 'x[y]' --index-url https://a.b/c", "````text", "</details>", "  two"]
    (token,) = MARKDOWN.parse(fence(lines, "sh") + "\n")
    assert (token.info, token.content.splitlines()) == ("sh", lines)


@pytest.mark.parametrize("words", ["a`b", "``", "`a`", " a ", "x"])
def test_a_code_span_shows_its_words(words: str) -> None:
    (inlined,) = [token for token in MARKDOWN.parse(code(words)) if token.type == "inline"]
    (span,) = list(inlined.children or [])
    assert (span.type, span.content.strip()) == ("code_inline", words.strip())


@pytest.mark.parametrize(
    "sentence",
    [
        "GPU 0, NVIDIA GeForce RTX 5090, has compute capability 12.0 (NVML).",
        "torch 2.5.1+cu124 was compiled for 5.0 6.0 7.0 7.5 8.0 8.6 9.0.",
        "PCIe 5.0 ×16, loss 2.30 → 0.05 ▇▄▂▁, 96 × CPU, 91 °C, 76% of 67 TFLOP/s…",
        "The driver does not answer; nothing was trained: why?",
    ],
)
def test_plain_sentences_stay_plain(sentence: str) -> None:
    assert inline(sentence) == sentence


# ---------------------------------------------------------------------------------------------- structure


@pytest.mark.parametrize("make", [*reports.ALL, reports.timed], ids=lambda make: make.__name__)
def test_folds_are_whole_and_what_is_in_them_is_markdown(make: Callable[[], Report]) -> None:
    text = render(make(), "markdown", options=Options())
    lines = text.splitlines()
    assert lines.count("<details>") == lines.count("</details>") > 0
    for number, line in enumerate(lines):
        if line.startswith("<summary>"):
            assert (lines[number - 1], lines[number + 1]) == ("<details>", "")
        if line == "</details>":
            assert lines[number - 1] == lines[number + 1] == ""
    _assert_inert(text)
    assert text.startswith("## ") and text.endswith(" s.\n")  # noqa: PT018
    assert not any(character in text for character in "\x1b\x07\u202e\u200b")


def test_the_cause_comes_first_and_every_real_case_is_short_and_inert() -> None:
    for measured in measure(cases()):
        text = render(replace(measured.report, input=None), "markdown", options=Options())
        assert len(text) < MOST
        _assert_inert(text)
        if measured.report.cause is not None and measured.report.status == "broken":
            assert text.splitlines()[2].startswith(f"**Cause:** `{measured.report.cause.rule}` (")


# ------------------------------------------------------------------------------------------------- length


def _long(count: int, width: int) -> Report:
    report = judge(_full(reports.healthy()))
    facts = replace(
        report.facts,
        packages=Packages(
            source="m",
            packages=tuple(Package(name=f"p{n}-{'x' * width}", version=f"{n}.0", location="/x") for n in range(count)),
        ),
        environment=Environment(source="e", variables={f"CUDA_{n}": "y" * width for n in range(count)}),
        messages=tuple(Message(source="line 1", text=f"{n} {'z' * width}") for n in range(count)),
        gpus=replace(report.facts.gpus, gpus=tuple(reports.gpu(n, f"GPU {n} {'g' * width}") for n in range(count))),
        smokes=tuple(reports.smoke("torch", n, parts=reports.PARTS) for n in range(count)),
    )
    findings = tuple(
        replace(
            reports.ARCH,
            title="t " * width,
            detail="\n".join(["d " * width] * count),
            evidence=(Evidence(fact="f" * width, value="v" * width, source="s" * width),) * count,
            fixes=(Fix(title="x " * width, commands=("c" * width,) * count, note="n\n" * count, risk="r " * width),)
            * 9,
        )
        for _ in range(count)
    )
    outcomes = tuple(Outcome(rule=f"rule-{n}", outcome="skipped", why="w " * width) for n in range(count))
    return replace(reports.broken(), facts=facts, findings=findings, outcomes=outcomes)


@pytest.mark.parametrize(("count", "width"), [(10, 20), (40, 200), (200, 600), (400, 2000)])
def test_a_report_is_short_enough_whatever_the_machine_and_cuts_no_fence(count: int, width: int) -> None:
    text = markdown(_long(count, width))
    assert len(text) < MOST
    assert text.splitlines()[2].startswith("**Cause:** `torch-arch-unsupported`")
    assert text.count("<details>") == text.count("</details>")
    open_fences = [token for token in MARKDOWN.parse(text) if token.type == "fence" and not token.map]
    assert open_fences == []
    assert (ticket.find(text) is None) == ("The facts are too long for a ticket." in text)
    _assert_inert(text)


def test_what_is_left_out_goes_in_the_stated_order_and_is_told() -> None:
    told = []
    for count in (10, 40, 60, 80, 100, 150, 200, 300):
        match = re.search(r"^- Left out for its length: (.*)\.$", markdown(_long(count, 30)), re.MULTILINE)
        told.append(tuple(match[1].split("; ")) if match else ())
    assert told[0] == ()
    assert len(set(told)) > 2
    for names in told:
        shown = [name for name in DROPPED if name in names]
        assert list(names) == shown
        present = [name for name in DROPPED[: len(shown)] if name not in names]
        assert set(present) <= {"rules that passed or do not apply"}  # of which this machine has none


def test_a_command_is_shown_whole_or_not_at_all() -> None:
    report = reports.broken()
    fix = Fix(title="do", commands=("a" * 100, "b" * 5000))
    text = markdown(replace(report, findings=(replace(reports.ARCH, fixes=(fix,)),)))
    assert f"```sh\n{'a' * 100}\n```\n\n1 command too long to be shown here." in text
    assert "bbb" not in text


@settings(max_examples=40, deadline=None)
@given(st.text(min_size=1, max_size=400), st.integers(1, 60))
def test_any_text_in_any_number_gives_a_short_inert_report(words: str, count: int) -> None:
    report = _long(1, 1)
    findings = (replace(report.findings[0], title=words, detail=f"{words}\n" * count),) * count
    text = markdown(
        replace(report, findings=findings, outcomes=(Outcome(rule="r", outcome="crashed", why=words),) * count)
    )
    assert len(text) < MOST
    _assert_inert(text)


if __name__ == "__main__":
    for make in (*reports.ALL, reports.timed):
        (WHOLE / f"{make.__name__}.md").write_text(_ticket(make), "utf-8")
