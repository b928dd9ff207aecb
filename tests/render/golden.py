"""The pages as they are kept beside the tests: ``python -m tests.render.golden`` writes them anew.

Style, script and their hashes are left out, so that a change of a colour is none of a page, and so are all facts,
which grow with every new kind of fact. Pages that the rules of today judge are not kept: they change with the rules.
"""

from __future__ import annotations

import re
from pathlib import Path

from gpudoctor.findings import Report
from gpudoctor.privacy import redact_report
from gpudoctor.render.html import fragment, html_report
from tests import reports
from tests.render.pages import drawn, pasted, tagged

FOLDER = Path(__file__).parent / "kept_pages"
KEPT = {make.__name__: make for make in (*reports.ALL, drawn, pasted, tagged)}

_LEFT_OUT = re.compile(r"(?s)(<style>|<script>|<section id=\"facts\"[^>]*>).*?(</style>|</script>|</section>)")
_HASH = re.compile(r"(?<=sha256-)[\w+/=]*")


def page(report: Report) -> str:
    """A page without its style and script."""
    return _plain(html_report(redact_report(report)))


def piece(report: Report) -> str:
    """A fragment without its style."""
    return _plain(fragment(redact_report(report)))


def _plain(html: str) -> str:
    return _HASH.sub("…", _LEFT_OUT.sub(r"\1…\2", html))


def main() -> None:
    """Write every page that is kept."""
    FOLDER.mkdir(exist_ok=True)
    for name, make in KEPT.items():
        (FOLDER / f"{name}.html").write_text(page(make()), "utf-8")
    (FOLDER / "drawn.fragment.html").write_text(piece(drawn()), "utf-8")


if __name__ == "__main__":
    main()
