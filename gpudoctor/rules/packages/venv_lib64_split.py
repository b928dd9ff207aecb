"""The packages of one environment are split over lib and lib64, so that the framework does not find its libraries.

## What it means
PyTorch looks for NVIDIA's libraries beside itself (../nvidia/…/lib). Where torch lies in lib64 and the nvidia-*
packages in lib, that path leads nowhere: "libcudnn.so.9: cannot open shared object file", although the file is there.

## Why it happens
On distributions with a separate lib64 (RHEL, Fedora, AlmaLinux, Amazon Linux), lib64 of a virtual environment is a
link to lib. If it is a folder of its own (an older virtualenv, poetry, a copied environment), packages with compiled
code go to lib64 and the others to lib. The same happens without an environment under /usr/local.

## How to fix
Make the environment anew with `python -m venv`, so that lib64 is a link to lib, and install everything again.

## How it is detected
By the folders in which the framework and its nvidia-* packages lie, and by a traceback that names lib64 while a
library of the wheels is not found.

## Sources
- https://github.com/pytorch/pytorch/issues/165812
- https://github.com/python-poetry/poetry/issues/9635
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Build, Framework, Imported, Packages
from gpudoctor.findings import Confidence, Found, NotApplicable, Passed, Severity, Verdict
from gpudoctor.remedies import Run
from gpudoctor.rules._printed import SILENT, heard
from gpudoctor.views import Printed
from gpudoctor.words import name_of

RULE = Rule(without_gpu="none", masks=("nvidia-wheels-mismatch",))


@RULE.detector
def packages_in_both(
    framework: Framework,
    build: Build,
    packages: Packages,
    imported: Imported | None,
) -> Verdict:
    """The framework lies in one of the two folders, its nvidia-* packages in the other."""
    if build.accelerator != "cuda":
        return NotApplicable("no CUDA build of a framework")
    others = [p for p in packages.packages if p.name.startswith("nvidia-") and _twins(p.location, build.location)]
    if not others:
        return Passed("the framework and its libraries lie in one folder")
    works = imported is not None and imported.ok
    return Found(
        title=f"{name_of(framework)} lies in {build.location}, its NVIDIA libraries in {others[0].location}.",
        evidence=(
            cite(build.distribution, build.location, build),
            cite(others[0].name, others[0].location, packages),
        ),
        remedies=(_REMEDY,),
        severity=Severity.INFO if works else Severity.ERROR,
        confidence=Confidence.CERTAIN if imported else Confidence.LIKELY,
    )


def _twins(one: str, other: str) -> bool:
    """Whether two folders are the same but for lib and lib64."""
    return one != other and one.replace("/lib64/", "/lib/") == other.replace("/lib64/", "/lib/")


_REMEDY = Run(
    title="Make the environment anew, so that lib64 is a link to lib",
    argvs=(("python3", "-m", "venv", ".venv"),),
    where="environment",
    note="Then install the packages again in .venv.",
)


_FRAMEWORK = r"lib64/python3\.\d{1,2}/site-packages/(?:torch|jaxlib|tensorflow)\b"
_LIBRARIES = r"/lib/python3\.\d{1,2}/site-packages/nvidia\b"
_STATED = (
    r"torch\S{0,30} .{0,60}lib64.{1,80}nvidia.{0,60}/?lib\b",
    r"nvidia.{0,60}/lib\b.{1,80}torch .{0,60}lib64",
)
_MISSING = r"lib\w{3,20}\.so\S{0,8}: cannot open shared object file"


@RULE.detector
def what_was_printed_names_both(printed: Printed) -> Verdict:
    """Lines that show the framework in lib64 and its libraries in lib, or a person who says so."""
    stated = heard(printed, *_STATED)
    framework, libraries = heard(printed, _FRAMEWORK), heard(printed, _LIBRARIES)
    if stated is None and (framework is None or libraries is None or heard(printed, _MISSING) is None):
        return NotApplicable(SILENT)
    shown = [one for one in (stated, framework, libraries) if one]
    return Found(
        title="The packages of the environment are split over lib and lib64.",
        detail="; ".join(one.text for one in shown) + ".",
        evidence=tuple(one.evidence for one in shown),
        remedies=(_REMEDY,),
        confidence=Confidence.LIKELY,
    )
