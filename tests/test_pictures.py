"""The README's pictures are what the code makes. All anew: ``python -m tests.pictures``, in a place with Chromium."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests import pictures
from tests.render.markup import named, read

README = Path(__file__).parent.parent / "README.md"
_COUNTS = re.compile(r"<text[^>]*>\d+ rules: [^\n]*\n|\d+ rules: [^\"]*? s\b|[\d.]+ s\"")


@pytest.mark.parametrize("name", pictures.TERMINALS)
def test_a_picture_of_the_terminal_is_what_it_prints_but_for_the_number_of_rules(name: str) -> None:
    made = pictures.terminal_svg(pictures.TERMINALS[name](), "gpudoctor diagnose")
    assert _COUNTS.sub("", made) == _COUNTS.sub("", (pictures.FOLDER / name).read_text("utf-8"))


def test_the_pictures_of_pages_show_the_pages_of_now() -> None:
    kept = json.loads(pictures.SOURCES.read_text("utf-8"))
    assert kept == {name: pictures.source(make()) for name, (make, *_) in pictures.PAGES.items()}
    for name in kept:
        assert (pictures.FOLDER / name).read_bytes().startswith(b"\x89PNG")


def test_a_picture_of_the_terminal_asks_no_network_and_holds_no_script() -> None:
    for name in pictures.TERMINALS:
        elements = read((pictures.FOLDER / name).read_text("utf-8"))
        assert {one.name for one in elements} == {"svg", "style", "rect", "text"}
        assert not re.search(r"url\(|@import|@font-face|href", named(elements, "style")[0].text)


def test_the_readme_shows_every_picture_and_only_those_that_are_there() -> None:
    shown = set(re.findall(r"docs/pictures/([\w.-]+)", README.read_text("utf-8")))
    assert shown == {*pictures.TERMINALS, *pictures.PAGES}
    assert {path.name for path in pictures.FOLDER.iterdir()} == {*shown, pictures.SOURCES.name}
