"""Fixes of variables and of the place itself, and commands that are the same everywhere."""

from __future__ import annotations

import re

from gpudoctor import remedies as r
from gpudoctor.findings import Fix, Where
from gpudoctor.prescribe.place import Place
from gpudoctor.prescribe.shell import (
    NotPrintableError,
    machine_wide,
    printable,
    verify_with,
)
from gpudoctor.relations import CudaVersion
from gpudoctor.words import name_of


def set_variable(remedy: r.SetVariable, place: Place) -> Fix:
    """A variable set or unset in the present shell."""
    if not re.fullmatch(r"[A-Z][A-Z0-9_]*", remedy.name):
        raise NotPrintableError(remedy.name)
    note = (
        "This is for the present shell; remove it also where it is set (profile, launcher, job script, compose file)."
    )
    if remedy.value is None:
        words = ("set", f"{remedy.name}=") if place.side == "windows" else ("unset", remedy.name)
        return Fix(
            title=f"Unset {remedy.name}", commands=printable([words], place), verify=verify_with(place), note=note
        )
    tool = "set" if place.side == "windows" else "export"
    lines = [(tool, f"{remedy.name}={remedy.value}")]
    return Fix(title=f"Set {remedy.name}", commands=printable(lines, place), verify=verify_with(place), note=note)


def install_compiler(remedy: r.InstallCompiler, place: Place) -> Fix:
    """The distribution's compiler; in a container it belongs into the image."""
    what = "a C compiler and the headers of Python" if remedy.headers else "a C and C++ compiler"
    lines = [(*_root(place), *words) for words in _compiler_packages(remedy, place)]
    notes = []
    if place.side == "container":
        notes.append("Put it into the image (RUN in its Dockerfile), or it is gone with the container.")
    if not lines:
        notes.append(
            "Visual Studio's Build Tools with the C++ workload bring one: https://visualstudio.microsoft.com/downloads/"
            if place.side == "windows"
            else "Use the package manager of this distribution; CC names a compiler that is not on PATH."
        )
    return Fix(
        title=f"Install {what}",
        commands=printable(lines, place),
        where="environment" if place.side == "container" else "machine",
        verify=next(iter(printable([("gpudoctor", "smoke", "--framework", "torch")], place)), ""),
        note=" ".join(notes),
    )


def _root(place: Place) -> tuple[str, ...]:
    return () if place.side in ("container", "hosted") else ("sudo",)


def _compiler_packages(remedy: r.InstallCompiler, place: Place) -> list[tuple[str, ...]]:
    if place.side == "windows":
        return []
    if place.family in ("ubuntu", "debian"):
        # The headers are those of one minor version; a Python that is not the distribution's brings its own.
        headers = (f"python{place.python}-dev" if place.python else "python3-dev",) if remedy.headers else ()
        return [("apt-get", "update"), ("apt-get", "install", "-y", "gcc", "g++", *headers)]
    if place.family in ("fedora", "rhel"):
        return [("dnf", "install", "-y", "gcc", "gcc-c++", *(("python3-devel",) if remedy.headers else ()))]
    if place.family == "suse":
        return [("zypper", "install", "gcc", "gcc-c++", *(("python3-devel",) if remedy.headers else ()))]
    return [("pacman", "-S", "--needed", "gcc")] if place.family == "arch" else []


def use_wsl(remedy: r.UseWsl, place: Place) -> Fix:
    """TensorFlow or JAX under WSL 2 in place of native Windows."""
    name = name_of(remedy.framework)
    return Fix(
        title=f"Run {name} in WSL 2, with the driver of Windows",
        commands=printable([("wsl", "--install")], place) if place.side == "windows" else (),
        where="machine",
        risk="Windows asks for a restart.",
        note=f'Then, in WSL, in a virtual environment: python -m pip install "{with_extra(remedy.framework, None)}"',
    )


def run(remedy: r.Run, place: Place) -> Fix:
    """Commands that are the same wherever they can be run."""
    where: Where = machine_wide(place) if remedy.where == "machine" else remedy.where
    # What an administrator of Linux types is none of Windows', nor of a hosted notebook's user.
    foreign = remedy.where == "machine" and place.side in ("wsl", "windows", "hosted")
    lines = () if foreign and any(argv[:1] == ("sudo",) for argv in remedy.argvs) else remedy.argvs
    return Fix(
        title=remedy.title,
        commands=printable(list(lines), place),
        where=where,
        risk=remedy.risk,
        verify=next(iter(printable([remedy.verify], place)), "") if remedy.verify else "",
        note=remedy.note,
    )


def with_extra(framework: str, driver_cuda: str | None) -> str:
    """The requirement that brings the framework with its CUDA libraries, for a driver of that CUDA."""
    if framework == "tensorflow":
        return "tensorflow[and-cuda]"
    newer = driver_cuda is None or CudaVersion.parse(driver_cuda).major >= 13
    return "jax[cuda13]" if newer else "jax[cuda12]"
