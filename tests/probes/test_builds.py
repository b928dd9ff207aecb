"""What a build is, from the texts and metadata of its packages alone."""

from __future__ import annotations

import msgspec
import pytest

from gpudoctor.facts import Build, Framework, Missing
from gpudoctor.probes import builds
from gpudoctor.probes.target_answer import Answer, Conda, Copy, Orphan, Said, Text
from tests.probes.test_pins import LINUX, copy

SITE = "/site"
SAID = Said(
    executable="/site/python",
    version="3.11.7",
    implementation="cpython",
    prefix="/env",
    base_prefix="/usr",
    environment="venv",
    pyvenv={},
    conda_meta=False,
    free_threaded=False,
    externally_managed=False,
    bits=64,
    machine="x86_64",
    platform="linux-x86_64",
    libc="glibc 2.36",
    user_site=None,
    path=["", SITE],
)
TORCH = msgspec.structs.replace(
    copy("torch", "2.7.1+cu126", "nvidia-cudnn-cu12==9.5.1.17", "nvidia-nccl-cu12==2.26.2"),
    requires_python=">=3.9.0",
    owns=["torch"],
)
TORCH_SAYS: dict[str, str | bool | None] = {
    "__version__": "2.7.1+cu126",
    "cuda": "12.6",
    "hip": None,
    "xpu": None,
    "debug": False,
}
TARGETS = ["sm_75", "sm_80", "sm_86", "sm_90"]


def text(says: dict[str, str | bool | None], targets: list[str] = TARGETS, location: str = SITE) -> Text:
    """What a framework's folder says."""
    return Text(location=location, kind="package", error=None, says=says, targets=targets)


def answer(
    *copies: Copy,
    torch: tuple[Text, ...] = (),
    tensorflow: tuple[Text, ...] = (),
    conda: tuple[Conda, ...] = (),
    orphans: tuple[Orphan, ...] = (),
    said: Said = SAID,
) -> Answer:
    """An answer of the interpreter under test."""
    return Answer(
        broken={},
        interpreter=said,
        markers=LINUX,
        packages=list(copies),
        total=len(copies),
        orphans=list(orphans),
        shadows=[],
        standard_shadows=[],
        texts={"torch": list(torch), "tensorflow": list(tensorflow)},
        cudnn=[],
        conda=list(conda),
        unreadable=[],
    )


def built(framework: Framework) -> Build:
    """The build of an installed framework."""
    assert framework.installed
    assert isinstance(framework.build, Build)
    return framework.build


def torch_of(version: str, **says: str | bool | None) -> Build:
    """PyTorch of that version."""
    own = msgspec.structs.replace(TORCH, version=version)
    return built(builds.torch(answer(own, torch=(text({**TORCH_SAYS, "__version__": version, **says}),))))


# ------------------------------------------------------------------------------------------------------------ PyTorch


def test_a_cuda_wheel_of_torch_is_told_whole() -> None:
    assert builds.torch(answer(TORCH, torch=(text(TORCH_SAYS),))) == Framework(
        source="sys.path of the interpreter under test",
        name="torch",
        installed=True,
        build=Build(
            source="torch/version.py, libtorch_python and METADATA",
            distribution="torch",
            version="2.7.1+cu126",
            location=SITE,
            accelerator="cuda",
            cuda="12.6",
            cudnn="9.5.1.17",
            nccl="2.26.2",
            targets=("sm_75", "sm_80", "sm_86", "sm_90"),
            channel="release",
            installer="pip",
            requires_python=">=3.9.0",
            debug=False,
        ),
    )


@pytest.mark.parametrize(
    ("says", "accelerator"),
    [
        ({"cuda": None}, "cpu"),
        ({"cuda": None, "hip": "6.3.42134"}, "rocm"),
        ({"cuda": None, "xpu": "20250000"}, "xpu"),
    ],
)
def test_the_accelerator_of_torch_is_what_its_version_file_says(says: dict[str, str], accelerator: str) -> None:
    assert torch_of("2.7.1", **says).accelerator == accelerator


def test_torch_without_a_version_file_is_not_taken_for_a_cpu_build() -> None:
    build = built(builds.torch(answer(TORCH, torch=(text({}, []),))))
    assert (build.accelerator, build.version, build.targets) == ("unknown", "2.7.1+cu126", ())


