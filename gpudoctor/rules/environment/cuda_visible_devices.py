"""CUDA_VISIBLE_DEVICES hides the GPUs from CUDA.

## What it means
CUDA programs see only the GPUs that this variable names, in that order, up to the first entry that is not valid.
Empty, -1 or a stale identifier hides them all; NVML and nvidia-smi ignore the variable and still show every GPU.

## Why it happens
A line in a shell profile, a notebook or a launcher; a batch system that sets it for a job without GPUs; a UUID
copied from another machine; an index that counts from 1.

## How to fix
Unset the variable, or name GPUs that exist.

## How it is detected
The variable's entries, read as CUDA reads them, against the GPUs and MIG instances that NVML lists. In a text that does
not list them: a value that can name no GPU, or one that may not exist, beside CUDA's word that there is none.

## Sources
- https://docs.nvidia.com/cuda/cuda-c-programming-guide/#env-vars
- https://docs.nvidia.com/datacenter/tesla/mig-user-guide/
"""

from __future__ import annotations

import re

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import CudaDriver, Environment, Gpu, Gpus, MigInstances
from gpudoctor.findings import Confidence, Evidence, Found, NotApplicable, NotJudged, Passed, Severity, Verdict
from gpudoctor.remedies import SetVariable
from gpudoctor.rules._printed import heard, works
from gpudoctor.views import Printed

RULE = Rule(masks=("smoke-ran-on-cpu", "tf-cuda-libs-missing"), without_gpu="absent")

VARIABLE = "CUDA_VISIBLE_DEVICES"
_IN_USE = r"Found device \d{1,2} with properties|Created (?:TensorFlow )?device \(?/\S{0,80}device:GPU:\d"


@RULE.detector
def entries_against_gpus(
    environment: Environment, gpus: Gpus, cuda: CudaDriver | None, printed: Printed | None
) -> Verdict:
    """Read the variable as CUDA does: entries count up to the first invalid one."""
    value = environment.variables.get(VARIABLE)
    if value is None:
        return NotApplicable(f"{VARIABLE} is not set")
    if not gpus.gpus:
        return NotApplicable("no GPU to hide")
    if heard(printed, _IN_USE):
        return NotApplicable("a framework lists GPUs under this value, counted anew from 0")
    seen = cuda.count if cuda and cuda.count else len(visible(value, gpus.gpus))
    entries = [entry.strip() for entry in value.split(",")] if value.strip() else []
    if unknown := next((entry for entry in entries[seen:] if _may_name_one(entry, gpus.gpus)), None):
        return NotJudged(f"whether {unknown} exists here: not every GPU's UUID and MIG instances are known")
    if seen and seen >= len(entries):
        return Passed(f"{VARIABLE}={value} shows {seen} of {len(gpus.gpus)} GPUs")
    evidence: tuple[Evidence, ...] = (
        cite(VARIABLE, repr(value), environment),
        cite("GPUs", ", ".join(f"{gpu.index}: {gpu.name}" for gpu in gpus.gpus), gpus),
    )
    fix = (SetVariable(name=VARIABLE),)
    if seen:
        bad = entries[seen] if seen < len(entries) else entries[-1]
        return Found(
            title=f"{VARIABLE}={value} shows CUDA {seen} of {len(entries)} GPUs named in it: {bad!r} is not one.",
            evidence=evidence,
            remedies=fix,
            severity=Severity.WARNING,
        )
    return Found(
        title=f"{VARIABLE}={value!r} hides every GPU from CUDA.",
        detail=_why(value, gpus.gpus),
        evidence=evidence,
        remedies=fix,
    )


def visible(value: str, gpus: tuple[Gpu, ...]) -> tuple[str, ...]:
    """The entries that CUDA honours: up to the first that names no GPU, or names one twice (then none at all)."""
    names = _names(gpus)
    honoured: list[str] = []
    for entry in (part.strip() for part in value.split(",")):
        if not _names_one(entry, names, len(gpus)):
            break
        honoured.append(entry)
    return () if len(set(honoured)) < len(honoured) else tuple(honoured)


