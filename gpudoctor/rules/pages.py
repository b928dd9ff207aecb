"""The page of each rule, as ``gpudoctor explain`` prints it and as the docs have it: one text, the rule's own.

    python -m gpudoctor.rules.pages

writes ``docs/rules/`` of the checkout anew.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from gpudoctor.engine import Rule
from gpudoctor.rules import GROUPS, all_rules

FOLDER = Path(__file__).parents[2] / "docs" / "rules"
INDEX = "README.md"

_TITLES = {
    "driver": "The driver and the GPU",
    "container": "Containers, WSL and schedulers",
    "environment": "Variables, libraries and toolkits",
    "packages": "Python and its packages",
    "torch": "PyTorch",
    "tensorflow": "TensorFlow",
    "jax": "JAX",
    "running": "When it runs",
}


def page(rule: Rule) -> str:
    """The page of a rule as Markdown, which reads well on a terminal too."""
    return f"# {rule.name}\n\n{rule.title}\n\n{rule.explanation}\n"


def pages() -> Mapping[str, str]:
    """Every file of the folder by its name: a page for each rule, and the index."""
    return {INDEX: _index(), **{f"{rule.name}.md": page(rule) for rule in all_rules()}}


def _index() -> str:
    rules = {rule.name: rule for rule in all_rules()}
    tables = (_table(_TITLES[group], [rules[name] for name in names]) for group, names in GROUPS.items())
    head = (
        "# Rules",
        "",
        f"The {len(rules)} causes that gpudoctor knows, those that lie deeper in the machine first: of two findings",
        "that do not explain each other, the deeper one is named first. `gpudoctor explain RULE` prints these pages.",
    )
    return "\n".join((*head, *tables)) + "\n"


def _table(title: str, rules: list[Rule]) -> str:
    rows = (f"| [{rule.name}]({rule.name}.md) | {rule.severity.value} | {_cell(rule.title)} |" for rule in rules)
    return "\n".join(("", f"## {title}", "", "| rule | severity | what it says |", "| --- | --- | --- |", *rows))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def write(folder: Path) -> None:
    """Make the folder hold exactly these files."""
    folder.mkdir(parents=True, exist_ok=True)
    made = pages()
    for name, text in made.items():
        (folder / name).write_text(text, "utf-8")
    for path in folder.glob("*.md"):
        if path.name not in made:
            path.unlink()


if __name__ == "__main__":
    write(FOLDER)
    sys.stdout.write(f"{FOLDER}: {len(pages())} files\n")