def test_torch_on_apple_silicon_has_metal() -> None:
    said = msgspec.structs.replace(SAID, platform="macosx-11.0-arm64", machine="arm64")
    framework = builds.torch(answer(TORCH, torch=(text({**TORCH_SAYS, "cuda": None}),), said=said))
    assert built(framework).accelerator == "metal"


@pytest.mark.parametrize(
    ("version", "channel"),
    [
        ("2.7.1", "release"),
        ("2.7.1+cu126", "release"),
        ("2.7.1+cpu", "release"),
        ("2.4.0+rocm6.1", "release"),
        ("2.0.1+cu117.with.pypi.cudnn", "release"),
        ("2.8.0rc3+cu128", "release"),
        ("2.9.0.dev20250801+cu128", "nightly"),
        ("2.6.0a0+ecf3bae40a.nv25.01", "ngc"),
        ("2.6.0a0+ecf3bae40a.nv25.1", "ngc"),
        ("2.5.0a0+872d972e41.nv24.08", "ngc"),
        ("2.9.0a0+git1234567", "source"),
        ("2.9.0a0", "source"),
        ("2.7.1+computecanada", "source"),
        ("not a version", "unknown"),
    ],
)
def test_the_channel_of_a_build_is_in_its_version(version: str, channel: str) -> None:
    assert torch_of(version).channel == channel


def test_a_build_from_a_repository_is_a_source_build() -> None:
    own = msgspec.structs.replace(TORCH, version="2.7.1", from_vcs=True)
    assert built(builds.torch(answer(own))).channel == "source"


def test_conda_wrote_the_installer() -> None:
    own = msgspec.structs.replace(TORCH, version="2.5.1", installer="conda", requires=[])
    package = Conda(name="pytorch", version="2.5.1", build="cuda126_py311_generic_h1_0", channel="conda-forge")
    says = {**TORCH_SAYS, "__version__": "2.5.1"}
    build = built(builds.torch(answer(own, torch=(text(says),), conda=(package,))))
    assert (build.channel, build.installer, build.cuda) == ("conda", "conda", "12.6")


def test_an_old_conda_package_without_installer_is_known_by_its_version() -> None:
    own = msgspec.structs.replace(TORCH, version="2.5.1", installer=None, requires=[])
    package = Conda(name="pytorch", version="2.5.1", build="py3.11_cuda12.4_cudnn9.1.0_0", channel="pytorch")
    build = built(builds.torch(answer(own, torch=(text({**TORCH_SAYS, "__version__": "2.5.1"}),), conda=(package,))))
    assert (build.channel, build.installer, build.cudnn) == ("conda", "conda", "9.1.0")


def test_a_wheel_in_a_conda_environment_is_no_conda_package() -> None:
    package = Conda(name="pytorch", version="2.7.1", build="py3.11_cpu_0", channel="pytorch")
    build = built(builds.torch(answer(TORCH, torch=(text(TORCH_SAYS),), conda=(package,))))
    assert (build.channel, build.installer) == ("release", "pip")


def test_of_two_metadata_folders_the_one_of_the_files_counts() -> None:
    stale = msgspec.structs.replace(TORCH, version="2.5.0", requires=["nvidia-cudnn-cu12==9.1.0.70"])
    build = built(builds.torch(answer(stale, TORCH, torch=(text(TORCH_SAYS),))))
    assert (build.version, build.cudnn) == ("2.7.1+cu126", "9.5.1.17")


def test_the_copy_that_imports_is_the_build() -> None:
    user = msgspec.structs.replace(TORCH, version="2.1.0", location="/user")
    older = text({**TORCH_SAYS, "__version__": "2.1.0", "cuda": None}, [], "/user")
    build = built(builds.torch(answer(user, TORCH, torch=(older, text(TORCH_SAYS)))))
    assert (build.version, build.location, build.accelerator) == ("2.1.0", "/user", "cpu")


def test_a_local_folder_that_says_nothing_is_not_the_build() -> None:
    shadow = text({}, [], "/home/user")
    assert built(builds.torch(answer(TORCH, torch=(shadow, text(TORCH_SAYS))))).location == SITE
    assert not builds.torch(answer(torch=(shadow,))).installed


def test_files_without_metadata_are_an_installed_framework() -> None:
    orphan = Orphan(name="torch", location=SITE, module="torch", kind="package")
    build = built(builds.torch(answer(torch=(text(TORCH_SAYS),), orphans=(orphan,))))
    assert (build.version, build.accelerator, build.cudnn, build.installer) == ("2.7.1+cu126", "cuda", None, None)


