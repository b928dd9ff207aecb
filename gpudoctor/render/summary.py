"""What a report says, in words and without layout: the headline, a line for each thing looked at, the counts.

Every renderer for people draws these same sentences. Values stand in them as they are: the renderer escapes them
for where it writes.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from itertools import groupby
from pathlib import PurePosixPath, PureWindowsPath

import msgspec

from gpudoctor.facts import (
    Build,
    Collectives,
    Container,
    CudaDriver,
    Fact,
    Facts,
    Framework,
    Frameworks,
    Gpu,
    GpuCapability,
    GpuLink,
    GpuMemory,
    HostedNotebook,
    Imported,
    Jetson,
    KernelDriver,
    MemoryTest,
    MemoryTests,
    MigInstances,
    Missing,
    NvLink,
    Nvml,
    OtherEnvironments,
    Part,
    PciDevices,
    PeerCopies,
    Scheduler,
    Smoke,
    System,
    Toolkits,
    VirtualMachine,
    Wsl,
)
from gpudoctor.findings import Confidence, Finding, Reading, Report, Severity, Unknown, Where
from gpudoctor.render import text
from gpudoctor.speed import Speed
from gpudoctor.views import NVIDIA_VENDOR

FRAMEWORK_TITLES = {"torch": "PyTorch", "tensorflow": "TensorFlow", "jax": "JAX"}


class Mark(Enum):
    """The sign before a line; words always stand beside it."""

    OK = "ok"
    FAULT = "fault"
    WARNING = "warning"
    UNKNOWN = "unknown"
    NOTE = "note"


MARK_OF = {Severity.ERROR: Mark.FAULT, Severity.WARNING: Mark.WARNING, Severity.INFO: Mark.NOTE}


class Headline(msgspec.Struct, frozen=True):
    """The verdict in one sentence, and the rule that it rests on where it rests on one."""

    mark: Mark
    sentence: str
    rule: str | None = None


class Row(msgspec.Struct, frozen=True):
    """One thing that was looked at: its name, what was seen, and what came of it in words."""

    label: str
    value: str
    mark: Mark | None = None
    words: str = ""


# -------------------------------------------------------------------------------------------- the headline


def cause_of(report: Report) -> Finding | None:
    """The finding to fix first: the report's cause, None where the facts leave several candidates or nothing."""
    if report.cause is None:
        return None
    return next((f for f in report.findings_of(report.cause.rule) if f.because_of is None), None) or next(
        iter(report.findings_of(report.cause.rule)), None
    )


def headline(report: Report) -> Headline:
    """The verdict and its first cause, or what is not known, or what is proved; never more than was seen."""
    if report.status == "undetermined":
        return Headline(Mark.UNKNOWN, f"Not judged: {_unknown_sentence(unknowns(report)[0])}")
    if report.status == "broken":
        return _broken(report)
    if report.candidates and report.cause is None:
        return Headline(Mark.WARNING, f"{_sound(report)} {_candidates_sentence(report)}")
    if report.status == "warnings":
        rules = {finding.rule for finding in report.findings if finding.severity is Severity.WARNING}
        return Headline(Mark.WARNING, f"{_sound(report)} {text.plural(len(rules), 'warning')}.")
    return Headline(Mark.OK, _sound(report))


def _broken(report: Report) -> Headline:
    cause = cause_of(report) or next((f for f in report.findings if f.severity is Severity.ERROR), None)
    if (report.cause is None and report.candidates) or cause is None:
        return Headline(Mark.FAULT, _candidates_sentence(report))
    title = report.cause.title if report.cause else cause.title
    before = "Your GPU does not train: " if _training_failed(report.facts) else ""
    return Headline(Mark.FAULT, _sentence(before + title), _with_confidence(cause))


def _with_confidence(finding: Finding) -> str:
    if finding.confidence is Confidence.CERTAIN:
        return finding.rule
    return f"{finding.rule} ({finding.confidence.value})"


def _candidates_sentence(report: Report) -> str:
    count = len(report.candidates)
    if not count:
        return "A fault was found, and no cause for it."
    return f"{_spelled(count).capitalize()} causes are possible; what was seen does not tell them apart."


def _spelled(count: int) -> str:
    return {2: "two", 3: "three", 4: "four"}.get(count, str(count))


def _training_failed(facts: Facts) -> bool:
    """True where a GPU is there, a job was due on it, and no job computed on any GPU."""
    results = [smoke.result for smoke in facts.smokes]
    failed = any(result in ("failed", "hung", "ran-on-cpu") for result in results)
    return failed and "proved" not in results and bool(facts.known_gpus())


