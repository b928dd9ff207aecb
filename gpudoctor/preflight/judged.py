"""Requirement × Facts → met, not met, or not judged. Pure: nothing here looks at a machine."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import cast

from gpudoctor.facts import (
    Build,
    CudaDriver,
    Environment,
    Fact,
    Facts,
    Framework,
    FrameworkName,
    Gpu,
    GpuCapability,
    GpuEcc,
    GpuMemory,
    GpuModes,
    Imported,
    KernelDriver,
    MigInstances,
    Missing,
    NvLink,
    Nvml,
    Packages,
    Record,
    Request,
    SharedMemory,
)
from gpudoctor.preflight import requirements as r
from gpudoctor.words import name_of

_XID = "sudo dmesg | grep -i xid"
_NEAR = 0.12  # an "80GB" GPU has 79.6 GiB, a "16GB" T4 has 14.7 GiB
_NCCL_PACKAGES = ("nvidia-nccl-cu13", "nvidia-nccl-cu12", "nvidia-nccl-cu11")


class Met(Record, frozen=True, kw_only=True, tag="met"):
    """The requirement holds. ``found`` is what was seen."""

    requirement: str
    found: str
    source: str = ""


class NotMet(Record, frozen=True, kw_only=True, tag="not-met"):
    """It does not hold: ``found`` was seen. ``why`` says more: the near miss, or the way out.

    ``absent`` marks what is not there at all, as on a broken machine: another finding may be the cause of that. What
    is there and does not suffice is its own cause. ``gpu`` and ``framework`` say what it is about.
    """

    requirement: str
    found: str
    why: str = ""
    source: str = ""
    absent: bool = False
    gpu: int | None = None
    framework: FrameworkName | None = None


class NotJudged(Record, frozen=True, kw_only=True, tag="not-judged"):
    """It cannot be told, and ``settled_by`` are the commands that would."""

    requirement: str
    why: str
    settled_by: tuple[str, ...] = ()


Judged = Met | NotMet | NotJudged


class Requirements(Fact, frozen=True, kw_only=True):
    """All that was required of this machine, held against the facts, in the order in which it was said."""

    judged: tuple[Judged, ...]

    @property
    def unmet(self) -> tuple[NotMet, ...]:
        """Those that do not hold."""
        return tuple(one for one in self.judged if isinstance(one, NotMet))

    @property
    def open(self) -> tuple[NotJudged, ...]:
        """Those that cannot be told."""
        return tuple(one for one in self.judged if isinstance(one, NotJudged))


def requirements(facts: Facts) -> Requirements:
    """What the request asks for, judged; ``no-warnings`` is left to the findings, which decide it.

    A text that is no requirement, as saved facts of another version may hold, is not judged.
    """
    every = tuple(one for text in facts.request.requirements for one in _of_text(text, facts))
    return Requirements(source=facts.request.source, judged=every)


def _of_text(text: str, facts: Facts) -> tuple[Judged, ...]:
    try:
        asked = r.parse(text)
    except r.RequirementError as error:
        return (NotJudged(requirement=text, why=str(error)),)
    return tuple(judged(one, facts) for one in asked if one.name != "no-warnings")


def judged(requirement: r.Requirement, facts: Facts) -> Judged:
    """Whether the machine that these facts describe meets a requirement."""
    return _JUDGES[requirement.name](requirement, facts)


# ------------------------------------------------------------------------------------------------- GPUs by number


def _gpus(asked: r.Requirement, facts: Facts) -> Judged:
    assert isinstance(asked, r.Amount)  # noqa: S101 - its name says so
    cuda = facts.cuda
    if isinstance(cuda, Missing):
        return NotJudged(requirement=asked.text, why=f"CUDA: {cuda}", settled_by=(_XID,))
    if cuda.code == 0 and cuda.count is None:
        why = f"CUDA starts and does not count its GPUs{_because(cuda.detail)}"
        return NotJudged(requirement=asked.text, why=why, settled_by=(_XID,))
    count = cuda.count or 0 if cuda.code == 0 else 0
    found = f"CUDA shows {_plural(count, 'GPU')}"
    if asked.holds(count):
        return Met(requirement=asked.text, found=found, source=cuda.source)
    return NotMet(
        requirement=asked.text,
        found=found,
        why=_why_so_many(cuda, facts),
        source=cuda.source,
        absent=count == 0 or count < len(facts.known_gpus()),
    )


def _why_so_many(cuda: CudaDriver, facts: Facts) -> str:
    if cuda.code != 0:
        reason = "there is no libcuda" if cuda.result == "not-found" else f"cuInit answers {cuda.result}"
        return reason + _because(cuda.detail)
    listed = len(facts.known_gpus())
    if listed <= (cuda.count or 0):
        return ""
    visible = _variable("CUDA_VISIBLE_DEVICES", facts)
    return f"the driver lists {listed}" + (f"; CUDA_VISIBLE_DEVICES={visible}" if visible is not None else "")


def _because(detail: str | None) -> str:
    return f" ({detail})" if detail else ""


def _plural(count: int, word: str) -> str:
    return f"{count or 'no'} {word}{'' if count == 1 else 's'}"


def _variable(name: str, facts: Facts) -> str | None:
    return facts.environment.variables.get(name) if isinstance(facts.environment, Environment) else None


# ------------------------------------------------------------------------------------------- which GPUs are meant


class _Seen(Record, frozen=True, kw_only=True):
    """The GPUs that CUDA shows to programs here. ``certain`` False: some of these, and it cannot be told which."""

    gpus: tuple[Gpu, ...]
    certain: bool = True


def _seen(gpus: tuple[Gpu, ...], facts: Facts) -> _Seen:
    """The GPUs of NVML's list that CUDA_VISIBLE_DEVICES leaves; all of them where CUDA does not start at all."""
    value = _variable("CUDA_VISIBLE_DEVICES", facts)
    if value is None or not isinstance(facts.cuda, CudaDriver) or not facts.cuda.count:
        return _Seen(gpus=gpus)
    from gpudoctor.rules.environment.cuda_visible_devices import visible

    entries = visible(value, gpus)
    numbered = any(entry.lstrip("+").isdecimal() for entry in entries)
    ordered = _variable("CUDA_DEVICE_ORDER", facts) == "PCI_BUS_ID" or len({gpu.name for gpu in gpus}) == 1
    if numbered and not ordered:
        # CUDA counts the fastest first, NVML by PCI address: only the names tell.
        named = tuple(gpu for gpu in gpus if gpu.name in facts.cuda.names)
        return _Seen(gpus=named or gpus, certain=len(named) == facts.cuda.count)
    chosen = {index for entry in entries for index in _indices(entry, gpus)}
    return _Seen(gpus=tuple(gpu for gpu in gpus if gpu.index in chosen) or gpus)