def test_metadata_without_files_is_an_installed_framework_of_unknown_build() -> None:
    build = built(builds.torch(answer(TORCH)))
    assert (build.accelerator, build.source) == ("unknown", "METADATA")


def test_a_version_file_that_cannot_be_read_is_not_knowing() -> None:
    closed = msgspec.structs.replace(text({}), error="Permission denied: /site/torch/version.py")
    framework = builds.torch(answer(TORCH, torch=(closed,)))
    missing = Missing("unreadable", "Permission denied: /site/torch/version.py", "torch package")
    assert (framework.installed, framework.build) == (True, missing)


def test_a_target_that_cannot_be_read_makes_the_list_unusable() -> None:
    framework = builds.torch(answer(TORCH, torch=(text(TORCH_SAYS, [*TARGETS, "sm_ninety"]),)))
    assert built(framework).targets == ()


def test_a_pin_for_another_platform_says_nothing_of_this_build() -> None:
    own = msgspec.structs.replace(TORCH, requires=['nvidia-cudnn-cu12==9.5.1.17; platform_machine == "aarch64"'])
    assert built(builds.torch(answer(own, torch=(text(TORCH_SAYS),)))).cudnn is None


# --------------------------------------------------------------------------------------------------------- TensorFlow

TENSORFLOW = msgspec.structs.replace(
    copy(
        "tensorflow",
        "2.20.0",
        'nvidia-cudnn-cu12<10.0,>=9.3.0.75; extra == "and-cuda"',
        'nvidia-nccl-cu12<3.0,>=2.25.1; extra == "and-cuda"',
    ),
    owns=["tensorflow"],
)
TENSORFLOW_SAYS: dict[str, str | bool | None] = {
    "cuda_version": "12.5.1",
    "cudnn_version": "9",
    "is_cuda_build": True,
    "is_rocm_build": False,
}
TENSORFLOW_TARGETS = ["sm_60", "sm_70", "sm_80", "sm_89", "compute_90"]


def test_a_cuda_wheel_of_tensorflow_is_told_whole() -> None:
    found = builds.tensorflow(answer(TENSORFLOW, tensorflow=(text(TENSORFLOW_SAYS, TENSORFLOW_TARGETS),)))
    assert built(found) == Build(
        source="tensorflow/python/platform/build_info.py and METADATA",
        distribution="tensorflow",
        version="2.20.0",
        location=SITE,
        accelerator="cuda",
        cuda="12.5.1",
        cudnn="9.3.0.75",
        nccl=None,
        targets=tuple(TENSORFLOW_TARGETS),
        channel="release",
        installer="pip",
    )


@pytest.mark.parametrize(
    ("says", "cuda", "cudnn"),
    [
        ({"cuda_version": "64_112", "cudnn_version": "64_8"}, "11.2", "8"),
        ({"cuda_version": "64_100", "cudnn_version": "64_7"}, "10.0", "7"),
        ({"cuda_version": "11.8", "cudnn_version": "8"}, "11.8", "8"),
    ],
)
def test_the_library_names_of_windows_are_versions(says: dict[str, str], cuda: str, cudnn: str) -> None:
    build = built(builds.tensorflow(answer(TENSORFLOW, tensorflow=(text({**TENSORFLOW_SAYS, **says}, []),))))
    assert (build.cuda, build.cudnn) == (cuda, cudnn)


def test_the_texts_of_tensorflow_1_are_read() -> None:
    says: dict[str, str | bool | None] = {
        "is_cuda_build": True,
        "cuda_version_number": "10.0",
        "cudnn_version_number": "7",
    }
    own = msgspec.structs.replace(TENSORFLOW, name="tensorflow-gpu", version="1.15.5", requires=[])
    build = built(builds.tensorflow(answer(own, tensorflow=(text(says, []),))))
    assert (build.distribution, build.accelerator, build.cuda, build.cudnn) == ("tensorflow-gpu", "cuda", "10.0", "7")


@pytest.mark.parametrize(
    ("name", "accelerator"),
    [("tensorflow-cpu", "cpu"), ("tensorflow-intel", "cpu"), ("tensorflow", "cpu"), ("tf-nightly-cpu", "cpu")],
)
def test_a_cpu_build_names_the_distribution_that_brought_it(name: str, accelerator: str) -> None:
    own = msgspec.structs.replace(TENSORFLOW, name=name)
    build = built(builds.tensorflow(answer(own, tensorflow=(text({"is_cuda_build": False}, []),))))
    assert (build.distribution, build.accelerator) == (name, accelerator)


