"""Multi-node NVLink is not ready: its IMEX service or channel is missing.

## What it means
In racks whose nodes share one NVLink domain (GB200 NVL72 and its like), processes exchange memory through IMEX: a
service on every node and a channel device that the user may open. Without them, jobs over several nodes fail or fall
back to the network; jobs on one node work.

## Why it happens
nvidia-imex is not started or its list of nodes is wrong; /dev/nvidia-caps-imex-channels has no channel; a container
or a pod was not given one.

## How to fix
Start nvidia-imex with the same /etc/nvidia-imex/nodes_config.cfg on every node, and give the job a channel.

## How it is detected
A GPU of a multi-node NVLink machine whose nvidia-imex does not run, or a program's refusal of fabric handles.

## Sources
- https://docs.nvidia.com/multi-node-nvlink-systems/imex-guide/
- https://docs.nvidia.com/cuda/cuda-driver-api/group__CUDA__VA.html
"""

from __future__ import annotations

import re

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Gpus, Services
from gpudoctor.findings import Confidence, Found, NotApplicable, Passed, Severity, Verdict
from gpudoctor.remedies import Run
from gpudoctor.rules._printed import SILENT, heard
from gpudoctor.views import Printed

RULE = Rule(masks=("nccl-failure",))

_RACK = re.compile(r"\bGB[23]00\b|\bVR[23]00\b", re.IGNORECASE)
_CURE = Run(
    title="Start IMEX on every node and give the job a channel",
    argvs=(("sudo", "systemctl", "enable", "--now", "nvidia-imex"), ("nvidia-imex-ctl", "-N")),
    note="All nodes need the same /etc/nvidia-imex/nodes_config.cfg. A channel: sudo nvidia-modprobe -s -i 0:1, which "
    "makes /dev/nvidia-caps-imex-channels/channel0; a container must be given it too.",
)


@RULE.detector
def service_in_a_rack(services: Services, gpus: Gpus) -> Verdict:
    """nvidia-imex on a machine that is part of a multi-node NVLink domain."""
    rack = next((gpu for gpu in gpus.gpus if gpu.name and _RACK.search(gpu.name)), None)
    if rack is None:
        return NotApplicable("no GPU of a multi-node NVLink machine")
    service = next((one for one in services.services if one.name.startswith("nvidia-imex")), None)
    if service is None or service.state in ("active", "unknown"):
        return Passed("nvidia-imex runs, or cannot be seen from here")
    return Found(
        title=f"The service nvidia-imex is {service.state}: jobs over several nodes cannot use NVLink.",
        detail="Jobs on this node alone are not concerned.",
        evidence=(cite("nvidia-imex", service.state, services), cite("GPU", rack.name, gpus)),
        remedies=(_CURE,),
        severity=Severity.WARNING,
        confidence=Confidence.LIKELY,
    )


_TEXTS = (
    r"\bIMEX (?:channel|daemon|service|domain)s?\b[^\n]{0,60}\b(?:not|no|missing|fail\w{0,4}|unavailable|down|error)\b",
    (
        r"\b(?:no|missing|without)\b[^\n]{0,20}\bIMEX (?:channel|daemon|service|domain)s?"
        r"(?: (?:is |are |was |were )?(?:found|available|running|configured|set|present)\b|\W{0,3}$)"
    ),
    r"\bcuMem(?:Create|ExportToShareableHandle|ImportFromShareableHandle)\b[^\n]{0,120}(?:NOT_PERMITTED|not permitted)",
    r"CUDA_ERROR_NOT_PERMITTED[^\n]{0,60}\bcuMem(?:Create|ExportToShareableHandle|ImportFromShareableHandle)\b",
    r"/dev/nvidia-caps-imex-channels[^\n]{0,40}(?:No such file|not found|does not exist|Permission denied)",
)


@RULE.detector
def a_program_says_so(printed: Printed, gpus: Gpus | None) -> Verdict:
    """A program was refused a fabric handle."""
    hit = heard(printed, *_TEXTS)
    if hit is None:
        return NotApplicable(SILENT)
    names = [gpu.name for gpu in (gpus.gpus if gpus else ()) if gpu.name]
    if names and all(re.search(r"GeForce|RTX|GTX|Quadro|Tesla|TITAN", name) for name in names):
        return NotApplicable("these GPUs have no multi-node NVLink")
    return Found(
        title="Multi-node NVLink is not ready: IMEX gives no channel.",
        detail=hit.text,
        evidence=(hit.evidence,),
        remedies=(_CURE,),
        confidence=Confidence.LIKELY,
    )
