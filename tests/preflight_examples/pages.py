"""The pages of docs/preflight show the files of docs/examples/preflight verbatim.

``python -m tests.preflight_examples.pages`` puts the files, as they are now, into the pages.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples" / "preflight"
PAGES = tuple(sorted((ROOT / "docs" / "preflight").glob("*.md")))

_LANGUAGES = {".yaml": "yaml", ".yml": "yaml", ".sh": "bash", ".sbatch": "bash", ".py": "python"}
_SHOWN = re.compile(r"^<!-- file: (\S+) -->\n(?:\n*````\w*\n.*?^````\n)?", re.MULTILINE | re.DOTALL)


def shown(page: Path) -> tuple[Path, ...]:
    """The files that a page shows."""
    return tuple((page.parent / found[1]).resolve() for found in _SHOWN.finditer(page.read_text("utf-8")))


def filled(page: Path) -> str:
    """A page's text with each file as it is now."""

    def block(found: re.Match[str]) -> str:
        path = (page.parent / found[1]).resolve()
        language = "dockerfile" if path.name.startswith("Dockerfile") else _LANGUAGES.get(path.suffix, "ini")
        return f"<!-- file: {found[1]} -->\n````{language}\n{path.read_text('utf-8')}````\n"

    return _SHOWN.sub(block, page.read_text("utf-8"))


if __name__ == "__main__":
    for each in PAGES:
        each.write_text(filled(each), "utf-8")
