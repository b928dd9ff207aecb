"""The picture of the compatibility window: CUDA versions across, then the GPU code in each build.

Drawn twice, for narrow and for wide screens, since letters in an SVG shrink with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from gpudoctor.relations import Capability, CodeTarget, Coverage, CudaVersion, parse_targets, runs_on
from gpudoctor.render import text
from gpudoctor.render.html import fit
from gpudoctor.render.html.markup import NOTHING, Markup, element, joined
from gpudoctor.render.html.parts import GLYPHS, Place, mark
from gpudoctor.render.html.svg import fitting, label, picture
from gpudoctor.render.summary import Mark
from gpudoctor.window import GpuRange, Need, Window

_LEGEND = (
    "Above, CUDA versions: what driver and GPUs take, and what each build was made with. Below, compute capabilities: "
    "a full square is machine code, a frame with P is PTX, a ring is what code of a lower minor version runs on."
)
_NARROW, _WIDE = 340.0, 760.0
_EDGE, _TEXT = 2.0, 8.0
_BAND, _MARKER = 14.0, 12.0


def compatibility(place: Place) -> Markup:
    """The picture and its sentences; nothing where too little is known."""
    window = place.report.window
    if window is None:
        return NOTHING
    told = [element("li", mark(sign, words) if sign else words) for sign, words in fit.sentences(window)]
    return joined(
        element("p", _introduction(window), class_="lead"),
        element("figure", *_pictures(window), element("figcaption", _LEGEND), class_="window"),
        element("ul", *told, class_="sentences"),
    )


def _introduction(window: Window) -> str:
    if window.driver is None or not window.gpus:
        return "Which builds fit here, as far as driver and GPUs are known."
    opening = fit.opening(window)
    if opening is None:
        return "No CUDA version fits both the driver and every GPU."
    first, last = opening
    range_ = f"CUDA {first}" if first == last else f"CUDA {first} to {last}"
    return f"Builds made with {range_} fit the driver and every GPU, where they hold code for it."


def _pictures(window: Window) -> Iterator[Markup]:
    for width, class_ in ((_NARROW, "narrow"), (_WIDE, "wide")):
        yield _versions(window, width, class_)
        yield _codes(window, width, class_)


@dataclass(frozen=True)
class _Row:
    """A line of the picture: its name and its state; on a narrow picture the state has a line of its own."""

    name: str
    state: str
    sign: Mark | None = None

    def labels(self, top: float, width: float) -> Iterator[Markup]:
        """Both in words, from ``top`` on."""
        state = f"{GLYPHS[self.sign]} {self.state}" if self.sign else self.state
        style = f"state {self.sign.value}" if self.sign else "state"
        if width < _WIDE:
            yield label(_TEXT, top + 12, fitting(self.name, width - 2 * _TEXT), "name")
            yield label(_TEXT, top + 27, fitting(state, width - 2 * _TEXT), style)
            return
        yield label(_TEXT, top + 12, fitting(self.name, width / 2), "name")
        yield label(width - _TEXT, top + 12, fitting(state, width / 2), style, "end")


def _words_height(width: float) -> float:
    return 34.0 if width < _WIDE else 19.0


# --------------------------------------------------------------------------------------------- CUDA versions


@dataclass(frozen=True)
class _Scale:
    """CUDA versions across a picture, all minors with the same room, from major ``low`` to before ``high``."""

    low: int
    high: int
    width: float

    def x(self, cuda: CudaVersion) -> float:
        """Where a version begins; ``next`` of it is where it ends."""
        value = cuda.major + min(cuda.minor, 10) / 10
        share = (value - self.low) / (self.high - self.low)
        return _EDGE + min(max(share, 0.0), 1.0) * (self.width - 2 * _EDGE)

    def end(self, cuda: CudaVersion) -> float:
        """Where a version ends."""
        return self.x(CudaVersion(cuda.major, cuda.minor + 1))


def _versions(window: Window, width: float, class_: str) -> Markup:
    scale = _scale(window, width)
    bands = list(_bands(window))
    builds = [need for need in window.builds if need.cuda]
    step = _words_height(width) + _BAND + 10
    top = 24.0
    height = top + step * (len(bands) + len(builds)) + 26
    content = chain(
        _opening(window, scale, height),
        *(_band(row, span, scale, top + step * place) for place, (row, span) in enumerate(bands)),
        *(_build(need, window, scale, top + step * (len(bands) + place)) for place, need in enumerate(builds)),
        _axis(scale, height - 20),
    )
    told = " ".join(words for _, words in fit.sentences(window))
    return picture(width, height, f"CUDA versions. {told}", *content, class_=class_)


def _scale(window: Window, width: float) -> _Scale:
    newest = CudaVersion.parse(window.newest)
    named = [need.cuda for need in window.builds] + [gpu.last for gpu in window.gpus]
    named += [window.driver.cuda] if window.driver else [gpu.first for gpu in window.gpus]
    known = [CudaVersion.parse(one) for one in named if one]
    low = min([one.major for one in known] + [newest.major - 1])
    low -= any(gpu.first is not None and CudaVersion.parse(gpu.first).major == low - 1 for gpu in window.gpus)
    return _Scale(low, max([newest.major, *(one.major for one in known)]) + 1, width)


Span = tuple[CudaVersion | None, CudaVersion | None, CudaVersion | None]
"""First, last in full, last at all. None: no first; no last."""


def _bands(window: Window) -> Iterator[tuple[_Row, Span]]:
    if window.driver is not None:
        driver = window.driver
        row = _Row(fit.driver_name(driver), f"CUDA {driver.cuda} and older" + _and_minors(driver.cuda, driver.newest))
        yield row, (None, CudaVersion.parse(driver.cuda), CudaVersion.parse(driver.newest))
    for gpu in window.gpus:
        if gpu.first is not None:
            last = CudaVersion.parse(gpu.last) if gpu.last else None
            state = f"CUDA {gpu.first} to {gpu.last}" if gpu.last else f"CUDA {gpu.first} and newer"
            yield _Row(fit.gpu_name(gpu), state), (CudaVersion.parse(gpu.first), last, last)


def _and_minors(cuda: str, newest: str) -> str:
    return f"; machine code up to {newest}" if newest != cuda else ""


def _band(row: _Row, span: Span, scale: _Scale, top: float) -> Iterator[Markup]:
    first, full, last = span
    left = scale.x(first) if first else _EDGE
    right = scale.width - _EDGE
    y = top + _words_height(scale.width)
    yield from row.labels(top, scale.width)
    yield element("rect", x=_EDGE, y=y, width=right - _EDGE, height=_BAND, class_="track")
    until = scale.end(full) if full else right
    yield element("rect", x=left, y=y, width=max(until - left, 0), height=_BAND, class_="band")
    if full and last and last > full:
        yield element("rect", x=until, y=y, width=max(scale.end(last) - until, 0), height=_BAND, class_="band partly")


def _build(need: Need, window: Window, scale: _Scale, top: float) -> Iterator[Markup]:
    cuda = CudaVersion.parse(need.cuda or "")
    sign, words = _cuda_fit(need, window)
    middle = (scale.x(cuda) + scale.end(cuda)) / 2
    y = top + _words_height(scale.width) + _BAND / 2
    yield from _Row(f"{fit.build_name(need)}: CUDA {cuda}", words, sign).labels(top, scale.width)
    yield element("line", x1=_EDGE, x2=scale.width - _EDGE, y1=y, y2=y, class_="rail")
    yield from _sign(sign, middle, y)


def _cuda_fit(need: Need, window: Window) -> fit.Judged:
    """Whether the build's CUDA is in the window: by the driver, then by what its CUDA can make."""
    by_driver = fit.driver_fit(need, window.driver)
    cuda = CudaVersion.parse(need.cuda or "")
    outside = [
        (gpu, reach)
        for gpu, reach in zip(window.gpus, need.reaches, strict=False)
        if not (reach.proved or reach.way == "native" or _makes(cuda, gpu))
    ]
    if by_driver[0] is not Mark.OK or not outside:
        return by_driver
    gpu, reach = next(((gpu, reach) for gpu, reach in outside if reach.way != "jit"), outside[0])
    name = fit.gpu_name(gpu, short=True)
    if reach.way == "jit":
        return Mark.WARNING, f"this CUDA makes no machine code for {name}, only PTX"
    return Mark.FAULT, f"this CUDA makes no code for {name}"


