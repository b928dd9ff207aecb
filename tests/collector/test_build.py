"""Laws: the collector carries all that it needs and nothing that could reach a network or judge."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pynvml  # type: ignore[import-untyped]
import pytest

from gpudoctor.collector import build
from gpudoctor.collector.build import carried, collector, shaken, sources
from gpudoctor.probes import nvml_child
from tests.collector.places import written

_STAND_INS = {"msgspec", "msgspec.structs"}
# Where they are imported, they are not needed: what the collector never does.
_NOT_CARRIED = {"gpudoctor.collector.told", "gpudoctor.findings", "gpudoctor.window"}


def _imports(source: str) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names if node.module == "gpudoctor.probes")
    return found


def test_it_imports_the_standard_library_and_what_it_carries() -> None:
    held = dict(sources())
    names = {name.removesuffix(".__init__") for name in held} | {"gpudoctor", "gpudoctor.probes.at_host.look"}
    names |= {"gpudoctor.probes.at_host.HOST_PROBES"}
    strangers = {
        f"{name}: {imported}"
        for name, source in (*held.items(), ("the file itself", collector()))
        for imported in _imports(source)
        if imported.partition(".")[0] not in sys.stdlib_module_names
        and imported not in names | _STAND_INS | _NOT_CARRIED
    }
    assert strangers == set()


def test_it_carries_what_looks_and_nothing_that_judges() -> None:
    rooms = {name.split(".")[1] for name in carried()}
    assert rooms & {"rules", "matrix", "render", "cli", "engine", "prescribe", "verdict", "smoke", "report"} == set()
    assert {f"gpudoctor.probes.{name}" for name in ("host", "driver", "container", "toolkit", "nvml")} <= set(carried())


def test_nothing_in_it_can_reach_a_network() -> None:
    reaching = {"socket", "ssl", "http", "http.client", "urllib.request", "ftplib", "smtplib", "asyncio", "xmlrpc"}
    assert {name for name, source in sources() if _imports(source) & reaching} == set()


def test_what_it_carries_stands_in_it_as_readable_text() -> None:
    text = collector()
    assert "probe that crashes is an outcome, whatever its kind" in text
    assert "Copyright (c) 2011" in text  # nvidia-ml-py's licence asks for it
    assert max(map(len, text.splitlines())) < 2000
    assert len(text) < 500_000


def test_it_is_the_same_file_each_time(tmp_path: Path) -> None:
    assert written(tmp_path).read_text("utf-8") == collector()


# ----------------------------------------------------------------------------------------------- nvidia-ml-py


@pytest.fixture(scope="module")
def small() -> ModuleType:
    """nvidia-ml-py without what nobody asks."""
    made = ModuleType("small_pynvml")
    sys.modules["small_pynvml"] = made
    exec(build._pynvml(), vars(made))  # noqa: S102 - a module of ours
    return made


def test_every_function_that_is_asked_is_kept(small: ModuleType) -> None:
    asked = build._asked_of_nvml(Path(nvml_child.__file__).read_text("utf-8"))
    wanted = {name for name in vars(pynvml) if asked.fullmatch(name)}
    assert len(wanted) > 45
    assert wanted <= set(vars(small))


def test_what_a_kept_function_uses_is_kept(small: ModuleType) -> None:
    lost = set()
    for node in ast.walk(ast.parse(build._pynvml())):
        if isinstance(node, ast.Name) and node.id in vars(pynvml) and not hasattr(small, node.id):
            lost.add(node.id)
    assert lost == set()


def test_errors_keep_their_names_and_classes(small: ModuleType) -> None:
    errors = {name: value for name, value in vars(pynvml).items() if name.startswith("NVML_ERROR_")}
    assert {name: value for name, value in vars(small).items() if name.startswith("NVML_ERROR_")} == errors
    error: Any = small.NVMLError(15)
    assert type(error).__name__ == "NVMLError_GpuIsLost"


def test_a_module_is_shaken_down_to_what_is_wanted() -> None:
    source = (
        "# licence\nimport os\n\nA = 1\nB = 2\n\n# about f\n@deco\ndef f():\n    return A\n\n"
        "def deco(g):\n    return g\n\ndef h():\n    return B\n\nNVML_ERROR_X = 3\nprint(f)\n"
    )
    assert shaken(source, re.compile("nothing")) == (
        "# licence\nimport os\nA = 1\n@deco\ndef f():\n    return A\n"
        "def deco(g):\n    return g\nNVML_ERROR_X = 3\nprint(f)\n"
    )
