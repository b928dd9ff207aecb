"""The whole page, and the piece that a notebook shows."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from gpudoctor.findings import Report
from gpudoctor.render import summary, text
from gpudoctor.render.html import sections
from gpudoctor.render.html.everything import everything
from gpudoctor.render.html.jobs import jobs
from gpudoctor.render.html.markup import NOTHING, Markup, element
from gpudoctor.render.html.parts import Place
from gpudoctor.render.html.verdict import verdict
from gpudoctor.render.html.window import compatibility

Section = tuple[str, str, Markup]
"""Its id on a page, its title, what is in it."""


def html_report(report: Report) -> str:
    """One file that asks nothing of any other: light and dark, for phones and paper, readable without its script."""
    return f"<!doctype html>\n{_document(Place(report)).html}"


def fragment(report: Report) -> str:
    """The report as a piece of another page, such as a notebook: no script, no id, and no style that leaves it."""
    place = Place(report, page=False)
    style = element("style", _asset("tokens.css", "report.css", "notebook.css"))
    body = [
        element("div", place.heading(2, title), content, class_=f"part {name}")
        for name, title, content in _sections(place, whole=False)
        if content != NOTHING
    ]
    head = element("div", verdict(place), class_="part verdict")
    return element("div", style, head, *body, class_="gpudoctor-report").html


# ------------------------------------------------------------------------------------------------------ page


def _document(place: Place) -> Markup:
    style, script = _asset("tokens.css", "report.css", "page.css"), _asset("page.js")
    title = f"{place.report.status}: {text.shorten(text.words(summary.headline(place.report).sentence))} · gpudoctor"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy(style, script)),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", title[:1].upper() + title[1:]),
        element("link", rel="icon", href="data:,"),
        element("style", style),
    )
    return element(
        "html", head, element("body", *_body(place), element("script", script), class_="gpudoctor-page"), lang="en"
    )


def _policy(style: Markup, script: Markup) -> str:
    """Nothing is loaded and nothing runs but the style and the script that stand here, by their hashes."""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(content: Markup) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(content.html.encode()).digest()).decode()}"


@cache
def _asset(*names: str) -> Markup:
    """Style or script of this package, as it stands in its files."""
    folder = files("gpudoctor.render.html")
    return Markup("\n" + "".join((folder / name).read_text("utf-8") for name in names))


def _body(place: Place) -> Iterator[Markup]:
    parts = [one for one in _sections(place) if one[2] != NOTHING]
    yield element("a", "Skip to the verdict", href="#verdict", class_="skip")
    yield element(
        "header",
        element("p", element("strong", "gpudoctor"), " ", element("span", sections.made(place.report))),
        class_="gpudoctor-report bar",
    )
    yield element(
        "main",
        element("section", verdict(place), id="verdict", class_="part verdict", tabindex="-1"),
        _contents(parts),
        *(
            element("section", place.heading(2, title), content, id=name, class_=f"part {name}", aria_label=title)
            for name, title, content in parts
        ),
        class_="gpudoctor-report",
    )
    yield element("footer", sections.about(place.report), class_="gpudoctor-report foot")
    yield element("p", "", role="status", id="said", class_="spoken")


def _contents(parts: list[Section]) -> Markup | None:
    if not parts:
        return None
    links = (element("li", element("a", title, href=f"#{name}")) for name, title, _ in parts)
    return element("nav", element("ul", *links), aria_label="Sections")


def _sections(place: Place, *, whole: bool = True) -> Iterator[Section]:
    report = place.report
    if report.unreadable:
        return
    yield "findings", "Also found", sections.findings(place)
    yield "looked-at", "What was looked at", sections.looked_at(place)
    yield "window", "What fits here", compatibility(place)
    yield "jobs", "Training", jobs(place)
    if whole:
        yield "rules", "Rules", sections.rules(place)
        yield "facts", "All facts", everything(report.facts)
