"""The speed of the commands, each beside the least that does comparable work, as ratios of interleaved pairs.

    python benchmarks/speed.py [--torch ENV/bin/python] [--tensorflow ENV/bin/python] [--pairs 7] [--only NAME ...]

Every pair is one run of each, one after the other, so that a busy machine slows both; printed is the median of the
pairs' ratios beside the target. The byte code is kept, as an installation keeps it. ``--torch`` and ``--tensorflow``
name interpreters of the same version that have these frameworks; without them the rows that need them are left out,
and said to be. GPUs are the laboratory's fake drivers. Measure on a machine that is otherwise idle.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.lab.drivers.fake import Machine, gpus, install  # noqa: E402

_START = "import sys; from gpudoctor.cli import main; sys.argv[0] = 'gpudoctor'; main()"
_MOST_MIB = 120
_MATRIX_MS = 10

_SITE = "import sysconfig; print(sysconfig.get_path('platlib'))"
_TENSORFLOW = """
import tensorflow as tf
tf.keras.utils.set_random_seed(1)
def train(network, shape, count):
    labels = tf.random.uniform((count,), maxval=10, dtype=tf.int32)
    images = tf.gather(tf.random.normal((10, *shape)), labels) + tf.random.normal((count, *shape))
    optimiser = tf.keras.optimizers.SGD(0.02, 0.9)
    lost = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    @tf.function
    def step(images, labels):
        with tf.GradientTape() as tape:
            loss = lost(labels, network(images, training=True))
        optimiser.apply_gradients(zip(tape.gradient(loss, network.trainable_variables), network.trainable_variables))
        return loss
    batches = tf.data.Dataset.from_tensor_slices((images, labels)).repeat().batch(64).take(200)
    for number, (some, theirs) in enumerate(batches):
        loss = step(some, theirs)
        if number % 6 == 0:
            float(loss)
layers = tf.keras.layers
train(tf.keras.Sequential([layers.Input((28, 28, 1)), layers.Conv2D(16, 3, 2, "same", activation="relu"),
    layers.Conv2D(32, 3, 2, "same", activation="relu"), layers.Flatten(), layers.Dense(10)]), (28, 28, 1), 2048)
train(tf.keras.Sequential([layers.Input((32, 32, 3)), layers.Flatten(), layers.Dense(32, activation="relu"),
    layers.Dense(32, activation="relu"), layers.Dense(10)]), (32, 32, 3), 1024)
"""
_MATRIX = """
import time
from gpudoctor.matrix import questions
from gpudoctor.report import judge
from tests.good import GOOD
spent, plain = [], questions.Matrix._read
def timed(self, name, row):
    began = time.perf_counter()
    try:
        return plain(self, name, row)
    finally:
        spent.append(time.perf_counter() - began)
questions.Matrix._read = timed
judge(GOOD)
print(sum(spent) * 1000)
"""


@dataclass(frozen=True)
class Run:
    """A command, and what is added to the environment."""

    argv: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict)
    allowed: tuple[int, ...] = (0,)


class Bench:
    """Runs commands in a folder of its own."""

    def __init__(self, folder: Path, pairs: int, python: str) -> None:
        self.folder, self.pairs, self.python = folder, pairs, python
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        self.environ = {**kept, "PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(folder / "pyc")}

    def seconds(self, run: Run) -> float:
        """The wall time of one run, which must end as it should."""
        began = time.perf_counter()
        done = subprocess.run(
            run.argv,
            env={**self.environ, **run.environ},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
        )
        taken = time.perf_counter() - began
        if done.returncode not in run.allowed:
            raise SystemExit(f"{run.argv} ended with {done.returncode}: {done.stderr.decode(errors='replace')[-800:]}")
        return taken

    def ratio(self, name: str, ours: Run, others: Sequence[Run], target: float, more: float = 0.0) -> str:
        """One row: our time over the sum of the others' (plus ``more`` seconds), the median of the pairs."""
        for run in (ours, *others):
            self.seconds(run)
        pairs = [(self.seconds(ours), sum(map(self.seconds, others)) + more) for _ in range(self.pairs)]
        middle = statistics.median(mine / other for mine, other in pairs)
        mine, other = (statistics.median(column) for column in zip(*pairs, strict=True))
        verdict = "within" if middle <= target else "beyond"
        return f"{name:42} {mine:7.3f} s / {other:7.3f} s = {middle:5.2f}   target {target:4.2f}   {verdict}"

    def gpudoctor(self, *arguments: str, allowed: tuple[int, ...] = (0,), **environ: str) -> Run:
        """Our command in this interpreter."""
        return Run((sys.executable, "-c", _START, *arguments), environ, allowed)


def packages(folder: Path, count: int) -> str:
    """A folder of so many small distributions, for PYTHONPATH."""
    site = folder / f"packages-{count}"
    for number in range(count if not site.exists() else 0):
        info = site / f"package_{number}-1.{number}.dist-info"
        info.mkdir(parents=True)
        requires = "".join(f"Requires-Dist: package-{(number + step) % count}>=1\n" for step in range(1, 6))
        metadata = f"Metadata-Version: 2.1\nName: package-{number}\nVersion: 1.{number}\n{requires}\nA package.\n"
        (info / "METADATA").write_text(metadata)
        (info / "RECORD").write_text(f"package_{number}/__init__.py,,\n")
        (info / "INSTALLER").write_text("pip\n")
    return f"{ROOT}{os.pathsep}{site}"


# ------------------------------------------------------------------------------------------------------ the rows


def version(bench: Bench, _: argparse.Namespace) -> Iterator[str]:
    yield bench.ratio("--version", bench.gpudoctor("--version"), [Run((sys.executable, "-c", "pass"))], 4.0)


