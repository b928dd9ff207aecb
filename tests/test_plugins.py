"""Plug-ins: the worked example of the docs, and ones that do not load, hang, crash, lie or answer nonsense."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gpudoctor.matrix import load
from gpudoctor.plugins import entries
from gpudoctor.plugins_child import TABLES, rows_of
from tests.cli.run import BUSY, ROOT, Ran, gpudoctor, survivors

EXAMPLE = ROOT / "docs" / "examples" / "plugin"
PASTE = """\
PyTorch version: 2.6.0+cu124
CUDA used to build PyTorch: 12.4
GPU models and configuration: GPU 0: NVIDIA Example 100
Nvidia driver version: 550.54.15
"""


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of sys.path into which pip has installed the example, built from its pyproject.toml."""
    folder = tmp_path_factory.mktemp("example")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(folder), str(EXAMPLE)], check=True, timeout=300)
    return folder


def package(folder: Path, points: dict[str, str], **modules: str) -> Path:
    """A folder of sys.path with one distribution, laid out as an installer leaves it."""
    info = folder / "made-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: made\nVersion: 1.0\n")
    groups: dict[str, list[str]] = {}
    for point, value in points.items():
        group, _, name = point.partition(":")
        groups.setdefault(group, []).append(f"{name} = {value}")
    lines = [line for group, named in groups.items() for line in (f"[gpudoctor.{group}]", *named)]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    for name, source in modules.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(source))
    return folder


RULE = '''
    """A made rule."""
    import os, sys, time
    from gpudoctor import facts as f
    from gpudoctor.engine import Rule
    from gpudoctor.findings import Found, Severity, Verdict
    RULE = Rule(severity=Severity.WARNING)

    @RULE.detector
    def asked(request: f.Request) -> Verdict:
        """Always."""
        {body}
'''


def rule(body: str) -> str:
    return RULE.format(body=body)


def with_plugin(folder: Path, *arguments: str, home: Path, **extra: str) -> Ran:
    return gpudoctor(*arguments, home=home, PYTHONPATH=f"{ROOT}{os.pathsep}{folder}", **extra)


def triaged(folder: Path, home: Path, *arguments: str, **extra: str) -> Ran:
    (home / "p.txt").write_text(PASTE)
    return with_plugin(folder, "triage", "p.txt", "--format", "jsonl", *arguments, home=home, **extra)


