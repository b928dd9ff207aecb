"""The batch scheduler gave this job no GPU.

## What it means
On a cluster a job sees only what it asked for. This one has no GPU among its resources, so the GPUs of the node, if
it has any, are hidden from it.

## Why it happens
The job was submitted without a request for GPUs, in a partition without GPUs, or it runs on a login node.

## How to fix
Ask for a GPU when submitting.

## How it is detected
The scheduler's variables name a job and no GPU, and CUDA finds none; or CUDA_VISIBLE_DEVICES is NoDevFiles, which Slurm
sets for a job without GPUs.

## Sources
- https://slurm.schedmd.com/gres.html
- https://slurm.schedmd.com/sbatch.html
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import CudaDriver, Environment, Gpus, Scheduler
from gpudoctor.findings import Confidence, Found, NotApplicable, Passed, Verdict
from gpudoctor.remedies import Run
from gpudoctor.rules._printed import SILENT, heard, works
from gpudoctor.views import Printed

RULE = Rule(
    masks=(
        "no-nvidia-gpu",
        "cuda-visible-devices",
        "device-nodes-missing",
        "driver-not-installed",
        "driver-not-loaded",
        "container-no-gpu-access",
        "container-devices-revoked",
        "driver-broken-state",
        "torch-cpu-build",
        "tf-cpu-build",
        "jax-cpu-build",
        "tf-cuda-libs-missing",
        "smoke-ran-on-cpu",
    ),
    without_gpu="absent",
)

_WAYS = {
    "slurm": "srun --gres=gpu:1 … or #SBATCH --gres=gpu:1 (or --gpus=1)",
    "pbs": "qsub -l select=1:ngpus=1 …",
    "lsf": 'bsub -gpu "num=1" …',
    "sge": "qsub -l gpu=1 …",
}


def _ask(name: str) -> Run:
    return Run(
        title="Ask the scheduler for a GPU",
        where="host",
        note=f"{_WAYS[name]}; some clusters also want a partition with GPUs (sinfo shows them).",
    )


@RULE.detector
def job_without_a_gpu(scheduler: Scheduler, cuda: CudaDriver, gpus: Gpus | None) -> Verdict:
    """A job whose scheduler names no GPU, and CUDA that finds none."""
    if scheduler.name is None:
        return NotApplicable("not in a batch job")
    if scheduler.gpus is not None:
        return Passed(f"GPUs of the job: {scheduler.gpus}")
    if cuda.count or (gpus and gpus.gpus):
        return Passed("a GPU is visible")
    return Found(
        title=f"The {scheduler.name} job {scheduler.job or ''} was given no GPU.".replace("  ", " "),
        evidence=(cite("job", scheduler.job or scheduler.name, scheduler), cite("cuInit", cuda.result, cuda)),
        remedies=(_ask(scheduler.name),),
        confidence=Confidence.LIKELY,
    )


_SLURM = r"\b(?:SLURM_JOB_?ID|srun|sbatch|salloc|slurmstepd)\b"


@RULE.detector
def slurm_hid_them(environment: Environment, scheduler: Scheduler | None, printed: Printed | None) -> Verdict:
    """Slurm writes NoDevFiles into CUDA_VISIBLE_DEVICES of a job without GPUs."""
    value = environment.variables.get("CUDA_VISIBLE_DEVICES")
    if value is None or value.strip().lower() != "nodevfiles":
        return NotApplicable("CUDA_VISIBLE_DEVICES is not NoDevFiles")
    if not (scheduler and scheduler.name) and heard(printed, _SLURM) is None:
        return NotApplicable("no batch job is known")
    return Found(
        title="Slurm gave this job no GPU: CUDA_VISIBLE_DEVICES is NoDevFiles.",
        evidence=(cite("CUDA_VISIBLE_DEVICES", value, environment),),
        remedies=(_ask("slurm"),),
    )


_PENDING = r"\b\d{1,5} Insufficient nvidia\.com/[\w.-]{1,40}"


@RULE.detector
def kubernetes_has_none_left(printed: Printed, cuda: CudaDriver | None) -> Verdict:
    """No node has as many GPUs free as the pod asks for."""
    hit = heard(printed, _PENDING)
    if hit is None or works(cuda):
        return NotApplicable(SILENT)
    return Found(
        title="Kubernetes has no node with as many free GPUs as the pod asks for.",
        detail=hit.text,
        evidence=(hit.evidence,),
        remedies=(
            Run(
                title="Compare what the nodes offer with what pods ask for",
                where="host",
                argvs=(("kubectl", "describe", "nodes"),),
                note="Limits count for each container of a pod. A node that offers none has no working device plugin.",
            ),
        ),
        confidence=Confidence.LIKELY,
    )


_NO_GPU = (
    r"no CUDA-capable device is detected",
    r"No devices were found",
    r"No CUDA GPUs are available",
    r"couldn't communicate with the NVIDIA driver",
    r"torch\.cuda\.is_available\(\)[^\n]{0,20}False",
)
_ASKED = r"--gres[= ]\S{0,10}gpu|--gpus(?:-per-\w{4,6})?[= ]|SLURM_(?:JOB|STEP)_GPUS=\S|SLURM_GPUS"


@RULE.detector
def a_job_that_asks_for_none(
    printed: Printed, scheduler: Scheduler | None, cuda: CudaDriver | None, environment: Environment | None
) -> Verdict:
    """A Slurm command, or Slurm's variables, without any request for GPUs, and no device."""
    variables = environment.variables if environment else {}
    job = next((name for name in variables if name.startswith("SLURM_JOB")), None)
    slurm, hit = heard(printed, _SLURM), heard(printed, *_NO_GPU)
    if (slurm is None and job is None) or hit is None or works(cuda):
        return NotApplicable(SILENT)
    if (scheduler and scheduler.gpus) or any("GPU" in name for name in variables):
        return NotApplicable("the job's variables name GPUs")
    if heard(printed, _ASKED):
        return NotApplicable("the job asked for GPUs")
    told = slurm.evidence if slurm else cite(job or "", variables.get(job or "", ""), environment or printed)
    return Found(
        title="The Slurm job asks for no GPU, and finds none.",
        detail=hit.text,
        evidence=(told, hit.evidence),
        remedies=(_ask("slurm"),),
        confidence=Confidence.LIKELY,
    )
