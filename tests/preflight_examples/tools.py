"""The programs that read the examples, out of an environment that the suite makes once."""

from __future__ import annotations

import functools
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.environments import Unmakeable, environment

Ran = subprocess.CompletedProcess[str]


@functools.cache
def _folder() -> Path | str:
    try:
        return environment("examples").parent
    except Unmakeable as why:
        return str(why)


def tool(*argv: str | Path) -> Ran:
    """Run a program of that environment. Where it cannot be made the test is skipped, under CI=true it fails."""
    folder = _folder()
    if isinstance(folder, str):
        if os.environ.get("CI") == "true":
            pytest.fail(f"no examples environment: {folder}", pytrace=False)
        pytest.skip(f"no examples environment: {folder}")
    program, *arguments = map(str, argv)
    return subprocess.run([folder / program, *arguments], capture_output=True, text=True, check=False, timeout=120)


def told(ran: Ran) -> str:
    """What a program that refused something said, nothing where it was content."""
    return (ran.stdout + ran.stderr) if ran.returncode else ""


def documents(path: Path) -> list[Any]:
    """The documents of a YAML file."""
    program = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))"
    ran = tool("python", "-c", program, path)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert isinstance(found, list)
    return found


def instructions(path: Path) -> list[dict[str, Any]]:
    """The instructions of a Dockerfile as BuildKit's parser reads them: ``cmd``, ``json`` (exec form), ``value``."""
    program = (
        "import dockerfile, json, sys; print(json.dumps([c._asdict() for c in dockerfile.parse_file(sys.argv[1])]))"
    )
    ran = tool("python", "-c", program, path)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert isinstance(found, list)
    return found
