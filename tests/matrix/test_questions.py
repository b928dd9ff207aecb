"""Typed questions: the answer, or Unlisted with what is close. Each expected value is a published fact."""

from __future__ import annotations

from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpudoctor.matrix import Matrix, TorchBuild, Unlisted, load
from gpudoctor.matrix.questions import cudnn_text, stable_release
from gpudoctor.relations import Capability, Coverage, CudaVersion, Platform, coverage, cuda_fits

AnswerT = TypeVar("AnswerT")


@pytest.fixture
def matrix() -> Matrix:
    return load()


def listed(answer: AnswerT | Unlisted) -> AnswerT:
    assert not isinstance(answer, Unlisted), answer
    return answer


def unlisted(answer: object) -> Unlisted:
    assert isinstance(answer, Unlisted), answer
    return answer


cc, cuda = Capability.parse, CudaVersion.parse


@pytest.mark.parametrize(
    ("version", "platform", "driver", "verified"),
    [
        ("11.8", "linux", "520.61.05", True),
        ("12.4", "linux", "550.54.14", True),
        ("12.4", "windows", "551.61", True),
        ("12.8", "linux", "570.26", True),
        ("13.4", "linux", "615", False),
        ("13.2", "windows", "595", False),
    ],
)
def test_minimum_driver(matrix: Matrix, version: str, platform: Platform, driver: str, verified: bool) -> None:
    """NVIDIA's number, or the branch's first, which is then not verified."""
    answer = listed(matrix.minimum_driver(cuda(version), platform))
    assert (answer.version, answer.verified) == (driver, verified)


def test_a_cuda_that_never_was_has_no_minimum_driver(matrix: Matrix) -> None:
    """12.7 is shown by drivers but was never released."""
    assert "12.6" in unlisted(matrix.minimum_driver(CudaVersion(12, 7), "linux")).close


@pytest.mark.parametrize(
    ("major", "platform", "driver"),
    [(11, "linux", "450.80.02"), (12, "linux", "525.60.13"), (12, "windows", "527.41"), (13, "linux", "580.65.06")],
)
def test_minor_version_floor(matrix: Matrix, major: int, platform: Platform, driver: str) -> None:
    """The floors of NVIDIA's compatibility guide."""
    assert listed(matrix.minor_version_floor(major, platform)).on(platform) == driver


def test_there_was_no_minor_version_compatibility_before_11(matrix: Matrix) -> None:
    """CUDA 10 has no floor of that kind."""
    unlisted(matrix.minor_version_floor(10, "linux"))


@pytest.mark.parametrize(
    ("driver", "platform", "branch"),
    [
        ("550.54.15", "linux", "R550"),
        ("535.129.03", "linux", "R535"),
        ("537.13", "windows", "R535"),
        ("572.61", "windows", "R570"),
        ("616.92", "windows", "R615"),
        ("390.157", "linux", "R390"),
        ("497.29", "windows", "R495"),
    ],
)
def test_driver_branch(matrix: Matrix, driver: str, platform: Platform, branch: str) -> None:
    """Windows numbers run on inside a branch."""
    assert listed(matrix.driver_branch(driver, platform)).branch == branch


@pytest.mark.parametrize("platform", ["linux", "windows"])
def test_a_driver_newer_than_the_matrix_is_not_judged(matrix: Matrix, platform: Platform) -> None:
    """Not listed, and said to be newer."""
    assert unlisted(matrix.driver_branch("999.10", platform)).newer


@pytest.mark.parametrize("driver", ["", "none", "550.x", "1234567", "N/A"])
def test_what_is_no_driver_version_is_unlisted(matrix: Matrix, driver: str) -> None:
    """Garbage is not an exception."""
    unlisted(matrix.driver_branch(driver, "linux"))


def test_a_linux_number_between_branches_is_unlisted(matrix: Matrix) -> None:
    """On Linux the major is the branch."""
    answer = unlisted(matrix.driver_branch("552.10", "linux"))
    assert answer.close == ("R550", "R555")
    assert not answer.newer


@pytest.mark.parametrize(
    ("capability", "branch"),
    [("2.0", "R390"), ("3.7", "R470"), ("6.1", "R580"), ("7.0", "R580"), ("8.6", "R595"), ("12.0", "R595")],
)
def test_no_advice_names_a_driver_that_dropped_the_gpu(matrix: Matrix, capability: str, branch: str) -> None:
    """The newest long-term or production branch that still drives it."""
    assert listed(matrix.newest_driver_branch_for(cc(capability))).branch == branch


def test_some_cuda_never_comes_to_some_gpu(matrix: Matrix) -> None:
    """No driver brings CUDA 13.2 to Volta."""
    unlisted(matrix.newest_driver_branch_for(cc("7.0"), cuda=CudaVersion(13, 2)))