def _sound(report: Report) -> str:
    """What may be said where no error was found."""
    facts = report.facts
    if report.source == "paste":
        return "No fault found in the text." if report.status == "healthy" else "No fault that stops training found."
    if proved := [smoke for smoke in facts.smokes if smoke.result == "proved" and smoke.gpu is not None]:
        return f"Your GPU trains. {_proof_sentence(proved, len(facts.known_gpus()))}"
    found = "No fault found." if report.status == "healthy" else "No fault that stops training found."
    if on_cpu := [smoke for smoke in facts.smokes if smoke.result == "ran-on-cpu"]:
        names = text.listed(_titles(smoke.framework for smoke in on_cpu))
        return f"Training works on the CPU, with {names}. No GPU was used."
    if isinstance(facts.frameworks, Frameworks) and not facts.installed_frameworks():
        return f"{found} No framework is installed in {_environment_name(facts)}, so nothing was trained."
    return f"{found} Training was not run{' (--quick)' if report.quick else ''}."


def _proof_sentence(proved: Sequence[Smoke], total: int) -> str:
    by_framework = {
        title: frozenset(s.gpu for s in proved if FRAMEWORK_TITLES[s.framework] == title)
        for title in _titles(smoke.framework for smoke in proved)
    }
    on = {title: f"{len(gpus)} of {text.plural(max(total, len(gpus)), 'GPU')}" for title, gpus in by_framework.items()}
    if len(set(by_framework.values())) == 1:
        return f"Proved with {text.listed(list(on))} on {next(iter(on.values()))}."
    return f"Proved {text.listed([f'with {title} on {count}' for title, count in on.items()])}."


def _titles(frameworks: Iterable[str]) -> list[str]:
    return [FRAMEWORK_TITLES[name] for name in dict.fromkeys(frameworks)]


def unknowns(report: Report) -> tuple[Unknown, ...]:
    """What essential was not seen; of an undetermined report never empty."""
    if report.unknown or report.status != "undetermined":
        return report.unknown
    open_jobs = [smoke for smoke in report.smoke if smoke.result not in ("proved", "ran-on-cpu")]
    told = tuple(Unknown(what=f"smoke job of {FRAMEWORK_TITLES[s.framework]}", why=smoke_words(s)) for s in open_jobs)
    return told or (Unknown(what="an essential fact", why="it could not be read"),)


def _unknown_sentence(unknown: Unknown) -> str:
    return _sentence(f"{unknown.what}: {unknown.why}" if unknown.why else unknown.what)


def other_unknowns(report: Report) -> tuple[str, ...]:
    """A sentence for each unknown after the one in the headline."""
    return tuple(_unknown_sentence(unknown) for unknown in unknowns(report)[1:])


def judged_sentence(report: Report) -> str:
    """What an undetermined report did judge."""
    passed = sum(outcome.outcome == "passed" for outcome in report.outcomes)
    errors = [finding for finding in report.findings if finding.severity is not Severity.INFO]
    if not passed and not errors:
        return "Nothing could be judged."
    found = "no fault found" if not errors else f"{text.plural(len(errors), 'finding')} below"
    return f"{_answering(report.facts)}What was seen was judged: {text.plural(passed, 'rule')} passed, {found}."


def _answering(facts: Facts) -> str:
    sound = [gpu.index for gpu in facts.known_gpus() if gpu.error is None and not _unread(gpu)]
    if not sound or len(sound) == len(facts.known_gpus()):
        return ""
    return f"{'GPU' if len(sound) == 1 else 'GPUs'} {text.ranges(sound)} answered. "


def _unread(gpu: Gpu) -> Missing | None:
    """Why an essential reading of a GPU is not known, None where all are."""
    readings = (gpu.capability, gpu.memory)
    return next((fact for fact in readings if isinstance(fact, Missing) and not _unasked(fact)), None)


def _sentence(words: str) -> str:
    return words if words.endswith((".", "?", "!")) else f"{words}."


# ---------------------------------------------------------------------------------------------- pasted texts


def quotes(report: Report, finding: Finding) -> tuple[Row, ...]:
    """The lines of a pasted text that a finding rests on, each with what it says; empty on a machine."""
    if report.source != "paste":
        return ()
    return tuple(
        Row(lines, f"{item.fact}: {item.value}" if item.fact else item.value)
        for item in finding.evidence
        if (lines := ", ".join(part for part in item.source.split(", ") if part.startswith(("line ", "lines ", "…"))))
    )


def reading_sentence(report: Report, reading: Reading) -> str:
    """How much of the text was understood, and which kinds of facts it does not show."""
    cut = " It is too long: its middle was left out." if reading.cut else ""
    if reading.damaged:
        cut += " The block of facts in this ticket is damaged: its words were judged instead."
    missing = list(_not_in_text(report.facts))
    needed = "" if report.unknown else ", and not needed"
    absent = f" Not in the text{needed}: {', '.join(missing)}." if missing else ""
    return f"Read {text.plural(reading.lines, 'line')}: {reading.recognised:,} recognised.{cut}{absent}"


def _not_in_text(facts: Facts) -> Iterator[str]:
    groups: tuple[tuple[str, tuple[Fact | Missing, ...]], ...] = (
        ("driver", (facts.nvml, facts.kernel_driver, facts.cuda)),
        ("GPU", (facts.gpus, facts.pci)),
        ("Python", (facts.interpreter,)),
        ("framework", (facts.frameworks,)),
        ("container", (facts.container,)),
        ("PCI devices", (facts.pci,)),
        ("device files", (facts.device_nodes,)),
        ("kernel log", (facts.kernel_log,)),
    )
    for name, group in groups:
        if all(isinstance(fact, Missing) and fact.kind == "not-in-paste" for fact in group):
            yield name


