"""The formats for other programs, as the commands write them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import parser

from gpudoctor.facts import encode
from tests import reports
from tests.cli.run import gpudoctor

_families: Callable[[str], Iterable[Metric]] = parser.text_string_to_metric_families

OLD_DRIVER = """\
torch==2.6.0+cu124
NVIDIA-SMI 450.80.02    Driver Version: 450.80.02    CUDA Version: 11.0
GPU 0: Tésla V100-SXM2-16GB
RuntimeError: The NVIDIA driver on your system is too old (found version 11000).
"""


def statuses(text: str) -> dict[str, float]:
    samples = (sample for family in _families(text) for sample in family.samples)
    return {sample.labels["status"]: sample.value for sample in samples if sample.name == "gpudoctor_status"}


def failures(text: str) -> int:
    suite = ElementTree.fromstring(text.encode()).find("testsuite")  # noqa: S314 - what gpudoctor has just written
    assert suite is not None
    return int(suite.attrib["failures"])


def test_diagnose_puts_metrics_where_the_collector_reads_them(tmp_path: Path) -> None:
    (tmp_path / "facts.json").write_bytes(encode(reports.private().facts))
    path = tmp_path / "gpudoctor.prom"
    path.write_text("old")
    before = path.stat().st_ino
    arguments = ("diagnose", "--from-facts", "facts.json", "--format", "openmetrics", "-o", path.name)
    ran = gpudoctor(*arguments, home=tmp_path)
    assert (ran.code, ran.stdout, ran.stderr) == (1, "", "")
    assert statuses(path.read_text("utf-8"))["broken"] == 1
    assert path.stat().st_ino != before
    assert 'uuid="GPU' not in path.read_text("utf-8")
    assert gpudoctor(*arguments, "--no-redact", home=tmp_path).code == 1
    assert 'uuid="GPU-' in path.read_text("utf-8")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["facts.json", "gpudoctor.prom"]


@pytest.mark.parametrize(("fail_on", "code"), [("error", 1), ("warning", 1), ("never", 0)])
def test_diagnose_writes_a_document_whose_failures_are_those_of_the_machine(
    tmp_path: Path, fail_on: str, code: int
) -> None:
    (tmp_path / "facts.json").write_bytes(encode(reports.broken().facts))
    arguments = ("--from-facts", "facts.json", "--format", "junit", "--fail-on", fail_on)
    ran = gpudoctor("diagnose", *arguments, home=tmp_path)
    assert (ran.code, ran.stderr) == (code, "")
    assert failures(ran.stdout) >= 1


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
def test_triage_prints_both_whatever_the_console_knows(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "ticket.txt").write_text(OLD_DRIVER, "utf-8")
    for format, count in (("junit", failures), ("openmetrics", lambda text: int(statuses(text)["broken"]))):  # noqa: A001
        ran = gpudoctor("triage", "ticket.txt", "--format", format, home=tmp_path, PYTHONIOENCODING=encoding)
        assert (ran.code, ran.stderr) == (1, "")
        assert count(ran.stdout) >= 1


@pytest.mark.parametrize("format", ["junit", "openmetrics", "json"])
def test_one_document_is_one_report(tmp_path: Path, format: str) -> None:  # noqa: A002
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(OLD_DRIVER, "utf-8")
    ran = gpudoctor("triage", "a.txt", "b.txt", "--format", format, home=tmp_path)
    assert (ran.code, ran.stdout) == (2, "")
    assert f"{format} is one report; for several files use jsonl" in ran.stderr


def test_a_text_that_cannot_be_read_is_an_error_in_either(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_bytes(b"")
    junit = gpudoctor("triage", "empty.txt", "--format", "junit", home=tmp_path)
    metrics = gpudoctor("triage", "empty.txt", "--format", "openmetrics", home=tmp_path)
    assert (junit.code, metrics.code) == (2, 2)
    assert 'type="undetermined"' in junit.stdout
    assert statuses(metrics.stdout)["undetermined"] == 1


def test_triage_replaces_a_file_of_one_report_in_one_step(tmp_path: Path) -> None:
    (tmp_path / "ticket.txt").write_text(OLD_DRIVER, "utf-8")
    path = tmp_path / "ticket.xml"
    path.write_text("old")
    before = path.stat().st_ino
    ran = gpudoctor("triage", "ticket.txt", "--format", "junit", "-o", path.name, home=tmp_path)
    assert (ran.code, ran.stdout) == (1, "")
    assert failures(path.read_text("utf-8")) >= 1
    assert path.stat().st_ino != before
