"""Metrics: read by both formats' readers, whole on the shared reports, with the names that the docs promise."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from prometheus_client import parser as older
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import parser as newer

from gpudoctor.facts import GpuMemory, Gpus, MigInstance, MigInstances
from gpudoctor.findings import Report
from gpudoctor.render import Options, render
from gpudoctor.render.openmetrics import METRICS, openmetrics
from tests import reports
from tests.render.whole import REPORTS, kept, shown

_newer: Callable[[str], Iterable[Metric]] = newer.text_string_to_metric_families
PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text("utf-8")


def read(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample, the same by both readers; raises where one is there twice."""
    both = [
        [
            (sample.name, tuple(sorted(sample.labels.items())), sample.value)
            for family in families
            for sample in family.samples
        ]
        for families in (_newer(text), older.text_string_to_metric_families(text))
    ]
    assert both[0] == both[1]
    found = {(name, labels): value for name, labels, value in both[0]}
    assert len(found) == len(both[0])
    return found


def values(report: Report, name: str, **labels: str) -> dict[tuple[str, ...], float]:
    """The samples of one metric with those labels, by the values of their other labels that are not empty."""
    return {
        tuple(value for label, value in told if label not in labels and value): number
        for (metric, told), number in read(openmetrics(report)).items()
        if metric == name and labels.items() <= dict(told).items()
    }


@pytest.mark.parametrize("make", REPORTS, ids=lambda make: make.__name__)
def test_every_report_is_as_it_was_kept(make: Callable[[], Report]) -> None:
    """Written anew with: python -m tests.render.whole"""
    assert shown(make, "openmetrics") == kept(make, "openmetrics").read_text("utf-8")


@pytest.mark.parametrize("make", REPORTS, ids=lambda make: make.__name__)
def test_every_report_is_read_by_both_formats_and_has_what_the_textfile_collector_knows(
    make: Callable[[], Report],
) -> None:
    text = openmetrics(make(), identities=True)
    assert read(text)
    assert text.endswith("\n# EOF\n")
    assert set(re.findall(r"^# TYPE \S+ (.*)$", text, re.MULTILINE)) == {"gauge"}
    for line in text.splitlines():
        assert re.fullmatch(r"# EOF|# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{.*\})? -?\d[\d.e+]*", line)


@pytest.mark.parametrize("make", REPORTS, ids=lambda make: make.__name__)
def test_the_samples_of_a_metric_have_the_same_labels(make: Callable[[], Report]) -> None:
    labels: dict[str, set[tuple[str, ...]]] = {}
    for name, told in read(openmetrics(make())):
        labels.setdefault(name, set()).add(tuple(label for label, _ in told))
    assert [name for name, sets in labels.items() if len(sets) > 1] == []


def test_the_page_tells_every_metric_with_its_labels_and_no_other() -> None:
    told = {
        name: tuple(re.findall(r"`([a-z_]+)`", labels))
        for name, labels in re.findall(r"\| `(gpudoctor_\w+)` \|([^|]*)\|", PAGE)
    }
    assert list(told) == list(METRICS)
    seen: dict[str, tuple[str, ...]] = {}
    for make in (*REPORTS, everything):
        text = openmetrics(make())
        for name, labels in re.findall(r"^(gpudoctor_\w+)(?:\{(.*)\})? ", text, re.MULTILINE):
            seen[name] = tuple(re.findall(r'(\w+)="', labels))
    assert {name: seen.get(name) for name in told} == told


def everything() -> Report:
    """The timed machine with memory in use and a part that is counted in numbers."""
    report = reports.timed()
    first, *others = report.facts.known_gpus()
    memory = GpuMemory(source="NVML", total=80, used=7)
    part = replace(reports.PARTS[0], name="random-numbers", unit="M/s", rate=5.0)
    smoke = replace(report.facts.smokes[0], parts=(part,))
    facts = replace(
        report.facts, gpus=Gpus(source="NVML", gpus=(replace(first, memory=memory), *others)), smokes=(smoke,)
    )
    cause = reports.warnings()
    return replace(report, facts=facts, cause=cause.cause, findings=cause.findings)