# ------------------------------------------------------------------------------------------ fixes and places


def place(report: Report, where: Where) -> str:
    """Where a command runs, in words: ``in ~/proj/.venv (uv)``, ``on the host, outside the container``."""
    facts = report.facts
    if where == "environment":
        return f"in {_environment_name(facts)}"
    if where == "machine":
        return "on this machine" if report.source == "machine" else "on that machine"
    if isinstance(facts.wsl, Wsl) and facts.wsl.version:
        return "in Windows, outside WSL"
    if isinstance(facts.container, Container) and facts.container.engine:
        return "on the host, outside the container"
    return "on the host"


def _environment_name(facts: Facts) -> str:
    python = facts.interpreter
    if isinstance(python, Missing):
        return "the Python environment"
    path = text.name(python.environment_path or python.executable)
    if "/" not in path and "\\" not in path:
        return "the Python environment"
    return f"{path} ({text.name(python.tool)})" if python.tool else path


def other_environments(facts: Facts) -> tuple[tuple[str, str], ...]:
    """Environments nearby that hold frameworks, each with the command that looks at it.

    Told only where the environment under test is known to hold none.
    """
    nearby = facts.other_environments
    none_here = isinstance(facts.frameworks, Frameworks) and not facts.installed_frameworks()
    if not none_here or not isinstance(nearby, OtherEnvironments):
        return ()
    return tuple(
        (
            f"{text.name(env.path)}: {', '.join(text.name(f'{k} {v}') for k, v in env.frameworks.items())}",
            f"gpudoctor diagnose --python {_python_in(env.path, facts.system)}",
        )
        for env in nearby.environments
    )


def _python_in(path: str, system: System | Missing) -> str:
    if isinstance(system, System) and system.os == "windows":
        return f'"{PureWindowsPath(path, "Scripts", "python.exe")}"'
    return shlex.quote(str(PurePosixPath(path, "bin", "python")))


# ------------------------------------------------------------------------------------- a line for each thing

# The line that a finding belongs to when it is about no single GPU and no framework, by the rule's first word.
_LINE_OF = {
    "driver": "Driver",
    "nouveau": "Driver",
    "device": "Driver",
    "cuda": "Driver",
    "no": "GPU",
    "gpu": "GPU",
    "mig": "GPU",
    "pcie": "GPU",
    "compute": "GPU",
    "fabric": "GPU",
    "multi": "GPU",
    "confidential": "GPU",
    "vgpu": "GPU",
    "imex": "GPU",
    "bios": "GPU",
    "other": "GPU",
    "container": "Machine",
    "docker": "Machine",
    "jetson": "Machine",
    "scheduler": "Machine",
    "sandboxed": "Machine",
    "wsl": "Machine",
    "vm": "Machine",
    "macos": "Machine",
    "cpu": "Machine",
    "python": "Python",
    "glibc": "Python",
    "numpy": "Python",
    "nvidia": "Python",
    "wrong": "Python",
    "windows": "Python",
    "venv": "Python",
    "duplicate": "Python",
    "local": "Python",
    "companion": "Python",
    "library": "Python",
    "torch": "PyTorch",
    "tf": "TensorFlow",
    "keras": "TensorFlow",
    "protobuf": "TensorFlow",
    "jax": "JAX",
}
_EXCEPTIONS = {
    "cuda-visible-devices": "Machine",
    "cuda-toolkit-mismatch": "Toolkits",
    "cuda-home-missing": "Toolkits",
    "no-framework-installed": "Frameworks",
}


def _concerns(finding: Finding, label: str, gpu: int | None = None) -> bool:
    about = finding.about
    if about.framework is not None:
        return FRAMEWORK_TITLES.get(about.framework) == label
    if about.gpu is not None:
        return gpu == about.gpu
    return _EXCEPTIONS.get(finding.rule, _LINE_OF.get(finding.rule.partition("-")[0])) == label


def _state(
    report: Report, label: str, otherwise: tuple[Mark | None, str], gpu: int | None = None
) -> tuple[Mark | None, str]:
    """The worst finding about this line by its rule's name, else the state as looked."""
    about = [finding for finding in report.findings if _concerns(finding, label, gpu)]
    about = [finding for finding in about if finding.because_of is None] or about
    rules = list(dict.fromkeys(f.rule for f in sorted(about, key=lambda f: tuple(Severity).index(f.severity))))
    if not rules:
        return otherwise
    worst = min((finding.severity for finding in about), key=tuple(Severity).index)
    if worst is Severity.INFO and otherwise[0] in (Mark.UNKNOWN, Mark.OK):
        return otherwise
    more = f" +{len(rules) - 1}" if len(rules) > 1 else ""
    return MARK_OF[worst], rules[0] + more