def _indices(entry: str, gpus: tuple[Gpu, ...]) -> Iterator[int]:
    if entry.lstrip("+").isdecimal():
        yield int(entry)
        return
    for gpu in gpus:
        instances = gpu.mig.instances if isinstance(gpu.mig, MigInstances) else ()
        if any((uuid or "").lower().startswith(entry.lower()) for uuid in (gpu.uuid, *(one.uuid for one in instances))):
            yield gpu.index


class _OfGpu(Record, frozen=True, kw_only=True):
    """What one GPU says to a requirement. ``holds`` None: it does not tell, and ``found`` says why."""

    gpu: Gpu
    holds: bool | None
    found: str
    why: str = ""


def _each(asked: r.Requirement, facts: Facts, look: Callable[[Gpu], tuple[bool | None, str, str]]) -> Judged:
    """A requirement that every GPU must meet which CUDA shows."""
    if isinstance(facts.gpus, Missing):
        return NotJudged(requirement=asked.text, why=f"the list of GPUs: {facts.gpus}", settled_by=(_XID,))
    seen = _seen(facts.gpus.gpus, facts)
    if not seen.gpus:
        return NotMet(requirement=asked.text, found="there is no GPU", source=facts.gpus.source, absent=True)
    answers = tuple(_answer(gpu, *look(gpu)) for gpu in seen.gpus)
    failing = [answer for answer in answers if answer.holds is False]
    unknown = next((answer for answer in answers if answer.holds is None), None)
    if failing and (seen.certain or len(failing) == len(answers)):
        return _not_met(asked, failing)
    if failing:
        why = f"{_of(failing[0])}, and it cannot be told whether CUDA shows this one"
        return NotJudged(requirement=asked.text, why=why, settled_by=("export CUDA_DEVICE_ORDER=PCI_BUS_ID",))
    if unknown is not None:
        return NotJudged(requirement=asked.text, why=_of(unknown), settled_by=(_XID,))
    found = ", ".join(dict.fromkeys(answer.found for answer in answers))
    return Met(requirement=asked.text, found=found, source=facts.gpus.source)


