"""One run of ``gpudoctor diagnose`` after another, each with random faults: none may leave anything behind.

    python -m tests.lab.faults.soak --runs 100 --seed 1

prints a line for each run and ends with exit code 1 if one of them hung, printed a traceback, lost its report, or left
a process, a file or a mount. The same seed draws the same faults.
"""

from __future__ import annotations

import argparse
import random
import resource
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.cli.run import Ran
from tests.lab.drivers.fake import ABORT, FLOOD, HANG, SEGV, SLOW, Machine, after, error, gpus, prints
from tests.lab.faults.circumstances import CIRCUMSTANCES, Circumstance, impossible, public_folder
from tests.lab.faults.runs import Place, mounts, traceback_of_ours, whole_report

TIME_LIMIT = 15
_SPARE_SECONDS = 10.0  # a busy machine: to start, to judge, to end what survives
_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}

_CALLS = (
    *("nvmlInitWithFlags", "nvmlDeviceGetCount_v2", "nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetName"),
    *("nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetCudaComputeCapability", "nvmlDeviceGetEccMode"),
    *("nvmlSystemGetDriverVersion", "nvmlDeviceGetComputeRunningProcesses_v3", "nvmlShutdown"),
    *("cuInit", "cuDriverGetVersion", "cuDeviceGetCount", "cuDeviceGetName", "cuDeviceGet"),
)
_DRIVER_FAULTS = (HANG, SEGV, ABORT, FLOOD, SLOW, error(999), prints("garbage\n@gpudoctor {\n"), after(1, HANG))
_STAGES = ("import", "list", "init", "copy", "compute", "train", "verify", "hold", "product", "fft", "profile")
_STAGE_FAULTS = ("hang", "crash", "exit", "raise", "memory", "poison", "chat", "flood", "slow")
_FORMATS = ("json", "json", "terminal", "markdown")


@dataclass(frozen=True)
class Draw:
    """The faults of one run."""

    machine: Machine
    variables: Mapping[str, str]
    arguments: Sequence[str]
    circumstance: str | None
    interrupt: tuple[signal.Signals, float] | None

    def __str__(self) -> str:
        calls = ", ".join(f"{call} {fault!r}" for call, fault in self.machine.faults.items())
        more = [f"{name}={value}" for name, value in self.variables.items()]
        stopped = f"{self.interrupt[0].name} after {self.interrupt[1]:.2f} s" if self.interrupt else ""
        return "; ".join(filter(None, (calls, *more, self.circumstance, stopped, " ".join(self.arguments))))


@dataclass
class Result:
    """What came of one run; ``wrong`` is what must not be."""

    draw: Draw
    code: int
    seconds: float
    wrong: list[str] = field(default_factory=list)


def draws(runs: int, seed: int) -> Iterator[Draw]:
    """The faults of every run."""
    chance = random.Random(seed)  # noqa: S311 - chance, not secrecy
    usable = [name for name, one in CIRCUMSTANCES.items() if not (one.needs_root and impossible())]
    for _ in range(runs):
        yield _draw(chance, usable)


def _draw(chance: random.Random, circumstances: Sequence[str]) -> Draw:
    faults = {chance.choice(_CALLS): chance.choice(_DRIVER_FAULTS) for _ in range(chance.choice((0, 1, 1, 2)))}
    machine = Machine(gpus=gpus(chance.choice((0, 1, 1, 2))), faults=faults, nvml=chance.random() < 0.9)
    variables = {}
    if chance.random() < 0.7:
        variables["IMITATION_FAULT"] = f"{chance.choice(_STAGES)}:{chance.choice(_STAGE_FAULTS)}"
    arguments = ["diagnose", "--format", chance.choice(_FORMATS), "--time-limit", str(TIME_LIMIT)]
    arguments += chance.choice(([], ["--quick"], ["--allow-cpu"], ["--framework", "torch"]))
    circumstance = chance.choice(circumstances) if chance.random() < 0.4 else None
    interrupt = (chance.choice(list(_CODES)), 4 * chance.random()) if chance.random() < 0.3 else None
    return Draw(machine, variables, arguments, circumstance, interrupt)


def run(draw: Draw) -> Result:
    """One run, and everything that is wrong with it."""
    circumstance = CIRCUMSTANCES[draw.circumstance] if draw.circumstance else Circumstance("as any other")
    mounted = mounts()
    with public_folder() as folder:
        place = Place(folder / "place", draw.machine, dict(draw.variables))
        for one in (place.home, place.temporary):
            one.chmod(0o777)
        for name, value in circumstance.variables.items():
            place.environ.pop(name, None)
            place.environ.update({} if value is None else {name: value})
        ran = _ran(place, draw, circumstance)
        left = place.left()
    result = Result(draw, ran.code, ran.seconds, left)
    if mounts() != mounted:
        result.wrong.append("mounts have changed")
    result.wrong += _wrong(ran, draw)
    return result


def _ran(place: Place, draw: Draw, circumstance: Circumstance) -> Ran:
    started = time.monotonic()
    with place.begin(*draw.arguments, before=circumstance.before()) as process:
        if draw.interrupt:
            number, moment = draw.interrupt
            time.sleep(moment)
            process.send_signal(number)
        return place.ended(process, started)


def _wrong(ran: Ran, draw: Draw) -> Iterator[str]:
    if ran.seconds > TIME_LIMIT + _SPARE_SECONDS:
        yield f"it took {ran.seconds:.0f} s"
    if traceback_of_ours(ran.stderr):
        yield f"traceback: {ran.stderr[-800:]}"
    stopped = (_CODES[draw.interrupt[0]], -draw.interrupt[0]) if draw.interrupt else ()
    if ran.code not in (0, 1, 3, *stopped):
        yield f"exit code {ran.code}: {ran.stderr[-300:]}"
    silent = draw.circumstance in ("no stdout", "no streams", "full stdout")
    if not ran.stdout and not silent and ran.code not in stopped:
        yield f"no report: {ran.stderr[-300:]}"
    if ran.stdout and "json" in draw.arguments and not whole_report(ran.stdout):
        yield f"half a report: {ran.stdout[-200:]}"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    broken = 0
    codes: dict[int, int] = {}
    for number, draw in enumerate(draws(asked.runs, asked.seed), 1):
        result = run(draw)
        broken += bool(result.wrong)
        codes[result.code] = codes.get(result.code, 0) + 1
        words = "; ".join(result.wrong) or "nothing left"
        sys.stdout.write(f"{number}: exit code {result.code}, {result.seconds:.1f} s, {words} [{draw}]\n")
        sys.stdout.flush()
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    told = ", ".join(f"{count} with exit code {code}" for code, count in sorted(codes.items()))
    sys.stdout.write(f"{asked.runs} runs, seed {asked.seed}: {broken} broken; {told}; at most {peak} MiB\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