def rows(report: Report) -> tuple[Row, ...]:
    """A line for each thing that was looked at. What a pasted text does not show has no line."""
    facts = report.facts
    found = [
        _machine(report, facts),
        _driver(report, facts),
        *_gpus(report, facts),
        _python(report, facts),
        *_frameworks(report, facts),
        _toolkits(report, facts),
    ]
    return tuple(row for row in found if row is not None)


def _unasked(*facts: Fact | Missing) -> bool:
    return all(isinstance(fact, Missing) and fact.kind in ("not-asked", "not-in-paste") for fact in facts)


def _not_known(report: Report, label: str, missing: Missing) -> Row:
    state = _state(report, label, (Mark.UNKNOWN, missing.kind.replace("-", " ")))
    where = ": ".join(text.shorten(text.words(part), 300) for part in (missing.where, missing.detail) if part)
    return Row(label, f"not known{': ' if where else ''}{where}", *state)


def _machine(report: Report, facts: Facts) -> Row | None:
    if _unasked(facts.system, facts.container, facts.wsl):
        return None
    if isinstance(facts.system, Missing) and not _unasked(facts.system):
        return _not_known(report, "Machine", facts.system)
    parts = [*_system_parts(facts.system), *_surroundings(facts)]
    return Row("Machine", ", ".join(parts), *_state(report, "Machine", (Mark.OK, "no fault found")))


def _system_parts(system: System | Missing) -> Iterator[str]:
    if isinstance(system, Missing):
        return
    named = system.name or " ".join(part for part in (system.distribution, system.release) if part) or system.os
    yield text.name(named)
    if system.kernel:
        yield f"kernel {text.name(system.kernel)}"
    if system.architecture:
        yield text.name(system.architecture)


_ENGINES = {"docker": "Docker", "podman": "Podman", "lxc": "LXC", "apptainer": "Apptainer", "enroot": "Enroot"}
_SERVICES = {"colab": "Google Colab", "kaggle": "Kaggle"}


def _surroundings(facts: Facts) -> Iterator[str]:
    if isinstance(facts.wsl, Wsl) and facts.wsl.version:
        yield f"WSL {facts.wsl.version}"
    if isinstance(facts.container, Container) and facts.container.engine:
        engine = facts.container.engine
        told = "a container" if engine == "unknown" else _ENGINES.get(engine, engine)
        yield f"in {told}" + (" (Kubernetes)" if facts.container.orchestrator else "")
    if isinstance(facts.virtual_machine, VirtualMachine) and facts.virtual_machine.hypervisor:
        hypervisor = facts.virtual_machine.hypervisor
        yield "in a virtual machine" if hypervisor == "unknown" else f"under {text.name(hypervisor)}"
    if isinstance(facts.jetson, Jetson) and facts.jetson.l4t:
        yield f"{text.name(facts.jetson.model or 'Jetson')}, L4T {text.name(facts.jetson.l4t)}"
    if isinstance(facts.hosted, HostedNotebook) and facts.hosted.service:
        yield _SERVICES[facts.hosted.service]
    if isinstance(facts.scheduler, Scheduler) and facts.scheduler.name:
        gpus = f", GPUs {text.name(facts.scheduler.gpus)}" if facts.scheduler.gpus else ""
        yield f"{facts.scheduler.name} job {text.name(facts.scheduler.job or '?')}{gpus}"


# What a pasted text names was not asked for anything: intake writes this where no result of a call was shown.
NOT_SHOWN = "not-shown"
_NAMED = (Mark.NOTE, "named in the text")


def _driver(report: Report, facts: Facts) -> Row | None:
    nvml, kernel, cuda = facts.nvml, facts.kernel_driver, facts.cuda
    if _unasked(nvml, kernel, cuda):
        return None
    missing = next((fact for fact in (nvml, cuda) if isinstance(fact, Missing) and not _unasked(fact)), None)
    parts = list(_driver_parts(nvml, kernel, cuda))
    if not parts and missing:
        return _not_known(report, "Driver", missing)
    value = ", ".join(parts) or "none"
    return Row("Driver", value, *_state(report, "Driver", _driver_state(nvml, kernel, cuda, missing)))


def _driver_parts(nvml: Nvml | Missing, kernel: KernelDriver | Missing, cuda: CudaDriver | Missing) -> Iterator[str]:
    user = nvml.driver if isinstance(nvml, Nvml) else None
    module = kernel.version if isinstance(kernel, KernelDriver) else None
    if user or module:
        yield text.name(user or module or "")
    if user and module and user != module:
        yield f"kernel module {text.name(module)}"
    if isinstance(kernel, KernelDriver) and kernel.flavour == "open":
        yield "open kernel modules"
    if isinstance(nvml, Nvml) and nvml.result not in ("NVML_SUCCESS", "NVML_ERROR_LIBRARY_NOT_FOUND", NOT_SHOWN):
        yield f"NVML: {text.name(nvml.result)}"
    if isinstance(cuda, CudaDriver) and cuda.version:
        yield f"CUDA {text.name(cuda.version)}"
    if isinstance(cuda, CudaDriver) and cuda.result not in ("CUDA_SUCCESS", "not-found", NOT_SHOWN):
        yield f"cuInit: {text.name(cuda.result)}"


