"""HTML as the tests read it: elements in their order, and whatever is wrong with their nesting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = frozenset({"br", "input", "link", "meta"})


@dataclass
class Element:
    """One element with its attributes and all text in it, that of its children included."""

    name: str
    attributes: dict[str, str | None]
    text: str = ""
    inside: list[str] = field(default_factory=list)

    @property
    def classes(self) -> list[str]:
        """Its classes."""
        return (self.attributes.get("class") or "").split()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self.open: list[Element] = []
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        if len(set(names)) < len(names):
            self.wrong.append(f"<{tag}> has an attribute twice")
        element = Element(tag, dict(attrs), inside=[one.name for one in self.open])
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1].name != tag:
            self.wrong.append(f"</{tag}> inside {[one.name for one in self.open]}")
        else:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        for one in self.open:
            one.text += data

    def handle_comment(self, data: str) -> None:
        self.wrong.append(f"a comment: {data}")

    def unknown_decl(self, data: str) -> None:
        self.wrong.append(f"a declaration: {data}")


def read(html: str) -> list[Element]:
    """All elements in their order. Fails the test where they are not nested as they should be."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert reader.wrong == []
    assert [one.name for one in reader.open] == []
    return reader.elements


def named(elements: list[Element], name: str, where: Callable[[Element], bool] = lambda _: True) -> list[Element]:
    """The elements of that name."""
    return [one for one in elements if one.name == name and where(one)]


def skeleton(elements: list[Element]) -> Iterator[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """Elements by name, attribute names and classes, but for the words of commands: what no text may change."""
    return ((one.name, tuple(one.attributes), tuple(one.classes)) for one in elements if one.classes != ["word"])