def _makes(cuda: CudaVersion, gpu: GpuRange) -> bool:
    if gpu.first and cuda < CudaVersion.parse(gpu.first):
        return False
    return not (gpu.last and cuda > CudaVersion.parse(gpu.last))


def _sign(sign: Mark, x: float, y: float) -> Iterator[Markup]:
    """A disc with the glyph in it: the form tells what the colour tells."""
    yield element("circle", cx=x, cy=y, r=_MARKER - 3, class_=f"disc {sign.value}")
    yield label(x, y + 4.5, GLYPHS[sign], "glyph", "middle")


def _opening(window: Window, scale: _Scale, height: float) -> Iterator[Markup]:
    opening = fit.opening(window)
    if opening is None:
        return
    left, right = scale.x(opening[0]), scale.end(opening[1])
    yield element("rect", x=left, y=18, width=right - left, height=height - 38, class_="opening")
    yield element("path", d=f"M{left:.1f} 23V18H{right:.1f}V23", class_="bracket")
    middle = min(max((left + right) / 2, 60), scale.width - 60)
    yield label(middle, 13, "the window", "figure", "middle")


def _axis(scale: _Scale, y: float) -> Iterator[Markup]:
    yield element("line", x1=_EDGE, x2=scale.width - _EDGE, y1=y, y2=y, class_="axis")
    for major in range(scale.low, scale.high):
        x = scale.x(CudaVersion(major, 0))
        yield element("line", x1=x, x2=x, y1=y, y2=y + 5, class_="axis")
        room = (scale.width - 2 * _EDGE) / (scale.high - scale.low)
        yield label(x + 4, y + 15, f"CUDA {major}" if room > 50 else str(major), "figure")