def _driver_state(
    nvml: Nvml | Missing, kernel: KernelDriver | Missing, cuda: CudaDriver | Missing, missing: Missing | None
) -> tuple[Mark | None, str]:
    if missing:
        return Mark.UNKNOWN, missing.kind.replace("-", " ")
    if isinstance(nvml, Nvml) and nvml.result == NOT_SHOWN:
        return _NAMED
    answers = isinstance(nvml, Nvml) and nvml.result == "NVML_SUCCESS"
    started = isinstance(cuda, CudaDriver) and cuda.result == "CUDA_SUCCESS"
    untold = isinstance(cuda, CudaDriver) and cuda.result == NOT_SHOWN
    if answers and (_unasked(cuda) or started or untold):
        return Mark.OK, "answers"
    if isinstance(cuda, CudaDriver) and cuda.result == "CUDA_ERROR_NO_DEVICE":
        return Mark.NOTE, "offers no GPU"
    if answers:
        return Mark.UNKNOWN, "CUDA does not start"
    if isinstance(nvml, Nvml) and nvml.result != "NVML_ERROR_LIBRARY_NOT_FOUND":
        return Mark.UNKNOWN, "NVML does not answer"
    if started:
        return Mark.UNKNOWN, "NVML is missing"
    if isinstance(kernel, KernelDriver) and kernel.version:
        return Mark.NOTE, "loaded"
    return Mark.NOTE, "absent"


def _gpus(report: Report, facts: Facts) -> Iterator[Row | None]:
    if isinstance(facts.gpus, Missing):
        yield None if _unasked(facts.gpus) else _not_known(report, "GPU", facts.gpus)
        return
    if not facts.gpus.gpus:
        state = _state(report, "GPU", (Mark.NOTE, "absent"))
        yield Row("GPU", _named_by_cuda(facts.cuda) or _no_gpu(facts.pci), *state)
    told = [(gpu.index, _gpu_value(gpu), _gpu_state(report, gpu)) for gpu in facts.gpus.gpus]
    for (value, state), same in groupby(told, key=lambda entry: entry[1:]):
        indices = [entry[0] for entry in same]
        yield Row(f"GPU {text.ranges(indices)}", value + (", each" if len(indices) > 1 else ""), *state)


def _named_by_cuda(cuda: CudaDriver | Missing) -> str:
    """GPUs that CUDA lists where NVML does not, as in a container without the driver's utilities."""
    names = cuda.names if isinstance(cuda, CudaDriver) else ()
    return f"{text.listed([text.name(name) for name in names])}, by CUDA's word alone" if names else ""


def _no_gpu(pci: PciDevices | Missing) -> str:
    if isinstance(pci, Missing):
        return "none in the driver's list"
    nvidia = [device.name or f"NVIDIA {device.device}" for device in pci.devices if device.vendor == NVIDIA_VENDOR]
    if nvidia:
        return f"none in the driver's list; on the PCI bus: {text.listed([text.name(name) for name in nvidia])}"
    others = [text.name(device.name) for device in pci.devices if device.name]
    return "none" + (f" by NVIDIA; on the PCI bus: {text.listed(others)}" if others else "")


def _gpu_value(gpu: Gpu) -> str:
    parts = [] if gpu.error and not gpu.name else [text.name((gpu.name or "NVIDIA GPU").removeprefix("NVIDIA "))]
    if gpu.error:
        parts.append(text.name(gpu.error))
    if isinstance(gpu.capability, GpuCapability):
        parts.append(text.name(gpu.capability.value))
    if isinstance(gpu.memory, GpuMemory):
        parts.append(text.gib(gpu.memory.total))
    if isinstance(gpu.link, GpuLink):
        parts += _link_parts(gpu.link)
    if isinstance(gpu.nvlink, NvLink) and gpu.nvlink.links:
        parts.append(f"NVLink {gpu.nvlink.active} of {text.plural(gpu.nvlink.links, 'link')}")
    if isinstance(gpu.mig, MigInstances) and gpu.mig.instances:
        parts.append(text.plural(len(gpu.mig.instances), "MIG instance"))
    return ", ".join(parts)


def _link_parts(link: GpuLink) -> Iterator[str]:
    # An idle GPU trains its link down in generation, so the most it can is shown; the width does not idle.
    generation = link.generation_max or link.generation
    lanes = link.width or link.width_max
    if generation and lanes:
        narrow = f" of ×{link.width_max}" if link.width_max and lanes < link.width_max else ""
        yield f"PCIe {generation}.0 ×{lanes}{narrow}"


