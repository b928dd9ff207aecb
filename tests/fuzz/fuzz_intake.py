"""Coverage-guided fuzzing of the intake: one target for each format, one for reading, one for the whole of triage;
and three for what gpudoctor itself has written: the block in a ticket, what is in it, and the collector's recording.

Not part of the test suite. In an environment with gpudoctor's dependencies, its ``test`` extra and ``atheris``::

    python tests/fuzz/fuzz_intake.py                       # every target, 60 seconds each
    python tests/fuzz/fuzz_intake.py --seconds 600 triage  # one target for longer

Each target runs in a process of its own and ends in one row of the table in docs/fuzzing.md. Inputs that fail stay
in ``--folder`` (``crash-…``); ``python tests/fuzz/fuzz_intake.py --one TARGET FILE`` runs one of them again.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import re
import subprocess
import sys
import tempfile
import time
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

LONGEST = 65_536
CPU_SECONDS = 2.0
"""Of one input, with the instrumentation's own cost: what is linear needs a tenth of it."""
_REPEATED = 0xF0
"""A first byte from here on repeats the rest up to the longest input, where what is not linear shows."""
_SELDOM = 10
_ODD = "\u00b3\u0663\u2460\u00bd\u2028\u0085\u00a0\u200b\u202e\ufeff\u0130\u00df\x1b\r\x00"
"""Digits that are no numbers, line ends and spaces of other kinds, letters whose case changes their length."""
_SHORTEST_SAMPLE = 20


class BrokenLawError(AssertionError):
    """A law that does not hold for this input."""


def text_of(data: bytes) -> bytes:
    """The paste that an input stands for."""
    body = data[1:]
    if data[:1] >= bytes([_REPEATED]) and body:
        body *= LONGEST // len(body)
    return body


# ------------------------------------------------------------------------------------------------ the laws


def format_target(read_format: Callable[[Any], Any]) -> Callable[[bytes], None]:
    """One format takes any text, and what it gives can be merged and saved."""
    from gpudoctor import facts
    from gpudoctor.intake.merge import merge
    from gpudoctor.intake.paste import Paste

    def run(data: bytes) -> None:
        paste = Paste(data.decode("utf-8", "replace"))
        made = merge(read_format(paste))
        if facts.decode(facts.encode(made)) != made:
            raise BrokenLawError("facts change when they are saved")

    return run


def read_target() -> Callable[[bytes], None]:
    """Any bytes are facts or a clear refusal, and no control character gets into the facts."""
    from gpudoctor.intake import Unreadable, read

    def run(data: bytes) -> None:
        try:
            intake = read(data)
        except Unreadable:
            return
        if not 0 <= intake.recognised <= intake.lines:
            raise BrokenLawError(f"{intake.recognised} of {intake.lines} lines recognised")
        for text in strings(intake.facts):
            if steers(text):
                raise BrokenLawError(f"a control character in the facts: {text[:80]!r}")

    return run


def triage_target() -> Callable[[bytes], None]:
    """Any bytes are judged without a crash in a rule; nothing steers the terminal, every command is one line."""
    from gpudoctor.intake import Unreadable, read

    judged = judging()

    def run(data: bytes) -> None:
        try:
            made = read(data).facts
        except Unreadable:
            return
        judged(made)

    return run


