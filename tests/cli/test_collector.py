"""``gpudoctor collector``: the file, where it was asked for, and nothing else."""

from __future__ import annotations

from pathlib import Path

from gpudoctor.collector.build import collector
from tests.cli.run import gpudoctor
from tests.collector.places import run


def test_the_file_goes_to_stdout(tmp_path: Path) -> None:
    ran = gpudoctor("collector", home=tmp_path)
    assert (ran.code, ran.stdout, ran.stderr) == (0, collector(), "")
    assert list(tmp_path.iterdir()) == []


def test_with_o_the_file_is_written_and_stdout_is_empty(tmp_path: Path) -> None:
    ran = gpudoctor("collector", "-o", "collect.py", home=tmp_path)
    assert (ran.code, ran.stdout, ran.stderr) == (0, "", "")
    assert [path.name for path in tmp_path.iterdir()] == ["collect.py"]
    assert (tmp_path / "collect.py").read_text("utf-8") == collector()


def test_a_place_that_cannot_be_written_is_one_sentence_and_2(tmp_path: Path) -> None:
    ran = gpudoctor("collector", "-o", "no/such/collect.py", home=tmp_path)
    assert (ran.code, ran.stdout) == (2, "")
    assert ran.stderr == "gpudoctor: Invalid value for -o: no/such/collect.py: No such file or directory\n"


def test_what_it_printed_is_judged_by_triage(tmp_path: Path) -> None:
    gpudoctor("collector", "-o", "collect.py", home=tmp_path)
    done = run(tmp_path / "collect.py", "-o", str(tmp_path / "facts.txt"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    ran = gpudoctor("triage", "facts.txt", "--format", "json", home=tmp_path)
    report = ran.report
    assert report["facts"]["request"]["source"] == "standalone collector"
    assert report["facts"]["interpreter"]["fact"] == "interpreter"
    assert ran.code == report["exit_code"]
