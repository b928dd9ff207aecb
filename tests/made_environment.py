"""Virtual environments made of text: an interpreter by link, and packages as the files that an installer leaves."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

TORCH_CUDA_PINS = (
    'nvidia-cudnn-cu12==9.5.1.17; platform_system == "Linux"',
    'nvidia-cublas-cu12==12.6.4.1; platform_system == "Linux"',
    'nvidia-nccl-cu12==2.26.2; platform_system == "Linux"',
    'triton==3.3.1; platform_system == "Linux"',
)


@dataclass(frozen=True)
class Made:
    """A folder that is a virtual environment of the Python that runs the suite."""

    root: Path

    @property
    def python(self) -> str:
        """Its interpreter."""
        return str(self.root / "bin" / "python")

    @property
    def site(self) -> Path:
        """Its site-packages."""
        return self.root / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"

    def config(self, **lines: str) -> None:
        """Add lines to pyvenv.cfg."""
        with (self.root / "pyvenv.cfg").open("a") as file:
            file.writelines(f"{key.replace('_', '-')} = {value}\n" for key, value in lines.items())

    def install(self, name: str, version: str, **more: object) -> Path:
        """A distribution in site-packages; see :func:`install`."""
        return install(self.site, name, version, **more)  # type: ignore[arg-type]


def make(root: Path) -> Made:
    """An empty environment."""
    made = Made(root)
    (root / "bin").mkdir(parents=True)
    made.site.mkdir(parents=True)
    base = Path(os.path.realpath(sys.executable))
    (root / "bin" / "python").symlink_to(base)
    (root / "pyvenv.cfg").write_text(f"home = {base.parent}\ninclude-system-site-packages = false\n")
    return made


def install(
    site: Path,
    name: str,
    version: str,
    *,
    requires: Iterable[str] = (),
    files: Mapping[str, str | bytes] | None = None,
    installer: str | None = "pip",
    requires_python: str | None = None,
    tags: Iterable[str] = ("py3-none-any",),
    direct_url: str | None = None,
    description: str = "",
) -> Path:
    """Leave a distribution in ``site`` as pip does; returns its dist-info folder. ``files`` are its contents."""
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Python: {requires_python}"] if requires_python else []
    lines += [f"Requires-Dist: {line}" for line in requires]
    (info / "METADATA").write_text("\n".join(lines) + "\n\n" + description)
    (info / "WHEEL").write_text("Wheel-Version: 1.0\n" + "".join(f"Tag: {tag}\n" for tag in tags))
    if installer:
        (info / "INSTALLER").write_text(f"{installer}\n")
    if direct_url:
        (info / "direct_url.json").write_text(direct_url)
    put(site, files or {})
    (info / "RECORD").write_text("".join(f"{path},sha256=x,1\n" for path in files or {}) + f"{info.name}/RECORD,,\n")
    return info


def put(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files below a folder."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content if isinstance(content, bytes) else content.encode())


def torch_files(version: str, cuda: str | None, flags: str = "", **more: str | None) -> dict[str, str | bytes]:
    """The files of a torch wheel that say what it is. ``flags`` is the list inside libtorch_python.so."""
    said = {"cuda": cuda, "hip": None, "xpu": None, **more}
    lines = [f"__version__ = {version!r}", "debug = False"]
    lines += [f"{name}: Optional[str] = {value!r}" for name, value in said.items()]
    library = b"\x7fELF" + b"\0text\0sm_\0" + flags.encode() + b"\0more sm_10 text\0"
    return {
        "torch/__init__.py": "raise SystemExit('imported')\n",
        "torch/version.py": "from typing import Optional\n\n" + "\n".join(lines) + "\n",
        "torch/lib/libtorch_python.so": library,
    }


def tensorflow_files(build_info: str) -> dict[str, str | bytes]:
    """The files of a TensorFlow wheel that say what it is."""
    text = f'"""Auto-generated."""\nimport collections\n\n{build_info}\n'
    return {
        "tensorflow/__init__.py": "raise SystemExit('imported')\n",
        "tensorflow/python/platform/build_info.py": text,
    }


def install_cuda_torch(site: Path, version: str = "2.7.1", **more: object) -> Path:
    """PyTorch as its CUDA 12.6 wheel for Linux leaves it; the packages that it pins are not installed with it."""
    return install(
        site,
        "torch",
        f"{version}+cu126",
        requires=("filelock", *TORCH_CUDA_PINS, 'optree>=0.13.0; extra == "optree"'),
        files=torch_files(f"{version}+cu126", "12.6", "sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90"),
        requires_python=">=3.9.0",
        tags=("cp311-cp311-manylinux_2_28_x86_64",),
        **more,  # type: ignore[arg-type]
    )