def _gpu_state(report: Report, gpu: Gpu) -> tuple[Mark | None, str]:
    looked: tuple[Mark, str] = (Mark.OK, "answers") if report.source == "machine" else _NAMED
    if gpu.error:
        looked = (Mark.UNKNOWN, "not judged")
    elif unread := _unread(gpu):
        looked = (Mark.UNKNOWN, unread.kind.replace("-", " "))
    elif any(smoke.gpu == gpu.index and smoke.result == "proved" for smoke in report.smoke):
        looked = (Mark.OK, "trains")
    state = _state(report, "GPU", looked, gpu.index)
    own = [one for one in report.findings if one.about.gpu == gpu.index and one.because_of is None]
    if state != looked or len(report.facts.known_gpus()) < 2 or not own:
        return state
    # Of several GPUs, the one that a framework cannot use is told by its own line too.
    worst = _by_severity(own)[0]
    return state if worst.severity is Severity.INFO else (MARK_OF[worst.severity], worst.rule)


def _python(report: Report, facts: Facts) -> Row | None:
    python = facts.interpreter
    if isinstance(python, Missing):
        return None if _unasked(python) else _not_known(report, "Python", python)
    version = text.name(python.version)
    kind = "" if python.implementation == "cpython" else f" ({text.name(python.implementation)})"
    threads = ", free-threaded" if python.free_threaded else ""
    return Row(
        "Python",
        f"{version}{kind}{threads}, {_environment_name(facts)}",
        *_state(report, "Python", (Mark.OK, "runs") if report.source == "machine" else _NAMED),
    )


def _frameworks(report: Report, facts: Facts) -> Iterator[Row]:
    if isinstance(facts.frameworks, Missing):
        if not _unasked(facts.frameworks):
            yield _not_known(report, "Frameworks", facts.frameworks)
        return
    if not facts.installed_frameworks():
        looked_for = _titles(framework.name for framework in facts.frameworks.frameworks)
        state = _state(report, "Frameworks", (Mark.NOTE, "absent"))
        yield Row("Frameworks", f"none of {text.listed(looked_for, 'or')} installed", *state)
    for framework in facts.frameworks.frameworks:
        if framework.installed or framework.name in facts.request.required:
            yield _framework(report, framework)


def _framework(report: Report, framework: Framework) -> Row:
    label = FRAMEWORK_TITLES[framework.name]
    if not framework.installed:
        return Row(label, "not installed", *_state(report, label, (Mark.FAULT, "required")))
    parts = [*_build_parts(framework.build), *_import_parts(framework.imported)]
    return Row(label, ", ".join(parts) or "installed", *_state(report, label, _framework_state(report, framework)))


def _build_parts(build: Build | Missing) -> Iterator[str]:
    if isinstance(build, Missing):
        if not _unasked(build):
            yield f"build not known: {text.shorten(text.words(str(build)), 300)}"
        return
    yield text.name(build.version)
    if build.accelerator == "cuda" and build.cuda and "+cu" not in build.version:
        yield f"CUDA {text.name(build.cuda)}"
    if build.accelerator not in ("cuda", "unknown"):
        yield f"{build.accelerator.upper() if build.accelerator != 'metal' else 'Metal'} build"
    if build.cudnn:
        yield f"cuDNN {text.name(build.cudnn)}"
    if build.nccl:
        yield f"NCCL {text.name(build.nccl)}"


def _import_parts(imported: Imported | Missing) -> Iterator[str]:
    if isinstance(imported, Missing) or imported.ok:
        return
    yield f"import failed{_how_ended(imported.ended, imported.error)}"


def _how_ended(ended: str | None, error: str | None) -> str:
    """`` (signal SIGSEGV): the last words``, the ending told once where the last words begin with it."""
    why = f": {text.shorten(text.words(error), 300)}" if error else ""
    told = ended in (None, "", "exception", "hung") or (error or "").startswith(ended or "")
    return why if told else f" ({text.name(ended or '')}){why}"


def _framework_state(report: Report, framework: Framework) -> tuple[Mark, str]:
    imported = framework.imported
    if isinstance(imported, Missing) and not _unasked(imported):
        return Mark.UNKNOWN, imported.kind.replace("-", " ")
    if isinstance(framework.build, Missing) and not _unasked(framework.build):
        return Mark.UNKNOWN, framework.build.kind.replace("-", " ")
    if isinstance(imported, Imported) and not imported.ok:
        return Mark.FAULT, "import failed"
    results = {smoke.result for smoke in report.smoke if smoke.framework == framework.name}
    if "proved" in results:
        return Mark.OK, "trains"
    if "ran-on-cpu" in results:
        return _on_cpu(report), "trains on the CPU"
    return (Mark.NOTE, "not imported") if isinstance(imported, Missing) else (Mark.OK, "imports")


def _on_cpu(report: Report) -> Mark:
    return Mark.OK if report.facts.request.allow_cpu else Mark.FAULT


def _toolkits(report: Report, facts: Facts) -> Row | None:
    if not isinstance(facts.toolkits, Toolkits) or not facts.toolkits.toolkits:
        return None
    told = [f"{text.name(kit.version or 'version not known')} {text.name(kit.path)}" for kit in facts.toolkits.toolkits]
    return Row("Toolkits", ", ".join(told), *_state(report, "Toolkits", (None, "")))


# ------------------------------------------------------------------------------------------- the smoke jobs


