"""The project's configuration: where it is looked for, what it may say, and rules that are silenced by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gpudoctor.config import Config, ConfigError, load, silenced
from gpudoctor.report import judge
from gpudoctor.rules import names
from tests.cli.run import gpudoctor
from tests.good import GOOD, without_gpu

FULL = """\
ignore = ["gpu-throttled"]
allow-cpu = true
framework = ["torch"]
time-limit = 90
fail-on = "warning"
"""


def put(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, "utf-8")
    return folder


# ------------------------------------------------------------------------------------------------ the files


def test_both_files_say_the_same_things(tmp_path: Path) -> None:
    own = put(tmp_path / "own", "gpudoctor.toml", FULL)
    project = put(tmp_path / "project", "pyproject.toml", f"[project]\nname = 'x'\n[tool.gpudoctor]\n{FULL}")
    for folder, file in ((own, "gpudoctor.toml"), (project, "pyproject.toml")):
        assert load(folder, tmp_path) == Config(
            ignore=("gpu-throttled",),
            allow_cpu=True,
            framework=("torch",),
            time_limit=90.0,
            fail_on="warning",
            file=file,
        )


def test_the_nearest_one_counts_and_its_own_file_before_the_projects(tmp_path: Path) -> None:
    put(tmp_path, "gpudoctor.toml", "allow-cpu = true")
    inner = put(tmp_path / "a" / "b", "pyproject.toml", "[tool.gpudoctor]\nfail-on = 'never'\n")
    assert load(inner, None).fail_on == "never"
    assert load(inner, None).allow_cpu is False, "one file counts, nothing is mixed"
    put(inner, "gpudoctor.toml", "fail-on = 'warning'")
    assert load(inner, None).fail_on == "warning"
    assert load(tmp_path / "a", None).allow_cpu is True


def test_a_pyproject_without_the_table_is_passed_by(tmp_path: Path) -> None:
    put(tmp_path, "gpudoctor.toml", "allow-cpu = true")
    inner = put(tmp_path / "inner", "pyproject.toml", "[project]\nname = 'x'\n")
    assert load(inner, None).file == "gpudoctor.toml"


@pytest.mark.parametrize("mark", [".git", ".hg", ".jj"])
def test_it_is_not_looked_for_above_the_repositorys_root(mark: str, tmp_path: Path) -> None:
    put(tmp_path, "gpudoctor.toml", "allow-cpu = true")
    inner = tmp_path / "repository" / "src"
    inner.mkdir(parents=True)
    assert load(inner, None).allow_cpu is True
    (tmp_path / "repository" / mark).mkdir()
    assert load(inner, None) == Config()


def test_it_is_not_looked_for_above_home(tmp_path: Path) -> None:
    put(tmp_path, "gpudoctor.toml", "allow-cpu = true")
    home = tmp_path / "home"
    put(home / "work", "other.txt", "")
    assert load(home / "work", home) == Config()
    put(home, "gpudoctor.toml", "fail-on = 'never'")
    assert load(home / "work", home).fail_on == "never"


def test_a_broken_pyproject_that_says_nothing_of_gpudoctor_is_none_of_our_business(tmp_path: Path) -> None:
    assert load(put(tmp_path, "pyproject.toml", "this is no TOML [[["), tmp_path) == Config()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("ignor = []", "gpudoctor knows no setting 'ignor'. Close to it: ignore."),
        ("allow_cpu = true", "gpudoctor knows no setting 'allow_cpu'. Close to it: allow-cpu."),
        ("file = 'x'", "gpudoctor knows no setting 'file'."),
        ("ignore = 'gpu-lost'", "ignore: Expected `array`, got `str`"),
        ("ignore = [1]", "ignore: Expected `str`, got `int`"),
        ("framework = ['caffe']", "framework: Invalid enum value 'caffe'"),
        ("time-limit = 0", "time-limit: Expected `float` >= 1.0"),
        ("fail-on = 'always'", "fail-on: Invalid enum value 'always'"),
        ("allow-cpu =", "is no valid TOML"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence_with_the_file(text: str, sentence: str, tmp_path: Path) -> None:
    put(tmp_path, "gpudoctor.toml", text)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, tmp_path)
    assert str(caught.value).startswith(str(tmp_path / "gpudoctor.toml"))
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


# ------------------------------------------------------------------------------------------ silenced rules


def test_a_silenced_rule_is_not_asked_and_the_report_says_who_silenced_it() -> None:
    report = judge(without_gpu(), ignore={"no-nvidia-gpu": "--ignore", "gpu-lost": "pyproject.toml"})
    outcomes = {one.rule: one for one in report.outcomes}
    assert report.findings_of("no-nvidia-gpu") == ()
    assert (outcomes["no-nvidia-gpu"].outcome, outcomes["no-nvidia-gpu"].why) == ("skipped", "silenced by --ignore")
    assert (outcomes["gpu-lost"].outcome, outcomes["gpu-lost"].why) == ("skipped", "silenced in pyproject.toml")
    assert [(one.rule, one.by) for one in report.silenced] == [
        ("no-nvidia-gpu", "--ignore"),
        ("gpu-lost", "pyproject.toml"),
    ]


def test_the_outcomes_keep_the_order_of_the_rules() -> None:
    assert [one.rule for one in judge(GOOD, ignore={"torch-cpu-build": "--ignore"}).outcomes] == list(names())


def test_the_command_lines_word_comes_before_the_files() -> None:
    told = silenced(("gpu-lost",), Config(ignore=("gpu-lost", "gpu-throttled"), file="gpudoctor.toml"), names())
    assert told == {"gpu-lost": "--ignore", "gpu-throttled": "gpudoctor.toml"}


def test_a_name_that_no_rule_has_is_refused_with_a_suggestion() -> None:
    with pytest.raises(ConfigError, match=r"^--ignore: no rule is named 'gpu-lots'\. Close to it: gpu-lost"):
        silenced(("gpu-lots",), Config(), names())


# --------------------------------------------------------------------------------------------- the commands

TOO_OLD = """\
PyTorch version: 2.6.0+cu124
CUDA used to build PyTorch: 12.4
GPU models and configuration: GPU 0: Tesla V100-SXM2-16GB
Nvidia driver version: 470.182.03
"""


def test_triage_obeys_the_file_and_says_so(tmp_path: Path) -> None:
    put(tmp_path, "ticket.txt", TOO_OLD)
    assert gpudoctor("triage", "ticket.txt", "--format", "json", home=tmp_path).cause == "driver-too-old-for-cuda"
    put(tmp_path, "pyproject.toml", "[tool.gpudoctor]\nignore = ['driver-too-old-for-cuda']\n")
    ran = gpudoctor("triage", "ticket.txt", "--format", "json", home=tmp_path)
    assert ran.cause is None
    assert ran.report["silenced"] == [{"rule": "driver-too-old-for-cuda", "by": "pyproject.toml"}]
    told = gpudoctor("triage", "ticket.txt", home=tmp_path).stdout
    assert "Silenced driver-too-old-for-cuda (pyproject.toml)" in told


@pytest.mark.parametrize("command", ["diagnose", "triage"])
def test_an_unknown_rule_is_wrong_usage(command: str, tmp_path: Path) -> None:
    ran = gpudoctor(command, *(["x.txt"] if command == "triage" else []), "--ignore", "torch-cpu-bild", home=tmp_path)
    assert (ran.code, ran.stdout) == (2, "")
    assert "no rule is named 'torch-cpu-bild'. Close to it: torch-cpu-build" in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_a_wrong_file_is_wrong_usage(tmp_path: Path) -> None:
    put(tmp_path, "gpudoctor.toml", "ignore = ['no-such-rule']\n")
    ran = gpudoctor("diagnose", "--quick", home=tmp_path)
    assert (ran.code, ran.stdout) == (2, "")
    assert "gpudoctor.toml: no rule is named 'no-such-rule'" in ran.stderr


def test_diagnose_takes_request_and_threshold_from_the_file_where_the_command_line_is_silent(tmp_path: Path) -> None:
    put(tmp_path, "gpudoctor.toml", "allow-cpu = true\nframework = ['jax']\nfail-on = 'never'\nignore = ['gpu-lost']\n")
    ran = gpudoctor("diagnose", "--quick", "--format", "json", home=tmp_path)
    request = ran.report["facts"]["request"]
    assert (request["allow_cpu"], request["required"]) == (True, ["jax"])
    assert ran.report["status"] in ("broken", "undetermined")
    assert ran.code == {"broken": 0, "undetermined": 3}[ran.report["status"]]
    assert ran.report["silenced"] == [{"rule": "gpu-lost", "by": "gpudoctor.toml"}]
    arguments = ("--framework", "torch", "--fail-on", "error", "--ignore", "gpu-throttled")
    loud = gpudoctor("diagnose", "--quick", "--format", "json", *arguments, home=tmp_path)
    assert loud.report["facts"]["request"]["required"] == ["torch"]
    assert loud.code == {"broken": 1, "undetermined": 3}[loud.report["status"]]
    assert json.loads(loud.stdout)["silenced"] == [
        {"rule": "gpu-lost", "by": "gpudoctor.toml"},
        {"rule": "gpu-throttled", "by": "--ignore"},
    ]
