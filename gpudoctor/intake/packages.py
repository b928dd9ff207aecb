"""Lists of packages: pip list, pip freeze, pip show, uv pip list, conda list, environment files, and projects' own."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gpudoctor.intake.paste import Paste
from gpudoctor.intake.pieces import Piece, Said, SeenPackage, Trust
from gpudoctor.intake.projects import read_projects

_VERSION = r"[vV]?\d[\w.!+*-]{0,80}"
_FREEZE = re.compile(rf"([A-Za-z0-9][\w.-]{{0,80}})(?:\[[\w,-]{{1,60}}\])?===?({_VERSION})(?=$|[ ;#,])")
_AT = re.compile(r"([A-Za-z0-9][\w.-]{0,80}) @ (\S{1,300})")
_ROW = re.compile(
    rf"([A-Za-z0-9_][\w.-]{{0,80}}) {{1,60}}({_VERSION})(?: {{1,30}}(\S{{1,200}}))?(?: {{1,30}}(\S{{1,60}}))? {{0,4}}$"
)
_WHEEL = re.compile(r"([A-Za-z0-9]\w{0,60}?)-(\d[\w.+]{0,60})-(?:cp|py)\d[\w.]{0,20}-\w{1,30}-[\w.]{1,80}\.whl")
# What only conda prints in the third column: a build string, or its marks of what pip installed.
_CONDA_BUILD = re.compile(
    r"pypi_0|<pip>|(?:\w{1,30}_)?(?:py\d\.?\d{1,2}|h[0-9a-f]{7})\w{0,40}(?:\.\w{1,20}){0,3}_\d{1,4}\w{0,4}|\w{0,30}py\d\.?\d{1,2}_\d{1,4}"
    r"|(?:mkl|eigen|gpu)_py\d{2,3}h[0-9a-f]{7}_\d{1,4}|(?:py\d\.\d{1,2})_(?:cpu|cuda)[\w.]{0,40}"
)
_CONDA_PATH = re.compile(r"packages in environment at (.{1,300}?):?$")
_SHOW = ("Name:", "Version:", "Summary:", "Home-page:", "Author:", "Author-email:", "License:", "License-Expression:",
         "Location:", "Requires:", "Required-by:", "Editable project location:",
         "Installer:", "Metadata-Version:")  # fmt: skip


def read_packages(paste: Paste) -> Iterator[Piece]:
    """All lists in the paste, one after another."""
    yield from _shown(paste)
    yield from read_projects(paste)
    yield from _tables(paste)
    yield from _conda_rows(paste)
    yield from _freezes(paste)


def _tables(paste: Paste) -> Iterator[Piece]:
    """Tables under a heading: pip's ``Package  Version``, conda's ``# Name  Version  Build  Channel``."""
    texts = paste.texts
    for mark in ("Package", "Name", "packages in environment"):
        for position in tuple(paste.holding(mark)):
            if paste.taken[position]:
                continue
            path = _CONDA_PATH.search(texts[position])
            heading = texts[position].strip("| ").split()
            if path:
                yield Said("conda.prefix", path[1].strip(), paste.where(position), Trust.SHOWN)
                yield Said("python.tool", "conda", paste.where(position), Trust.SHOWN)
                paste.take(position)
            elif heading[:2] == ["Package", "Version"]:
                yield from _rows(paste, position, "pip list")
            elif heading[:3] == ["Name", "Version", "Build"]:
                yield from _rows(paste, position, "conda list")
    for position in sorted(paste.commands):
        command = texts[position]
        tool = _list_command(command)
        if tool and position + 1 < len(texts) and not paste.taken[position + 1]:
            yield from _rows(paste, position, tool)


def _conda_rows(paste: Paste) -> Iterator[Piece]:
    """Rows that lost their heading, by a build string that no other tool prints."""
    if not paste.holds("_", "<pip>"):
        return
    for position in paste.free():
        row = _ROW.match(paste.texts[position]) if position not in paste.commands else None
        if row and row[3] and _CONDA_BUILD.fullmatch(row[3]):
            paste.take(position)
            yield _of_row(row, paste.where(position), "conda list")


def _list_command(command: str) -> str | None:
    if ("conda" in command and " list" in command) or "mamba list" in command:
        return "conda list"
    if "poetry show" in command:
        return "poetry show"
    if " list" in command and ("pip" in command or "uv " in command):
        return "pip list"
    return None


