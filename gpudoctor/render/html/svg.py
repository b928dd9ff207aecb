"""Small plots as SVG: lines over an axis, bars against what is promised. Colours are the style sheet's.

Every picture has a text alternative that says what it shows, and its figures stand in it or beside it as text.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gpudoctor.render import text
from gpudoctor.render.html.markup import Content, Markup, element

WIDTH = 340.0
_HEIGHT = 190.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 16.0, 26.0, 36.0
_LETTER = 6.4
"""Width of a letter at the size of labels, as far as it can be known without a font."""


@dataclass(frozen=True)
class Series:
    """A line: points of which None, NaN and infinities are gaps."""

    label: str
    points: tuple[tuple[float, float | None], ...]


@dataclass(frozen=True)
class Bar:
    """What was reached, and what is promised where something is; ``words`` stand beside the label."""

    label: str
    reached: float
    promised: float | None
    words: str


def picture(width: float, height: float, alternative: str, *content: Content, class_: str = "plot") -> Markup:
    """An SVG that is one picture to a screen reader."""
    box = f"0 0 {width:g} {height:g}"
    return element("svg", *content, viewBox=box, role="img", aria_label=alternative, class_=class_)


def label(x: float, y: float, words: Content, class_: str = "label", anchor: str | None = None) -> Markup:
    """A text in a picture."""
    return element("text", words, x=x, y=y, class_=class_, text_anchor=anchor)


def fitting(words: str, width: float) -> str:
    """The words, shortened to that width."""
    return text.shorten(text.words(words), max(4, int(width / _LETTER)))


# ------------------------------------------------------------------------------------------------------ lines


def finite(value: float | None) -> bool:
    """Whether a value can be drawn. Beyond 1e30 nothing is measured, and differences overflow."""
    return value is not None and math.isfinite(value) and abs(value) < 1e30


def lines(
    title: str, series: Sequence[Series], across: str, up: str, *, limit: tuple[str, float] | None = None
) -> Markup:
    """Curves over a common axis from zero. ``limit`` is a line to compare with, with its name."""
    drawn = [point for one in series for point in one.points if finite(point[0]) and finite(point[1])]
    if not drawn:
        return element("p", f"{title}: no value that can be drawn.", class_="undrawn")
    high = max([y for _, y in drawn if y is not None] + ([limit[1]] if limit and finite(limit[1]) else []))
    low = min([0.0, *(y for _, y in drawn if y is not None)])
    plot = _Plot(_ticks(min(x for x, _ in drawn), max(x for x, _ in drawn), 5), _ticks(low, high, 4))
    return element(
        "figure",
        element("figcaption", element("strong", title), *_legend(series)),
        picture(
            WIDTH,
            _HEIGHT,
            f"{title}. {' '.join(_told(one, up) for one in series)}",
            *plot.axes(across, up),
            *(plot.limit(*limit) if limit and finite(limit[1]) else ()),
            *(curve for place, one in enumerate(series) for curve in plot.curve(one, place)),
        ),
        class_="chart",
    )


def _told(series: Series, unit: str) -> str:
    values = [y for _, y in series.points if y is not None and finite(y)]
    if not values:
        return f"{series.label}: no value."
    gaps = len(series.points) - len(values)
    lost = f", {gaps} not finite" if gaps else ""
    first, last, low, high = (text.significant(one) for one in (values[0], values[-1], min(values), max(values)))
    return f"{series.label} ({unit}): from {first} to {last}, lowest {low}, highest {high}{lost}."


def _legend(series: Sequence[Series]) -> Iterator[Markup]:
    if len(series) < 2:
        return
    for place, one in enumerate(series):
        key = element("line", x1=0, x2=24, y1=5, y2=5, class_=f"curve series-{place}")
        shown = element("svg", key, viewBox="0 0 24 10", class_="key", aria_hidden="true")
        yield element("span", shown, " ", one.label, class_="legend")


@dataclass(frozen=True)
class _Plot:
    """The frame of a plot: its ticks, the first and the last of which are its corners."""

    across: tuple[float, ...]
    up: tuple[float, ...]

    def x(self, value: float) -> float:
        first, last = self.across[0], self.across[-1]
        return _LEFT + (value - first) / (last - first) * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        first, last = self.up[0], self.up[-1]
        return _HEIGHT - _BOTTOM - (value - first) / (last - first) * (_HEIGHT - _TOP - _BOTTOM)

    def axes(self, across: str, up: str) -> Iterator[Markup]:
        """The grid, its figures, and what they measure."""
        foot = _HEIGHT - _BOTTOM
        for tick in self.up:
            height = self.y(tick)
            yield element("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=height, y2=height, class_="grid")
            yield label(_LEFT - 6, height + 4, _figure(tick), "figure", "end")
        for tick in self.across:
            yield element("line", x1=self.x(tick), x2=self.x(tick), y1=foot, y2=foot + 4, class_="axis")
            yield label(self.x(tick), foot + 16, _figure(tick), "figure", "middle")
        yield element("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=foot, y2=foot, class_="axis")
        yield label(WIDTH - _RIGHT, _HEIGHT - 5, across, "label", "end")
        yield label(4, 13, up)

    def limit(self, name: str, value: float) -> Iterator[Markup]:
        """A line to compare with."""
        height = self.y(value)
        yield element("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=height, y2=height, class_="limit")
        yield label(WIDTH - _RIGHT, height - 4, f"{name} {text.significant(value)}", "figure", "end")

    def curve(self, series: Series, place: int) -> Iterator[Markup]:
        """The line in its pieces between gaps, a point for a piece of one."""
        for piece in _pieces(series.points):
            spots = [(self.x(x), self.y(y)) for x, y in piece]
            if len(spots) == 1:
                yield element("circle", cx=spots[0][0], cy=spots[0][1], r=3, class_=f"spot series-{place}")
            else:
                told = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
                yield element("polyline", points=told, class_=f"curve series-{place}")


def _pieces(points: Sequence[tuple[float, float | None]]) -> Iterator[list[tuple[float, float]]]:
    piece: list[tuple[float, float]] = []
    for x, y in points:
        if y is not None and finite(y) and finite(x):
            piece.append((x, y))
        elif piece:
            yield piece
            piece = []
    if piece:
        yield piece


def _ticks(low: float, high: float, wanted: int) -> tuple[float, ...]:
    """Round numbers from at or below the lowest value to at or above the highest."""
    span = max(high - low or abs(high) or 1.0, 1e-9)
    step = _round_step(span / wanted)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return tuple(position * step for position in range(first, max(last, first + 1) + 1))


def _round_step(raw: float) -> float:
    size = 10.0 ** math.floor(math.log10(raw))
    return next(size * nice for nice in (1, 2, 2.5, 5, 10) if size * nice >= raw * 0.999)


def _figure(value: float) -> str:
    if abs(value) >= 1e6 or 0 < abs(value) < 0.001:
        return f"{value:.0e}"
    return text.significant(value)


# ------------------------------------------------------------------------------------------------------- bars

_ROW = 40.0


def bars(title: str, rows: Sequence[Bar], unit: str, *, promise: str = "") -> Markup:
    """A bar for each row, in a frame as long as what is promised. All on one scale from zero."""
    drawn = [row for row in rows if finite(row.reached) and row.reached >= 0]
    if not drawn:
        return element("p", f"{title}: no value that can be drawn.", class_="undrawn")
    longest = max(value for row in drawn for value in (row.reached, row.promised or 0.0)) or 1.0
    told = "; ".join(f"{row.label} {row.words}" for row in drawn)
    content = (part for place, row in enumerate(drawn) for part in _bar(row, place * _ROW, longest))
    drawing = picture(WIDTH, len(drawn) * _ROW, f"{title}, {unit}: {told}.", *content)
    framed = element("p", f"The frame is what is promised: {promise}.", class_="quiet small") if promise else None
    named = element("figcaption", element("strong", title), f", {unit}")
    return element("figure", named, drawing, framed, class_="chart")


def _bar(row: Bar, top: float, longest: float) -> Iterator[Markup]:
    room = WIDTH - 2
    name = fitting(row.label, room - len(row.words) * _LETTER - 12)
    yield label(1, top + 13, name)
    yield label(WIDTH - 1, top + 13, row.words, "figure", "end")
    yield element("rect", x=1, y=top + 19, width=row.reached / longest * room, height=12, class_="reached")
    if row.promised:
        yield element("rect", x=1, y=top + 19, width=row.promised / longest * room, height=12, class_="promised")