def _names(gpus: tuple[Gpu, ...]) -> tuple[str, ...]:
    whole = tuple(gpu.uuid for gpu in gpus if gpu.uuid)
    instances = tuple(
        instance.uuid for gpu in gpus if isinstance(gpu.mig, MigInstances) for instance in gpu.mig.instances
    )
    return whole + instances


def _names_one(entry: str, names: tuple[str, ...], count: int) -> bool:
    if re.fullmatch(r"\+?\d{1,4}", entry):
        return int(entry) < count
    if not entry.startswith(("GPU-", "MIG-")):
        return False
    # A prefix that is long enough to name one GPU is as good as its whole UUID.
    return sum(name.lower().startswith(entry.lower()) for name in names) == 1


def _may_name_one(entry: str, gpus: tuple[Gpu, ...]) -> bool:
    """Whether a UUID may be that of a GPU or an instance that what is known does not list."""
    if entry.startswith("GPU-"):
        return any(gpu.uuid is None for gpu in gpus)
    return entry.startswith("MIG-") and any(not isinstance(gpu.mig, MigInstances) for gpu in gpus)


def _why(value: str, gpus: tuple[Gpu, ...]) -> str:
    if not value.strip():
        return "An empty value means no GPU; an unset one means all."
    first = value.split(",")[0].strip()
    if re.fullmatch(r"-\d+", first) or first.lower() in ("none", "nodevfiles", "void"):
        return f"{first} names no GPU, which hides them all."
    if first.startswith(("GPU-", "MIG-")):
        return f"No GPU or MIG instance here has the UUID {first}."
    if first.isdecimal() and int(first) >= len(gpus):
        return f"GPUs count from 0 here to {len(gpus) - 1}; {first} does not exist."
    return f"{value!r} does not name GPUs that exist, each once."


_NO_GPU = (
    r"No CUDA GPUs are available",
    r"no CUDA-capable device is detected",
    r"device_count\(\)[^\n]{0,8}\b0\b",
    r"CUDA_ERROR_NO_DEVICE|cudaErrorNoDevice|CUDA_ERROR_INVALID_DEVICE|invalid device ordinal",
    r"is_available\(\)[^\n]{0,20}False",
    r"invalid literal for int\(\) with base 10: ['\"](?!MIG-)",
)
# A number, or the beginning of a UUID, in each entry: what can name a GPU at all.
_NAMES = re.compile(r"\+?\d{1,4}|(?:GPU|MIG)-[0-9a-fA-F][\w/-]{0,80}")


@RULE.detector
def value_where_gpus_are_not_listed(
    environment: Environment, printed: Printed | None, gpus: Gpus | None, cuda: CudaDriver | None
) -> Verdict:
    """A value that names no GPU, or perhaps none that exists, and CUDA that finds none."""
    value = environment.variables.get(VARIABLE)
    if value is None or (gpus and gpus.gpus) or works(cuda):
        return NotApplicable(f"{VARIABLE} is not set, the GPUs are listed, or CUDA works")
    plain = re.sub(r"\s{0,4}\(.{0,80}$", "", value).strip()
    first = plain.split(",")[0].strip()
    impossible = not _NAMES.fullmatch(first)
    hit = heard(printed, *_NO_GPU)
    none = hit is not None or (cuda is not None and cuda.code == 100)
    if not impossible and (not none or first.lstrip("+0") == ""):
        return NotApplicable("the value may name a GPU")
    return Found(
        title=f"{VARIABLE}={plain!r} hides every GPU from CUDA."
        if impossible
        else f"{VARIABLE}={plain!r} names no GPU that CUDA finds.",
        detail=_why_impossible(first) if impossible else "Numbers count from 0 over the GPUs that exist here.",
        evidence=(cite(VARIABLE, repr(value), environment), *((hit.evidence,) if hit else ())),
        remedies=(SetVariable(name=VARIABLE),),
        severity=None if none else Severity.WARNING,
        confidence=Confidence.CERTAIN if impossible else Confidence.LIKELY,
    )


def _why_impossible(first: str) -> str:
    if not first:
        return "An empty value means no GPU; an unset one means all."
    if first.lower() == "all":
        return "all is a value of NVIDIA_VISIBLE_DEVICES, which container runtimes read; CUDA does not know it."
    return f"{first} is neither a number nor the UUID of a GPU."
