"""The container's shared memory (/dev/shm) is too small.

## What it means
DataLoader workers pass batches through /dev/shm, and NCCL joins the GPUs of one machine by it. Containers have 64 MiB
unless told otherwise. When it is full, workers die of a bus error and NCCL fails with "no space left on device".

## Why it happens
`docker run` without --shm-size or --ipc=host; a pod without a memory volume on /dev/shm; a compose file without
shm_size.

## How to fix
Start the container with more shared memory.

## How it is detected
/dev/shm of 64 MiB or less in a container (a remark), and messages of PyTorch, of multiprocessing or NCCL that it is
full.

## Sources
- https://docs.pytorch.org/docs/stable/multiprocessing.html
- https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/troubleshooting.html
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Container, ContainerStart, SharedMemory
from gpudoctor.findings import Confidence, Found, NotApplicable, Passed, Severity, Verdict
from gpudoctor.remedies import Run
from gpudoctor.rules._printed import SILENT, Heard, heard
from gpudoctor.views import Printed

RULE = Rule(without_gpu="none", masks=("nccl-failure", "smoke-hang"))

_DEFAULT = 64 << 20


def _cure(container: Container | None) -> Run:
    if container is None or container.orchestrator == "kubernetes":
        note = "Pod: an emptyDir volume with medium: Memory, mounted on /dev/shm."
    else:
        note = ""
    return Run(
        title="Start the container with more shared memory: --shm-size=8g, or --ipc=host",
        where="host",
        note=f"{note} Compose: shm_size: 8gb. Or use fewer DataLoader workers.".strip(),
        verify=("df", "-h", "/dev/shm"),
    )


@RULE.detector
def size_in_a_container(container: Container, memory: SharedMemory, printed: Printed | None) -> Verdict:
    """64 MiB are the default of container engines; enough until workers or several GPUs are used."""
    if container.engine is None:
        return NotApplicable("not in a container")
    if memory.total > _DEFAULT:
        return Passed(f"{memory.total >> 20} MiB")
    full = _full(printed)
    return Found(
        title=f"The container's shared memory is {memory.total >> 20} MiB, too little for DataLoader workers and NCCL.",
        evidence=(cite("/dev/shm", f"{memory.total >> 20} MiB", memory), *((full.evidence,) if full else ())),
        remedies=(_cure(container),),
        severity=None if full else Severity.INFO,
    )


_FULL = (
    r"insufficient shared memory \(shm\)",
    r"DataLoader worker \(pid(?:\(s\))? [\d, ]{1,60}\) is killed by signal: Bus error",
    r"unable to (?:write to file|open shared memory object|mmap|allocate shared memory)[^\n]{0,60}(?:torch_|shm)",
    r"\bNCCL\b[^\n]{0,200}No space left on device",
    r"(?:failed to extend|Error while (?:creating|attaching to) shared memory segment)[^\n]{0,60}nccl-",
    r"/dev/shm\b[^\n]{0,80}No space left on device|No space left on device[^\n]{0,40}/dev/shm",
    r"\bBus error\b[^\n]{0,60}\bshared memory\b|\bshared memory\b[^\n]{0,60}\bBus error\b",
)
_UNHANDLED = r"\bNCCL\b[^\n]{0,60}unhandled system error|unhandled system error[^\n]{0,60}\bNCCL\b"
_SMALL = r"\bshm[-_ ]?size\W{1,4}(?:default|64 ?M)"


def _full(printed: Printed | None) -> Heard | None:
    return heard(printed, *_FULL)


@RULE.detector
def a_program_says_so(
    printed: Printed, memory: SharedMemory | None, container: Container | None, start: ContainerStart | None
) -> Verdict:
    """PyTorch or NCCL say that shared memory is full."""
    hit = _full(printed)
    if memory is not None and memory.total <= _DEFAULT and container and container.engine:
        return NotApplicable("told by the size of /dev/shm")
    if hit is not None and memory is not None and memory.total > 8 << 30:
        return NotApplicable("there is plenty of shared memory")
    if hit is None:
        small = heard(printed, _SMALL) if not (start and start.shm) else None
        hit = heard(printed, _UNHANDLED) if small else None
    if hit is None:
        return NotApplicable(SILENT)
    return Found(
        title="The shared memory (/dev/shm) is full: it is too small.",
        detail=hit.text,
        evidence=(hit.evidence,),
        remedies=(_cure(container),),
        confidence=Confidence.LIKELY,
    )
