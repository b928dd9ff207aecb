"""The table of faults in the docs: made by injecting every one of them.

    python -m tests.lab.faults.page

writes docs/faults.md anew, in some minutes; the tests inject each fault again and compare.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from gpudoctor.rules import names
from tests.cli.run import ROOT
from tests.lab.faults.circumstances import CIRCUMSTANCES, PROGRAMS, Program, impossible, public_folder
from tests.lab.faults.circumstances import seen as came_to
from tests.lab.faults.places import seen
from tests.lab.faults.table import FAULTS, NEVER, PLACES, Fault, Place, cells

PAGE = ROOT / "docs" / "faults.md"
WORDS = {
    "whole": "nothing is lost",
    "told": "the answer is a fact of its own, and judged as what it is: absent, refused by the driver, unintelligible",
    "named": "the rest is judged; what could not be seen is named, with its place",
    "unknown": "the report is undetermined (exit code 3) and names what could not be seen",
    "refused": "wrong usage: one sentence, exit code 2",
}
RUN_WORDS = {
    "as usual": "the report and its exit code are those of any other run",
    "named": "a report; what could not be seen is named, with its reason",
    "stopped": "the job is not started, and stderr says why",
    "not written": "the report cannot be written: one sentence on stderr, exit code 1",
    "nobody listens": "the exit code is the report's",
}
_RUNS_HEAD = """\
## Whole runs

The same machine, and the program is run where it may not have what it is used to.

"""
_SOAK = """
With less than 256 MiB of address space (`ulimit -v`) nothing is looked at: one sentence says so, exit code 3.

## Random faults

`python -m tests.lab.faults.soak --runs 100 --seed 1` draws faults of the driver's calls, of the framework's stages and
of the circumstances, and signals, for one run of `gpudoctor diagnose` after another. On 2026-11-21: 100 runs, none
with a hang, a traceback or a lost report, none left a process, a file or a mount; at most 50 MiB of memory. The tests
do ten such runs each time.
"""
_HEAD = """\
# What gpudoctor does where things fail

Each fault is made at each place that gpudoctor looks at, on a machine that is good otherwise, with real child
processes, fake driver libraries and imitations of frameworks. In every case there is a report within the time limit,
and no process, no file and no mount is left. `python -m tests.lab.faults.page` makes this page anew; the tests make
every fault again and compare.

"""


def rows() -> Mapping[tuple[Place, Fault], str]:
    """Every cell of the committed page."""
    return {
        (place, fault): _bare(cell)
        for place, cells in zip(PLACES, _table("place", PLACES), strict=True)
        for fault, cell in zip(FAULTS, cells, strict=True)
    }


def runs() -> Mapping[tuple[str, Program], str]:
    """Every cell of the committed page's second table."""
    return {
        (name, program): cell
        for name, cells in zip(CIRCUMSTANCES, _table("circumstance", tuple(CIRCUMSTANCES)), strict=True)
        for program, cell in zip(PROGRAMS, cells[1:], strict=True)
    }


def _table(name: str, first: Sequence[str]) -> list[list[str]]:
    """The cells of the table whose first column has that name, without the first column."""
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    start = next(index for index, line in enumerate(table) if line[0] == name) + 2
    found = table[start : start + len(first)]
    assert [line[0] for line in found] == list(first)
    return [line[1:] for line in found]


def _bare(cell: str) -> str:
    return cell.partition("](")[0].lstrip("[")


def page(observed: Mapping[tuple[Place, Fault], str], came: Mapping[tuple[str, Program], str]) -> str:
    """The page with these outcomes."""
    words = "".join(f"- *{word}*: {meaning}\n" for word, meaning in WORDS.items())
    faults = "".join(f"- *{fault}*: {meaning}\n" for fault, meaning in FAULTS.items())
    head = f"| place | {' | '.join(FAULTS)} |\n| --- {'| --- ' * len(FAULTS)}|\n"
    body = "".join(
        f"| {place} | {' | '.join(_cell(place, fault, observed) for fault in FAULTS)} |\n" for place in PLACES
    )
    return (
        f"{_HEAD}## Faults\n\n{faults}\n## What the report says\n\n{words}- the name of a rule: it is the cause\n"
        f"- —: it cannot happen there, for the reason below\n\n## Table\n\n{head}{body}\n"
        f"## What cannot happen\n\n{_reasons()}\n{_whole_runs(came)}"
    )


def _whole_runs(came: Mapping[tuple[str, Program], str]) -> str:
    words = "".join(f"- *{word}*: {meaning}\n" for word, meaning in RUN_WORDS.items())
    head = f"| circumstance | meaning | {' | '.join(PROGRAMS)} |\n| --- | --- {'| --- ' * len(PROGRAMS)}|\n"
    body = "".join(
        f"| {name} | {one.meaning} | {' | '.join(came[name, program] for program in PROGRAMS)} |\n"
        for name, one in CIRCUMSTANCES.items()
    )
    return f"{_RUNS_HEAD}{words}\n{head}{body}{_SOAK}"


def _cell(place: Place, fault: Fault, observed: Mapping[tuple[Place, Fault], str]) -> str:
    if (place, fault) in NEVER:
        return "—"
    word = observed[place, fault]
    return f"[{word}](rules/{word}.md)" if word in names() else word


def _reasons() -> str:
    reasons: dict[str, list[str]] = {}
    for (place, fault), never in NEVER.items():
        reasons.setdefault(f"{fault}: {never.why}", []).append(place)
    return "".join(f"- {why} ({', '.join(places)})\n" for why, places in reasons.items())


def _came() -> Mapping[tuple[str, Program], str]:
    found = {}
    for name in CIRCUMSTANCES:
        for program in PROGRAMS:
            with public_folder() as folder:
                found[name, program] = came_to(name, program, folder)
            sys.stderr.write(f"{name}, {program}: {found[name, program]}\n")
    return found


def _observed() -> Mapping[tuple[Place, Fault], str]:
    found = {}
    for place, fault in cells():
        with tempfile.TemporaryDirectory() as folder:
            found[place, fault] = seen(place, fault, Path(folder))
        sys.stderr.write(f"{place}, {fault}: {found[place, fault]}\n")
    return found


if __name__ == "__main__":
    why = impossible()
    if why:
        sys.exit(f"the page cannot be made here: {why}")
    PAGE.write_text(page(_observed(), _came()), "utf-8")
