"""Will this wheel run on that node? The relations of one build, one GPU and one driver, with the reason."""

from __future__ import annotations

from typing import Literal

from packaging.version import Version

from gpudoctor.matrix.questions import Matrix
from gpudoctor.matrix.records import (
    DriverBranch,
    GpuModel,
    JaxRelease,
    Record,
    Row,
    Unlisted,
    WheelPlatform,
)
from gpudoctor.relations import (
    Capability,
    CodeTarget,
    Coverage,
    CudaVersion,
    DriverFit,
    Platform,
    coverage,
    cuda_fits,
    driver_version,
    ptx_fits,
)


class Verdict(Record, frozen=True, kw_only=True):
    """The answer. ``certain`` is False where it rests on an unverified row; ``instead`` is what would fit."""

    answer: Literal["yes", "no", "not-judged"]
    reason: str
    certain: bool = True
    instead: str = ""
    source: tuple[str, ...] = ()


class Node(Record, frozen=True, kw_only=True):
    """A machine as far as the question needs it."""

    driver: str
    branch: DriverBranch
    gpu: GpuModel
    platform: WheelPlatform

    @property
    def system(self) -> Platform:
        """The platform in which driver numbers count."""
        return "windows" if self.platform.startswith("win") else "linux"


def node(matrix: Matrix, driver: str, gpu: str, platform: WheelPlatform) -> Node | Unlisted:
    """Look up driver and GPU. A GPU may be given as a compute capability."""
    branch = matrix.driver_branch(driver.upper().removeprefix("R"), "windows" if "win" in platform else "linux")
    if isinstance(branch, Unlisted):
        return branch
    model = _gpu(matrix, gpu)
    if isinstance(model, Unlisted):
        return model
    return Node(driver=driver, branch=branch, gpu=model, platform=platform)


def _gpu(matrix: Matrix, gpu: str) -> GpuModel | Unlisted:
    try:
        capability = Capability.parse(gpu)
    except ValueError:
        return matrix.gpu(gpu)
    architecture = matrix.architecture(capability)
    if isinstance(architecture, Unlisted):
        return architecture
    return GpuModel(
        name=f"a GPU of capability {gpu}",
        capability=gpu,
        kind="datacenter",
        source=architecture.source,
        checked=architecture.checked,
    )


def will_it_run(matrix: Matrix, at: Node, package: str, version: str) -> Verdict | Unlisted:
    """Whether the package's own wheel for that platform uses that GPU with that driver."""
    supported = matrix.branch_supports(at.branch, at.gpu.cc)
    if isinstance(supported, Unlisted):
        return supported
    if not supported:
        return _driver_and_gpu(matrix, at)
    if package in ("torch", "pytorch"):
        build = matrix.torch_build(version, at.platform)
        if isinstance(build, Unlisted):
            return build
        what = f"torch {build.release} ({build.variant}, {build.platform})"
        verdict = _build(matrix, at, what, build.cuda, build.targets, build)
        return verdict if verdict.answer == "yes" else _with_torch_instead(matrix, at, verdict)
    if package in ("tensorflow", "tensorflow-gpu"):
        return _tensorflow(matrix, at, package, version)
    if package == "jax":
        release = matrix.jax(version)
        return release if isinstance(release, Unlisted) else _jax(at, release)
    close = ("torch", "tensorflow", "jax")
    return Unlisted(kind="package to check", asked=package, close=close)


def _driver_and_gpu(matrix: Matrix, at: Node) -> Verdict:
    newest = matrix.newest_driver_branch_for(at.gpu.cc)
    architecture = matrix.architecture(at.gpu.cc)
    instead = "" if isinstance(newest, Unlisted) else f"a driver of branch {newest.branch}"
    if isinstance(architecture, Unlisted) or architecture.last_branch is None:
        reason = f"{at.gpu.name} (capability {at.gpu.capability}) is newer than driver branch {at.branch.branch}"
    else:
        reason = (
            f"driver branch {at.branch.branch} no longer supports {at.gpu.name} (capability {at.gpu.capability}); "
            f"the last that does is {architecture.last_branch}"
        )
    return Verdict(answer="no", reason=reason, instead=instead, certain=at.gpu.verified, source=at.branch.source)


def _build(
    matrix: Matrix,
    at: Node,
    what: str,
    cuda: str | None,
    targets: tuple[CodeTarget, ...] | None,
    row: Row,
) -> Verdict:
    """The two relations of one build: driver × CUDA, then code × GPU."""
    certain = row.verified and at.gpu.verified and at.branch.verified
    if cuda is None:
        return Verdict(answer="no", reason=f"{what} is a CPU build", certain=certain, source=row.source)
    build_cuda = CudaVersion.parse(cuda)
    too_old = _driver_problem(matrix, at, what, build_cuda)
    if too_old:
        return Verdict(answer="no", reason=too_old, certain=certain, source=row.source)
    if targets is None:
        reason = f"what GPU code {what} holds is not known"
        return Verdict(answer="not-judged", reason=reason, source=row.source)
    answer, reason = _code(at, what, build_cuda, targets)
    return Verdict(answer=answer, reason=reason, certain=certain, source=row.source)


