"""The report as HTML: whole pages, their structure, and that no text becomes anything but text."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gpudoctor import facts as f
from gpudoctor.findings import Report
from gpudoctor.privacy import redact_report
from gpudoctor.render import Options, render
from gpudoctor.render.html import fragment, html_report
from gpudoctor.render.text import escape
from gpudoctor.wire import failure_report, unreadable_report
from tests import reports
from tests.render import golden
from tests.render.markup import Element, named, read, skeleton
from tests.render.pages import PAGES, TAGS, drawn, tagged

EVERY = pytest.mark.parametrize("make", PAGES.values(), ids=PAGES)

# ------------------------------------------------------------------------------------------- whole outputs


@pytest.mark.parametrize("name", golden.KEPT)
def test_a_page_is_as_it_was_looked_at(name: str) -> None:
    """Write them anew with ``python -m tests.render.golden``, and read the difference."""
    kept = (golden.FOLDER / f"{name}.html").read_text("utf-8")
    assert golden.page(golden.KEPT[name]()) == kept


def test_the_piece_for_a_notebook_is_as_it_was_looked_at() -> None:
    assert golden.piece(drawn()) == (golden.FOLDER / "drawn.fragment.html").read_text("utf-8")


# ------------------------------------------------------------------------------------------------ structure


@EVERY
def test_ids_are_unique_and_every_link_leads_to_one(make: Callable[[], Report]) -> None:
    elements = read(html_report(make()))
    ids = [one.attributes["id"] for one in elements if "id" in one.attributes]
    assert len(ids) == len(set(ids))
    links = [one.attributes["href"] or "" for one in named(elements, "a")]
    assert links
    assert [link for link in links if link.removeprefix("#") not in ids] == []
    labelled = [one.attributes["for"] for one in named(elements, "label")]
    assert [one for one in labelled if one not in ids] == []


@EVERY
def test_headings_leave_out_no_level_and_the_verdict_is_the_only_first_one(make: Callable[[], Report]) -> None:
    levels = [int(one.name[1]) for one in read(html_report(make())) if re.fullmatch("h[1-6]", one.name)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in itertools.pairwise(levels))


@EVERY
def test_whatever_is_announced_has_a_name(make: Callable[[], Report]) -> None:
    elements = read(html_report(make()))
    assert elements[0].attributes == {"lang": "en"}
    for one in elements:
        name = one.attributes.get("aria-label") or one.text
        if one.name in ("a", "button", "summary", "h1", "h2", "h3", "label", "caption", "th"):
            assert name.strip(), one
        if one.name == "svg":
            assert one.attributes.get("aria-hidden") == "true" or (
                one.attributes.get("role") == "img" and one.attributes.get("aria-label")
            )
    tables = named(elements, "table", lambda one: "facts" not in one.classes)
    assert len(tables) == len(named(elements, "caption"))


@EVERY
def test_a_button_says_first_what_is_written_on_it_and_waits_for_the_script(make: Callable[[], Report]) -> None:
    for one in named(read(html_report(make())), "button"):
        assert (one.attributes["aria-label"] or "").startswith(one.text.strip())
        assert one.attributes["type"] == "button"
        assert "hidden" in one.attributes


@EVERY
def test_style_and_script_are_the_only_ones_and_the_policy_names_their_hashes(make: Callable[[], Report]) -> None:
    elements = read(html_report(make()))
    (style,), (script,) = named(elements, "style"), named(elements, "script")
    policy = next(one for one in named(elements, "meta") if "http-equiv" in one.attributes).attributes["content"]
    assert policy == (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    for one in elements:
        assert not [name for name in one.attributes if name.startswith("on") or name in ("style", "src", "action")]


def _hash(element: Element) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(element.text.encode()).digest()).decode()}"


@EVERY
def test_a_page_asks_no_network(make: Callable[[], Report]) -> None:
    page = html_report(make())
    outside = {one.attributes["href"] for one in read(page) if one.name == "link"}
    assert outside == {"data:,"}
    style = next(one for one in read(page) if one.name == "style").text
    assert not re.search(r"url\(|@import|@font-face", style)


def test_every_command_stands_on_the_page_as_it_is() -> None:
    report = reports.broken()
    codes = [one.text for one in named(read(html_report(report)), "code")]
    for finding in report.findings:
        for fix in finding.fixes[:1]:
            assert set(fix.commands) <= set(codes)
    assert "gpudoctor smoke --framework torch" in codes


def test_all_facts_stand_on_the_page() -> None:
    facts = drawn().facts
    cells = {one.text for one in named(read(html_report(drawn())), "td")}
    plain = msgspec.to_builtins(facts, order="deterministic")

    def values(value: Any) -> list[str]:
        if isinstance(value, dict):
            missing = value.get("fact") == "missing"
            return [text for key, item in value.items() if key != "fact" and not missing for text in values(item)]
        if isinstance(value, list | tuple):
            return [text for item in value for text in values(item) if isinstance(item, dict)]
        return [value] if isinstance(value, str) else []

    wanted = values(plain)
    assert len(wanted) > 100
    assert [one for one in wanted if one not in cells] == []


def test_a_fact_that_is_not_known_says_why() -> None:
    cells = [one.text for one in named(read(html_report(reports.hung())), "td")]
    assert "not known: timed-out: nvmlDeviceGetHandleByIndex, GPU 3: no answer within 20 s" in cells


# -------------------------------------------------------------------------------------------- not to break


@pytest.mark.parametrize(
    "report",
    [
        failure_report(ValueError("<b>no</b>"), gpudoctor="0.1.0", created=reports.CREATED),
        unreadable_report("The text is empty.", gpudoctor="0.1.0", created=reports.CREATED, input="<x>.txt"),
        Report(gpudoctor="", created="", source="machine", status="healthy", facts=f.Facts()),
    ],
    ids=["failed", "unreadable", "empty"],
)
def test_a_report_with_next_to_nothing_is_a_page_too(report: Report) -> None:
    for html in (html_report(report), fragment(report)):
        assert not [one for one in read(html) if one.name in ("b", "x")]


@pytest.mark.parametrize(
    "loss", [(), (1.0,), (None, None), (float("nan"), float("inf"), 1e300), (2.0, 2.0), (-3.0, -1.0)]
)
def test_any_curve_is_drawn_or_told(loss: tuple[float | None, ...]) -> None:
    smoke = reports.smoke(
        "torch",
        loss=loss,
        parts=(f.Part(name="odd", holds=True, rate=float("nan"), unit="GB/s"),),
        timeline=(f.Sample(at=0.0, power=float("inf")), f.Sample(at=0.0, power=1e-300)),
    )
    report = replace(reports.healthy(), facts=replace(reports.healthy().facts, smokes=(smoke,)))
    for one in read(html_report(report)):
        for name in ("x", "y", "width", "height", "points", "d", "cx", "cy", "x1", "x2", "y1", "y2"):
            assert not re.search("nan|inf", one.attributes.get(name) or "")


# -------------------------------------------------------------------------------------------------- escapes


def test_hostile_texts_stay_texts() -> None:
    elements = read(html_report(tagged()))
    allowed = {
        *("html", "head", "meta", "title", "link", "style", "body", "a", "header", "p", "strong", "span", "main"),
        *("section", "h1", "h2", "h3", "code", "div", "pre", "button", "details", "summary", "table", "caption"),
        *("thead", "tbody", "tr", "th", "td", "nav", "ul", "li", "svg", "rect", "line", "text", "circle", "path"),
        *("polyline", "figure", "figcaption", "label", "input", "footer", "script", "dl", "dt", "dd"),
    }
    assert {one.name for one in elements} <= allowed
    assert len(named(elements, "script")) == len(named(elements, "style")) == 1
    whole = elements[0].text
    assert whole.count(TAGS) > 20
    assert named(elements, "h1")[0].text == f"Your GPU does not train: {TAGS}."


def test_what_steers_a_terminal_or_turns_the_reading_order_is_shown_as_an_escape() -> None:
    page = html_report(reports.hostile())
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]", page)
    assert r"\u202eevil\u2066" in page
    page.encode("utf-8")


def _with(text: str) -> Report:
    report = drawn()
    (finding, *_) = reports.broken().findings
    finding = replace(
        finding,
        title=text,
        detail=text,
        evidence=tuple(replace(one, fact=text, value=text, source=text) for one in finding.evidence),
        fixes=(replace(finding.fixes[0], title=text, commands=(text,), note=text, risk=text, verify=text),),
    )
    gpus = tuple(replace(one, name=text) for one in report.facts.known_gpus())
    smokes = tuple(replace(one, device=text, mig=text) for one in report.facts.smokes)
    facts = replace(report.facts, gpus=f.Gpus(source=text, gpus=gpus), smokes=smokes)
    window = report.window
    assert window is not None
    window = replace(window, builds=tuple(replace(one, version=text) for one in window.builds))
    return replace(report, status="warnings", input=text, findings=(finding,), facts=facts, window=window)


@settings(deadline=None, max_examples=40)
@given(st.text(st.characters(codec=None), max_size=60))
def test_no_text_changes_the_elements_of_a_page(text: str) -> None:
    plain, odd = _with("x.x"), _with(f"x{''.join(text.split())}x")
    for draw in (html_report, fragment):
        assert list(skeleton(read(draw(odd)))) == list(skeleton(read(draw(plain))))


@given(st.text(st.characters(codec=None)))
def test_a_text_is_read_back_as_it_was_written(text: str) -> None:
    report = replace(reports.healthy(), facts=f.Facts(messages=(f.Message(source="stderr", text=text),)))
    cells = [one.text for one in named(read(html_report(report)), "td")]
    assert escape(text) in cells


# -------------------------------------------------------------------------------------------- the fragment


@EVERY
def test_a_piece_holds_nothing_that_reaches_beyond_it(make: Callable[[], Report]) -> None:
    elements = read(fragment(make()))
    assert elements[0].classes == ["gpudoctor-report"]
    assert not {one.name for one in elements} & {
        "html",
        "head",
        "body",
        "main",
        "script",
        "button",
        "input",
        "link",
        "h1",
    }
    for one in elements:
        assert not [name for name in one.attributes if name.startswith("on") or name in ("id", "style", "src", "href")]


def test_every_rule_of_the_piece_is_about_the_piece_alone() -> None:
    (style,) = named(read(fragment(drawn())), "style")
    bare = re.sub(r"(?s)/\*.*?\*/", "", style.text)
    selectors = [one.strip() for one in re.findall(r"([^{}]+)\{", bare)]
    assert len(selectors) > 50
    for selector in selectors:
        outside = [one for one in re.split(r",(?![^(]*\))", selector) if ".gpudoctor-" not in one]
        assert selector.startswith("@media (") or outside == [], selector


# -------------------------------------------------------------------------------------------------- redaction


def test_a_page_is_redacted_unless_asked_and_says_what_was_hidden() -> None:
    shown = render(reports.private(), "html", options=Options())
    assert [word for word in ("alice", "bob", "secret_project", "1111-2222-3333") if word in shown] == []
    assert shown == html_report(redact_report(reports.private()))
    assert "Hidden, so that this file can be passed on: " in shown
    whole = render(reports.private(), "html", options=Options(redact=False))
    assert "secret_project" in whole
    assert "nothing was hidden (--no-redact)" in whole


# ------------------------------------------------------------------------------------------------ the style


def _luminance(colour: str) -> float:
    channels = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _tokens() -> dict[str, tuple[str, str]]:
    style = (files("gpudoctor.render.html") / "tokens.css").read_text("utf-8")
    found = re.findall(r"--(\w+): light-dark\((#\w{6}), (#\w{6})\)", style)
    return {name: (light, dark) for name, light, dark in found}


@pytest.mark.parametrize("ground", ["ground", "raised", "opening"])
@pytest.mark.parametrize("name", ["text", "quiet", "link", "ok", "fault", "warning", "unknown"])
def test_text_can_be_read_on_every_ground_in_light_and_dark(name: str, ground: str) -> None:
    """WCAG 2.2, 1.4.3: 4.5 to 1."""
    tokens = _tokens()
    for front, back in zip(tokens[name], tokens[ground], strict=True):
        high, low = sorted((_luminance(front), _luminance(back)), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5, (front, back)


def test_every_colour_is_a_token() -> None:
    for name in ("report.css", "page.css", "notebook.css"):
        style = (files("gpudoctor.render.html") / name).read_text("utf-8")
        assert not re.search(r"#[0-9a-fA-F]{3,8}\b|rgb|hsl", style)
        used = set(re.findall(r"var\(--(\w+)\)", style))
        assert used <= {*_tokens(), "mono", "sans"}
