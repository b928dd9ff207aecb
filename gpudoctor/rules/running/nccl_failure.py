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
By NCCL's own errors and warnings. Where a surer cause is named (no driver, /dev/shm too small, broken transfers
between GPUs), that one explains it.

## Sources
- https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/troubleshooting.html
- https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/env.html
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Environment
from gpudoctor.findings import Confidence, Evidence, Found, NotApplicable, Verdict
from gpudoctor.remedies import Remedy, Run, SetVariable
from gpudoctor.rules._printed import SILENT, heard
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
    reason = next(((found, why) for pattern, why in _REASONS.items() if (found := heard(printed, pattern))), None)
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