def _rows(paste: Paste, start: int, tool: str) -> Iterator[Piece]:
    """The rows below a heading or command, up to what is no row."""
    paste.take(start)
    strange = 0
    for position in range(start + 1, len(paste)):
        text = paste.texts[position].strip("| ")
        if position in paste.commands or strange > 1:
            return
        if not text.strip("-=+| ") or text.startswith(("Package ", "Name ", "---")):
            paste.take(position)
            continue
        row = _ROW.match(text.replace(" | ", "  ").removeprefix("(!) ") if " | " in text else text)
        if row is None or paste.taken[position] or (":" in row[1]):
            strange += 1
            continue
        strange = 0
        paste.take(position)
        yield _of_row(row, paste.where(position), tool)


def _of_row(row: re.Match[str], where: str, tool: str) -> SeenPackage:
    name, version, third, fourth = row.groups()
    if tool == "conda list":
        build, channel = third or "", fourth or ""
        if third in ("pypi", "<pip>") or channel == "pypi" or build.startswith("pypi"):
            return SeenPackage(name, version, where, "pip list", installer="pip")
        return SeenPackage(name, version, where, tool, build, channel, installer="conda")
    location = third if third and ("/" in third or "\\" in third) else None
    return SeenPackage(name, version, where, tool, location=location, installer="pip" if tool == "pip list" else None)


def _freezes(paste: Paste) -> Iterator[Piece]:
    """``name==version`` lines anywhere, also collect_env's ``[pip3]``, conda's ``name=version=build``, wheel files."""
    if paste.holds("==", " @ "):
        for position in paste.free():
            text = paste.texts[position]
            if "==" not in text and " @ " not in text:
                continue
            yield from _freeze_line(paste, position, text)
    yield from _environment_file(paste)


def _freeze_line(paste: Paste, position: int, text: str) -> Iterator[Piece]:
    tool = "pip freeze"
    if text.startswith(("[pip", "[conda")):
        text = text.partition("]")[2].strip()
    text = text.removeprefix("- ").strip("\"', ")
    where = paste.where(position)
    found = _FREEZE.match(text)
    if found:
        paste.take(position)
        yield SeenPackage(found[1], found[2].rstrip("."), where, tool, installer="pip")
        return
    at = _AT.match(text)
    if at and ("file:" in at[2] or "http" in at[2] or "git+" in at[2]):
        paste.take(position)
        wheel = _WHEEL.search(at[2].replace("%2B", "+"))
        if wheel:
            yield SeenPackage(at[1], wheel[2], where, tool, installer="pip")
        elif "/croot/" in at[2] or "/feedstock_root/" in at[2] or "conda-bld" in at[2] or "/tmp/build/" in at[2]:
            yield SeenPackage(at[1], None, where, "conda list", installer="conda")


def _environment_file(paste: Paste) -> Iterator[Piece]:
    """environment.yml: ``- pytorch=1.4.0=py3.7_cuda10.1_0``. What a file asks for, not what is installed, so stated."""
    for start in tuple(paste.holding("dependencies:")):
        if paste.texts[start] != "dependencies:":
            continue
        paste.take(start)
        for position in range(start + 1, len(paste)):
            text = paste.texts[position].removeprefix("- ")
            parts = text.split("=")
            if text == "pip:":
                paste.take(position)
                continue
            if not re.fullmatch(r"[\w.-]{1,80}(?:=[\w.*+-]{1,80}){0,2}", text):
                break
            paste.take(position)
            if len(parts) > 1 and parts[1][:1].isdecimal():
                build = parts[2] if len(parts) > 2 else ""
                yield SeenPackage(parts[0], parts[1], paste.where(position), "conda list", build, installer="conda")


def _shown(paste: Paste) -> Iterator[Piece]:
    """``pip show NAME``."""
    for start in tuple(paste.holding("Name: ")):
        text = paste.texts[start]
        if (
            not text.startswith("Name: ")
            or start + 1 >= len(paste)
            or not paste.texts[start + 1].startswith("Version: ")
        ):
            continue
        fields: dict[str, str] = {}
        end = start
        for position in range(start, min(start + 16, len(paste))):
            line = paste.texts[position]
            if not line.startswith(_SHOW) or (position > start and line.startswith("Name:")):
                break
            key, _, value = line.partition(":")
            fields[key] = value.strip()
            end = position
        paste.take(start, end)
        yield SeenPackage(
            fields["Name"][:100],
            fields.get("Version", "")[:100] or None,
            paste.where(start, end),
            "pip show",
            location=fields.get("Location") or None,
            installer=fields.get("Installer") or "pip",
        )
