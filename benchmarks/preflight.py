"""How long ``gpudoctor preflight`` takes on a healthy machine, beside the least that asks the driver anything.

    python benchmarks/preflight.py [--pairs 40] [--require 'gpus>=1']

The machine is the laboratory's: one H100 in fake driver libraries (tests/lab/drivers), which answer at once. A pair is
one run of ``python -c "import pynvml; pynvml.nvmlInit()"`` and one of ``gpudoctor preflight`` in the same interpreter,
one after the other, so that a busy machine slows both. Printed are the medians and the target: 1.5 × the one plus 50 ms
is the most that the other may take. The byte code of both is kept, as an installation keeps it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.lab.drivers.fake import Machine, install  # noqa: E402

FACTOR, ALLOWANCE = 1.5, 0.050
_START = "import sys; from gpudoctor.cli import main; sys.argv[0] = 'gpudoctor'; main()"


def seconds(command: list[str], environ: dict[str, str], folder: Path) -> float:
    """The wall time of one run, which must succeed."""
    started = time.perf_counter()
    subprocess.run(command, env=environ, cwd=folder, check=True, stdin=subprocess.DEVNULL)
    return time.perf_counter() - started


def measured(pairs: int, requirement: str, folder: Path) -> list[tuple[float, float]]:
    """So many pairs of (pynvml, preflight), after one that fills the caches."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environ |= {"PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(folder / "pyc")}
    environ |= install(folder / "machine", Machine())
    least = [sys.executable, "-c", "import pynvml; pynvml.nvmlInit()"]
    ours = [sys.executable, "-c", _START, "preflight", "--require", requirement]
    times = [(seconds(least, environ, folder), seconds(ours, environ, folder)) for _ in range(pairs + 1)]
    return times[1:]


def main() -> int:
    """Measure, print, and end with 1 where the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--require", default="gpus>=1")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gpudoctor-benchmark-") as folder:
        times = measured(options.pairs, options.require, Path(folder))
    least, ours = (statistics.median(column) for column in zip(*times, strict=True))
    over = statistics.median(mine - (FACTOR * other + ALLOWANCE) for other, mine in times)
    quickest = [min(column) for column in zip(*times, strict=True)]
    lines = (
        f"import pynvml; nvmlInit()   {least * 1000:6.1f} ms  ({len(times)} pairs, at best {quickest[0] * 1000:.1f})",
        f"gpudoctor preflight         {ours * 1000:6.1f} ms  (at best {quickest[1] * 1000:.1f})",
        f"allowed, 1.5 × + 50 ms      {(FACTOR * least + ALLOWANCE) * 1000:6.1f} ms",
        f"median of the differences   {over * 1000:+6.1f} ms: {'within' if over <= 0 else 'beyond'} the target",
    )
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if over <= 0 else 1


if __name__ == "__main__":
    raise SystemExit(main())
