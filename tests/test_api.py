"""gpudoctor as a program calls it: light to import, clear about its arguments, and at home in a notebook."""

from __future__ import annotations

import ast
import asyncio
import os
import pkgutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, get_args

import pytest
from msgspec.structs import replace

import gpudoctor
from gpudoctor.facts import Interpreter
from gpudoctor.render import Format
from gpudoctor.render.html import fragment
from gpudoctor.render.page import Page, Style
from tests import reports
from tests.cli.run import ROOT, survivors

OLD_DRIVER = """\
torch==2.6.0+cu124
NVIDIA-SMI 450.80.02    Driver Version: 450.80.02    CUDA Version: 11.0
RuntimeError: The NVIDIA driver on your system is too old (found version 11000).
"""
PRIVATE = ("alice", "1111-2222-3333")


def test_importing_it_imports_nothing_else() -> None:
    program = "import sys; before = set(sys.modules); import gpudoctor; print(sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "['gpudoctor']\n"


def test_every_name_is_there_and_a_type_checker_knows_the_same_ones() -> None:
    tree = ast.parse(Path(gpudoctor.__file__).read_text("utf-8"))
    (checked,) = (node for node in tree.body if isinstance(node, ast.If) and isinstance(node.test, ast.Name))
    imported = {name.asname for node in checked.body if isinstance(node, ast.ImportFrom) for name in node.names}
    assert {*gpudoctor.__all__} == {*imported, "__version__"}
    assert all(getattr(gpudoctor, name) is not None for name in gpudoctor.__all__)
    assert set(dir(gpudoctor)) >= set(gpudoctor.__all__)


def test_no_module_takes_the_place_of_a_name() -> None:
    modules = {module.name for module in pkgutil.iter_modules(gpudoctor.__path__)}
    assert modules.isdisjoint(gpudoctor.__all__)


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'gpudoctor' has no attribute 'diagnoze'"):
        gpudoctor.diagnoze  # type: ignore[attr-defined]  # noqa: B018


def test_a_text_is_judged() -> None:
    report: gpudoctor.Report = gpudoctor.triage(OLD_DRIVER, "ticket.txt")
    assert (report.status, report.source, report.input) == ("broken", "paste", "ticket.txt")
    assert report.cause is not None
    assert report.cause.rule == "driver-too-old-for-cuda"


def test_a_rule_can_be_silenced_by_its_name_and_the_report_says_where() -> None:
    report = gpudoctor.triage(OLD_DRIVER, ignore=["driver-too-old-for-cuda"])
    assert [(one.rule, one.by) for one in report.silenced] == [("driver-too-old-for-cuda", "gpudoctor.triage()")]
    assert report.findings_of("driver-too-old-for-cuda") == ()


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (
            {"frameworks": "pytorch"},
            ValueError,
            "'pytorch' is no framework that gpudoctor knows: torch, tensorflow, jax",
        ),
        ({"frameworks": ["torch", 3]}, ValueError, "3 is no framework"),
        ({"device": "gpu"}, ValueError, "device must be 'all', 'cpu' or the index of a GPU, not 'gpu'"),
        ({"device": -1}, ValueError, "not -1"),
        ({"device": True}, ValueError, "not True"),
        ({"precision": "fp8"}, ValueError, "precision must be one of fp32, tf32, fp16, bf16, not 'fp8'"),
        ({"time_limit": 0}, ValueError, "time_limit must be between 1 and 86400, not 0"),
        ({"time_limit": float("nan")}, ValueError, "time_limit must be between"),
        ({"time_limit": "60"}, TypeError, "time_limit must be a number, not str"),
        ({"seconds": 0.5}, ValueError, "seconds must be between"),
        ({"batch_size": 0}, ValueError, "batch_size must be between 1 and 2048, not 0"),
        ({"batch_size": 1.5}, TypeError, "batch_size must be a whole number"),
        ({"quick": "yes"}, TypeError, "quick must be True or False, not 'yes'"),
        ({"quick": True, "deep": True}, ValueError, "quick=True trains nothing"),
        ({"quick": True, "seconds": 10}, ValueError, "quick=True trains nothing"),
        ({"python": "/no/such/python"}, ValueError, "python='/no/such/python': There is no /no/such/python."),
        ({"python": ""}, ValueError, "interpreter"),
        ({"python": 3.11}, TypeError, "python must be a path, not float"),
        ({"ignore": ["gpu-throtled"]}, ValueError, "no rule is named 'gpu-throtled'. Close to it: gpu-throttled."),
    ],
    ids=str,
)
def test_an_argument_that_means_nothing_is_an_error_before_anything_is_looked_at(
    arguments: dict[str, Any], error: type[Exception], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpudoctor.doctor.collect", lambda *_: pytest.fail("it was looked at"))
    with pytest.raises(error) as raised:
        gpudoctor.diagnose(**arguments)
    assert words in str(raised.value)


@pytest.mark.parametrize("text", [None, 3, Path("ticket.txt"), ["a"]])
def test_what_is_no_text_is_a_type_error(text: Any) -> None:
    with pytest.raises(TypeError, match="judges the text itself, str or bytes, not"):
        gpudoctor.triage(text)


def looked(report: gpudoctor.Report) -> None:
    assert report.source == "machine"
    assert report.quick
    assert isinstance(report.facts.interpreter, Interpreter)
    assert report.facts.interpreter.executable == sys.executable
    assert report.seconds > 0


def test_the_environment_is_that_of_the_caller(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path))
    told: list[tuple[str, str]] = []
    looked(gpudoctor.diagnose(quick=True, watch=lambda what, how_far: told.append((what, how_far))))
    assert {("driver", "done"), ("environment", "done")} <= set(told)