def outcomes(report: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {one["rule"]: (one["outcome"], one["why"]) for one in report["outcomes"]}


# ------------------------------------------------------------------------------------------- the worked example


def test_the_examples_probe_looks_and_its_rule_finds(example: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    ran = with_plugin(example, "diagnose", "--quick", "--format", "json", home=home, SCRATCH="/proc")
    extra = ran.report["facts"]["extras"]["extras"]
    assert extra == [{"name": "scratch-space", "source": "statvfs", "values": {"folder": "/proc", "free": 0}}]
    (finding,) = [one for one in ran.report["findings"] if one["rule"] == "scratch-space-low"]
    assert (finding["severity"], finding["because_of"]) == ("warning", None)
    assert finding["title"] == "/proc has 0.0 GiB free, checkpoints need 10 GiB"
    assert finding["fixes"][0]["commands"] == ["du -xh --max-depth=1 /proc"]
    assert outcomes(ran.report)["scratch-space-low"][0] == "found"


def test_saved_facts_hold_what_the_probe_saw_and_are_judged_again_without_looking(
    example: Path, tmp_path: Path
) -> None:
    saved = ("diagnose", "--quick", "--format", "json", "--save-facts", "facts.json")
    first = with_plugin(example, *saved, home=tmp_path, SCRATCH="/proc")
    again = with_plugin(
        example, "diagnose", "--from-facts", "facts.json", "--format", "json", home=tmp_path, SCRATCH="/nowhere"
    )
    assert again.report["facts"] == first.report["facts"]
    assert outcomes(again.report)["scratch-space-low"] == outcomes(first.report)["scratch-space-low"]


def test_in_triage_no_probe_looks_and_the_rule_is_not_judged(example: Path, tmp_path: Path) -> None:
    ran = triaged(example, tmp_path)
    assert outcomes(ran.report)["scratch-space-low"] == ("skipped", "Extras: not in paste")


def test_the_examples_row_answers_for_a_board_that_gpudoctor_does_not_know(example: Path, tmp_path: Path) -> None:
    def silicon(ran: Ran) -> str:
        return outcomes(ran.report)["torch-arch-unsupported"][0]

    (tmp_path / "p.txt").write_text(PASTE)
    bare = gpudoctor("triage", "p.txt", "--format", "jsonl", home=tmp_path)
    assert (silicon(bare), silicon(triaged(example, tmp_path))) == ("skipped", "passed")


def test_the_rule_is_listed_explained_and_silenced_like_any_other(example: Path, tmp_path: Path) -> None:
    assert "scratch-space-low" in with_plugin(example, "rules", home=tmp_path).stdout
    page = with_plugin(example, "explain", "scratch-space-low", home=tmp_path).stdout
    assert page.startswith("# scratch-space-low\n\nThe scratch folder has no room for checkpoints.\n\n## What it means")
    ran = triaged(example, tmp_path, "--ignore", "scratch-space-low")
    assert outcomes(ran.report)["scratch-space-low"] == ("skipped", "silenced by --ignore")
    assert gpudoctor("explain", "scratch-space-low", home=tmp_path).code == 2


def test_the_docs_show_the_example_as_it_is() -> None:
    text = (ROOT / "docs" / "plugins.md").read_text("utf-8")
    for path in sorted(EXAMPLE.rglob("*.py")):
        if path.name != "__init__.py":
            assert path.read_text("utf-8").split('"""', 2)[2].strip() in text, path.name
    points = re.search(r"\[project\.entry-points.*?\n\n\[tool", (EXAMPLE / "pyproject.toml").read_text("utf-8"), re.S)
    assert points is not None
    assert points[0].removesuffix("\n\n[tool") in text
    for table in TABLES:
        assert f"`{table}`" in text


# --------------------------------------------------------------------------------------- ones that go wrong


def test_one_that_does_not_load_is_an_outcome_and_the_others_go_on(tmp_path: Path) -> None:
    points = {"rules:absent": "no_such_module:RULE", "rules:sound": "sound:RULE", "rules:no-rule": "sound:os"}
    folder = package(tmp_path / "site", points, sound=rule("return Found(title='seen')"))
    told = outcomes(triaged(folder, tmp_path).report)
    assert told["absent"] == (
        "crashed",
        "plug-in made: did not load: ModuleNotFoundError: No module named 'no_such_module'",
    )
    assert told["no-rule"] == ("crashed", "plug-in made: did not load: TypeError: no-rule is no rule")
    assert told["sound"] == ("found", "seen")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("raise ValueError('broken\\nlines')", "asked: ValueError: broken\nlines"),
        ("sys.exit('bye')", "plug-in made: SystemExit: bye"),
        ("os.abort()", "plug-in made: signal SIGABRT"),
        ("os._exit(3)", "plug-in made: exit code 3"),
        ("return 'nonsense'", None),
    ],
)
def test_one_that_crashes_is_an_outcome_and_the_others_go_on(body: str, why: str | None, tmp_path: Path) -> None:
    points = {"rules:bad": "bad:RULE", "rules:sound": "sound:RULE"}
    modules = {"bad": rule(body), "sound": rule("return Found(title='seen')")}
    ran = triaged(package(tmp_path / "site", points, **modules), tmp_path)
    told = outcomes(ran.report)
    assert told["sound"] == ("found", "seen")
    if why is not None:
        assert told["bad"] == ("crashed", why)
    assert told["bad"][0] != "found"
    assert "Traceback" not in ran.stdout + ran.stderr


@pytest.mark.parametrize("body", ["time.sleep(3600)", "while True: pass", "os.kill(os.getpid(), 19)"])
def test_one_that_hangs_is_cut_off_and_leaves_no_process(body: str, tmp_path: Path) -> None:
    marker = f"GPUDOCTOR_TEST_{os.getpid()}_{time.monotonic_ns()}"
    points = {"rules:bad": "bad:RULE", "rules:sound": "sound:RULE"}
    modules = {"bad": rule(body), "sound": rule("return Found(title='seen')")}
    folder = package(tmp_path / "site", points, **modules)
    arguments = ("diagnose", "--quick", "--format", "json", "--time-limit", "8")
    ran = with_plugin(folder, *arguments, home=tmp_path, **{marker: "1"})
    assert ran.seconds < 8 + BUSY
    assert outcomes(ran.report)["bad"] == ("crashed", "plug-in made: timed out")
    assert survivors(marker) == []