def page_of_help(bench: Bench, _: argparse.Namespace) -> Iterator[str]:
    least = Run((sys.executable, "-c", "import typer, rich.console"))
    yield bench.ratio("--help", bench.gpudoctor("--help"), [least], 1.3)


def quick(bench: Bench, options: argparse.Namespace) -> Iterator[str]:
    if not options.torch:
        yield "diagnose --quick, 300 packages: not measured, --torch names no environment"
        return
    path = packages(bench.folder, 300)
    ours = bench.gpudoctor("diagnose", "--quick", "--python", options.torch, allowed=(0, 1), PYTHONPATH=path)
    theirs = Run((options.torch, "-m", "torch.utils.collect_env"), {"PYTHONPATH": path})
    yield bench.ratio("diagnose --quick, 300 packages", ours, [theirs], 0.15)


def whole(bench: Bench, options: argparse.Namespace) -> Iterator[str]:
    if not (options.torch and options.tensorflow):
        yield "diagnose, both frameworks: not measured, --torch and --tensorflow name no environments"
        return
    sys.path.insert(0, str(Path(__file__).parent))
    from smoke import BARE

    both = os.pathsep.join((str(ROOT), _printed(options.tensorflow, _SITE)))
    ours = bench.gpudoctor("diagnose", "--allow-cpu", "--python", options.torch, allowed=(0, 1), PYTHONPATH=both)
    imports = {
        name: statistics.median(bench.seconds(Run((python, "-c", f"import {name}"))) for _ in range(3))
        for name, python in (("torch", options.torch), ("tensorflow", options.tensorflow))
    }
    bare = [Run((options.torch, "-c", BARE)), Run((options.tensorflow, "-c", _TENSORFLOW))]
    # Both bare scripts import; of the two imports only the slower one is allowed.
    yield bench.ratio("diagnose, both frameworks on the CPU", ours, bare, 1.2, -min(imports.values()))


def many_gpus(bench: Bench, _: argparse.Namespace) -> Iterator[str]:
    eight, one = (
        bench.gpudoctor(
            "diagnose", "--quick", allowed=(0, 1), **install(bench.folder / str(count), Machine(gpus=gpus(count)))
        )
        for count in (8, 1)
    )
    yield bench.ratio("8 GPUs against 1", eight, [one], 1.3)


def many_packages(bench: Bench, _: argparse.Namespace) -> Iterator[str]:
    many, few = (
        bench.gpudoctor("diagnose", "--quick", allowed=(0, 1), PYTHONPATH=packages(bench.folder, count))
        for count in (1000, 100)
    )
    yield bench.ratio("1,000 packages against 100", many, [few], 1.5)


def memory(bench: Bench, options: argparse.Namespace) -> Iterator[str]:
    python = ("--python", options.torch) if options.torch else ()
    run = bench.gpudoctor("diagnose", "--quick", *python, allowed=(0, 1), GPUDOCTOR_BENCHMARK="memory")
    peaks = []
    for _ in range(3):
        peak = _Peak(b"GPUDOCTOR_BENCHMARK=memory")
        with peak:
            bench.seconds(run)
        peaks.append(peak.mib)
    middle = statistics.median(peaks)
    verdict = "within" if middle <= _MOST_MIB else "beyond"
    yield f"{'peak memory of diagnose --quick (PSS)':42} {middle:7.0f} MiB   target {_MOST_MIB} MiB   {verdict}"


def matrix(bench: Bench, _: argparse.Namespace) -> Iterator[str]:
    spent = statistics.median(float(_printed(sys.executable, _MATRIX)) for _ in range(bench.pairs))
    verdict = "within" if spent <= _MATRIX_MS else "beyond"
    yield f"{'matrix: loading what diagnose needs':42} {spent:7.1f} ms    target {_MATRIX_MS} ms    {verdict}"


ROWS: dict[str, Callable[[Bench, argparse.Namespace], Iterator[str]]] = {
    "version": version,
    "help": page_of_help,
    "quick": quick,
    "diagnose": whole,
    "gpus": many_gpus,
    "packages": many_packages,
    "memory": memory,
    "matrix": matrix,
}


def _printed(python: str, program: str) -> str:
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        (python, "-c", program), env=environ, capture_output=True, text=True, check=True
    ).stdout.strip()


class _Peak:
    """The largest sum of the proportional set sizes (proc_pid_smaps_rollup(5)) of all processes with a mark."""

    def __init__(self, mark: bytes) -> None:
        self._mark, self._over, self.mib = mark, threading.Event(), 0.0
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> _Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        known: dict[str, bool] = {}
        while not self._over.wait(0.005):
            names = [name for name in os.listdir("/proc") if name.isdecimal()]
            self.mib = max(self.mib, sum(self._kib(name) for name in names if self._marked(name, known)) / 1024)

    def _marked(self, name: str, known: dict[str, bool]) -> bool:
        if not known.get(name):
            try:
                known[name] = self._mark in Path("/proc", name, "environ").read_bytes()
            except OSError:
                return False
        return known[name]

    def _kib(self, name: str) -> int:
        try:
            lines = Path("/proc", name, "smaps_rollup").read_text().splitlines()
        except OSError:
            return 0
        return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def main() -> None:
    """Print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch", default="")
    parser.add_argument("--tensorflow", default="")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--only", nargs="*", choices=ROWS, default=[])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gpudoctor-benchmark-") as folder:
        bench = Bench(Path(folder), options.pairs, sys.executable)
        for name in options.only or ROWS:
            for row in ROWS[name](bench, options):
                print(row, flush=True)  # noqa: T201
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")  # noqa: T201


if __name__ == "__main__":
    main()
