"""The report as metrics for node_exporter's textfile collector, in words that OpenMetrics has as well.

The collector reads the older text format, which knows no ``info``, ``stateset`` or ``unknown`` and takes ``# EOF`` for
a comment; it refuses timestamps, and a sample that is there twice. So every metric is a gauge, every sample of a metric
has the same labels, and a value that is not known is no sample. docs/metrics.md tells what each means.

https://prometheus.io/docs/specs/om/open_metrics_spec/ and collector/textfile.go of
https://github.com/prometheus/node_exporter
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import get_args

from gpudoctor.facts import (
    Build,
    CudaDriver,
    Gpu,
    GpuCapability,
    GpuMemory,
    Gpus,
    Interpreter,
    KernelDriver,
    MigInstances,
    Nvml,
    Part,
    Smoke,
    SmokeResult,
)
from gpudoctor.findings import Report, Status
from gpudoctor.render import summary, text

Labels = dict[str, str | int | None]
_Sample = tuple[str, Labels, float | None]

METRICS: Mapping[str, str] = MappingProxyType(
    {
        "gpudoctor_build_info": "The version of gpudoctor that wrote this.",
        "gpudoctor_last_run_timestamp_seconds": "When the machine was looked at, in seconds since 1970.",
        "gpudoctor_duration_seconds": "How long the look took.",
        "gpudoctor_quick": "1 if no framework was imported and nothing was trained (--quick).",
        "gpudoctor_status": "1 for the status of the report, 0 for all others.",
        "gpudoctor_cause": "1 for the rule that names the cause to fix first.",
        "gpudoctor_finding": "1 for each finding; because_of is the rule that explains it, empty for a cause.",
        "gpudoctor_rules": "How many rules came to this outcome.",
        "gpudoctor_unknown": "How many essential facts could not be seen.",
        "gpudoctor_driver_info": "The driver, its kernel module, and the newest CUDA that it runs.",
        "gpudoctor_python_info": "The interpreter under test.",
        "gpudoctor_framework_info": "A framework in the environment under test, and what it was built for.",
        "gpudoctor_gpus": "How many GPUs the driver lists.",
        "gpudoctor_gpu_info": "A GPU; uuid is empty unless private values are kept (--no-redact).",
        "gpudoctor_gpu_memory_bytes": "The memory of a GPU.",
        "gpudoctor_gpu_memory_used_bytes": "The memory of a GPU that was in use.",
        "gpudoctor_smoke_proved": "1 if a smoke job proved that the GPU trains, 0 if not.",
        "gpudoctor_smoke_result": "1 for the result of a smoke job, 0 for all others.",
        "gpudoctor_smoke_duration_seconds": "How long a smoke job took.",
        "gpudoctor_smoke_accuracy_ratio": "Which share of held-out images the trained network knew.",
        "gpudoctor_smoke_images_per_second": "Images trained in a second.",
        "gpudoctor_smoke_cpu_images_per_second": "Images that the CPU trained in a second with the same step.",
        "gpudoctor_part_correct": "1 if an operation agrees with the CPU, 0 if its numbers are wrong.",
        "gpudoctor_part_flops_per_second": "Floating-point operations in a second that an operation reached.",
        "gpudoctor_part_promised_flops_per_second": "The same as the datasheet promises it.",
        "gpudoctor_part_bytes_per_second": "Bytes in a second that a copy reached.",
        "gpudoctor_part_promised_bytes_per_second": "The same as the datasheet or the link promises it.",
        "gpudoctor_part_numbers_per_second": "Numbers in a second that an operation reached.",
    }
)
"""Every metric and its help, in the order in which they are written. Names and labels stay."""

_OUTCOMES = ("found", "passed", "not-applicable", "skipped", "crashed")
_UNITS = {"TFLOP/s": ("flops", 1e12), "GB/s": ("bytes", 1e9), "M/s": ("numbers", 1e6)}


def openmetrics(report: Report, *, identities: bool = False) -> str:
    """The report as metrics, ending with ``# EOF`` and a line feed; ``identities`` shows the GPUs' UUIDs."""
    found: dict[str, dict[str, float]] = {name: {} for name in METRICS}
    for name, labels, value in _samples(report, identities):
        if value is not None and math.isfinite(value):
            found[name].setdefault(_labels(labels), value)
    return "".join(_family(name, samples) for name, samples in found.items() if samples) + "# EOF\n"


def _family(name: str, samples: Mapping[str, float]) -> str:
    lines = (f"{name}{labels} {_number(value)}\n" for labels, value in samples.items())
    return f"# TYPE {name} gauge\n# HELP {name} {METRICS[name]}\n{''.join(lines)}"


def _labels(labels: Labels) -> str:
    told = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{told}}}" if told else ""


def _escaped(value: str | int | None) -> str:
    """A label's value on one line, with nothing in it that steers whoever reads it."""
    words = text.name(str(value)) if value is not None else ""
    return words.replace("\\", r"\\").replace('"', r"\"")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


# ---------------------------------------------------------------------------------------------- what is told