def smoke_rows(report: Report) -> tuple[Row, ...]:
    """A line for each smoke job: what it measured, or where it stopped and why."""
    rows = (
        Row(FRAMEWORK_TITLES[smoke.framework], _smoke_value(smoke), _smoke_mark(report, smoke))
        for smoke in report.smoke
    )
    return (*rows, *_speed_row(report), *_memory_row(report), *_copies_row(report), *_collectives_row(report))


_PART_WORDS = {
    "matrix-product-fp32": "fp32 matrix product",
    "matrix-product-tf32": "tf32 matrix product",
    "matrix-product-fp16": "fp16 matrix product",
    "matrix-product-bf16": "bf16 matrix product",
    "copy-inside-gpu": "memory",
    "copy-to-gpu-pinned": "host→GPU",
    "copy-from-gpu-pinned": "GPU→host",
}
_SHOWN_SPEEDS = ("matrix-product-bf16", "matrix-product-fp16", "copy-inside-gpu", "copy-to-gpu-pinned")


def _speed_row(report: Report) -> Iterator[Row]:
    """What the slowest GPU reached of what is promised; of the 16-bit products the one that has a figure."""
    slowest = min(report.speeds, key=lambda speed: speed.share, default=None)
    if slowest is None:
        return
    own = [one for one in report.speeds if (one.gpu, one.framework) == (slowest.gpu, slowest.framework)]
    listed = {one.part: one for one in own}
    if "matrix-product-bf16" in listed:
        listed.pop("matrix-product-fp16", None)
    told = [speed_words(listed[name]) for name in _SHOWN_SPEEDS if name in listed]
    several = len({one.gpu for one in report.speeds}) > 1
    which = f"GPU {slowest.gpu}, the slowest: " if several else ""
    doubtful = report.findings_of("smoke-slow") or report.findings_of("smoke-too-fast")
    mark = Mark.WARNING if doubtful else Mark.OK
    yield Row("Speed", which + ", ".join(told or [speed_words(slowest)]), mark)


def _memory_row(report: Report) -> Iterator[Row]:
    """How much memory gave back what was written to it."""
    told = report.facts.memory_tests
    if not isinstance(told, MemoryTests) or not told.tests:
        return
    words = [_memory_words(test) for test in told.tests]
    broken = any(test.faults for test in told.tests)
    unknown = any(test.error or not test.tested for test in told.tests)
    yield Row("Memory", "; ".join(words), Mark.FAULT if broken else Mark.UNKNOWN if unknown else Mark.OK)


def _memory_words(test: MemoryTest) -> str:
    which = f"GPU {test.gpu}" if test.gpu is not None else "a GPU"
    which += f" {text.name(test.mig)}" if test.mig else ""
    found = f"{text.plural(len(test.faults), 'range')} came back otherwise" if test.faults else "came back as written"
    early = f"; {text.shorten(text.words(test.error), 200)}" if test.error else ""
    return (
        f"{which}: {text.gib(test.tested)} of {text.gib(test.free)} free {found}{early}"
        if test.tested
        else (f"{which}: not tested{early}")
    )


def _copies_row(report: Report) -> Iterator[Row]:
    """How many copies between GPUs arrived as they were sent."""
    told = report.facts.peer_copies
    if not isinstance(told, PeerCopies) or not told.copies:
        return
    wrong = [f"GPU {one.source_gpu} → {one.target_gpu}" for one in told.copies if one.holds is False]
    right = [one for one in told.copies if one.holds]
    rates = sorted(one.rate for one in right if one.rate is not None)
    speed = f", {text.significant(rates[0])} to {text.significant(rates[-1])} GB/s" if rates else ""
    parts = [f"{text.listed(wrong)} arrived otherwise"] if wrong else []
    parts += [f"{len(right)} of {len(told.copies)} copies exact{speed}"]
    whole = len(right) == len(told.copies)
    yield Row("GPU↔GPU", "; ".join(parts), Mark.FAULT if wrong else Mark.OK if whole else Mark.UNKNOWN)


def _collectives_row(report: Report) -> Iterator[Row]:
    """What several processes computed together: exact, wrong, or where they stopped."""
    told = report.facts.collectives
    if not isinstance(told, Collectives):
        return
    machines = f" on {text.plural(told.nodes, 'machine')}" if told.nodes > 1 else ""
    backend = f"{told.backend} {text.name(told.nccl)}" if told.nccl else told.backend
    over = f"{told.processes} process{'' if told.processes == 1 else 'es'}{machines} over {backend}"
    wrong = [text.name(one.name) for one in told.collectives if one.holds is False]
    exact = [text.name(one.name) for one in told.collectives if one.holds]
    parts = [f"{text.listed(wrong)} wrong"] if wrong else []
    parts += [f"{text.listed(exact)} exact"] if exact else []
    parts += [text.words(told.ending)] if told.ending else []
    unknown = told.waited or told.ended in ("timed out", "interrupted")
    state = Mark.FAULT if wrong else Mark.UNKNOWN if unknown else Mark.FAULT if told.ending else Mark.OK
    yield Row("Together", f"{over}: {'; '.join(parts)}", state)