def _answer(gpu: Gpu, holds: bool | None, found: str, why: str) -> _OfGpu:
    return _OfGpu(gpu=gpu, holds=holds, found=found, why=why)


def _not_met(asked: r.Requirement, failing: list[_OfGpu]) -> NotMet:
    others = [str(answer.gpu.index) for answer in failing[1:]]
    return NotMet(
        requirement=asked.text,
        found=_of(failing[0]) + (f"; likewise GPU {', '.join(others)}" if others else ""),
        why=failing[0].why,
        source=failing[0].gpu.source,
        gpu=failing[0].gpu.index,
    )


def _of(answer: _OfGpu) -> str:
    name = f" ({answer.gpu.name})" if answer.gpu.name else ""
    return f"GPU {answer.gpu.index}{name}: {answer.found}"


def _no_answer(gpu: Gpu, missing: Missing) -> tuple[None, str, str]:
    return None, gpu.error or str(missing), ""


# ------------------------------------------------------------------------------------------------- each GPU


def _vram(asked: r.Requirement, facts: Facts) -> Judged:
    size = cast(r.Amount, asked)

    def look(gpu: Gpu) -> tuple[bool | None, str, str]:
        if isinstance(gpu.modes, GpuModes) and gpu.modes.mig:
            return _of_instances(size, gpu, facts)
        if not isinstance(gpu.memory, GpuMemory):
            return _no_answer(gpu, gpu.memory)
        return _sized(size, gpu.memory.total)

    return _each(asked, facts, look)


def _of_instances(size: r.Amount, gpu: Gpu, facts: Facts) -> tuple[bool | None, str, str]:
    """With MIG a program has the memory of one instance, the smallest in doubt."""
    if isinstance(gpu.mig, Missing):
        return _no_answer(gpu, gpu.mig)
    named = (_variable("CUDA_VISIBLE_DEVICES", facts) or "").lower()
    chosen = [one for one in gpu.mig.instances if one.uuid.lower() in named] or list(gpu.mig.instances)
    if not chosen:
        return False, "MIG is on without an instance", ""
    sizes = [one.memory for one in chosen if one.memory is not None]
    if len(sizes) < len(chosen):
        return None, "the memory of its MIG instances is not told", ""
    holds, found, why = _sized(size, min(sizes))
    return holds, f"a MIG instance of {found}", why


def _sized(size: r.Amount, total: int) -> tuple[bool, str, str]:
    return size.holds(total), r_size(total), "" if size.holds(total) else _near_miss(size, total)


def r_size(number: int) -> str:
    """Bytes as people read them: ``79.6 GiB``."""
    return f"{number / (1 << 30):.1f} GiB" if number >= 1 << 30 else f"{number / (1 << 20):.0f} MiB"


