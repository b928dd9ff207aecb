"""One detector for the rules on GPU code: is there machine code, or PTX, for this GPU in this build?"""

from __future__ import annotations

from gpudoctor.engine import cite
from gpudoctor.facts import Build, Framework, Gpu, GpuCapability, Gpus, Imported
from gpudoctor.findings import Confidence, Found, NotApplicable, NotJudged, Passed, Severity, Verdict
from gpudoctor.matrix import Matrix, Unlisted
from gpudoctor.relations import Capability, CodeTarget, Coverage, CudaVersion, coverage, parse_targets
from gpudoctor.remedies import InstallBuild
from gpudoctor.views import DriverCuda, Proved, capabilities_of
from gpudoctor.words import CUDA_BUILD_ONLY, name_of


def kernels_for_gpu(
    framework: Framework,
    build: Build,
    gpu: Gpu,
    capability: GpuCapability,
    imported: Imported | None,
    driver: DriverCuda | None,
    proved: Proved,
    matrix: Matrix,
) -> Verdict:
    """The build's code targets against the compute capability of one GPU."""
    if build.accelerator not in ("cuda", "unknown"):
        return NotApplicable(CUDA_BUILD_ONLY)
    if not build.targets and not (imported and (imported.targets or imported.devices)):
        return _made_before_the_gpu(framework, build, gpu, capability, driver, matrix)
    # What the imported framework says of itself comes from the very library that will run.
    stated = imported.targets if imported and imported.targets else build.targets
    if build.accelerator != "cuda" or not stated:
        return NotJudged(f"{build.distribution} {build.version} does not say what it was compiled for")
    targets = parse_targets(stated)
    name = f"{name_of(framework)} {build.version}"
    way = coverage(targets, Capability.parse(capability.value))
    if way is Coverage.NATIVE:
        return Passed(f"{name} has machine code for {capability.value}")
    if proved.trains(framework.name, gpu.index):
        return Passed(f"{name} has no machine code for {capability.value}, and its smoke job trained there")
    found = Found(
        title=f"{name} has no kernels for {gpu.name or 'this GPU'} (compute capability {capability.value}).",
        detail=f"It was compiled for {shown(targets)}.",
        evidence=(
            cite("compute capability", capability.value, capability),
            cite("compiled for", shown(targets), build),
        ),
        remedies=(
            InstallBuild(
                framework=framework.name,
                capabilities=(capability.value,),
                driver_cuda=driver.version if driver else None,
            ),
        ),
    )
    if way is Coverage.NONE:
        return found
    own = any(target.ptx and target.capability == Capability.parse(capability.value) for target in targets)
    return _weaker(found, way, name, capability, Severity.INFO if own else Severity.WARNING)


def _made_before_the_gpu(
    framework: Framework, build: Build, gpu: Gpu, capability: GpuCapability, driver: DriverCuda | None, matrix: Matrix
) -> Verdict:
    """A build that does not say for which GPUs: whether its CUDA, or any build of its release, knew this one."""
    name = f"{name_of(framework)} {build.version}"
    silent = NotJudged(f"{build.distribution} {build.version} does not say for which GPUs it was compiled")
    wanted = Capability.parse(capability.value)
    newest = _newest_cuda(framework, build, matrix)
    if newest is None or knows(newest, wanted, matrix) is not False:
        return silent
    return Found(
        title=f"{name} came before {gpu.name or 'this GPU'} (compute capability {capability.value}) and has no kernels "
        "for it.",
        detail=f"Its builds were made with CUDA {newest} at most, which compiles for no GPU of this kind. PTX, where "
        "there is any, takes many minutes at the first start and may fail.",
        evidence=(
            cite("compute capability", capability.value, capability),
            cite(build.distribution, build.version, build),
        ),
        remedies=(
            InstallBuild(
                framework=framework.name,
                capabilities=(capability.value,),
                driver_cuda=driver.version if driver else None,
            ),
        ),
        confidence=Confidence.LIKELY,
    )


def knows(cuda: CudaVersion, capability: Capability, matrix: Matrix) -> bool | None:
    """Whether a toolkit can make machine code that runs on a GPU: for itself, or for a lower minor of its major."""
    siblings = [
        a for a in matrix.architectures if a.cc.major == capability.major and a.cc <= capability and not a.tegra
    ]
    if not siblings:
        return None
    return any(CudaVersion.parse(a.first_toolkit) <= cuda for a in siblings)


def _newest_cuda(framework: Framework, build: Build, matrix: Matrix) -> CudaVersion | None:
    """The CUDA of the build, else the newest of all builds of its release; None for builds that are not public."""
    cudas: list[str | None] = [build.cuda]
    if framework.name == "torch" and build.cuda is None:
        torch = matrix.torch(build.version)
        cudas = [] if isinstance(torch, Unlisted) else [one.cuda for one in torch.builds]
    if framework.name == "tensorflow":
        row = matrix.tensorflow(build.version)
        cudas += [] if isinstance(row, Unlisted) else [row.cuda]
    found = []
    for text in cudas:
        try:
            found.append(CudaVersion.parse(text or ""))
        except ValueError:
            continue
    return max(found, default=None)


def _weaker(found: Found, way: Coverage, name: str, capability: GpuCapability, severity: Severity) -> Found:
    """PTX may do, and code for a sibling of a Tegra GPU may do: only the smoke job can tell.

    PTX for the GPU's own capability is the usual way of TensorFlow's wheels; for an older one it often fails.
    """
    if way is Coverage.JIT:
        title = f"{name} has only PTX for {capability.value}: the driver must compile it, which may work."
    else:
        title = f"{name} was compiled for siblings of {capability.value}, on which NVIDIA does not guarantee it to run."
    return Found(
        title=title,
        detail=found.detail + " The first start can take many minutes.",
        evidence=found.evidence,
        remedies=found.remedies,
        severity=severity,
        confidence=Confidence.LIKELY,
    )


def covers_every_gpu(build: Build, imported: Imported | None, gpus: Gpus) -> bool | None:
    """Whether a build has machine code for all GPUs here; None where that is not known."""
    stated = imported.targets if imported and imported.targets else build.targets
    known = capabilities_of(gpus)
    if not stated or not known or any(not isinstance(gpu.capability, GpuCapability) for gpu in gpus.gpus):
        return None
    targets = parse_targets(stated)
    return all(coverage(targets, Capability.parse(value)) in (Coverage.NATIVE, Coverage.UNCERTAIN) for value in known)


def shown(targets: tuple[CodeTarget, ...]) -> str:
    """Code targets as a reader expects them: ``7.5 8.0 8.6 9.0, PTX 9.0``."""
    native = " ".join(f"{target.capability}{target.scope}" for target in targets if not target.ptx)
    ptx = " ".join(f"{target.capability}{target.scope}" for target in targets if target.ptx)
    return ", ".join(part for part in (native, f"PTX {ptx}" if ptx else "") if part)
