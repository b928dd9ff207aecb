"""Elements of HTML and SVG. Every text and every attribute passes :func:`_escaped`; there is no other way in.

Text is shown as the terminal shows it: characters without a shape of their own (controls, bidirectional overrides,
zero-width ones) stand as escapes, so that nothing reads otherwise than it is.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TypeAlias

from gpudoctor.render import text


@dataclass(frozen=True)
class Markup:
    """HTML that is safe as it stands. Made by this module, and of the package's own style and script."""

    html: str


Content: TypeAlias = "Markup | str | None"
Attribute: TypeAlias = "str | int | float | bool | None"

NOTHING = Markup("")

_VOID = frozenset({"br", "input", "link", "meta"})
# After these a line ends, so that a report can be read and compared as a file.
_BLOCKS = frozenset(
    {
        *(
            "html",
            "head",
            "meta",
            "link",
            "title",
            "style",
            "script",
            "body",
            "header",
            "nav",
            "main",
            "section",
            "footer",
        ),
        *("div", "p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "dl", "dt", "dd", "figure", "figcaption"),
        *("table", "caption", "thead", "tbody", "tr", "details", "summary", "pre", "svg", "g", "rect", "line", "path"),
        *("text", "circle", "polyline", "button", "input", "label"),
    }
)
# These begin a line of their own too: what stands in them are blocks, never a text whose spaces count.
_CONTAINERS = frozenset(
    {
        *("html", "head", "body", "header", "nav", "main", "section", "footer", "div", "ul", "ol", "dl", "figure"),
        *("table", "thead", "tbody", "details", "svg", "g"),
    }
)


def _escaped(words: str) -> str:
    return html.escape(text.escape(words), quote=True)


def element(name: str, /, *content: Content, **attributes: Attribute) -> Markup:
    """One element. ``class_`` is ``class``, other underscores are hyphens; None and False leave an attribute out."""
    opened = "".join([f"<{name}", *(_attribute(key, value) for key, value in attributes.items()), ">"])
    end = "\n" if name in _BLOCKS else ""
    if name in _VOID:
        return Markup(opened + end)
    begin = "\n" if name in _CONTAINERS and content else ""
    return Markup(f"{opened}{begin}{joined(*content).html}</{name}>{end}")


def _attribute(key: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    return f' {name}="{_escaped(value if isinstance(value, str) else number(value))}"'


def number(value: float) -> str:
    """A coordinate: two decimals at most."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def joined(*content: Content) -> Markup:
    """Pieces one after the other; None is nothing."""
    return Markup("".join(one.html if isinstance(one, Markup) else _escaped(one) for one in content if one is not None))