def _near_miss(size: r.Amount, total: int) -> str:
    """Where little is missing, what the GPU is sold as, and what would hold."""
    wanted = min((number for sign, number in size.clauses if sign in (">=", ">", "==")), default=0)
    if not total < wanted <= total * (1 + _NEAR):
        return ""
    whole = total >> 30
    decimal = total // 10**9
    return (
        f"The driver keeps some back, and sellers count in GB: {r_size(total)} are {total / 1e9:.1f} GB; "
        f"{size.name}>={whole}GiB or {size.name}>={decimal}GB would hold"
    )


def _free_vram(asked: r.Requirement, facts: Facts) -> Judged:
    size = cast(r.Amount, asked)

    def look(gpu: Gpu) -> tuple[bool | None, str, str]:
        if not isinstance(gpu.memory, GpuMemory):
            return _no_answer(gpu, gpu.memory)
        if isinstance(gpu.modes, GpuModes) and gpu.modes.mig:
            return None, "with MIG on, the free memory of an instance is not told", ""
        if gpu.memory.free is None:
            return None, "its free memory is not told", ""
        found = f"{r_size(gpu.memory.free)} of {r_size(gpu.memory.total)} free"
        return size.holds(gpu.memory.free), found, _held(gpu)

    return _each(asked, facts, look)


def _held(gpu: Gpu) -> str:
    processes = () if isinstance(gpu.processes, Missing) else gpu.processes.processes
    holders = sorted((one for one in processes if one.used), key=lambda one: -(one.used or 0))[:3]
    named = ", ".join(f"{one.pid}{f' ({one.name})' if one.name else ''} {r_size(one.used or 0)}" for one in holders)
    return f"held by process {named}" if named else ""


def _capability(asked: r.Requirement, facts: Facts) -> Judged:
    wanted = cast(r.Capable, asked)

    def look(gpu: Gpu) -> tuple[bool | None, str, str]:
        if not isinstance(gpu.capability, GpuCapability):
            return _no_answer(gpu, gpu.capability)
        major, _, minor = gpu.capability.value.partition(".")
        return wanted.holds((int(major), int(minor or 0))), f"compute capability {gpu.capability.value}", ""

    return _each(asked, facts, look)


def _gpu(asked: r.Requirement, facts: Facts) -> Judged:
    wanted = cast(r.Named, asked)

    def look(gpu: Gpu) -> tuple[bool | None, str, str]:
        if gpu.name is None:
            return None, gpu.error or "its name is not told", ""
        return wanted.holds(gpu.name), gpu.name, ""

    return _each(asked, facts, look)


def _mig(asked: r.Requirement, facts: Facts) -> Judged:
    wanted = cast(r.Switched, asked)

    def look(gpu: Gpu) -> tuple[bool | None, str, str]:
        if not isinstance(gpu.modes, GpuModes):
            return _no_answer(gpu, gpu.modes)
        found = {True: "MIG is on", False: "MIG is off", None: "it has no MIG"}[gpu.modes.mig]
        return bool(gpu.modes.mig) is wanted.on, found, ""

    return _each(asked, facts, look)


def _ecc(asked: r.Requirement, facts: Facts) -> Judged:
    wanted = cast(r.Switched, asked)

    def look(gpu: Gpu) -> tuple[bool | None, str, str]:
        if not isinstance(gpu.ecc, GpuEcc):
            return (not wanted.on, "it has no ECC", "") if _unsupported(gpu.ecc) else _no_answer(gpu, gpu.ecc)
        found = {True: "ECC is on", False: "ECC is off", None: "it has no ECC"}[gpu.ecc.enabled]
        return bool(gpu.ecc.enabled) is wanted.on, found, ""

    return _each(asked, facts, look)


def _unsupported(missing: Missing) -> bool:
    return missing.kind == "unreadable" and missing.detail == "NVML_ERROR_NOT_SUPPORTED"


