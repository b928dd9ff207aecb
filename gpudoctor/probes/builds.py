"""What each installed framework was built for, from the texts beside it and its metadata.

Pure: the answer of inside/collect.py in, :class:`Framework` out. Nothing is imported, and what a package does not
say stays unsaid.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal

from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version

from gpudoctor.facts import Build, Framework, FrameworkName, Maybe, Missing
from gpudoctor.probes.pins import requirement_of
from gpudoctor.probes.target_answer import Answer, Conda, Copy, Orphan, Text
from gpudoctor.relations import CodeTarget

Accelerator = Literal["cuda", "cpu", "rocm", "xpu", "metal", "unknown"]
Channel = Literal["release", "nightly", "ngc", "conda", "source", "unknown"]


def torch(answer: Answer) -> Framework:
    """PyTorch, by torch/version.py and the architecture list inside libtorch_python."""
    copies = [copy for copy in answer.packages or () if copy.name == "torch"]
    text = _text(answer, "torch")
    if not copies and text is None:
        return _absent("torch")
    if text is not None and text.error:
        return _unreadable("torch", text.error)
    says = text.says if text else {}
    stated = says.get("__version__")
    copy = _owner(copies, text, stated if isinstance(stated, str) else None)
    version = str(stated) if stated else (copy.version if copy else None) or "unknown"
    conda = _conda(answer, copy, version, ("pytorch", "libtorch"))
    accelerator = _torch_accelerator(says, answer)
    return _present(
        "torch",
        Build(
            source="torch/version.py, libtorch_python and METADATA" if text else "METADATA",
            distribution="torch",
            version=version,
            location=text.location if text else copy.location if copy else "",
            accelerator=accelerator,
            cuda=_word(says.get("cuda")),
            cudnn=_pinned("nvidia-cudnn", copy, answer) or _from_conda_build("cudnn", conda),
            nccl=_pinned("nvidia-nccl", copy, answer),
            targets=_targets(text, accelerator),
            channel="conda" if conda or _by_conda(copy) else _channel(version, copy),
            installer=_installer(copy, conda),
            requires_python=copy.requires_python if copy else None,
            debug=says["debug"] if isinstance(says.get("debug"), bool) else None,  # type: ignore[arg-type]
        ),
    )


def _torch_accelerator(says: Mapping[str, str | bool | None], answer: Answer) -> Accelerator:
    if "cuda" not in says:
        return "unknown"
    if says["cuda"]:
        return "cuda"
    if says.get("hip") or says.get("rocm"):
        return "rocm"
    if says.get("xpu"):
        return "xpu"
    return "metal" if _is_apple_silicon(answer) else "cpu"


def _is_apple_silicon(answer: Answer) -> bool:
    said = answer.interpreter
    return said is not None and said.platform.startswith("macosx") and said.machine == "arm64"


def tensorflow(answer: Answer) -> Framework:
    """TensorFlow, by tensorflow/python/platform/build_info.py; which distribution brought it is in its RECORD."""
    copies = [copy for copy in answer.packages or () if _is_tensorflow(copy.name)]
    text = _text(answer, "tensorflow")
    if not copies and text is None:
        return _absent("tensorflow")
    if text is not None and text.error:
        return _unreadable("tensorflow", text.error)
    says = text.says if text else {}
    accelerator = _tensorflow_accelerator(says, answer)
    copy = _tensorflow_owner(copies, text, accelerator)
    version = (copy.version if copy else None) or "unknown"
    conda = _conda(answer, copy, version, ("tensorflow-base", "tensorflow"))
    return _present(
        "tensorflow",
        Build(
            source="tensorflow/python/platform/build_info.py and METADATA" if text else "METADATA",
            distribution=copy.name if copy else "tensorflow",
            version=version,
            location=text.location if text else copy.location if copy else "",
            accelerator=accelerator,
            cuda=_dotted(_word(says.get("cuda_version") or says.get("cuda_version_number"))),
            cudnn=_tensorflow_cudnn(says, copy, answer),
            targets=_targets(text, accelerator),
            channel="conda" if conda or _by_conda(copy) else _channel(version, copy),
            installer=_installer(copy, conda),
            requires_python=copy.requires_python if copy else None,
        ),
    )


_TENSORFLOW = re.compile(
    r"(?:intel-)?tensorflow(?:-(?:cpu|gpu|intel|macos|rocm|cpu-aws|aarch64|avx512))?|tf-nightly(?:-(?:cpu|gpu|intel|macos|rocm|cpu-aws))?"
)


def _is_tensorflow(name: str) -> bool:
    return _TENSORFLOW.fullmatch(name) is not None


def _tensorflow_accelerator(says: Mapping[str, str | bool | None], answer: Answer) -> Accelerator:
    if "is_cuda_build" not in says:
        return "unknown"
    if says["is_cuda_build"]:
        return "cuda"
    if says.get("is_rocm_build"):
        return "rocm"
    return "metal" if any(copy.name == "tensorflow-metal" for copy in answer.packages or ()) else "cpu"


def _tensorflow_owner(copies: list[Copy], text: Text | None, accelerator: Accelerator) -> Copy | None:
    """The distribution whose files these are; of several in one folder, one whose name fits the build."""
    here = [copy for copy in copies if text is None or copy.location == text.location] or copies
    owners = [copy for copy in here if "tensorflow" in copy.owns] or here
    fitting = [copy for copy in owners if ("cpu" in copy.name) == (accelerator == "cpu")]
    return next(iter(fitting or owners), None)


def _tensorflow_cudnn(says: Mapping[str, str | bool | None], copy: Copy | None, answer: Answer) -> str | None:
    """build_info names the major only; the floor of the and-cuda extra is the version it was built with."""
    said = _dotted(_word(says.get("cudnn_version") or says.get("cudnn_version_number")))
    if said is None:
        return None
    floor = _floor(requirement_of("nvidia-cudnn", copy, answer.markers or {}, "and-cuda")) if copy else None
    return floor if floor and floor.partition(".")[0] == said.partition(".")[0] else said


def jax(answer: Answer) -> Framework:
    """JAX: jaxlib is for the CPU, a plug-in package beside it makes it a GPU build."""
    packages = answer.packages or []
    copies = [copy for copy in packages if copy.name in ("jax", "jax-nightly")]
    orphan = next((o for o in answer.orphans or () if o.module == "jax" and o.kind == "package"), None)
    if not copies and orphan is None:
        return _absent("jax")
    copy = next(iter(copies), None)
    library = next((p for p in packages if p.name in ("jaxlib", "jaxlib-nightly")), None)
    version = (copy.version if copy else None) or "unknown"
    conda = _conda(answer, copy, version, ("jax",))
    accelerator, cuda, plugin = _jax_accelerator(packages, library, answer.conda or ())
    return _present(
        "jax",
        Build(
            source="METADATA of jax, jaxlib and their plug-ins",
            distribution=copy.name if copy else "jax",
            version=version,
            location=_location(copy, orphan),
            accelerator=accelerator,
            cuda=cuda,
            cudnn=_jax_cudnn(plugin, library, answer),
            channel="conda" if conda or _by_conda(copy) else _channel(version, copy),
            installer=_installer(copy, conda),
            requires_python=copy.requires_python if copy else None,
        ),
    )


def _location(copy: Copy | None, orphan: Orphan | None) -> str:
    return copy.location if copy else orphan.location if orphan else ""


def _jax_accelerator(
    packages: Iterable[Copy], library: Copy | None, conda: Iterable[Conda]
) -> tuple[Accelerator, str | None, Copy | None]:
    plugins = {copy.name: copy for copy in reversed(list(packages))}
    found = sorted(
        ((int(match[1]), name) for name in plugins if (match := re.fullmatch(r"jax-cuda(\d+)-plugin", name))),
        reverse=True,
    )
    if found:
        return "cuda", str(found[0][0]), plugins[found[0][1]]
    local = re.search(r"\+cuda(\d+)", (library.version if library else None) or "")
    if local:
        return "cuda", local[1], None
    builds = (re.match(r"cuda(\d\d)(\d)", package.build) for package in conda if package.name == "jaxlib")
    built = next((match for match in builds if match), None)
    if built:
        return "cuda", f"{built[1]}.{built[2]}", None
    if any(re.fullmatch(r"jax-rocm\d*-plugin", name) for name in plugins):
        return "rocm", None, None
    if "jax-metal" in plugins:
        return "metal", None, None
    return ("cpu", None, None) if library else ("unknown", None, None)


def _jax_cudnn(plugin: Copy | None, library: Copy | None, answer: Answer) -> str | None:
    if plugin:
        return _floor(requirement_of("nvidia-cudnn", plugin, answer.markers or {}, "with-cuda"))
    local = re.search(r"\.cudnn(\d)(\d+)", (library.version if library else None) or "")
    return f"{local[1]}.{local[2]}" if local else None


# ---------------------------------------------------------------------------------------------- shared small steps


def _absent(name: FrameworkName) -> Framework:
    return Framework(source="sys.path of the interpreter under test", name=name, installed=False)


def _present(name: FrameworkName, build: Maybe[Build]) -> Framework:
    return Framework(source="sys.path of the interpreter under test", name=name, installed=True, build=build)


def _unreadable(name: FrameworkName, detail: str) -> Framework:
    return _present(name, Missing("unreadable", detail, f"{name} package"))


def _text(answer: Answer, module: str) -> Text | None:
    """The framework's folder that comes first on sys.path; one that says nothing and has no metadata is a shadow."""
    homes = {copy.location for copy in answer.packages or ()}
    homes |= {orphan.location for orphan in answer.orphans or () if orphan.module == module}
    texts = (text for text in (answer.texts or {}).get(module, ()) if text.kind == "package")
    return next((text for text in texts if text.error or text.says or text.location in homes), None)


