"""What all parts share: places that are compared, sizes that fit, times, and what becomes of errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest


def test_places_are_spread_over_everything(job: Any) -> None:
    assert job.spread(5, 64) == [0, 1, 2, 3, 4]
    places = job.spread(8192, 64)
    assert [place // 128 for place in places] == list(range(64))
    # Not always the same place within a kernel's tile.
    assert len({place % 128 for place in places}) > 50


def test_a_result_says_how_far_it_is_off(job: Any) -> None:
    assert job.checked([1.0, 2.0], [1.0, 2.0], 0.0, "two numbers", **job.teraflops(4e12, 2.0)) == {
        "holds": True,
        "detail": "two numbers; off by 0.0e+00 of their size",
        "rate": 2.0,
        "unit": "TFLOP/s",
    }
    wrong = job.checked([1.0, 2.5], [1.0, 2.0], 0.1, "two numbers")
    assert (wrong["holds"], wrong["detail"]) == (False, "two numbers; off by 3.2e-01 of their size")
    assert job.checked([math.nan], [1.0], 1.0, "one")["holds"] is False
    assert job.checked([], [], 1.0, "none")["holds"] is False


def test_a_clock_that_stands_still_gives_no_rate(job: Any) -> None:
    assert job.teraflops(1e12, 0.0) == job.gigabytes(1, 0.0) == job.millions(1, 0.0) == {}
    assert job.gigabytes(3e9, 2.0) == {"rate": 1.5, "unit": "GB/s"}
    assert job.millions(3e6, 2.0) == {"rate": 1.5, "unit": "M/s"}


class Device:
    """A device on which each work takes as long as it says."""

    doubts: Any = ()

    def __init__(self, free: int | None = None) -> None:
        self.free = free
        self.runs = 0
        self.told: list[Any] = []

    def free_memory(self) -> int | None:
        return self.free

    def clock(self, work: Callable[[], float], runs: int) -> float:
        self.runs += runs
        return runs * work()

    def multiply(self, left: Any, right: Any) -> Any:
        return [float(sum(a * b for a, b in zip(row, column, strict=True))) for row in left for column in zip(*right)]  # noqa: B905

    def let_go(self) -> None:
        self.told.append("let go")

    def say(self, **message: Any) -> None:
        self.told.append(message)


@pytest.mark.parametrize(
    ("free", "seconds", "largest"),
    [
        (1 << 40, 1e-6, 8192),  # a fast GPU with much memory
        (1 << 30, 1e-6, 4096),  # a quarter of 1 GiB
        (1 << 40, 1e-3, 2048),  # slow: 4096 would take more than 50 ms
        (1 << 10, 9.0, 1024),  # the smallest in any case
    ],
)
def test_sizes_grow_as_far_as_memory_and_time_allow(job: Any, free: int, seconds: float, largest: int) -> None:
    made: list[int] = []

    def make(size: int) -> Callable[[], float]:
        made.append(size)
        return lambda: seconds * (size / 1024) ** 3

    bench = job.Bench(Device(free), True)
    size, work = bench.largest((1024, 2048, 4096, 8192), lambda size: 12 * size * size, make, 8)
    assert size == largest == made[-1]
    assert work() == seconds * (size / 1024) ** 3


def test_no_part_takes_more_than_its_share(job: Any) -> None:
    assert job.Bench(Device(8 << 30), True).bytes == 2 << 30
    assert job.Bench(Device(80 << 30), True).bytes == job.PLENTY
    assert job.Bench(Device(None), True).bytes < 1 << 30
    assert job.Bench(Device(None), False).bytes <= 256 << 20


def test_the_best_of_several_rows_counts(job: Any) -> None:
    times = iter([0.01, 0.008, 0.003, 0.009, 0.009, 0.009, *[0.01] * 100])
    device = Device(1 << 30)
    bench = job.Bench(device, True)

    def clock(_: object, runs: int) -> float:
        device.runs += runs
        return next(times) * runs

    bench.clock = clock
    assert bench.best(lambda: None) == pytest.approx(0.003)
    assert device.runs == 1 + 5 * 5  # rows of 50 ms


def test_one_long_run_is_not_repeated_five_times(job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bench, now = job.Bench(Device(1 << 30), True), [0.0]

    def clock(_: object, runs: int) -> float:
        now[0] += 4.0 * runs
        return 4.0 * runs

    bench.clock = clock
    monkeypatch.setattr(job.time, "perf_counter", lambda: now[0])
    assert bench.best(lambda: None) == 4.0
    assert now[0] == 8.0


def run(job: Any, device: Device, able: dict[str, Any], until: float | None = None) -> dict[str, dict[str, Any]]:
    device.parts = lambda: able  # type: ignore[attr-defined]
    job.Parts(device, device, True, until).run()
    return {message["part"]["name"]: message["part"] for message in device.told if "part" in message}


def test_every_part_is_told_whether_or_not_the_framework_can_do_it(job: Any) -> None:
    parts = run(job, Device(1 << 30), {"fft": lambda _: job.checked([1.0], [1.0], 0.0, "one number")})
    assert tuple(parts) == job.PARTS
    assert {name for name, part in parts.items() if part["holds"]} == {"fft"}
    assert parts["solver"]["detail"] == "not in this framework's public interface"
    assert {tuple(part) for part in parts.values()} == {
        ("name", "holds", "detail", "error", "rate", "unit", "seconds"),
    }


def test_what_is_not_supported_is_no_error_and_what_fails_is_not_wrong(job: Any) -> None:
    def unsupported(_: object) -> None:
        raise job.Unsupported("bf16 needs compute capability 8.0, Tesla T4 has 7.5")

    def failing(_: object) -> None:
        raise RuntimeError("cuFFT error: CUFFT_INTERNAL_ERROR\nmore")

    parts = run(job, Device(1 << 30), {"matrix-product-bf16": unsupported, "fft": failing})
    found = {name: (parts[name]["holds"], parts[name]["detail"], parts[name]["error"]) for name in parts}
    assert found["matrix-product-bf16"] == (None, "bf16 needs compute capability 8.0, Tesla T4 has 7.5", None)
    assert found["fft"] == (None, "", "RuntimeError: cuFFT error: CUFFT_INTERNAL_ERROR")


def test_after_an_error_that_stays_nothing_is_blamed_on_the_parts_that_follow(job: Any) -> None:
    device = Device(1 << 30)

    def failing(_: object) -> None:
        device.multiply = failing_too  # type: ignore[method-assign, assignment]
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    def failing_too(*_: object) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    parts = run(job, device, {"fft": failing, "solver": failing, "compile": failing})
    assert parts["fft"]["error"] == "RuntimeError: CUDA error: an illegal memory access was encountered"
    assert [(parts[name]["error"], parts[name]["detail"]) for name in ("solver", "compile")] == [
        (None, "the GPU answers no more after fft")
    ] * 2


def test_what_is_left_when_time_is_over_is_not_tried(job: Any) -> None:
    now = job.time.perf_counter()
    good = {name: lambda _: job.checked([1.0], [1.0], 0.0, "one number") for name in ("fft", "compile")}
    over = run(job, Device(1 << 30), good, now - 1)
    assert [over[name]["detail"] for name in good] == ["no time left"] * 2
    short = run(job, Device(1 << 30), good, now + 5)  # too short for a compiler alone
    assert [short[name]["holds"] for name in good] == [True, None]
    assert [run(job, Device(1 << 30), good, now + 300)[name]["holds"] for name in good] == [True, True]


def test_each_part_is_announced_and_its_memory_given_back(job: Any) -> None:
    device = Device(1 << 30)
    run(job, device, {"fft": lambda _: job.checked([1.0], [1.0], 0.0, "one number")})
    at = device.told.index({"trying": "fft"})
    assert device.told[at + 1] == "let go"
    assert device.told[at + 2]["part"]["name"] == "fft"


CPP = """C++ compile error