def _samples(report: Report, identities: bool) -> Iterator[_Sample]:
    yield "gpudoctor_build_info", {"version": report.gpudoctor}, 1
    yield "gpudoctor_last_run_timestamp_seconds", {}, _moment(report.created)
    yield "gpudoctor_duration_seconds", {}, report.seconds
    yield "gpudoctor_quick", {}, report.quick
    yield from _verdict(report)
    yield from _machine(report)
    for gpu in report.facts.known_gpus():
        yield from _gpu(gpu, identities)
    for smoke in report.smoke:
        yield from _smoke(smoke, report)


def _moment(created: str) -> float | None:
    try:
        moment = datetime.fromisoformat(created.replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo else None


def _verdict(report: Report) -> Iterator[_Sample]:
    for status in get_args(Status):
        yield "gpudoctor_status", {"status": status}, status == report.status
    if report.cause:
        yield "gpudoctor_cause", {"rule": report.cause.rule, "confidence": report.cause.confidence.value}, 1
    for finding in report.findings:
        labels: Labels = {
            "rule": finding.rule,
            "severity": finding.severity.value,
            "gpu": finding.about.gpu,
            "framework": finding.about.framework,
            "because_of": finding.because_of,
        }
        yield "gpudoctor_finding", labels, 1
    outcomes: Counter[str] = Counter(outcome.outcome for outcome in report.outcomes)
    for outcome in _OUTCOMES:
        yield "gpudoctor_rules", {"outcome": outcome}, outcomes[outcome]
    yield "gpudoctor_unknown", {}, len(summary.unknowns(report))


def _machine(report: Report) -> Iterator[_Sample]:
    facts = report.facts
    driver: Labels = {
        "driver": facts.nvml.driver if isinstance(facts.nvml, Nvml) else None,
        "kernel_module": facts.kernel_driver.version if isinstance(facts.kernel_driver, KernelDriver) else None,
        "cuda": facts.cuda.version if isinstance(facts.cuda, CudaDriver) else None,
    }
    if any(driver.values()):
        yield "gpudoctor_driver_info", driver, 1
    if isinstance(facts.interpreter, Interpreter):
        python = facts.interpreter
        yield "gpudoctor_python_info", {"version": python.version, "implementation": python.implementation}, 1
    for framework in facts.installed_frameworks():
        build = framework.build if isinstance(framework.build, Build) else None
        labels: Labels = {
            "framework": framework.name,
            "version": build.version if build else None,
            "accelerator": build.accelerator if build else None,
            "cuda": build.cuda if build else None,
            "cudnn": build.cudnn if build else None,
        }
        yield "gpudoctor_framework_info", labels, 1
    yield "gpudoctor_gpus", {}, len(facts.gpus.gpus) if isinstance(facts.gpus, Gpus) else None


def _gpu(gpu: Gpu, identities: bool) -> Iterator[_Sample]:
    labels: Labels = {
        "gpu": gpu.index,
        "name": gpu.name,
        "capability": gpu.capability.value if isinstance(gpu.capability, GpuCapability) else None,
        "pci": gpu.pci,
        "uuid": gpu.uuid if identities else None,
    }
    yield "gpudoctor_gpu_info", labels, 1
    if isinstance(gpu.memory, GpuMemory):
        yield "gpudoctor_gpu_memory_bytes", {"gpu": gpu.index}, gpu.memory.total
        yield "gpudoctor_gpu_memory_used_bytes", {"gpu": gpu.index}, gpu.memory.used


def _smoke(smoke: Smoke, report: Report) -> Iterator[_Sample]:
    job: Labels = {"framework": smoke.framework, "gpu": smoke.gpu, "mig": _instance(smoke, report)}
    yield "gpudoctor_smoke_proved", job, smoke.result == "proved"
    for result in get_args(SmokeResult):
        yield "gpudoctor_smoke_result", {**job, "result": result}, result == smoke.result
    yield "gpudoctor_smoke_duration_seconds", job, smoke.seconds
    yield "gpudoctor_smoke_accuracy_ratio", job, smoke.accuracy
    yield "gpudoctor_smoke_images_per_second", job, smoke.examples_per_second
    yield "gpudoctor_smoke_cpu_images_per_second", job, smoke.cpu_examples_per_second
    for part in smoke.parts:
        yield from _part(part, smoke, report, {**job, "part": part.name})


def _instance(smoke: Smoke, report: Report) -> int | None:
    """The number of the job's MIG instance among those of its GPU, None for a whole GPU."""
    gpu = next((one for one in report.facts.known_gpus() if one.index == smoke.gpu), None)
    instances = gpu.mig.instances if gpu and isinstance(gpu.mig, MigInstances) else ()
    return next((number for number, one in enumerate(instances) if one.uuid == smoke.mig), None)


def _part(part: Part, smoke: Smoke, report: Report, labels: Labels) -> Iterator[_Sample]:
    yield "gpudoctor_part_correct", labels, None if part.holds is None else float(part.holds)
    if part.unit is None or part.rate is None:
        return
    what, factor = _UNITS[part.unit]
    yield f"gpudoctor_part_{what}_per_second", labels, part.rate * factor
    speed = report.speed_of(smoke, part)
    if speed is not None:
        yield f"gpudoctor_part_promised_{what}_per_second", labels, speed.promised * factor