def _owner(copies: list[Copy], text: Text | None, version: str | None) -> Copy | None:
    """The metadata that belongs to the folder: beside it, and of its version where there are several."""
    here = [copy for copy in copies if text is None or copy.location == text.location] or copies
    same = [copy for copy in here if version and copy.version and _same(copy.version, version)]
    return next(iter(same or here), None)


def _same(one: str, other: str) -> bool:
    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return one == other


def _word(value: str | bool | None) -> str | None:
    return value if isinstance(value, str) and value else None


def _dotted(text: str | None) -> str | None:
    """TensorFlow for Windows names libraries: ``64_112`` is 11.2, ``64_8`` is 8."""
    match = re.fullmatch(r"64_(\d{1,2}?)(\d)?", text or "")
    if match is None:
        return text
    digits = (text or "")[3:]
    return digits if len(digits) == 1 else f"{digits[:-1]}.{digits[-1]}"


def _pinned(prefix: str, copy: Copy | None, answer: Answer) -> str | None:
    """The version of an exact pin (``==``) that is active here."""
    requirement = requirement_of(prefix, copy, answer.markers or {}) if copy else None
    exact = (s.version for s in requirement.specifier if s.operator == "==") if requirement else iter(())
    return next((version for version in exact if not version.endswith("*")), None)