def test_a_stub_is_not_the_distribution_that_brought_the_files() -> None:
    stub = msgspec.structs.replace(TENSORFLOW, owns=[], requires=["tensorflow-intel==2.18.0"])
    intel = msgspec.structs.replace(TENSORFLOW, name="tensorflow-intel")
    build = built(builds.tensorflow(answer(stub, intel, tensorflow=(text({"is_cuda_build": False}, []),))))
    assert build.distribution == "tensorflow-intel"


@pytest.mark.parametrize(("is_cuda", "name"), [(True, "tensorflow"), (False, "tensorflow-cpu")])
def test_of_two_that_wrote_over_each_other_the_fitting_one_counts(is_cuda: bool, name: str) -> None:
    cpu = msgspec.structs.replace(TENSORFLOW, name="tensorflow-cpu")
    found = builds.tensorflow(answer(cpu, TENSORFLOW, tensorflow=(text({"is_cuda_build": is_cuda}, []),)))
    assert built(found).distribution == name


@pytest.mark.parametrize(
    "name", ["tensorflow-metal", "tensorflow-text", "tensorflow-io-gcs-filesystem", "tensorflow-estimator", "tf-keras"]
)
def test_a_package_around_tensorflow_is_not_tensorflow(name: str) -> None:
    assert not builds.tensorflow(answer(copy(name, "1.0"))).installed


@pytest.mark.parametrize(("version", "channel"), [("2.17.0+nv25.02", "ngc"), ("2.21.0.dev20251101", "nightly")])
def test_other_channels_of_tensorflow(version: str, channel: str) -> None:
    own = msgspec.structs.replace(TENSORFLOW, version=version)
    assert built(builds.tensorflow(answer(own, tensorflow=(text(TENSORFLOW_SAYS),)))).channel == channel


# ---------------------------------------------------------------------------------------------------------------- JAX

JAX = copy("jax", "0.6.0", "jaxlib<=0.6.0,>=0.6.0")
JAXLIB = copy("jaxlib", "0.6.0")
PLUGIN = copy("jax-cuda12-plugin", "0.6.0", 'nvidia-cudnn-cu12<10.0,>=9.8; extra == "with-cuda"')


@pytest.mark.parametrize(
    ("copies", "expected"),
    [
        ((JAX, JAXLIB), ("cpu", None, None)),
        ((JAX, JAXLIB, PLUGIN), ("cuda", "12", "9.8")),
        ((JAX, JAXLIB, PLUGIN, copy("jax-cuda13-plugin", "0.6.0")), ("cuda", "13", None)),
        ((JAX, copy("jaxlib", "0.4.20+cuda12.cudnn89")), ("cuda", "12", "8.9")),
        ((JAX, JAXLIB, copy("jax-rocm60-plugin", "0.6.0")), ("rocm", None, None)),
        ((JAX, JAXLIB, copy("jax-metal", "0.1.1")), ("metal", None, None)),
        ((JAX,), ("unknown", None, None)),
    ],
    ids=lambda value: " ".join(c.name for c in value) if isinstance(value[0], Copy) else "",
)
def test_jax_is_what_lies_beside_it(copies: tuple[Copy, ...], expected: tuple[str, str | None, str | None]) -> None:
    build = built(builds.jax(answer(*copies)))
    assert (build.accelerator, build.cuda, build.cudnn) == expected
    assert (build.distribution, build.version, build.channel) == ("jax", "0.6.0", "release")


def test_jaxlib_of_conda_names_its_cuda() -> None:
    own = msgspec.structs.replace(JAX, installer="conda")
    package = Conda(name="jaxlib", version="0.6.0", build="cuda126py311h1_200", channel="conda-forge")
    build = built(builds.jax(answer(own, JAXLIB, conda=(package,))))
    assert (build.accelerator, build.cuda, build.channel) == ("cuda", "12.6", "conda")


@pytest.mark.parametrize("look", [builds.torch, builds.tensorflow, builds.jax])
def test_nothing_installed_is_known_absence(look: object) -> None:
    framework = look(answer(copy("numpy", "2.0")))  # type: ignore[operator]
    assert (framework.installed, framework.build) == (False, Missing("not-asked"))