def _nvlink(asked: r.Requirement, facts: Facts) -> Judged:
    def look(gpu: Gpu) -> tuple[bool | None, str, str]:
        if not isinstance(gpu.nvlink, NvLink):
            return (False, "it has no NVLink", "") if _unsupported(gpu.nvlink) else _no_answer(gpu, gpu.nvlink)
        if not gpu.nvlink.links:
            return False, "it has no NVLink", ""
        return gpu.nvlink.active > 0, f"{gpu.nvlink.active} of {gpu.nvlink.links} NVLinks are active", ""

    return _each(asked, facts, look)


# --------------------------------------------------------------------------------------------- driver and system


def _driver(asked: r.Requirement, facts: Facts) -> Judged:
    from gpudoctor.views import user_driver

    found = user_driver(facts)
    if not isinstance(found, Missing):
        return _version(asked, f"driver {found.version}", found.version, found.source)
    known = isinstance(facts.nvml, Nvml) and isinstance(facts.kernel_driver, KernelDriver)
    if known and isinstance(facts.nvml, Nvml) and facts.nvml.result != "NVML_SUCCESS":
        why = f"NVML answers {facts.nvml.result}"
        return NotMet(requirement=asked.text, found="no driver answers", why=why, source=facts.nvml.source, absent=True)
    return NotJudged(
        requirement=asked.text, why=f"the driver: {found}", settled_by=("cat /proc/driver/nvidia/version",)
    )


def _cuda(asked: r.Requirement, facts: Facts) -> Judged:
    from gpudoctor.views import driver_cuda

    found = driver_cuda(facts)
    cuda = facts.cuda
    if isinstance(cuda, CudaDriver) and (cuda.result == "not-found" or (cuda.version is None and cuda.code != 0)):
        why = _why_so_many(cuda, facts)
        return NotMet(requirement=asked.text, found="no CUDA driver", why=why, source=cuda.source, absent=True)
    if isinstance(found, Missing):
        return NotJudged(requirement=asked.text, why=f"CUDA: {found}", settled_by=(_XID,))
    return _version(asked, f"the driver's CUDA is {found.version}", found.version, found.source)


def _version(
    asked: r.Requirement, found: str, version: str, source: str, framework: FrameworkName | None = None
) -> Judged:
    wanted = cast(r.Versioned, asked)
    try:
        holds = wanted.holds(version)
    except ValueError:
        return NotJudged(requirement=asked.text, why=f"{found}: {version!r} is no version that can be compared")
    if holds:
        return Met(requirement=asked.text, found=found, source=source)
    why = _before_release(wanted, version)
    return NotMet(requirement=asked.text, found=found, why=why, source=source, framework=framework)


def _before_release(wanted: r.Versioned, version: str) -> str:
    from packaging.version import Version

    parsed = Version(version)
    if parsed.is_prerelease and wanted.holds(parsed.base_version):
        return f"{version} comes before {parsed.base_version}"
    return ""


def _shm(asked: r.Requirement, facts: Facts) -> Judged:
    memory = facts.shared_memory
    if not isinstance(memory, SharedMemory):
        return NotJudged(requirement=asked.text, why=f"/dev/shm: {memory}", settled_by=("df -h /dev/shm",))
    found = f"/dev/shm has {r_size(memory.total)}"
    if cast(r.Amount, asked).holds(memory.total):
        return Met(requirement=asked.text, found=found, source=memory.source)
    return NotMet(requirement=asked.text, found=found, source=memory.source)


# ------------------------------------------------------------------------------------------------- frameworks