def _driver_problem(matrix: Matrix, at: Node, what: str, build: CudaVersion) -> str | None:
    fit = cuda_fits(at.branch.cuda, build)
    shown = f"driver {at.driver} ({at.branch.branch}) knows CUDA up to {at.branch.cuda}"
    if fit is DriverFit.TOO_OLD:
        return f"{shown}, and {what} is built with CUDA {build}"
    if fit is DriverFit.MINOR_VERSION_COMPATIBILITY and "." in at.driver:
        floor = matrix.minor_version_floor(build.major, at.system)
        if not isinstance(floor, Unlisted) and driver_version(at.driver) < Version(floor.on(at.system)):
            return f"builds of CUDA {build.major}.x need driver {floor.on(at.system)} at least, and this is {at.driver}"
    return None


def _code(
    at: Node, what: str, build: CudaVersion, targets: tuple[CodeTarget, ...]
) -> tuple[Literal["yes", "no", "not-judged"], str]:
    way = coverage(targets, at.gpu.cc)
    held = ", ".join(map(str, targets))
    gpu = f"{at.gpu.name} (capability {at.gpu.capability})"
    if way is Coverage.NATIVE:
        return "yes", f"{what} has machine code for {gpu}, and driver {at.driver} runs CUDA {build}"
    if way is Coverage.UNCERTAIN:
        return "not-judged", f"{what} holds {held}, which NVIDIA does not promise to run on {gpu}"
    if way is Coverage.NONE:
        return "no", f"{what} has no code for {gpu}: it holds {held}"
    if ptx_fits(at.branch.cuda, build):
        return "yes", f"{what} has only PTX for {gpu}: the driver compiles it at first use, which takes minutes"
    return "no", f"{what} has only PTX for {gpu}, and driver {at.driver} cannot compile PTX of CUDA {build}"


def _with_torch_instead(matrix: Matrix, at: Node, verdict: Verdict) -> Verdict:
    best = matrix.newest_torch(platform=at.platform, capability=at.gpu.cc, driver_cuda=at.branch.cuda)
    instead = "" if isinstance(best, Unlisted) else f"pip install {' '.join(best.pip_arguments())}"
    return Verdict(
        answer=verdict.answer,
        reason=verdict.reason,
        certain=verdict.certain,
        source=verdict.source,
        instead=instead,
    )


def _tensorflow(matrix: Matrix, at: Node, package: str, version: str) -> Verdict | Unlisted:
    release = matrix.tensorflow(version)
    if isinstance(release, Unlisted):
        return release
    build = release.build(at.platform, package)
    if build is None:
        return Verdict(answer="no", reason=f"{package} {release.release} has no wheel for {at.platform}")
    what = f"{package} {release.release} ({at.platform})"
    if build.cuda_build is None and build.delegates_to is None:
        return Verdict(answer="not-judged", reason=f"{what} does not say how it was built", source=build.source)
    tested = release.windows_cuda if at.system == "windows" else release.cuda
    cuda = (build.cuda or tested) if build.cuda_build else None
    return _build(matrix, at, what, cuda, build.code_targets, build)


def _jax(at: Node, release: JaxRelease) -> Verdict:
    what = f"jax {release.release}"
    if not at.platform.startswith("linux"):
        return Verdict(answer="no", reason=f"{what} has no CUDA build for {at.platform}", source=release.source)
    if not release.plugins:
        return Verdict(answer="not-judged", reason=f"no CUDA plugin of {what} is listed", source=release.source)
    refusals = [_jax_refusal(at, release, major) for major in release.plugins]
    if None in refusals:
        major = list(release.plugins)[refusals.index(None)]
        reason = f"{what} with its CUDA {major} plugin runs on {at.gpu.name} with driver {at.driver}"
        return Verdict(answer="yes", reason=reason, certain=False, source=release.source)
    return Verdict(answer="no", reason="; ".join(filter(None, refusals)), source=release.source)


def _jax_refusal(at: Node, release: JaxRelease, major: str) -> str | None:
    floor = release.capability_floor.get(major)
    if floor and at.gpu.cc < Capability.parse(floor):
        return f"the CUDA {major} plugin needs capability {floor}, and {at.gpu.name} has {at.gpu.capability}"
    driver = release.driver_floor.get(major)
    have = at.driver if "." in at.driver else f"{at.branch.number}.9999"
    if driver and driver_version(have) < Version(driver):
        return f"the CUDA {major} plugin needs driver {driver}, and this is {at.driver}"
    return None
