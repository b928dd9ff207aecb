"""How many pastes of torch.utils.collect_env one core triages in a second, start-up paid once.

    python benchmarks/triage.py [--pastes 2000] [--rounds 5] [--profile]

Each paste is a whole report of the tool: processor, libraries, several GPUs, another machine each time. They lie in
files, as a support desk's backlog does. A round reads the files and does nothing else, then takes each to its report,
then to its line of JSON, redacted. Printed is the median of the rounds, the slowest and the quickest, and the ratio to
the plain read. Last comes the command itself, ``gpudoctor triage --format jsonl`` on all files, which also writes: the
time of a tenth of them is taken off, and the start with it. The process is pinned to one core. Times are wall times:
measure on a machine that is otherwise idle.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import itertools
import os
import platform
import pstats
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gpudoctor import __version__
from gpudoctor.findings import Report
from gpudoctor.intake import read
from gpudoctor.pasted import bytes_of, triage
from gpudoctor.plugins import Session
from gpudoctor.privacy import Identity
from gpudoctor.render import Options, render

ROOT = Path(__file__).resolve().parents[1]
_TORCH = (
    ("2.7.1", "12.8", "cu128", "9.7.1.26", "2.26.2"),
    ("2.6.0", "12.4", "cu124", "9.1.0.70", "2.21.5"),
    ("2.4.0", "12.1", "cu121", "9.1.0.70", "2.20.5"),
    ("2.1.2", "11.8", "cu118", "8.7.0.84", "2.18.1"),
    ("1.13.1", "11.7", "cu117", "8.5.0.96", "2.14.3"),
)
_DRIVERS = ("570.133.20", "550.54.15", "535.161.08", "525.60.13", "470.182.03", "580.65.06")
_GPUS = (
    "NVIDIA A100-SXM4-80GB",
    "Tesla V100-SXM2-16GB",
    "NVIDIA GeForce RTX 4090",
    "NVIDIA H100 80GB HBM3",
    "NVIDIA GeForce RTX 5090",
    "NVIDIA GeForce RTX 3060 Laptop GPU",
    "Tesla T4",
)
_PYTHONS = ("3.10.14", "3.11.9", "3.12.3", "3.9.19")
_FLAGS = (
    "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 ss ht "
    "syscall nx mmxext fxsr_opt pdpe1gb rdtscp lm constant_tsc rep_good nopl xtopology cpuid extd_apicid "
    "aperfmperf tsc_known_freq pni pclmulqdq monitor ssse3 fma cx16 pcid sse4_1 sse4_2 movbe popcnt aes xsave "
    "avx f16c rdrand hypervisor lahf_lm cmp_legacy svm abm sse4a misalignsse topoext perfctr_core "
    "invpcid_single ssbd ibrs ibpb stibp vmmcall fsgsbase bmi1 avx2 smep bmi2 invpcid rdseed adx smap "
    "clflushopt clwb sha_ni xsaveopt xsavec xgetbv1 clzero xsaveerptr arat npt nrip_save vaes vpclmulqdq rdpid "
    "fsrm"
)
_VULNERABILITIES = (
    ("Itlb multihit", "Not affected"),
    ("L1tf", "Not affected"),
    ("Mds", "Not affected"),
    ("Meltdown", "Not affected"),
    ("Mmio stale data", "Not affected"),
    ("Retbleed", "Mitigation; untrained return thunk; SMT enabled with STIBP protection"),
    ("Spec store bypass", "Mitigation; Speculative Store Bypass disabled via prctl and seccomp"),
    ("Spectre v1", "Mitigation; usercopy/swapgs barriers and __user pointer sanitization"),
    ("Spectre v2", "Mitigation; Retpolines, IBPB conditional, STIBP always-on, RSB filling, PBRSB-eIBRS Not affected"),
    ("Srbds", "Not affected"),
    ("Tsx async abort", "Not affected"),
)
_LIBRARIES = ("adv", "cnn", "engines_precompiled", "engines_runtime_compiled", "graph", "heuristic", "ops")


def paste(number: int) -> str:
    """The number-th machine's report, in the tool's own layout."""
    release, cuda, variant, cudnn, nccl = _TORCH[number % len(_TORCH)]
    gpu = _GPUS[number // 3 % len(_GPUS)]
    count = (1, 1, 2, 4, 8)[number // 7 % 5]
    python = _PYTHONS[number // 5 % len(_PYTHONS)]
    major = cuda.partition(".")[0]
    cores = (8, 16, 64, 128)[number % 4]
    names = (
        ["GPU models and configuration: GPU 0: " + gpu]
        if count == 1
        else ["GPU models and configuration: ", *(f"GPU {index}: {gpu}" for index in range(count)), ""]
    )
    lines = [
        "Collecting environment information...",
        f"PyTorch version: {release}+{variant}",
        "Is debug build: False",
        f"CUDA used to build PyTorch: {cuda}",
        "ROCM used to build PyTorch: N/A",
        "",
        f"OS: Ubuntu 22.04.{number % 5} LTS (x86_64)",
        "GCC version: (Ubuntu 11.4.0-1ubuntu1~22.04) 11.4.0",
        "Clang version: Could not collect",
        f"CMake version: version 3.{22 + number % 9}.1",
        "Libc version: glibc-2.35",
        "",
        f"Python version: {python} (main, Jul  {number % 9 + 1} 2024, 15:32:17) [GCC 11.4.0] (64-bit runtime)",
        f"Python platform: Linux-5.15.0-{100 + number % 50}-generic-x86_64-with-glibc2.35",
        f"Is CUDA available: {number % 3 != 0}",
        f"CUDA runtime version: {cuda}.{number % 200}",
        "CUDA_MODULE_LOADING set to: LAZY",
        *names,
        f"Nvidia driver version: {_DRIVERS[number // 2 % len(_DRIVERS)]}",
        "cuDNN version: Probably one of the following:",
        f"/usr/lib/x86_64-linux-gnu/libcudnn.so.9.{number % 7}.1",
        *(f"/usr/lib/x86_64-linux-gnu/libcudnn_{name}.so.9.{number % 7}.1" for name in _LIBRARIES),
        "HIP runtime version: N/A",
        "MIOpen runtime version: N/A",
        "Is XNNPACK available: True",
        "",
        "CPU:",
        "Architecture:                       x86_64",
        "CPU op-mode(s):                     32-bit, 64-bit",
        "Address sizes:                      48 bits physical, 48 bits virtual",
        "Byte Order:                         Little Endian",
        f"CPU(s):                             {cores}",
        f"On-line CPU(s) list:                0-{cores - 1}",
        "Vendor ID:                          AuthenticAMD",
        f"Model name:                         AMD EPYC 7{number % 900:03d} 64-Core Processor",
        "CPU family:                         25",
        "Thread(s) per core:                 2",
        f"BogoMIPS:                           {4800 + number % 100}.{number % 97:02d}",
        f"Flags:                              {_FLAGS}",
        "L1d cache:                          2 MiB (64 instances)",
        f"NUMA node0 CPU(s):                  0-{cores - 1}",
        *(f"Vulnerability {name + ':':<21} {text}" for name, text in _VULNERABILITIES),
        "",
        "Versions of relevant libraries:",
        f"[pip3] numpy==1.26.{number % 5}",
        f"[pip3] nvidia-cublas-cu{major}=={cuda}.3.14",
        f"[pip3] nvidia-cuda-runtime-cu{major}=={cuda}.105",
        f"[pip3] nvidia-cudnn-cu{major}=={cudnn}",
        f"[pip3] nvidia-nccl-cu{major}=={nccl}",
        f"[pip3] torch=={release}+{variant}",
        "[conda] Could not collect",
    ]
    return "\n".join(lines) + "\n"


def _files(folder: Path, count: int) -> list[Path]:
    paths = [folder / f"ticket-{number}.txt" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_text(paste(number), "utf-8")
    return paths


def _seconds(work: Callable[[Path], object], paths: list[Path]) -> float:
    started = time.perf_counter()
    for path in paths:
        work(path)
    return time.perf_counter() - started


def _stages(session: Session) -> Iterator[tuple[str, Callable[[Path], object]]]:
    identity = Identity(user="alice", host="desk-7")  # the command hides its caller's names too
    options = Options(compact=True, identity=identity)
    bare = Options(compact=True, redact=False)

    def report(path: Path) -> Report:
        return triage(bytes_of(path), str(path), judged=session.judge)

    yield "plain read", lambda path: path.read_bytes().decode()
    yield "facts", lambda path: read(bytes_of(path))
    yield "report", report
    yield "jsonl --no-redact", lambda path: render(report(path), "json", options=bare)
    yield "jsonl", lambda path: render(report(path), "json", options=options)


def _by_command(paths: list[Path]) -> float:
    """Seconds that the command takes for the files but the first tenth, the start taken off."""

    def seconds(some: list[Path]) -> float:
        words = [sys.executable, "-m", "gpudoctor", "triage", "--format", "jsonl", "--fail-on", "never"]
        started = time.perf_counter()
        subprocess.run([*words, *map(str, some)], stdout=subprocess.DEVNULL, check=True, cwd=ROOT)
        return time.perf_counter() - started

    return statistics.median(seconds(paths) - seconds(paths[: len(paths) // 10]) for _ in range(3))


def _one_core() -> str:
    if not hasattr(os, "sched_setaffinity"):
        return "not pinned"
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return f"core {core}"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pastes", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--profile", action="store_true", help="print the hot spots of the way to JSON instead")
    options = parser.parse_args()
    pinned = _one_core()
    with tempfile.TemporaryDirectory() as folder, Session() as session:
        paths = _files(Path(folder), options.pastes)
        size = statistics.mean(path.stat().st_size for path in paths)
        stages = dict(_stages(session))
        for work in stages.values():  # start-up: imports, the matrix, patterns
            _seconds(work, paths[:50])
        gc.freeze()
        if options.profile:
            _profile(stages["jsonl"], paths)
            return 0
        command = _by_command(paths)
        rounds = [{name: _seconds(work, paths) for name, work in stages.items()} for _ in range(options.rounds)]
        times = {name: [taken[name] for taken in rounds] for name in stages}
    sys.stdout.write(
        f"gpudoctor {__version__}, Python {platform.python_version()}, {platform.machine()}, {pinned}; "
        f"{options.pastes} pastes of {size:,.0f} bytes, median of {options.rounds} rounds\n"
    )
    plain = statistics.median(times["plain read"])
    for name, taken in times.items():
        middle = statistics.median(taken)
        rate = options.pastes / middle
        spread = f"{options.pastes / max(taken):,.0f}–{options.pastes / min(taken):,.0f}"
        ratio = f"{middle / plain:,.0f} × plain read"
        sys.stdout.write(
            f"{name:<18}{rate:>10,.0f} a second  ({spread}){middle / options.pastes * 1e3:>8.2f} ms  {ratio}\n"
        )
    rate = 0.9 * options.pastes / command
    sys.stdout.write(f"{'command':<18}{rate:>10,.0f} a second{command / options.pastes / 0.9 * 1e3:>33.2f} ms\n")
    return 0


def _profile(work: Callable[[Path], object], paths: list[Path]) -> None:
    profile = cProfile.Profile()
    profile.enable()
    for path in itertools.islice(paths, 500):
        work(path)
    profile.disable()
    pstats.Stats(profile).sort_stats("tottime").print_stats(40)


if __name__ == "__main__":
    sys.exit(main())