def _build(
    asked: r.Requirement, name: FrameworkName, facts: Facts, judge: Callable[[Framework, Build], Judged]
) -> Judged:
    """A requirement on the build of a framework that must be installed."""
    if isinstance(facts.frameworks, Missing):
        return NotJudged(requirement=asked.text, why=f"the environment under test: {facts.frameworks}")
    framework = facts.framework(name)
    if framework is None:
        return NotJudged(requirement=asked.text, why=f"{name_of(name)} was not looked for")
    if not framework.installed:
        found = f"{name_of(name)} is not installed{_where(facts)}"
        return NotMet(requirement=asked.text, found=found, source=framework.source, absent=True, framework=name)
    if isinstance(framework.build, Missing):
        return NotJudged(requirement=asked.text, why=f"the build of {name_of(name)}: {framework.build}")
    return judge(framework, framework.build)


def _where(facts: Facts) -> str:
    return "" if isinstance(facts.interpreter, Missing) else f" in {facts.interpreter.prefix}"


def _framework(name: FrameworkName) -> Callable[[r.Requirement, Facts], Judged]:
    def judge(asked: r.Requirement, facts: Facts) -> Judged:
        def of(_framework: Framework, build: Build) -> Judged:
            version = _release(build)
            return _version(asked, f"{name_of(name)} {build.version}", version, build.source, name)

        return _build(asked, name, facts, of)

    return judge


_NGC = re.compile(r"(\d+(?:\.\d+)*)a0\+[0-9a-f]+(?:\.nv[\d.]*)?", re.IGNORECASE)


def _release(build: Build) -> str:
    """The version to compare: NVIDIA's containers write 2.6.0a0+ecf3bae40a.nv25.01 for what is their 2.6.0."""
    ngc = _NGC.fullmatch(build.version)
    return ngc[1] if ngc and (build.channel == "ngc" or ".nv" in build.version) else build.version


def _torch_cuda(asked: r.Requirement, facts: Facts) -> Judged:
    def of(framework: Framework, build: Build) -> Judged:
        cuda = build.cuda or (framework.imported.cuda if isinstance(framework.imported, Imported) else None)
        if cuda is not None:
            return _version(asked, f"PyTorch {build.version} is built with CUDA {cuda}", cuda, build.source, "torch")
        if build.accelerator in ("unknown", "cuda"):
            return NotJudged(requirement=asked.text, why=f"PyTorch {build.version} does not say its CUDA")
        kind = {"cpu": "CPU", "rocm": "ROCm"}.get(build.accelerator, build.accelerator)
        found = f"PyTorch {build.version} is a {kind} build, without CUDA"
        return NotMet(requirement=asked.text, found=found, source=build.source, absent=True, framework="torch")

    return _build(asked, "torch", facts, of)


def _nccl(asked: r.Requirement, facts: Facts) -> Judged:
    if isinstance(facts.frameworks, Missing):
        return NotJudged(requirement=asked.text, why=f"the environment under test: {facts.frameworks}")
    torch = facts.framework("torch")
    build = torch.build if torch is not None and isinstance(torch.build, Build) else None
    if build is not None and build.nccl:
        return _version(asked, f"PyTorch {build.version} has NCCL {build.nccl}", build.nccl, build.source)
    if isinstance(facts.packages, Missing):
        return NotJudged(requirement=asked.text, why=f"the installed packages: {facts.packages}")
    return _nccl_package(asked, facts.packages, build)


def _nccl_package(asked: r.Requirement, packages: Packages, build: Build | None) -> Judged:
    for name in _NCCL_PACKAGES:
        version = packages.version(name)
        if version is not None:
            return _version(asked, f"{name} {version}", version, packages.source)
    if build is not None and build.accelerator in ("cuda", "unknown"):
        return NotJudged(requirement=asked.text, why=f"PyTorch {build.version} does not say its NCCL")
    return NotMet(requirement=asked.text, found="NCCL is not installed", source=packages.source, absent=True)


# ------------------------------------------------------------------------------------- what was run, what was found