def test_architecture(matrix: Matrix) -> None:
    """Last toolkit, last branch, and the kernel module rule."""
    volta, blackwell = listed(matrix.architecture(cc("7.0"))), listed(matrix.architecture(cc("12.0")))
    assert (volta.last_toolkit, volta.last_branch, volta.open_kernel) == ("12.9", "R580", "unsupported")
    assert (blackwell.first_toolkit, blackwell.first_branch, blackwell.open_kernel) == ("12.8", "R570", "required")
    unlisted(matrix.architecture(cc("9.9")))


def test_a_torch_release(matrix: Matrix) -> None:
    """2.6.0 as its wheels and its release notes have it."""
    release = listed(matrix.torch("2.6.0+cu124"))
    assert release.torchvision == ("0.21.0",)
    assert release.variants("linux_x86_64") == ("cu118", "cu124", "cu126")
    build = listed(matrix.torch_build("2.6.0", "linux_x86_64"))
    assert (build.variant, build.cudnn, build.nccl) == ("cu124", "9.1.0.70", "2.21.5")
    assert listed(matrix.torch_build("2.6.0", "win_amd64")).cuda is None


@pytest.mark.parametrize(
    "version",
    [
        "2.6.0a0+ecf3bae40a.nv25.01",
        "2.1.0+nv23.06",
        "2.7.0.dev20250201+cu128",
        "2.4.0a0+gitee1b680",
        "2.0.0rc1",
        "garbage",
    ],
)
def test_other_builds_are_not_the_release_they_resemble(matrix: Matrix, version: str) -> None:
    """NGC, Jetson, nightly and source builds are Unlisted, with the reason."""
    answer = unlisted(matrix.torch(version))
    assert answer.why
    assert not answer.newer


def test_a_release_newer_than_the_matrix_says_so(matrix: Matrix) -> None:
    """The rules then ask the package itself."""
    assert unlisted(matrix.torch("9.0.0")).newer
    assert "newer" in unlisted(matrix.torch("9.0.0")).sentence()
    assert not unlisted(matrix.torch("2.6.9")).newer


@pytest.mark.parametrize(
    ("platform", "python", "capability", "driver", "expected"),
    [
        ("linux_x86_64", "3.12", "8.6", "12.2", "2.14.1+cu126"),
        ("linux_x86_64", "3.12", "6.1", "12.4", "2.14.1+cu126"),
        ("linux_x86_64", "3.12", "7.5", "13.2", "2.15.0+cu132"),
        ("linux_x86_64", "3.8", "3.7", "11.4", "2.4.1+cu118"),
        ("win_amd64", "3.11", "12.0", "12.8", "2.11.0+cu128"),
        ("linux_x86_64", "3.9", "8.0", "11.8", "2.7.1+cu118"),
    ],
)
def test_the_newest_torch_that_runs(
    matrix: Matrix, platform: str, python: str, capability: str, driver: str, expected: str
) -> None:
    """What to install on a machine."""
    build = listed(
        matrix.newest_torch(platform=platform, python=python, capability=cc(capability), driver_cuda=cuda(driver))
    )
    assert f"{build.release}+{build.variant}" == expected


def test_a_variant_of_one_release(matrix: Matrix) -> None:
    """With a release given, only its variants are candidates."""

    def best(driver: CudaVersion) -> TorchBuild | Unlisted:
        return matrix.newest_torch(platform="linux_x86_64", capability=cc("8.6"), release="2.6.0", driver_cuda=driver)

    assert listed(best(CudaVersion(11, 4))).variant == "cu118"
    unlisted(best(CudaVersion(10, 2)))


def test_nothing_fits_is_an_answer(matrix: Matrix) -> None:
    """No torch for Ampere runs on a driver of CUDA 10.2."""
    unlisted(matrix.newest_torch(platform="linux_x86_64", capability=cc("8.6"), driver_cuda=CudaVersion(10, 2)))


def test_glibc_counts(matrix: Matrix) -> None:
    """On CentOS 7 (glibc 2.17) the newest is 2.6."""
    build = listed(matrix.newest_torch(platform="linux_x86_64", glibc="2.17"))
    assert build.release == "2.6.0"


_CAPABILITIES = st.sampled_from([a.cc for a in load().architectures])
_DRIVERS = st.sampled_from([b.cuda for b in load().driver_branches])
_PLATFORMS = st.sampled_from(["linux_x86_64", "linux_aarch64", "win_amd64"])


@given(_CAPABILITIES, _DRIVERS, _PLATFORMS)
def test_advice_always_fits(capability: Capability, driver: CudaVersion, platform: str) -> None:
    """Whatever is advised has machine code for the GPU and a CUDA that the driver runs."""
    build = load().newest_torch(platform=platform, capability=capability, driver_cuda=driver)
    if isinstance(build, TorchBuild):
        assert build.cuda_version is not None
        assert build.targets is not None
        assert cuda_fits(driver, build.cuda_version).fits
        assert coverage(build.targets, capability) is Coverage.NATIVE
        assert build.platform == platform