def speed_words(speed: Speed) -> str:
    """``bf16 matrix product 782 of 989 TFLOP/s``."""
    name = _PART_WORDS.get(speed.part, speed.part)
    return f"{name} {text.significant(speed.reached)} of {text.significant(speed.promised)} {speed.unit}"


def part_words(part: Part, smoke: Smoke, report: Report) -> str:
    """What one part came to, in one sentence without a full stop."""
    speed = report.speed_of(smoke, part)
    rate = f"{text.significant(part.rate)} {part.unit}" if part.rate is not None and part.unit else ""
    promised = f"{speed.share:.0%} of {text.significant(speed.promised)} ({speed.promise})" if speed else ""
    told = [part.error or "", rate, promised, part.detail]
    return f"{part.name}: {', '.join(one for one in told if one)}"


def smoke_device(smoke: Smoke) -> str:
    """Where the job ran: ``GPU 0``, else the framework's own name for the device, ``the CPU`` for its CPU."""
    if smoke.gpu is not None:
        return f"GPU {smoke.gpu}"
    return "the CPU" if smoke.device == "cpu" else text.name(smoke.device)


def _smoke_value(smoke: Smoke) -> str:
    return f"GPU {smoke.gpu} {smoke_words(smoke)}" if smoke.gpu is not None else smoke_words(smoke)


def _smoke_mark(report: Report, smoke: Smoke) -> Mark:
    marks = {"proved": Mark.OK, "ran-on-cpu": _on_cpu(report), "not-run": Mark.UNKNOWN}
    return marks.get(smoke.result, Mark.FAULT)


def smoke_words(smoke: Smoke) -> str:
    """How a smoke job went, in one sentence without a full stop."""
    error = f": {text.shorten(text.words(smoke.error), 300)}" if smoke.error else ""
    if smoke.result == "not-run":
        return f"not run{error}"
    if smoke.result in ("failed", "hung"):
        stuck = _stuck(smoke) if smoke.result == "hung" else ""
        return f"{smoke.result} at {smoke.stage}{_after(smoke)}{stuck}{_how_ended(smoke.ended, smoke.error)}"
    told = "proved" if smoke.result == "proved" else "the CPU trained, not a GPU"
    measured = [*_measured(smoke)]
    return f"{told}: {', '.join(measured)}" if measured else told


def _after(smoke: Smoke) -> str:
    return f" after {text.seconds(smoke.seconds)}" if smoke.seconds is not None else ""


def _stuck(smoke: Smoke) -> str:
    known = [
        f"process {smoke.pid}" if smoke.pid is not None else "",
        f"waits in {text.name(smoke.wait_channel)}" if smoke.wait_channel else "",
    ]
    told = ", ".join(part for part in known if part)
    return f" ({told})" if told else ""


def _measured(smoke: Smoke) -> Iterator[str]:
    losses = [math.nan if loss is None else loss for loss in smoke.loss]
    if losses:
        yield f"loss {text.small(losses[0])} → {text.small(losses[-1])} {text.sparkline(losses)}"
    if smoke.accuracy is not None:
        yield f"accuracy {text.number(smoke.accuracy)}"
    if smoke.examples_per_second is not None:
        yield f"{text.rate(smoke.examples_per_second)} images/s{_speed_up(smoke)}"
    if smoke.seconds is not None:
        yield text.seconds(smoke.seconds)


def _speed_up(smoke: Smoke) -> str:
    if smoke.gpu is None or not smoke.examples_per_second or not smoke.cpu_examples_per_second:
        return ""
    return f", {text.significant(smoke.examples_per_second / smoke.cpu_examples_per_second, 2)} × CPU"


# ------------------------------------------------------------------------------------------------ the counts


def counts(report: Report) -> str:
    """How many rules there were and what became of them; every rule is in exactly one number."""
    total = len(report.outcomes)
    if not total:
        return "No rule was run"
    worst = {finding.rule: finding.severity for finding in reversed(_by_severity(report.findings))}
    found = [worst.get(outcome.rule, Severity.INFO) for outcome in report.outcomes if outcome.outcome == "found"]
    passed, inapplicable, skipped, crashed = (
        sum(outcome.outcome == kind for outcome in report.outcomes)
        for kind in ("passed", "not-applicable", "skipped", "crashed")
    )
    parts = [
        f"{passed} passed",
        text.plural(found.count(Severity.ERROR), "error") if Severity.ERROR in found else "",
        text.plural(found.count(Severity.WARNING), "warning") if Severity.WARNING in found else "",
        text.plural(found.count(Severity.INFO), "note") if Severity.INFO in found else "",
        f"{inapplicable} not applicable" if inapplicable else "",
        f"{crashed} crashed" if crashed else "",
        f"{skipped} not judged" if skipped else "",
    ]
    return f"{text.plural(total, 'rule')}: {', '.join(part for part in parts if part)}"


def _by_severity(findings: Sequence[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: tuple(Severity).index(finding.severity))