# --------------------------------------------------------------------------------------------------- GPU code

_CELL = 18.0


def _codes(window: Window, width: float, class_: str) -> Markup:
    """A grid: a column for each compute capability, a row for each build that says what it holds."""
    builds = [need for need in window.builds if need.targets or need.ptx]
    columns = _columns(window, builds)
    if not builds or not window.gpus or len(columns) < 2:
        return NOTHING
    room = (width - 2 * _EDGE) / len(columns)
    step = _words_height(width) + _CELL + 12
    top = 40.0
    content = chain(
        _heads(window, columns, room, top + step * len(builds)),
        *(_code_row(need, window, columns, room, top + step * place, width) for place, need in enumerate(builds)),
    )
    told = " ".join(words for _, words in fit.sentences(window))
    return picture(width, top + step * len(builds), f"GPU code in each build. {told}", *content, class_=class_)


def _columns(window: Window, builds: Sequence[Need]) -> list[Capability]:
    told = {target.capability for need in builds for target in _targets(need)}
    return sorted(told | {one for one in map(_capability, window.gpus) if one is not None})[-24:]


def _capability(gpu: GpuRange) -> Capability | None:
    try:
        return Capability.parse(gpu.capability)
    except ValueError:
        return None


def _targets(need: Need) -> tuple[CodeTarget, ...]:
    return parse_targets((*need.targets, *(f"compute_{one.replace('.', '')}" for one in need.ptx)))


def _heads(window: Window, columns: Sequence[Capability], room: float, bottom: float) -> Iterator[Markup]:
    own = {_capability(gpu): gpu for gpu in window.gpus}
    for place, column in enumerate(columns):
        left, middle = _EDGE + place * room, _EDGE + (place + 0.5) * room
        if column in own:
            yield element("rect", x=left, y=18, width=room, height=bottom - 22, class_="own")
            indices = fit.gpu_name(own[column], short=True).partition(" (")[0]
            yield label(min(max(middle, 24), _EDGE + len(columns) * room - 20), 13, indices, "figure strong", "middle")
        yield label(middle, 32, str(column), "figure strong" if column in own else "figure", "middle")


def _code_row(
    need: Need, window: Window, columns: Sequence[Capability], room: float, top: float, width: float
) -> Iterator[Markup]:
    judged = [fit.gpu_fit(need, reach) for reach in need.reaches]
    sign = fit.worst([one[0] for one in judged])
    gpu, words = next((gpu, told) for gpu, (one, told) in zip(window.gpus, judged, strict=False) if one is sign)
    if len(window.gpus) > 1:
        words = f"GPU {text.ranges(gpu.gpus)}: {words}"
    yield from _Row(f"{fit.build_name(need)} holds", words, sign).labels(top, width)
    y = top + _words_height(width) + _CELL / 2
    own = {_capability(gpu): judge[0] for gpu, judge in zip(window.gpus, judged, strict=False)}
    for place, column in enumerate(columns):
        yield from _cell(_targets(need), column, own.get(column), _EDGE + (place + 0.5) * room, y, min(room - 4, 26.0))


def _cell(
    targets: Sequence[CodeTarget], column: Capability, own: Mark | None, x: float, y: float, size: float
) -> Iterator[Markup]:
    """A full square for machine code, a frame with P for PTX, a dot for neither; on a GPU's own column, the sign."""
    here = [target for target in targets if target.capability == column]
    left, side = x - size / 2, size
    if any(not target.ptx for target in here):
        yield element("rect", x=left, y=y - _CELL / 2, width=side, height=_CELL, class_="code")
    elif here:
        yield element("rect", x=left, y=y - _CELL / 2, width=side, height=_CELL, class_="ptx")
        if own is None:
            yield label(x, y + 4, "P", "figure", "middle")
    elif own is None:
        reached = any(runs_on(target, column) is Coverage.NATIVE for target in targets)
        yield element("circle", cx=x, cy=y, r=4.0 if reached else 1.5, class_="runs" if reached else "empty")
    if own is not None:
        yield from _sign(own, x, y)