def ticket_target() -> Callable[[bytes], None]:
    """A text with anything that looks like a block gives whole facts or none, and what people read holds no block."""
    from gpudoctor import ticket

    judged = judging(made_up=True)

    def run(data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        found = ticket.find(text)
        if (found is None) is not (ticket.MARK not in text):
            raise BrokenLawError("a block that is not told of")
        if ticket.MARK in ticket.visible(text):
            raise BrokenLawError("a block among what people read")
        if found is not None and found.facts is not None:
            judged(found.facts)

    return run


def block_target() -> Callable[[bytes], None]:
    """A whole block holds anything: it gives facts that can be judged, or counts as damaged."""
    from gpudoctor import ticket

    judged = judging(made_up=True)

    def run(data: bytes) -> None:
        found = ticket.find("\n".join(ticket.block(data)))
        if found is None:
            raise BrokenLawError("a block that is not told of")
        if found.facts is not None:
            judged(found.facts)

    return run


def recording_target() -> Callable[[bytes], None]:
    """What the standalone collector saw, changed anywhere, gives facts that can be judged, or is refused."""
    from gpudoctor.collector.told import facts_of

    judged = judging(made_up=True)

    def run(data: bytes) -> None:
        try:
            made = facts_of(data)
        except ValueError:
            return
        judged(made)

    return run


def judging(made_up: bool = False) -> Callable[[Any], None]:
    """Facts are the same when they were saved, and are judged; nothing of the report steers.

    Of a text no rule crashes. Facts that somebody made by hand (``made_up``) may hold what none can judge: then its
    crash is an outcome, and the report is not healthy.
    """
    from gpudoctor import facts
    from gpudoctor.render.page import Style
    from gpudoctor.render.terminal import terminal
    from gpudoctor.report import judge

    def judged(made: Any) -> None:
        if facts.decode(facts.encode(made)) != made:
            raise BrokenLawError("facts change when they are saved")
        report = judge(made)
        crashed = [outcome.why for outcome in report.outcomes if outcome.outcome == "crashed"]
        if crashed and (not made_up or report.status == "healthy"):
            raise BrokenLawError(crashed[0])
        for fix in (fix for finding in report.findings for fix in finding.fixes):
            for command in fix.commands:
                if steers(command) or "\n" in command:
                    raise BrokenLawError(f"a command that is not one line: {command!r}")
        if steers(terminal(report, Style(verbose=True))):
            raise BrokenLawError("a control character on the terminal")

    return judged


def steers(text: str) -> bool:
    """Whether a text holds a control character other than the line feed."""
    return any(c != "\n" and unicodedata.category(c) == "Cc" for c in text)


def strings(value: Any) -> Iterator[str]:
    """Every string inside a record."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from strings(key)
            yield from strings(item)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from strings(item)
    else:
        for name in getattr(value, "__struct_fields__", ()):
            yield from strings(getattr(value, name))


def timed(run: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """The same, failing on an input that takes more CPU time than any may."""

    def watched(data: bytes) -> None:
        begin = time.process_time()
        run(text_of(data))
        seconds = time.process_time() - begin
        if seconds > CPU_SECONDS:
            raise BrokenLawError(f"{seconds:.1f} s of CPU time for {len(data)} bytes")

    return watched


# ----------------------------------------------------------------------------------------------- the targets

_WHOLE: dict[str, Callable[[], Callable[[bytes], None]]] = {
    "read": read_target,
    "triage": triage_target,
    "ticket": ticket_target,
    "block": block_target,
    "recording": recording_target,
}


def names() -> list[str]:
    """Every target: the formats in their order, then the whole, then what gpudoctor itself has written."""
    from gpudoctor.intake import FORMATS

    return [read_format.__name__ for read_format in FORMATS] + [*_WHOLE]


def target(name: str) -> Callable[[bytes], None]:
    """The target of that name."""
    from gpudoctor.intake import FORMATS

    if name in _WHOLE:
        return timed(_WHOLE[name]())
    return timed(format_target(next(one for one in FORMATS if one.__name__ == name)))


def samples() -> list[str]:
    """What the tests of the intake paste, and every tenth of the real cases."""
    from tests.cases.render import cases, render

    found = [render(case) for case in cases()[::10]]
    for path in sorted((ROOT / "tests" / "intake").glob("*.py")):
        found += [
            node.value
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) >= _SHORTEST_SAMPLE
        ]
    return list(dict.fromkeys(found))


def written(name: str) -> list[bytes]:
    """What gpudoctor writes of the machines that the tests know, for the target that reads it."""
    from gpudoctor import ticket
    from gpudoctor.collector.build import collector
    from gpudoctor.facts import encode
    from tests import reports

    plain = subprocess.run(
        [sys.executable, "-", "--plain"], input=collector().encode(), capture_output=True, check=True
    ).stdout
    recorded = plain[plain.index(b"{") : plain.rindex(b"}") + 1]
    known = [encode(made().facts) for made in reports.ALL]
    if name == "recording":
        return [recorded]
    if name == "block":
        return [*known, recorded]
    blocks = ["\n".join(ticket.block(content)) for content in (*known, recorded)]
    return [text.encode() for block in blocks for text in (block, block.replace("\n", "\n> "), f"<pre>{block}</pre>")]


def sow(folder: Path) -> None:
    """Write the seeds and the dictionary of their words."""
    for name in ("ticket", "block", "recording"):
        (folder / f"seeds-{name}").mkdir(parents=True, exist_ok=True)
        for number, content in enumerate(written(name)):
            (folder / f"seeds-{name}" / f"{number:04}").write_bytes(b"\x00" + content[: LONGEST - 1])
    (folder / "seeds").mkdir(parents=True, exist_ok=True)
    found = samples()
    for number, text in enumerate(found):
        first = bytes([_REPEATED if number % _SELDOM == 0 else 0])
        (folder / "seeds" / f"{number:04}").write_bytes(first + text.encode("utf-8", "replace")[: LONGEST - 1])
    words = {word for text in found for word in re.findall(r"[A-Za-z][\w.+-]{2,23}|[=|:+-]{2,8}|\d+\.\d+[\d.]*", text)}
    odd = ("".join(f"\\x{byte:02X}" for byte in character.encode()) for character in _ODD)
    lines = (f'"{word}"\n' for word in (*sorted(words), *odd))
    (folder / "words").write_text("".join(lines), "ascii", "ignore")


def fuzz(name: str, arguments: list[str]) -> None:
    """Run one target in this process; libFuzzer ends the process."""
    atheris: Any = importlib.import_module("atheris")
    # Not "RegEx": its stand-in for a pattern lacks match(text, position), which rich calls (atheris 3.1.0).
    atheris.enabled_hooks.add("str")
    with atheris.instrument_imports(include=["gpudoctor.intake", "gpudoctor.ticket", "gpudoctor.collector"]):
        import gpudoctor.collector.told
        import gpudoctor.intake
        import gpudoctor.ticket  # noqa: F401
    from gpudoctor.matrix import load

    load()
    atheris.Setup([sys.argv[0], *arguments], target(name))
    atheris.Fuzz()


def campaign(name: str, seconds: int, folder: Path) -> str:
    """Fuzz one target in a child; its row of the table."""
    corpus = folder / name
    corpus.mkdir(exist_ok=True)
    limits = [f"-max_total_time={seconds}", f"-max_len={LONGEST}", "-timeout=30", "-rss_limit_mb=2048"]
    seeds = folder / (f"seeds-{name}" if (folder / f"seeds-{name}").exists() else "seeds")
    places = [f"-dict={folder / 'words'}", f"-artifact_prefix={corpus}-", str(corpus), str(seeds)]
    done = subprocess.run(
        [sys.executable, __file__, "--one", name, *limits, "-print_final_stats=1", *places],
        capture_output=True,
        check=False,
    )
    log = done.stderr.decode("utf-8", "replace") + done.stdout.decode("utf-8", "replace")
    (folder / f"{name}.log").write_text(log, "utf-8")
    runs = re.search(r"number_of_executed_units: (\d+)|Done (\d+) runs", log)
    edges = re.findall(r"cov: (\d+)", log)
    executed = int(runs[1] or runs[2]) if runs else 0
    ending = "none" if done.returncode == 0 else f"exit code {done.returncode}, see {name}.log"
    return f"| `{name}` | {executed:,} | {edges[-1] if edges else '?'} | {ending} |"


def main(arguments: list[str]) -> int:
    """Every target asked for, one after the other."""
    if arguments[:1] == ["--one"]:
        fuzz(arguments[1], arguments[2:])
        return 0
    parser = argparse.ArgumentParser(description="Coverage-guided fuzzing of gpudoctor's intake.")
    parser.add_argument("targets", nargs="*", help=f"any of: {' '.join(names())}")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (default 60)")
    parser.add_argument("--folder", type=Path, help="keeps seeds, corpora, logs and failing inputs")
    asked = parser.parse_args(arguments)
    unknown = set(asked.targets) - set(names())
    if unknown:
        parser.error(f"no such target: {' '.join(sorted(unknown))}")
    folder = asked.folder or Path(tempfile.mkdtemp(prefix="gpudoctor-fuzz-"))
    sow(folder)
    print(f"{folder}\n\n| target | executions | edges | findings |\n|---|---|---|---|")  # noqa: T201
    rows = []
    for name in asked.targets or names():
        rows.append(campaign(name, asked.seconds, folder))
        print(rows[-1], flush=True)  # noqa: T201
    return int(any("exit code" in row for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