@pytest.mark.parametrize(
    ("version", "arguments"),
    [
        (
            "2.6.0+cu126",
            "torch==2.6.0 torchvision==0.21.0 torchaudio==2.6.0 --index-url https://download.pytorch.org/whl/cu126",
        ),
        (
            "1.7.1+cu110",
            (
                "torch==1.7.1+cu110 torchvision==0.8.2+cu110 torchaudio==0.7.2 "
                "--find-links https://download.pytorch.org/whl/torch_stable.html"
            ),
        ),
    ],
)
def test_pip_arguments(matrix: Matrix, version: str, arguments: str) -> None:
    """The install page's own command."""
    assert " ".join(listed(matrix.torch_build(version, "linux_x86_64")).pip_arguments()) == arguments


def test_tensorflow(matrix: Matrix) -> None:
    """A minor means its newest patch; Windows lost the GPU after 2.10."""
    assert listed(matrix.tensorflow("2.15")).release == "2.15.1"
    assert (
        listed(matrix.tensorflow("2.10.1")).gpu_on_native_windows,
        listed(matrix.tensorflow("2.11.0")).gpu_on_native_windows,
    ) == (True, False)
    assert listed(matrix.newest_tensorflow(python="3.12", capability=cc("8.6"), driver_cuda=cuda("12.2"))).release
    unlisted(matrix.newest_tensorflow(capability=cc("12.0")))


def test_jax(matrix: Matrix) -> None:
    """cuDNN and driver floors by CUDA major."""
    release = listed(matrix.jax("0.7.2"))
    assert (release.cudnn_floor["13"], release.driver_floor["12"]) == ("9.12.0.46", "525.60.13")


@pytest.mark.parametrize(
    ("number", "text"), [("8902", "8.9.2"), ("90100", "9.1.0"), ("91002", "9.10.2"), ("9.1", "9.1")]
)
def test_cudnn_numbers(number: str, text: str) -> None:
    """Both generations of the number that the library reports."""
    assert cudnn_text(number) == text


def test_cudnn(matrix: Matrix) -> None:
    """9.10 is the last with Volta and with CUDA 11."""
    last, first_without = listed(matrix.cudnn("9.10.2")).family, listed(matrix.cudnn("9.11")).family
    assert (last.supports(cc("7.0")), first_without.supports(cc("7.0"))) == (True, False)
    assert ("11" in last.cuda_majors, "11" in first_without.cuda_majors) == (True, False)
    assert unlisted(matrix.cudnn("99.0")).newer


def test_codes(matrix: Matrix) -> None:
    """By number or name, with the rule they point at."""
    assert listed(matrix.cuda_error("CUDA_ERROR_NO_DEVICE")).code == 100
    assert listed(matrix.cuda_error(804)).rules == ("cuda-compat-misused",)
    assert listed(matrix.xid(79)).rules == ("gpu-lost",)
    assert "cudaErrorNoDevice" in unlisted(matrix.cuda_error("cudaErrorNoDevic")).close
    unlisted(matrix.xid(9999))


def test_companions(matrix: Matrix) -> None:
    """From either side."""
    assert listed(matrix.companion("xformers", "0.0.28")).torch == "==2.4.1"
    assert "0.0.28" in {c.version for c in matrix.companions_for_torch("xformers", "2.4.1+cu121")}
    assert unlisted(matrix.companion("xformer", "1")).close == ("xformers",)


def test_numpy2(matrix: Matrix) -> None:
    """Windows wheels followed later."""
    assert listed(matrix.numpy2("torch", "2.2.2+cu121")).numpy2 == "no"
    assert listed(matrix.numpy2("torch", "2.4.0", "linux")).numpy2 == "yes"
    assert listed(matrix.numpy2("torch", "2.4.0", "windows")).numpy2 == "no"
    unlisted(matrix.numpy2("pandas", "2.0"))


def test_jetson_and_components(matrix: Matrix) -> None:
    """By L4T release and by toolkit."""
    assert listed(matrix.jetson("36.4.3")).cuda == "12.6"
    assert listed(matrix.jetson("35.4.1")).cuda == "11.4"
    unlisted(matrix.jetson("40.1"))
    assert listed(matrix.toolkit_components("12.4")).components["nvidia-cublas-cu12"] == "12.4.5.8"
    unlisted(matrix.toolkit_components("12.7"))


@given(st.text(max_size=20))
def test_any_text_is_answered(text: str) -> None:
    """No version text makes a question fail."""
    matrix = load()
    for ask in (matrix.torch, matrix.tensorflow, matrix.jax, matrix.cudnn, matrix.cuda_error, matrix.jetson):
        ask(text)
    matrix.driver_branch(text, "windows")
    stable_release("torch", text)