def test_it_works_inside_a_running_event_loop_and_touches_no_signal() -> None:
    async def cell() -> gpudoctor.Report:
        return gpudoctor.diagnose(quick=True)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    looked(asyncio.run(cell()))
    assert {number: signal.getsignal(number) for number in before} == before


def test_it_works_in_a_thread_beside_a_running_event_loop() -> None:
    async def cell() -> tuple[gpudoctor.Report, int]:
        ticks = 0
        work = asyncio.create_task(asyncio.to_thread(gpudoctor.diagnose, quick=True))
        while not work.done():
            ticks += 1
            await asyncio.sleep(0.01)
        return await work, ticks

    report, ticks = asyncio.run(cell())
    looked(report)
    assert ticks > 1


def test_two_threads_look_at_once() -> None:
    told: list[gpudoctor.Report] = []
    threads = [threading.Thread(target=lambda: told.append(gpudoctor.diagnose(quick=True))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(told) == 2
    for report in told:
        looked(report)
    assert told[0].findings == told[1].findings


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells which processes are left")
def test_an_interrupt_ends_the_children_and_stays_an_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    mark = f"gpudoctor-test-{os.getpid()}"
    monkeypatch.setenv("GPUDOCTOR_TEST_MARK", mark)

    def interrupt(what: str, how_far: str) -> None:
        if (what, how_far) == ("environment", "done"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gpudoctor.diagnose(quick=True, watch=interrupt)
    assert survivors(mark) == []


# ------------------------------------------------------------------------------------------------ what it shows


def test_what_a_notebook_shows_is_redacted_unless_asked() -> None:
    report = reports.private()
    shown = report._repr_mimebundle_()
    assert set(shown) == {"text/plain", "text/html"}
    assert shown["text/html"] == report._repr_html_()
    for text in (*shown.values(), str(report), repr(report), f"{report}"):
        assert [word for word in PRIVATE if word in text] == []
    whole = report.view(redact=False)
    assert "alice" in str(whole)
    assert "alice" in whole._repr_mimebundle_()["text/html"]


def test_single_values_can_be_had_redacted() -> None:
    report = reports.private()
    hidden = report.redacted()
    assert report.facts != hidden.facts
    assert [word for word in PRIVATE if word in str(hidden.facts) + str(hidden.findings)] == []
    assert [finding.rule for finding in hidden.findings] == [finding.rule for finding in report.findings]


def test_in_a_notebook_the_text_is_given_and_not_shown_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    assert not Page(Style())._console.is_jupyter


def test_it_shows_itself_as_on_a_terminal_and_as_the_piece_of_a_page() -> None:
    report = reports.quick()
    whole = report.view(redact=False)
    assert str(whole) == repr(whole)
    assert str(whole).startswith("✓ No fault found. Training was not run (--quick).")
    assert whole._repr_html_() == fragment(report)


def test_its_one_line_tells_status_and_cause() -> None:
    assert repr(reports.broken()) == "Report(status='broken', cause='torch-arch-unsupported', findings=3)"
    assert repr([reports.healthy()]) == "[Report(status='healthy', cause=None, findings=0)]"


@pytest.mark.parametrize("format", get_args(Format))
def test_every_format_of_the_command_line_can_be_had_and_is_redacted(format: Format) -> None:  # noqa: A002
    report = reports.private()
    text = report.render(format)
    assert "torch-arch-unsupported" in text
    assert [word for word in PRIVATE if word in text] == []
    assert [word for word in PRIVATE if word in report.render(format, redact=False)] != []


def test_another_format_is_an_error() -> None:
    with pytest.raises(ValueError, match="'xml' is no format of a report: terminal, json, "):
        reports.broken().render("xml")  # type: ignore[arg-type]


def test_in_a_text_from_elsewhere_the_home_folder_of_the_reader_is_not_looked_for() -> None:
    report = replace(reports.private(), source="paste")
    assert "alice" not in str(report)