def _smoke(asked: r.Requirement, facts: Facts) -> Judged:
    from gpudoctor.views import wanted

    if isinstance(facts.frameworks, Missing):
        return NotJudged(requirement=asked.text, why=f"the environment under test: {facts.frameworks}")
    due = [one.name for one in facts.installed_frameworks() if wanted(one.name, facts.request)]
    if not due:
        found = f"no framework to train with is installed{_where(facts)}"
        return NotMet(requirement=asked.text, found=found, source=facts.frameworks.source, absent=True)
    trained = ("proved", "ran-on-cpu") if facts.request.allow_cpu else ("proved",)
    failed = [j for j in facts.smokes if j.framework in due and j.result in _REFUTED and j.result not in trained]
    if failed:
        found = "; ".join(f"{name_of(job.framework)} {_REFUTED[job.result]}" for job in failed)
        why = failed[0].error or ""
        name = failed[0].framework
        return NotMet(
            requirement=asked.text, found=found, why=why, source=failed[0].source, absent=True, framework=name
        )
    proved = {job.framework for job in facts.smokes if job.result in trained}
    unproved = [name for name in due if name not in proved]
    if unproved:
        why = f"whether {name_of(unproved[0])} trains was not seen"
        return NotJudged(requirement=asked.text, why=why, settled_by=("gpudoctor diagnose",))
    return Met(requirement=asked.text, found=f"{', '.join(map(name_of, due))} trained", source="smoke jobs")


_REFUTED: dict[str, str] = {
    "ran-on-cpu": "trained on the CPU",
    "failed": "did not train",
    "hung": "hung",
}


def _no_warnings(asked: r.Requirement, facts: Facts) -> Judged:
    """What the rules say of these facts, all other requirements left aside."""
    import msgspec

    from gpudoctor.report import judge

    request = msgspec.structs.replace(facts.request, requirements=())
    report = judge(msgspec.structs.replace(facts, request=request))
    found = ", ".join(dict.fromkeys(f.rule for f in report.findings if f.severity.value != "info"))
    if found:
        return NotMet(requirement=asked.text, found=found, source="rules", absent=True)
    if report.status == "undetermined":
        return NotJudged(requirement=asked.text, why="; ".join(f"{one.what}: {one.why}" for one in report.unknown))
    return Met(requirement=asked.text, found="no warning", source="rules")


_JUDGES: dict[str, Callable[[r.Requirement, Facts], Judged]] = {
    "gpus": _gpus,
    "vram": _vram,
    "free-vram": _free_vram,
    "capability": _capability,
    "gpu": _gpu,
    "driver": _driver,
    "cuda": _cuda,
    "torch": _framework("torch"),
    "torch-cuda": _torch_cuda,
    "tensorflow": _framework("tensorflow"),
    "jax": _framework("jax"),
    "nccl": _nccl,
    "shm": _shm,
    "mig": _mig,
    "ecc": _ecc,
    "nvlink": _nvlink,
    "smoke": _smoke,
    "no-warnings": _no_warnings,
}

_OF_FRAMEWORK: dict[str, FrameworkName] = {
    "torch": "torch",
    "torch-cuda": "torch",
    "tensorflow": "tensorflow",
    "jax": "jax",
}
_OF_ENVIRONMENT = (*_OF_FRAMEWORK, "nccl", "smoke", "no-warnings")


def asks_for_environment(asked: Iterable[r.Requirement]) -> bool:
    """Whether a requirement concerns the Python under test, which costs a second process and a second."""
    return any(one.name in _OF_ENVIRONMENT for one in asked)


def request_for(asked: Iterable[r.Requirement], *, allow_cpu: bool = False) -> Request:
    """The request that these requirements are: the frameworks they name must work here."""
    asked = tuple(asked)
    required = tuple(dict.fromkeys(_OF_FRAMEWORK[one.name] for one in asked if one.name in _OF_FRAMEWORK))
    return Request(
        source="requirements",
        required=required,
        allow_cpu=allow_cpu,
        quick=all(one.name != "smoke" for one in asked),
        requirements=tuple(one.text for one in asked),
    )