def _floor(requirement: Requirement | None) -> str | None:
    if requirement is None:
        return None
    return next((s.version for s in requirement.specifier if s.operator in (">=", "==")), None)


def _targets(text: Text | None, accelerator: Accelerator) -> tuple[str, ...]:
    """The targets as written. One that cannot be read makes the whole list unusable: a part of it would mislead."""
    targets = tuple(text.targets) if text else ()
    if accelerator == "cuda":
        try:
            for target in targets:
                CodeTarget.parse(target)
        except ValueError:
            return ()
    return targets


_VARIANT = re.compile(
    r"cpu|cu\d+|rocm[\d.]+|xpu|cpu\.cxx11\.abi|cxx11\.abi|cu\d+\.with\.pypi\.cudnn|cuda\d+\.cudnn\d+|cuda\d+"
)


def _channel(version: str, copy: Copy | None) -> Channel:
    try:
        parsed = Version(version)
    except InvalidVersion:
        return "unknown"
    local = parsed.local or ""
    if re.search(r"nv\d\d\.\d", local):
        return "ngc"
    if copy and (copy.editable or copy.from_vcs):
        return "source"
    if local and not _VARIANT.fullmatch(local):
        return "source"
    if parsed.is_devrelease or (copy and copy.name.startswith("tf-nightly")):
        return "nightly"
    return "source" if parsed.pre and parsed.pre[0] == "a" else "release"


def _by_conda(copy: Copy | None) -> bool:
    return copy is not None and copy.installer == "conda"


def _conda(answer: Answer, copy: Copy | None, version: str, names: tuple[str, ...]) -> Conda | None:
    """The conda package that this copy is. Old ones leave no INSTALLER; then the version must be the same."""
    if copy and copy.installer not in (None, "conda"):
        return None
    public = version.partition("+")[0]
    listed = (package for name in names for package in answer.conda or () if package.name == name)
    return next((package for package in listed if package.version == public or _by_conda(copy)), None)


def _from_conda_build(what: str, conda: Conda | None) -> str | None:
    """``py3.11_cuda12.4_cudnn9.1.0_0`` names what it was built with."""
    match = re.search(rf"(?:^|_){what}([\d.]+)", conda.build) if conda else None
    return match[1] if match else None


def _installer(copy: Copy | None, conda: Conda | None) -> str | None:
    return (copy.installer if copy else None) or ("conda" if conda else None)
