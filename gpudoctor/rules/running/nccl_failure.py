"""NCCL cannot set up the communication between the processes.

## What it means
NCCL carries the gradients between GPUs and machines. It failed before or while it did so: "unhandled system error",
"NCCL error in: ProcessGroupNCCL.cpp", "Bootstrap : no socket interface found".

## Why it happens
NCCL chose a network interface without a route to the others (docker0, a virtual one), or was told one that this
machine has not; a firewall between the nodes; a container without the host's network or without /sys; two processes on
one GPU; nodes with different NCCL versions.

## How to fix
Run once with NCCL_DEBUG=INFO: the line with WARN before the error names the call that failed. Name the interface with
NCCL_SOCKET_IFNAME, give each process its own GPU, open the ports between the nodes.

## How it is detected
By NCCL's own errors and warnings, and by all-reduce, all-gather and broadcast between the GPUs, started by torchrun:
they failed or did not return once the processes had found one another. Where a surer cause is named (no driver,
/dev/shm too small, broken transfers between GPUs), that one explains it.

## Sources
- https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/troubleshooting.html
- https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/env.html
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Collectives, Environment
from gpudoctor.findings import Confidence, Evidence, Found, NotApplicable, Severity, Verdict
from gpudoctor.remedies import Remedy, Run, SetVariable
from gpudoctor.rules._collectives import NO_FAULT, between, evidence, not_failed, without_nccl
from gpudoctor.rules._printed import SILENT, Heard, heard
from gpudoctor.views import Printed

RULE = Rule()

# The call that failed, which NCCL prints with WARN before the framework's error.
_REASONS = {
    r"Bootstrap ?: no socket interface found": "NCCL found no network interface it may use.",
    r"no socket interface found": "NCCL found no network interface it may use.",
    r"socketStartConnect: Connect to \S{1,60} failed": "NCCL could not reach another node.",
    r"Call to connect (?:to \S{1,60} )?(?:returned|failed)": "NCCL could not reach another node.",
    r"Socket creation failed ?: ": "NCCL could not make a socket.",
    r"ncclSocketInit: connecting to address .{0,40} with family \d{1,6} is neither": "NCCL has no address to "
    r"connect to.",
    r"Could not find real path of /sys/class/pci_bus": "NCCL cannot read the PCI topology in /sys.",
    r"Duplicate GPU detected ?:": "Two processes use one GPU.",
    r"Mismatched NCCL version detected|NCCL version mismatch": "The nodes run different NCCL versions.",
    r"NET/IB ?: (?:Got completion|Async event).{0,80}(?:error|failed)": "The InfiniBand transport failed.",
    r"NCCL WARN Call to ibv_\w{1,40} failed": "The InfiniBand transport failed.",
    r"misc/\w{1,20}\.cc:\d{1,5} NCCL WARN (?!Failed to open lib).{1,120}": "NCCL warned before it failed.",
}
_FAILED = (
    r"NCCL error in: ?\S{1,200}",
    r"ProcessGroupNCCL\.cpp:\d{1,5}, unhandled (?:system|cuda) error",
    # NCCL's own sentences for its results, after whatever a program puts in front of them
    r"\bNCCL[ _]?error\b[^\n]{0,60}\b(?:unhandled (?:system|cuda) error|internal error|remote process exited)",
    r"(?:Test )?NCCL failure \S{1,60}",
    r"ncclSystemError: System call",
    r"ncclInternalError: Internal check failed",
    r"ncclUnhandledCudaError: Call to CUDA function failed",
    r"ncclInvalidUsage: ",
    r"ncclRemoteError: ",
    r"DistBackendError: NCCL\b",
    r"NCCL communicator was aborted",
)
_TIMED_OUT = (r"Watchdog caught collective operation timeout",)
_OTHERS = (
    r"/dev/shm|shared memory segment|No space left on device",
    r"out of memory",
    # A kernel's own check failed first; NCCL reports whatever error CUDA is left with.
    r"device-side assert triggered|an illegal memory access was encountered",
    r"driver version is insufficient|no CUDA-capable device|system not yet initialized",
)


@RULE.detector
def nccl_says_so(printed: Printed, environment: Environment | None) -> Verdict:
    """NCCL's own reason, or the framework's error alone."""
    reason = _reason(printed)
    error = heard(printed, *_FAILED) or heard(printed, *_TIMED_OUT)
    if reason is None and error is None:
        return NotApplicable(SILENT)
    if reason is None and (other := heard(printed, *_OTHERS)):
        return NotApplicable(f"the reason is another: {other.text}")
    shown = [found for found in (reason[0] if reason else None, error) if found]
    late = reason is None and heard(printed, *_FAILED) is None
    return Found(
        title=reason[1] if reason else "NCCL failed to communicate between the processes.",
        detail="; ".join(found.text for found in shown),
        evidence=(*(found.evidence for found in shown), *_variables(environment)),
        remedies=_remedies(environment, reason[1] if reason else ""),
        confidence=Confidence.POSSIBLE if late else Confidence.LIKELY,
        settled_by=("NCCL_DEBUG=INFO (in front of the command)",),
    )


_BEFORE_NCCL = ("start", "import", "init")


@RULE.detector
def collectives_fail(
    collectives: Collectives | None, printed: Printed | None, environment: Environment | None
) -> Verdict:
    """The collective job of a smoke run: an error or a hang while NCCL connected the processes or carried data."""
    if collectives is None or collectives.backend != "nccl":
        return without_nccl(collectives)
    if collectives.ended is None or collectives.ended in NO_FAULT:
        return not_failed(collectives)
    if collectives.stage in _BEFORE_NCCL and "nccl" not in (collectives.error or "").lower():
        return NotApplicable(f"the job ended before NCCL began: {collectives.ending}")
    if other := heard(printed, *_OTHERS):
        return NotApplicable(f"the reason is another: {other.text}")
    reason = _reason(printed)
    return Found(
        title=reason[1] if reason else f"NCCL {_what(collectives)} {between(collectives)}.",
        detail="; ".join(text for text in (reason[0].text if reason else "", collectives.error) if text),
        evidence=(*((reason[0].evidence,) if reason else ()), *evidence(collectives), *_variables(environment)),
        remedies=_remedies(environment, reason[1] if reason else ""),
        # One process computes without NCCL; one that lost another is no cause, and may be the only one heard here.
        severity=Severity.WARNING if collectives.processes == 1 else None,
        confidence=Confidence.POSSIBLE if collectives.waited and reason is None else Confidence.LIKELY,
        settled_by=_settled_by(collectives),
    )


def _what(collectives: Collectives) -> str:
    if collectives.waited:
        return f"lost the connection to a process at {collectives.stage}"
    return f"hung at {collectives.stage}" if collectives.ended == "hung" else f"failed at {collectives.stage}"


def _settled_by(collectives: Collectives) -> tuple[str, ...]:
    if collectives.waited and collectives.nodes > 1:
        return ("the report of gpudoctor smoke on the other machines",)
    smoke = "gpudoctor smoke" if collectives.nodes == 1 else "the same gpudoctor smoke"
    direct = (f"NCCL_P2P_DISABLE=1 {smoke}",) if collectives.ended == "hung" and collectives.processes > 1 else ()
    return (*direct, f"NCCL_DEBUG=INFO {smoke}")


def _reason(printed: Printed | None) -> tuple[Heard, str] | None:
    """NCCL's own line, and what it means."""
    return next(((found, why) for pattern, why in _REASONS.items() if (found := heard(printed, pattern))), None)


def _variables(environment: Environment | None) -> tuple[Evidence, ...]:
    if environment is None:
        return ()
    found = {name: value for name, value in environment.variables.items() if name.startswith("NCCL_")}
    return tuple(cite(name, value, environment) for name, value in found.items())


def _remedies(environment: Environment | None, reason: str) -> tuple[Remedy, ...]:
    look = Run(
        title="Let NCCL say which call failed",
        where="environment",
        note="NCCL_DEBUG=INFO in front of the command; the WARN line before the error names it. ip -br addr lists the "
        "interfaces: NCCL_SOCKET_IFNAME must name one that exists on every node and leads to the others. In "
        "a container: "
        "--network=host.",
    )
    named = environment is not None and "NCCL_SOCKET_IFNAME" in environment.variables
    if named and "interface" in reason:
        return (SetVariable(name="NCCL_SOCKET_IFNAME"), look)
    return (look,)
