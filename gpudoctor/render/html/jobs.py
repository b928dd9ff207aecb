"""The smoke jobs: what each came to, its curves, its proofs and its parts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from gpudoctor.facts import GpuClocks, GpuMemory, Part, Proof, Sample, Smoke
from gpudoctor.render import summary, text
from gpudoctor.render.html.markup import NOTHING, Content, Markup, element, joined
from gpudoctor.render.html.parts import Place, folded, mark, table
from gpudoctor.render.html.svg import Bar, Series, bars, lines
from gpudoctor.render.summary import Mark, Row

_OPEN = 4
"""As many jobs show their curves at once; those of more are folded."""
_GIB = 2**30
_CURVE = re.compile(" [▁▂▃▄▅▆▇█?]{2,8}(?=,|$)")


def jobs(place: Place) -> Markup:
    """All jobs, a section each, and what several processes computed together."""
    smokes, rows = place.report.smoke, summary.smoke_rows(place.report)
    spread = place.page and len(smokes) <= _OPEN
    others = (element("p", _said(row, f"{row.label}: {row.value}")) for row in rows[len(smokes) :])
    own = (_job(place, smoke, row, spread=spread) for smoke, row in zip(smokes, rows, strict=False))
    return joined(*others, *own)


def _said(row: Row, words: str) -> Markup:
    return mark(row.mark or Mark.NOTE, words)


def _job(place: Place, smoke: Smoke, row: Row, *, spread: bool) -> Markup:
    charts = list(_charts(place, smoke))
    drawn = element("div", *charts, class_="charts") if charts else NOTHING
    pieces = [one for one in (_scores(smoke), drawn, _proofs(smoke.proofs), _parts(place, smoke)) if one != NOTHING]
    told = pieces if spread or not pieces else [folded("Scores, curves, proofs and parts", *pieces)]
    named = place.heading(3, _title(smoke))
    return element("div", named, element("p", _said(row, _words(smoke))), *told, class_="job")


def _title(smoke: Smoke) -> str:
    mig = f", MIG instance {text.name(smoke.mig)}" if smoke.mig else ""
    return f"{summary.FRAMEWORK_TITLES[smoke.framework]} on {summary.smoke_device(smoke)}{mig}, {smoke.precision_mode}"


def _words(smoke: Smoke) -> str:
    """How it went, without the curve in block letters: it is drawn below."""
    words = summary.smoke_words(smoke)
    return words if smoke.result not in ("proved", "ran-on-cpu") else _CURVE.sub("", words)


# ---------------------------------------------------------------------------------------------------- scores


def _scores(smoke: Smoke) -> Markup:
    """How both networks learnt, where a job came so far."""
    rows = []
    if smoke.accuracy is not None:
        own = (smoke.accuracy, smoke.precision, smoke.recall, smoke.f1, smoke.examples_per_second)
        rows.append(("Convolutional", *map(_score, own[:4]), _rate(own[4])))
    second = smoke.perceptron
    if second is not None:
        scores = (second.accuracy, second.precision, second.recall, second.f1)
        named = f"{text.name(second.network).capitalize()}, {text.name(second.images)}"
        rows.append((named, *map(_score, scores), _rate(second.examples_per_second)))
    if not rows:
        return NOTHING
    heads = ("Network", "Accuracy", "Precision", "Recall", "F1", "Images/s")
    return table("Scores on images that were held out", heads, rows, class_="figures")


def _score(value: float | None) -> str:
    return "–" if value is None else text.number(value, 3)


def _rate(value: float | None) -> str:
    return "–" if value is None else text.rate(value)


# ---------------------------------------------------------------------------------------------------- curves


def _charts(place: Place, smoke: Smoke) -> Iterator[Markup]:
    yield from _loss(smoke)
    yield from _speeds(place, smoke)
    yield from _timeline(place, smoke)


def _loss(smoke: Smoke) -> Iterator[Markup]:
    curves = [("convolutional", smoke.loss)]
    curves += [(text.name(smoke.perceptron.network), smoke.perceptron.loss)] if smoke.perceptron else []
    series = [Series(name, _spread(curve)) for name, curve in curves if len(curve) > 1]
    if series:
        yield lines("Loss while training", series, "share of the training, %", "loss")


def _spread(curve: Sequence[float | None]) -> tuple[tuple[float, float | None], ...]:
    """Over the whole of the training: curves are kept at other intervals than they were computed."""
    return tuple((100 * place / (len(curve) - 1), value) for place, value in enumerate(curve))


_UNITS = (
    ("TFLOP/s", "Computing", "TFLOP/s"),
    ("GB/s", "Copying", "GB/s"),
    ("M/s", "Random numbers", "million a second"),
)


def _speeds(place: Place, smoke: Smoke) -> Iterator[Markup]:
    for unit, title, shown in _UNITS:
        timed = [part for part in smoke.parts if part.unit == unit and part.rate is not None]
        if timed:
            promises = [speed.promise for part in timed if (speed := place.report.speed_of(smoke, part))]
            promise = text.listed([text.name(one) for one in dict.fromkeys(promises)])
            yield bars(title, [_bar(place, smoke, part) for part in timed], shown, promise=promise)


def _bar(place: Place, smoke: Smoke, part: Part) -> Bar:
    speed = place.report.speed_of(smoke, part)
    reached = part.rate or 0.0
    promised = f" of {text.significant(speed.promised)} ({speed.share:.0%})" if speed else ""
    wrong = ", wrong" if part.holds is False else ""
    return Bar(part.name, reached, speed.promised if speed else None, f"{text.significant(reached)}{promised}{wrong}")


def _timeline(place: Place, smoke: Smoke) -> Iterator[Markup]:
    if len(smoke.timeline) < 2:
        return
    gpu = next((one for one in place.report.facts.known_gpus() if one.index == smoke.gpu), None)
    clocks = gpu.clocks if gpu and isinstance(gpu.clocks, GpuClocks) else GpuClocks(source="")
    memory = gpu.memory.total / _GIB if gpu and isinstance(gpu.memory, GpuMemory) else None
    yield from _over_time(smoke, "Temperature", "°C", "temperature", limit=("slows down at", clocks.temperature_limit))
    yield from _over_time(smoke, "Power", "W", "power", limit=("limit", clocks.power_limit))
    yield from _over_time(
        smoke, "Clock of the multiprocessors", "MHz", "sm_clock", limit=("highest", clocks.sm_clock_max)
    )
    yield from _over_time(smoke, "Memory in use", "GiB", "used", limit=("all", memory), size=_GIB)
    yield from _throttle(smoke.timeline)


def _over_time(
    smoke: Smoke, title: str, unit: str, field: str, *, limit: tuple[str, float | None], size: float = 1.0
) -> Iterator[Markup]:
    values = [(sample.at, getattr(sample, field)) for sample in smoke.timeline]
    points = tuple((at, None if value is None else value / size) for at, value in values)
    if any(value is not None for _, value in points):
        most = (limit[0], limit[1]) if limit[1] else None
        yield lines(title, [Series(title, points)], "seconds", unit, limit=most)


def _throttle(timeline: Sequence[Sample]) -> Iterator[Markup]:
    """Why the GPU slowed down, and when it was first and last seen to."""
    reasons = dict.fromkeys(reason for sample in timeline for reason in sample.throttle if reason != "gpu-idle")
    for reason in reasons:
        seen = [sample.at for sample in timeline if reason in sample.throttle]
        told = f"Slowed down by {text.name(reason)}, seen from {text.seconds(seen[0])} to {text.seconds(seen[-1])}."
        yield element("p", mark(Mark.NOTE, told), class_="undrawn")


# ------------------------------------------------------------------------------------------ proofs and parts

_HOLDS: dict[bool | None, tuple[Mark, str]] = {
    True: (Mark.OK, "holds"),
    False: (Mark.FAULT, "does not hold"),
    None: (Mark.UNKNOWN, "not looked at"),
}


def _proofs(proofs: Sequence[Proof]) -> Markup:
    if not proofs:
        return NOTHING
    hold = sum(proof.holds is True for proof in proofs)
    rows: list[tuple[Content, ...]] = [
        (proof.name, mark(*_HOLDS[proof.holds]), "required" if proof.required else "", text.words(proof.detail))
        for proof in proofs
    ]
    told = table("Proofs", ("Proof", "Result", "Needed", "Detail"), rows, class_="wordy")
    return folded(f"Proofs: {hold} of {len(proofs)} hold", told)


def _parts(place: Place, smoke: Smoke) -> Markup:
    if not smoke.parts:
        return NOTHING
    rows: list[tuple[Content, ...]] = [
        (part.name, _result(part), _reached(place, smoke, part), text.words(part.error or part.detail))
        for part in smoke.parts
    ]
    right = sum(part.holds is True and not part.error for part in smoke.parts)
    told = table("Parts", ("Part", "Result", "Speed", "Detail"), rows, class_="wordy")
    return folded(f"Parts: {right} of {len(smoke.parts)} agree with the CPU", told)


def _result(part: Part) -> Markup:
    if part.error:
        return mark(Mark.FAULT, "failed")
    words = {True: (Mark.OK, "right"), False: (Mark.FAULT, "wrong"), None: (Mark.UNKNOWN, "not compared")}
    return mark(*words[part.holds])


def _reached(place: Place, smoke: Smoke, part: Part) -> str:
    if part.rate is None or part.unit is None:
        return ""
    speed = place.report.speed_of(smoke, part)
    share = f", {speed.share:.0%} of what is promised" if speed else ""
    return f"{text.significant(part.rate)} {part.unit}{share}"
