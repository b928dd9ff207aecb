"""The pages of the rules in the docs are those that ``gpudoctor explain`` prints."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gpudoctor.engine import Rule
from gpudoctor.rules import all_rules, names
from gpudoctor.rules.pages import FOLDER, INDEX, page, pages, write
from tests.cli.run import gpudoctor

AGAIN = "write them anew with: python -m gpudoctor.rules.pages"


def test_the_folder_holds_a_page_for_each_rule_and_nothing_else() -> None:
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(pages()), AGAIN


@pytest.mark.parametrize("name", [INDEX, *(f"{name}.md" for name in names())])
def test_a_page_is_the_text_of_its_rule(name: str) -> None:
    assert (FOLDER / name).read_text("utf-8") == pages()[name], AGAIN


def test_the_index_links_every_rule_once_in_their_order() -> None:
    links = re.findall(r"^\| \[([\w-]+)\]\(([\w-]+)\.md\) \|", pages()[INDEX], re.MULTILINE)
    assert links == [(name, name) for name in names()]


def test_a_page_that_no_rule_has_any_more_is_removed(tmp_path: Path) -> None:
    (tmp_path / "gone.md").write_text("old")
    (tmp_path / "kept.txt").write_text("not ours")
    write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*pages(), "kept.txt"])


@pytest.mark.parametrize("rule", all_rules()[:1], ids=lambda rule: rule.name)
def test_explain_prints_the_same_text(rule: Rule, tmp_path: Path) -> None:
    assert gpudoctor("explain", rule.name, home=tmp_path).stdout == page(rule)
