"""Text → facts → rules over all cases: recall, precision and false alarms by cause, and the list of misses.

Run as ``python -m tests.cases.measure``; ``--style N`` forces a style, ``--brief`` leaves the misses out,
``--held-out`` measures ``held_out_*.jsonl`` instead (``--held-out system`` one of these files).
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from gpudoctor.facts import Missing
from gpudoctor.findings import Report, Severity
from gpudoctor.intake import Intake, read
from gpudoctor.pasted import reading
from gpudoctor.report import judge
from tests.cases.render import Case, cases, held_out, render


class Measured(NamedTuple):
    """What gpudoctor made of one case."""

    case: Case
    intake: Intake
    report: Report

    @property
    def named(self) -> str | None:
        """The first cause of an error, None if no cause is named or it is a warning's."""
        return self.report.cause.rule if self.report.cause else None

    @property
    def right(self) -> bool:
        """The first cause is one that is accepted; for a healthy case: no error at all."""
        return not self.errors if self.case.healthy else self.named in self.case.expected

    @property
    def errors(self) -> tuple[str, ...]:
        """The rules that found an error."""
        return tuple(f.rule for f in self.report.findings if f.severity is Severity.ERROR)


def measure(listed: Iterable[Case], style: int | None = None) -> tuple[Measured, ...]:
    """Judge the text of every case."""
    return tuple(_measured(case, style) for case in listed)


def _measured(case: Case, style: int | None) -> Measured:
    intake = read(render(case, style), case.id)
    return Measured(case, intake, judge(intake.facts, input_name=case.id))


def known_facts(intake: Intake) -> tuple[str, ...]:
    """The names of the facts that the text showed."""
    names = (
        name for name in intake.facts.__struct_fields__ if name not in ("gpudoctor", "created", "origin", "request")
    )
    return tuple(
        name for name in names if not isinstance(getattr(intake.facts, name), Missing) and getattr(intake.facts, name)
    )


# -------------------------------------------------------------------------------------------------- printing


def table(measured: tuple[Measured, ...]) -> str:
    """One line a cause: cases, found, recall; and how often the cause was named where it is wrong."""
    expected = Counter(m.case.expected[0] for m in measured if not m.case.healthy and m.case.derivable)
    found = Counter(m.case.expected[0] for m in measured if not m.case.healthy and m.case.derivable and m.right)
    wrong = Counter(m.named for m in measured if m.named and not m.case.healthy and m.named not in m.case.expected)
    alarms: Counter[str] = Counter(rule for m in measured if m.case.healthy for rule in m.errors)
    names = sorted({*expected, *filter(None, wrong), *alarms})
    lines = [f"{'cause':<34}{'cases':>6}{'found':>6}{'recall':>8}{'named wrongly':>15}{'false alarms':>14}"]
    for name in names:
        recall = f"{found[name] / expected[name]:.0%}" if expected[name] else ""
        lines.append(f"{name:<34}{expected[name]:>6}{found[name]:>6}{recall:>8}{wrong[name]:>15}{alarms[name]:>14}")
    return "\n".join(lines)


def summary(measured: tuple[Measured, ...]) -> str:
    """The figures over all cases."""
    broken = [m for m in measured if not m.case.healthy]
    derivable = [m for m in broken if m.case.derivable]
    named = [m for m in broken if m.named]
    healthy = [m for m in measured if m.case.healthy]
    right, precise = sum(m.right for m in derivable), sum(m.right for m in named)
    lines = sum(m.intake.lines for m in measured)
    formats = sum(m.intake.recognised for m in measured)
    recognised = sum(reading(m.intake, m.report).recognised for m in measured)
    return "\n".join(
        (
            f"derivable broken cases: first cause right in {right} of {len(derivable)} ({right / len(derivable):.1%})",
            f"named causes: right in {precise} of {len(named)} ({precise / max(len(named), 1):.1%})",
            f"healthy cases: {sum(bool(m.errors) for m in healthy)} of {len(healthy)} with a false alarm (error)",
            f"lines recognised: {recognised} of {lines} ({recognised / max(lines, 1):.1%}), {formats} by a format",
        )
    )


def misses(measured: tuple[Measured, ...]) -> str:
    """Every case whose answer is wrong, by cause, with what was said and what was known."""
    groups: dict[str, list[str]] = defaultdict(list)
    for m in measured:
        if m.right or not (m.case.derivable or m.named):
            continue
        said = m.named or (", ".join(c.rule for c in m.report.candidates) and "candidates") or m.report.status
        wanted = m.case.expected[0] if m.case.expected else "healthy"
        groups[wanted].append(f"  {m.case.id}: {said}  [{' '.join(known_facts(m.intake))}]")
    return "\n".join(f"{cause}\n" + "\n".join(lines) for cause, lines in sorted(groups.items()))


def main() -> int:
    """Print the measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--style", type=int)
    parser.add_argument("--brief", action="store_true")
    parser.add_argument("--held-out", nargs="?", const="*", metavar="FILE")
    options = parser.parse_args()
    listed = held_out(f"held_out_{options.held_out}.jsonl") if options.held_out else cases()
    measured = measure(listed, options.style)
    parts = [table(measured), summary(measured)]
    if not options.brief:
        parts.insert(1, misses(measured))
    sys.stdout.write("\n\n".join(parts) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
