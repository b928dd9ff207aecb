"""On a machine with an NVIDIA GPU: every part holds, and is as fast as a bare benchmark of the same operation."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from gpudoctor.facts import FrameworkName
from tests.inside.test_train_torch import asked

pytestmark = pytest.mark.gpu

PARTS = """
framework.init(True)
parts = []


class Talk:
    def say(self, part=None, **message):
        parts.append(part)


Parts(Talk(), framework, True, None).run()
"""
BARE = """
torch = framework.torch


def bare(work, runs):
    for _ in range(3):
        work()
    best = None
    for _ in range(5):
        began, ended = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda.synchronize()
        began.record()
        for _ in range(runs):
            work()
        ended.record()
        ended.synchronize()
        seconds = began.elapsed_time(ended) / 1e3 / runs
        best = seconds if best is None else min(best, seconds)
    return best


sizes = {part["name"]: int(part["detail"].split(" x ")[0]) for part in parts
         if part and part["name"].startswith("matrix-product") and part["rate"]}
rates = {}
for name, kind, tf32 in (("fp32", torch.float32, False), ("tf32", torch.float32, True),
                         ("fp16", torch.float16, False), ("bf16", torch.bfloat16, False)):
    size = sizes.get("matrix-product-" + name)
    if size:
        framework.allow_tf32(tf32)
        a, b = (torch.randn(size, size, device="cuda").to(kind) for _ in range(2))
        rates["matrix-product-" + name] = 2.0 * size ** 3 / bare(lambda: torch.matmul(a, b), 20) / 1e12
framework.allow_tf32(False)
source = torch.ones(256 << 20, dtype=torch.int32, device="cuda")
target = torch.empty_like(source)
rates["copy-inside-gpu"] = 2 * source.numel() * 4 / bare(lambda: target.copy_(source), 20) / 1e9
host = torch.ones(32 << 20, dtype=torch.int32).pin_memory()
there = host.to("cuda")
rates["copy-to-gpu-pinned"] = host.numel() * 4 / bare(lambda: there.copy_(host, non_blocking=True), 10) / 1e9
rates["copy-from-gpu-pinned"] = host.numel() * 4 / bare(lambda: host.copy_(there, non_blocking=True), 10) / 1e9
"""
# What a framework has no public name for, what needs a newer GPU, and what is at home in PyTorch alone.
MAY_BE_UNKNOWN = ("public interface", "needs compute capability", "deterministic mode")


WITHOUT_GRABBING = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}


def interpreter(name: FrameworkName) -> Path:
    executable = os.environ.get(f"{name.upper()}_PYTHON", sys.executable)
    if not any(Path(executable).parent.parent.glob(f"lib/python3*/site-packages/{name}")):
        pytest.skip(f"no {name} beside {executable}; {name.upper()}_PYTHON may name another interpreter")
    return Path(executable)


def assert_all_hold(parts: list[dict[str, Any]]) -> None:
    assert len(parts) == 18
    told = {part["name"]: (part["holds"], part["detail"], part["error"]) for part in parts}
    broken = {
        name: said
        for name, said in told.items()
        if said[0] is not True and not any(words in said[1] for words in MAY_BE_UNKNOWN)
    }
    assert broken == {}
    timed = {part["name"] for part in parts if part["holds"] and part["rate"]}
    assert timed == {part["name"] for part in parts if part["holds"]} - {"compile"}


@pytest.mark.parametrize("name", ["tensorflow", "jax"])
def test_every_part_holds_on_a_gpu(name: FrameworkName, tmp_path: Path) -> None:
    script = f"{PARTS}\nprint(json.dumps([part for part in parts if part]))"
    assert_all_hold(asked(interpreter(name), name, script, TMPDIR=str(tmp_path), **WITHOUT_GRABBING))


def test_pytorchs_parts_hold_and_reach_what_a_bare_benchmark_reaches(tmp_path: Path) -> None:
    script = f"{PARTS}\n{BARE}\nprint(json.dumps([[part for part in parts if part], rates]))"
    parts, rates = asked(interpreter("torch"), "torch", script, TMPDIR=str(tmp_path))
    assert_all_hold(parts)
    reached = {part["name"]: part["rate"] for part in parts}
    shares = {name: reached[name] / rate for name, rate in rates.items()}
    assert {name: share for name, share in shares.items() if share < 0.9} == {}, (reached, rates)
