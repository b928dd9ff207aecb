"""From ranked findings to the one answer: status, cause, candidates, and what could not be judged."""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.facts import (
    NOT_ASKED,
    Build,
    Collectives,
    CudaDriver,
    Facts,
    Framework,
    Frameworks,
    GpuCapability,
    Gpus,
    Imported,
    Maybe,
    Missing,
    Nvml,
    Smoke,
)
from gpudoctor.findings import Candidate, Cause, Confidence, Finding, Severity, Status, Unknown
from gpudoctor.preflight.judged import requirements
from gpudoctor.views import presence, wanted
from gpudoctor.words import name_of

_XID = "sudo dmesg | grep -i xid"


def status(findings: tuple[Finding, ...], unknown: tuple[Unknown, ...]) -> Status:
    """The one total order: broken, then undetermined, then warnings, then healthy."""
    severities = {finding.severity for finding in findings}
    if Severity.ERROR in severities:
        return "broken"
    if unknown:
        return "undetermined"
    return "warnings" if Severity.WARNING in severities else "healthy"


def causes(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """The unexplained findings that may be named as a cause, first cause first: errors, else warnings."""
    open_ones = tuple(f for f in findings if f.because_of is None and f.severity is not Severity.INFO)
    errors = tuple(f for f in open_ones if f.severity is Severity.ERROR)
    return errors or open_ones


def cause(findings: tuple[Finding, ...]) -> Cause | None:
    """The first cause; None when there is none, or when several are merely possible."""
    first = next(iter(causes(findings)), None)
    if first is None or candidates(findings):
        return None
    return Cause(rule=first.rule, title=first.title, confidence=first.confidence)


def candidates(findings: tuple[Finding, ...]) -> tuple[Candidate, ...]:
    """Two or more causes that the facts cannot tell apart; empty when one is surer than the others."""
    listed = causes(findings)
    if not listed or listed[0].confidence is not Confidence.POSSIBLE:
        return ()
    rules = {finding.rule: finding for finding in reversed(listed) if finding.confidence is Confidence.POSSIBLE}
    if len(rules) < 2:
        return ()
    return tuple(
        Candidate(rule=finding.rule, confidence=finding.confidence, settled_by=finding.settled_by)
        for finding in reversed(rules.values())
    )


# ------------------------------------------------------------------------------------- what is not known


def unknown(facts: Facts, findings: tuple[Finding, ...] = ()) -> tuple[Unknown, ...]:
    """The essential facts that are missing, and faults that no finding tells of, each with what would settle it."""
    if facts.origin == "paste":
        return tuple(_of_paste(facts))
    return (*_of_machine(facts), *_unexplained(facts, findings))


def _of_paste(facts: Facts) -> Iterator[Unknown]:
    """A paste must show driver, GPU and the build of one framework to be judged as a whole."""
    nvml = isinstance(facts.nvml, Nvml) and facts.nvml.driver
    if not nvml and isinstance(facts.kernel_driver, Missing) and isinstance(facts.cuda, Missing):
        yield Unknown(what="driver", why="not in the text", settled_by=("nvidia-smi",))
    if isinstance(presence(facts), Missing):
        yield Unknown(what="GPU", why="not in the text", settled_by=("nvidia-smi -L",))
    if not any(isinstance(framework.build, Build) for framework in facts.installed_frameworks()):
        yield Unknown(what="framework", why="not in the text", settled_by=("pip list",))


def _of_machine(facts: Facts) -> Iterator[Unknown]:
    yield from _driver_and_gpus(facts)
    if isinstance(facts.cuda, Missing):
        yield Unknown(what="CUDA initialisation", why=str(facts.cuda), settled_by=(_XID,))
    if not (facts.request.requirements and facts.interpreter == NOT_ASKED):
        yield from _environment(facts)
    for one in requirements(facts).open:
        yield Unknown(what=f"whether {one.requirement} holds", why=one.why, settled_by=one.settled_by)


def _environment(facts: Facts) -> Iterator[Unknown]:
    """The environment under test; of a pre-flight, the frameworks that it asks for."""
    if isinstance(facts.interpreter, Missing):
        yield Unknown(what="the Python under test", why=str(facts.interpreter))
    elif not isinstance(facts.frameworks, Frameworks):
        yield Unknown(what="the installed frameworks", why=str(facts.frameworks))
    for framework in facts.installed_frameworks():
        if not facts.request.requirements or wanted(framework.name, facts.request):
            yield from _framework(framework, facts)
    yield from _collectives(facts)


def _driver_and_gpus(facts: Facts) -> Iterator[Unknown]:
    if isinstance(facts.nvml, Missing):
        yield Unknown(what="the driver", why=f"NVML: {facts.nvml}", settled_by=(_XID,))
    elif isinstance(facts.gpus, Missing):
        yield Unknown(what="the list of GPUs", why=f"NVML: {facts.gpus}", settled_by=(_XID,))
    elif not isinstance(facts.gpus, Gpus) or not facts.gpus.gpus:
        seen = presence(facts)
        if isinstance(seen, Missing):
            yield Unknown(what="whether there is a GPU", why=str(seen), settled_by=("lspci -d 10de:",))
    for gpu in facts.known_gpus():
        if not isinstance(gpu.capability, GpuCapability) and gpu.error is None:
            yield Unknown(what=f"GPU {gpu.index}", why=str(gpu.capability), settled_by=(_XID,))


def _unexplained(facts: Facts, findings: tuple[Finding, ...]) -> Iterator[Unknown]:
    """What does not work, where no rule says so: a fault that the rules do not know is not health."""
    told = [finding for finding in findings if finding.severity is not Severity.INFO]
    for gpu in facts.known_gpus():
        if gpu.error and not any(finding.about.gpu == gpu.index for finding in told):
            yield Unknown(what=f"GPU {gpu.index}", why=f"{gpu.error}, and no rule knows why", settled_by=(_XID,))
    if facts.request.allow_cpu or any(finding.severity is Severity.ERROR for finding in told):
        return
    seen = presence(facts)
    wanted_here = not isinstance(seen, Missing) and seen.present
    if wanted_here and isinstance(facts.cuda, CudaDriver) and not usable_gpus(facts):
        yield Unknown(what="CUDA initialisation", why=f"{_no_cuda(facts.cuda)}, and no rule knows why")


def _no_cuda(cuda: CudaDriver) -> str:
    if cuda.code == 0:
        return "CUDA starts and lists no GPU"
    if cuda.code is None:
        return f"libcuda is {cuda.result.replace('-', ' ')}" + (f" ({cuda.detail})" if cuda.detail else "")
    return f"cuInit answers {cuda.result} ({cuda.code})"


def _framework(framework: Framework, facts: Facts) -> Iterator[Unknown]:
    name = name_of(framework)
    if isinstance(framework.build, Missing):
        yield Unknown(what=f"the build of {name}", why=str(framework.build))
    if facts.request.quick or not smoke_is_due(framework, facts):
        return
    jobs = [smoke for smoke in facts.smokes if smoke.framework == framework.name]
    if not jobs:
        yield Unknown(what=f"whether {name} trains", why=_untold(framework.imported))
    for smoke in jobs:
        if not _has_result(smoke):
            where = f" on GPU {smoke.gpu}" if len(jobs) > 1 and smoke.gpu is not None else ""
            yield Unknown(what=f"whether {name} trains{where}", why=smoke.error or _untold(framework.imported))


def _untold(imported: Maybe[Imported]) -> str:
    return str(imported) if isinstance(imported, Missing) else imported.error or "its job told nothing"


def _collectives(facts: Facts) -> Iterator[Unknown]:
    """A job of several processes that was begun and came to no result; one whose fault a rule names has a result."""
    told, what = facts.collectives, "collective operations between processes"
    if isinstance(told, Collectives) and (told.waited or told.ended in ("timed out", "interrupted")):
        yield Unknown(what=what, why=": ".join(text for text in (told.ending, told.error) if text))
    elif isinstance(told, Missing) and told.kind != "not-asked":
        yield Unknown(what=what, why=str(told))


def _has_result(smoke: Smoke) -> bool:
    return smoke.result != "not-run"


def smoke_is_due(framework: Framework, facts: Facts) -> bool:
    """A job is due for every framework asked for where there is a usable GPU, or where the CPU is allowed."""
    asked = framework.installed and wanted(framework.name, facts.request)
    return asked and (usable_gpus(facts) > 0 or facts.request.allow_cpu)


def usable_gpus(facts: Facts) -> int:
    """How many GPUs the CUDA driver offers to programs here; 0 also when it could not be asked."""
    if isinstance(facts.cuda, CudaDriver) and facts.cuda.code == 0:
        return facts.cuda.count or 0
    return 0
