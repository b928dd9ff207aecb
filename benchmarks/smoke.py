"""What the proof costs: ``gpudoctor smoke --framework torch --device cpu`` against a bare script of PyTorch.

    python benchmarks/smoke.py --python ENVIRONMENT/bin/python [--pairs 7]

The bare script imports torch and trains the same two networks as many steps, from a data loader of whole batches, with
the loss read as often. It makes its images at random, and neither tests nor compares anything. Both are whole
processes, taken in turn; printed are each pair, and the median of the ratios of their wall times. The aim is 1.15.
Measure on a machine that is otherwise idle.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BARE = """
import os
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the job has it
import torch
from torch import nn

STEPS, BATCH = 200, 64


class Batches:
    def __init__(self, count, *shape):
        labels = torch.randint(0, 10, (count,))
        self.images, self.labels = torch.randn(10, *shape)[labels] + torch.randn(count, *shape), labels

    def __len__(self):
        return STEPS

    def __getitem__(self, step):
        start = step * BATCH % len(self.labels)
        return self.images[start : start + BATCH], self.labels[start : start + BATCH]


def train(network, batches, rate):
    optimiser = torch.optim.SGD(network.parameters(), lr=rate, momentum=0.9)
    loader = torch.utils.data.DataLoader(batches, batch_size=None, sampler=range(STEPS))
    for step, (images, labels) in enumerate(loader):
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(network(images), labels)
        loss.backward()
        optimiser.step()
        if step % 6 == 0:
            loss.item()
    return loss.item()


convolutional = nn.Sequential(
    nn.Conv2d(1, 16, 3, stride=2, padding=1),
    nn.ReLU(),
    nn.Conv2d(16, 32, 3, stride=2, padding=1),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(7 * 7 * 32, 10),
)
perceptron = nn.Sequential(
    nn.Flatten(), nn.Linear(3072, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 10)
)
print(train(convolutional, Batches(2048, 1, 28, 28), 0.02), train(perceptron, Batches(1024, 3, 32, 32), 0.005))
"""


def seconds(argv: list[str], scratch: str) -> float:
    """The wall time of a process, which has to end well."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "", "TMPDIR": scratch}
    began = time.perf_counter()
    ran = subprocess.run(argv, env=environ, cwd=scratch, capture_output=True, text=True, check=False)
    taken = time.perf_counter() - began
    if ran.returncode != 0:
        raise SystemExit(f"{argv[1:4]} ended with {ran.returncode}: {ran.stdout[-2000:]}{ran.stderr[-500:]}")
    return taken


def main() -> None:
    """Print each pair and the median ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="an interpreter that has PyTorch")
    parser.add_argument("--pairs", type=int, default=7)
    options = parser.parse_args()
    doctor = [sys.executable, "-m", "gpudoctor", "smoke", "--framework", "torch", "--device", "cpu"]
    doctor += ["--python", options.python]
    with tempfile.TemporaryDirectory() as scratch:
        bare = [options.python, "-c", BARE]
        for argv in (bare, doctor):  # what is read from disk for the first time does not count
            seconds(argv, scratch)
        ratios = []
        for pair in range(options.pairs):
            first, second = seconds(bare, scratch), seconds(doctor, scratch)
            ratios.append(second / first)
            print(f"pair {pair + 1}: bare {first:.2f} s, smoke {second:.2f} s, ratio {ratios[-1]:.3f}")  # noqa: T201
    print(f"median ratio {statistics.median(ratios):.3f} of {len(ratios)} pairs")  # noqa: T201
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")  # noqa: T201


if __name__ == "__main__":
    main()