def test_one_that_hangs_on_a_text_is_asked_no_more_and_the_others_are(tmp_path: Path) -> None:
    points = {"rules:bad": "bad:RULE", "rules:sound": "sound:RULE"}
    modules = {"bad": rule("time.sleep(3600)"), "sound": rule("return Found(title='seen')")}
    folder = package(tmp_path / "site", points, **modules)
    (tmp_path / "p.txt").write_text(PASTE)
    ran = with_plugin(folder, "triage", "p.txt", "p.txt", "--format", "jsonl", home=tmp_path)
    reports = [msgspec.json.decode(line) for line in ran.stdout.splitlines()]
    assert [outcomes(report)["sound"] for report in reports] == [("found", "seen")] * 2
    assert [outcomes(report)["bad"][0] for report in reports] == ["crashed"] * 2
    assert ran.seconds < 100


def test_what_a_plug_in_prints_disturbs_nothing(tmp_path: Path) -> None:
    noise = "print('@gpudoctor {}' * 3); os.write(1, b'x' * 70000); return Found(title='seen')"
    ran = triaged(package(tmp_path / "site", {"rules:loud": "loud:RULE"}, loud=rule(noise)), tmp_path)
    assert outcomes(ran.report)["loud"] == ("found", "seen")
    assert ran.stderr == ""


def test_a_probe_that_fails_is_an_outcome(tmp_path: Path) -> None:
    probes = """
        def unreadable(world): raise PermissionError(13, "Permission denied", "/secret")
        def nonsense(world): return {"source": "x", "values": {"a": [1]}}
        def sound(world): return {"source": "x", "values": {"a": 1}}
    """
    points = {f"probes:{name}": f"eyes:{name}" for name in ("unreadable", "nonsense", "sound")}
    folder = package(tmp_path / "site", points, eyes=probes)
    report = with_plugin(folder, "diagnose", "--quick", "--format", "json", home=tmp_path).report
    told = outcomes(report)
    assert told["probe:unreadable"] == (
        "crashed",
        "plug-in made: PermissionError: [Errno 13] Permission denied: '/secret'",
    )
    assert told["probe:nonsense"][0] == "crashed"
    assert [extra["name"] for extra in report["facts"]["extras"]["extras"]] == ["sound"]


def test_a_rule_cannot_take_the_name_of_another(tmp_path: Path) -> None:
    folder = package(tmp_path / "site", {"rules:gpu-lost": "mine:RULE"}, mine=rule("return Found(title='seen')"))
    report = triaged(folder, tmp_path).report
    assert [one["why"] for one in report["outcomes"] if one["rule"] == "gpu-lost"][-1] == (
        "plug-in made: another rule has this name"
    )
    assert all(one["rule"] != "gpu-lost" for one in report["findings"])


def test_rows_that_fit_no_table_or_name_no_source_are_an_outcome(tmp_path: Path) -> None:
    points = {f"matrix:{name}": f"rows:{name.upper()}" for name in ("wrong", "table", "source")}
    rows = """
        WRONG = {"gpus": [{"name": "X", "kapability": "9.0"}]}
        TABLE = {"toolkits": []}
        SOURCE = {"xids": [{"xid": 999, "source": ["hearsay"], "checked": "2026-11-01"}]}
    """
    told = outcomes(triaged(package(tmp_path / "site", points, rows=rows), tmp_path).report)
    assert "kapability" in told["matrix:wrong"][1] or "missing required field" in told["matrix:wrong"][1]
    assert "no rows can be added to toolkits; the tables are companions" in told["matrix:table"][1]
    assert told["matrix:source"][0] == "crashed"


def test_a_row_needs_a_source_that_is_listed() -> None:
    row = {"name": "X", "capability": "9.0", "kind": "datacenter", "source": ["hearsay"], "checked": "2026-11-01"}
    with pytest.raises(ValueError, match="no source 'hearsay' is listed"):
        rows_of({"gpus": [row]})
    listed = rows_of({"gpus": [{**row, "source": [next(iter(load().sources))]}]})
    assert [type(one).__name__ for one in listed["gpus"]] == ["GpuModel"]


# -------------------------------------------------------------------------------------- where there are none


def test_without_plug_ins_nothing_is_started_and_the_slow_import_is_not_made(tmp_path: Path) -> None:
    program = "import sys, gpudoctor.plugins as p; print(p.entries(), 'importlib.metadata' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {[str(ROOT), *_needed()]}; {program}"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert done.stdout == "() False\n"


def _needed() -> list[str]:
    return [path for path in sys.path if path.endswith("site-packages")]


def test_this_environment_has_no_plug_ins() -> None:
    """Else the other tests would not test gpudoctor alone."""
    assert entries() == ()