@pytest.mark.parametrize("make", REPORTS, ids=lambda make: make.__name__)
def test_exactly_one_status_holds(make: Callable[[], Report]) -> None:
    report = make()
    told = values(report, "gpudoctor_status")
    assert [status for status, value in told.items() if value] == [(report.status,)]
    assert len(told) == 4


def test_a_job_that_was_not_proved_is_nought_whatever_became_of_it() -> None:
    assert values(reports.healthy(), "gpudoctor_smoke_proved", framework="torch") == {("0",): 1, ("1",): 1}
    assert set(values(reports.broken(), "gpudoctor_smoke_proved").values()) == {0}
    assert values(reports.no_gpu(), "gpudoctor_smoke_proved") == {("torch",): 0}
    assert values(reports.hung(), "gpudoctor_smoke_proved") == {}


def test_what_is_not_known_has_no_sample() -> None:
    names = {name for name, _ in read(openmetrics(reports.hung()))}
    assert not names & {"gpudoctor_gpus", "gpudoctor_gpu_info", "gpudoctor_gpu_memory_bytes"}
    assert values(reports.hung(), "gpudoctor_unknown") == {(): 2}
    broken = replace(reports.healthy(), created="yesterday", seconds=float("nan"))
    left = {name for name, _ in read(openmetrics(broken))}
    assert not left & {"gpudoctor_last_run_timestamp_seconds", "gpudoctor_duration_seconds"}


def test_rates_are_in_units_without_a_prefix_and_stand_beside_what_is_promised() -> None:
    part = {"framework": "torch", "gpu": "1", "part": "copy-inside-gpu"}
    assert values(reports.timed(), "gpudoctor_part_bytes_per_second", **part) == {(): 2912e9}
    assert values(reports.timed(), "gpudoctor_part_promised_bytes_per_second", **part) == {(): 3350e9}
    assert values(reports.timed(), "gpudoctor_part_correct", gpu="1", part="fft") == {("torch",): 0}
    assert values(reports.timed(), "gpudoctor_part_correct", part="compile") == {}


def test_the_same_finding_twice_is_one_sample() -> None:
    report = reports.warnings()
    assert read(openmetrics(replace(report, findings=(*report.findings, *report.findings)))) == read(
        openmetrics(report)
    )


def test_jobs_on_the_instances_of_a_gpu_are_told_apart_by_their_number() -> None:
    report = reports.healthy()
    first, *others = report.facts.known_gpus()
    mig = MigInstances(source="NVML", instances=(MigInstance(uuid="MIG-a"), MigInstance(uuid="MIG-b")))
    gpus = Gpus(source="NVML", gpus=(replace(first, mig=mig), *others))
    jobs = tuple(
        reports.smoke("torch", 0, mig=uuid, result=result)
        for uuid, result in (("MIG-b", "failed"), ("MIG-a", "proved"))
    )
    told = values(
        replace(report, facts=replace(report.facts, gpus=gpus, smokes=jobs)), "gpudoctor_smoke_proved", gpu="0"
    )
    assert told == {("torch", "0"): 1, ("torch", "1"): 0}


@given(st.text(st.characters(codec=None)))
def test_any_text_stays_inside_its_label(text: str) -> None:
    report = reports.broken()
    gpu = replace(report.facts.known_gpus()[0], name=text, pci=text)
    finding = replace(reports.ARCH, rule=text, about=replace(reports.ARCH.about, framework=text))
    changed = replace(report, findings=(finding,), facts=replace(report.facts, gpus=Gpus(source="NVML", gpus=(gpu,))))
    told = openmetrics(replace(changed, gpudoctor=text, created=text))
    assert {name for name, _ in read(told)} <= METRICS.keys()
    assert all(character.isprintable() or character == "\n" for character in told)


def test_no_identity_of_a_gpu_leaves_unless_asked() -> None:
    told = render(reports.private(), "openmetrics", options=Options())
    assert 'uuid=""' in told
    assert "GPU-" not in told
    assert "1111-2222-3333" in render(reports.private(), "openmetrics", options=Options(redact=False))
