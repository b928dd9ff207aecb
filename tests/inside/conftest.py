"""The files that are joined for a framework's child, with the names in them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.inside.joined import common


@pytest.fixture(scope="session")
def job() -> Any:
    """Everything that is common to the children, as they have it."""
    names: dict[str, Any] = {"__name__": "common"}
    exec(compile(common(), "common", "exec"), names)  # noqa: S102 - as the child does
    return SimpleNamespace(**names)
