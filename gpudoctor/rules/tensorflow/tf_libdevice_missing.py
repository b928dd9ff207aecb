"""XLA does not find libdevice or ptxas, parts of the CUDA toolkit that it compiles GPU code with.

## What it means
XLA (jit_compile, Keras optimizers from TensorFlow 2.11 on, everything in JAX) compiles kernels at run time. It needs
libdevice.10.bc and ptxas, which the CUDA libraries alone do not bring: "Can't find libdevice directory
${CUDA_DIR}/nvvm/libdevice", "libdevice not found at ./libdevice.10.bc", "Couldn't invoke ptxas --version".

## Why it happens
CUDA's libraries came without its compiler part: conda's cudatoolkit, single library packages, a runtime image; or the
toolkit lies in a folder where XLA does not look.

## How to fix
Install the package with nvvm and ptxas, and, where the toolkit is elsewhere, name its folder in XLA_FLAGS.

## How it is detected
By XLA's own words.

## Sources
- https://www.tensorflow.org/install/pip
- https://github.com/openxla/xla/blob/main/xla/service/gpu/llvm_gpu_backend/utils.cc
- https://github.com/tensorflow/tensorflow/issues/58681
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Build, Frameworks, Interpreter, Message, Toolkits
from gpudoctor.findings import Confidence, Found, Severity, Verdict
from gpudoctor.remedies import InstallPackages, Remedy, Run, SetVariable
from gpudoctor.rules._conda import conda_install
from gpudoctor.rules._texts import first_match

RULE = Rule(frameworks=("tensorflow", "jax"), masks=("cuda-home-missing",))

_CERTAIN = (
    r"Can't find libdevice directory",
    r"libdevice not found at \S{1,120}",
    r"libdevice is required by this HLO module",
    r"Failed to find libdevice",
    r"INTERNAL: (?:generated|ptxas) .{0,60}libdevice",
)
# XLA goes on with the driver's own compiler where ptxas alone is missing.
_LIKELY = (
    r"Couldn't invoke ptxas",
    r"Couldn't get ptxas version",
    r"Can't find ptxas binary",
    r"ptxas not found|No PTX compilation provider is available",
    r"Failed to (?:find|locate) ptxas",
)


@RULE.detector
def xla_says_so(
    message: Message, frameworks: Frameworks | None, toolkits: Toolkits | None, interpreter: Interpreter | None
) -> Verdict:
    """XLA looked for libdevice or ptxas in vain. Which framework's XLA, a message does not always tell."""
    certain = first_match(_CERTAIN, message.text)
    text = certain or first_match(_LIKELY, message.text)
    if text is None:
        return None
    return Found(
        title="XLA does not find libdevice and ptxas of the CUDA toolkit."
        if certain
        else "XLA does not find ptxas of the CUDA toolkit.",
        detail=text,
        evidence=(cite("message", text, message),),
        remedies=_remedies(_cuda(message, frameworks), toolkits, interpreter),
        severity=Severity.ERROR if certain else Severity.WARNING,
        confidence=Confidence.CERTAIN if certain else Confidence.LIKELY,
    )


def _cuda(message: Message, frameworks: Frameworks | None) -> str | None:
    """The major version of CUDA that is meant, None where it is not known, or where two builds may be meant."""
    names = (message.framework,) if message.framework else RULE.frameworks
    builds = [one.build for one in frameworks.frameworks if one.name in names] if frameworks else []
    majors = {build.cuda.split(".")[0] for build in builds if isinstance(build, Build) and build.cuda}
    return majors.pop() if len(majors) == 1 else None


def _remedies(cuda: str | None, toolkits: Toolkits | None, interpreter: Interpreter | None) -> tuple[Remedy, ...]:
    here = next((t for t in (toolkits.toolkits if toolkits else ()) if t.path.startswith("/") and t.nvcc), None)
    flags: tuple[Remedy, ...] = ()
    if here:
        flags = (SetVariable(name="XLA_FLAGS", value=f"--xla_gpu_cuda_data_dir={here.path}"),)
    if interpreter and interpreter.environment == "conda":
        return (
            Run(
                title="Install conda's package with ptxas and libdevice",
                argvs=(conda_install(interpreter, "cuda-nvcc"),),
                where="environment",
                note="Then: export XLA_FLAGS=--xla_gpu_cuda_data_dir=$CONDA_PREFIX",
            ),
            *flags,
        )
    if cuda == "12":
        wheel = InstallPackages(requirements=("nvidia-cuda-nvcc-cu12",), title="Install ptxas and libdevice beside it")
        return (wheel, *flags)
    return flags or (_BY_HAND,)


_BY_HAND = Run(
    title="Install the CUDA toolkit of this build, or its nvcc part",
    where="machine",
    note="Then name its folder: XLA_FLAGS=--xla_gpu_cuda_data_dir=/usr/local/cuda. The folder must hold "
    "nvvm/libdevice/libdevice.10.bc and bin/ptxas.",
)