Command:
g++ /tmp/x.cpp -o /tmp/x.so

Output:
In file included from /tmp/x.cpp:2:
/tmp/header.h:30:10: fatal error: Python.h: No such file or directory
   30 | #include <Python.h>
compilation terminated.
"""
PTXAS = """PTXAS error: Internal Triton PTX codegen error
`ptxas` stderr:
ptxas fatal   : Value 'sm_120a' is not defined for option 'gpu-name'

Repro command: /x/ptxas -lineinfo -v --gpu-name=sm_120a /tmp/a.ptx -o /tmp/a.ptx.o
"""
NO_COMPILER = """RuntimeError: Failed to find C compiler. Please specify via CC environment variable.

Set TORCHDYNAMO_VERBOSE=1 for the internal stack trace
"""
LINKER = """C++ compile error

Output:
/usr/bin/ld: cannot find -lgomp: No such file or directory
collect2: error: ld returned 1 exit status
"""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (CPP, "/tmp/header.h:30:10: fatal error: Python.h: No such file or directory"),
        (PTXAS, "ptxas fatal : Value 'sm_120a' is not defined for option 'gpu-name'"),
        (NO_COMPILER, "RuntimeError: Failed to find C compiler. Please specify via CC environment variable."),
        (LINKER, "/usr/bin/ld: cannot find -lgomp: No such file or directory"),
        ("nothing of the kind", "RuntimeError: nothing of the kind"),
    ],
)
def test_a_compilers_error_is_found_far_down(job: Any, text: str, line: str) -> None:
    assert job.compilers_words(RuntimeError(text)) == line


@pytest.mark.parametrize(("wrong", "seconds"), [([], 0.001), ([True, False], 0.001), ([True, True], 0.0)])
def test_what_a_clock_that_was_always_wrong_timed_has_no_rate(job: Any, wrong: list[bool], seconds: float) -> None:
    device = Device(1 << 30)
    device.doubts = [True]  # of another part
    told = iter(wrong)

    def work() -> float:
        device.doubts += [next(told)] if wrong and device.runs < 60 else []
        return 0.001

    assert job.Bench(device, True).best(work) == seconds


def test_a_copy_that_the_cache_may_have_answered_has_no_rate(job: Any) -> None:
    assert job.copied_inside(127 << 20, 0.001, True) == {}
    assert job.copied_inside(16 << 20, 0.001, False)["unit"] == "GB/s"
    assert job.copied_inside(128 << 20, 0.001, True) == {"rate": pytest.approx(268.4, abs=0.1), "unit": "GB/s"}
