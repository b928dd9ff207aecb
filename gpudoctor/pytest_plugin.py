"""For tests that need a GPU: the marker ``gpu``, the fixtures ``gpu`` and ``gpus``, the option ``--gpu-required``.

``@pytest.mark.gpu(vram="16GiB", count=2, capability="8.0")`` skips a test, with the reason, where the machine does not
suffice. Nothing is looked at until the first such test is about to run, and then once for the session, workers of
pytest-xdist included. pytest loads this module in every run of the environment: it imports nothing but pytest.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

    from gpudoctor.testing import Device, Sight

_FOLDER = pytest.StashKey[str]()
_SIGHT = pytest.StashKey["Sight"]()
_CHOSEN = pytest.StashKey["tuple[Device, ...]"]()
_REFUSED = pytest.StashKey[str]()
_SHARED = "gpudoctor_folder"

_MARKER = (
    'gpu(count=1, vram="16GiB", free_vram="8GiB", capability="8.0", driver="550", cuda="12.4", name="H100"): '
    "needs that many NVIDIA GPUs, each with at least so much; skipped with the reason where they are not there "
    "(gpudoctor)"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--gpu-required``."""
    parser.getgroup("gpudoctor").addoption(
        "--gpu-required",
        action="store_true",
        help="fail the tests marked gpu, or using the fixture gpu, that would be skipped for want of a GPU",
    )


def pytest_configure(config: pytest.Config) -> None:
    """The marker is registered, so that ``--strict-markers`` knows it."""
    config.addinivalue_line("markers", _MARKER)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before the fixtures of a marked test: do the GPUs suffice?"""
    if item.get_closest_marker("gpu"):
        _choose(item)


@pytest.fixture
def gpus(request: pytest.FixtureRequest) -> tuple[Device, ...]:
    """The GPUs that meet the test's marker, or every one that CUDA shows; at least one, else the test is skipped."""
    item = request.node
    return item.stash[_CHOSEN] if _CHOSEN in item.stash else _choose(item)


@pytest.fixture
def gpu(gpus: tuple[Device, ...]) -> Device:
    """The first of ``gpus``: a :class:`gpudoctor.testing.Device`."""
    return gpus[0]


def _choose(item: pytest.Item) -> tuple[Device, ...]:
    """The devices for a test, kept on it. Ends the test where they do not suffice or its marker is wrong."""
    from gpudoctor.testing import MarkerError, chosen, needed

    try:
        need = needed((marker.args, marker.kwargs) for marker in item.iter_markers("gpu"))
    except MarkerError as error:
        pytest.fail(f"marker {error}", pytrace=False)
    found = chosen(need, _sight(item.config))
    if isinstance(found, str):
        _refuse(found, item)
    item.stash[_CHOSEN] = found
    return found


def _refuse(reason: str, item: pytest.Item) -> NoReturn:
    if item.config.getoption("--gpu-required"):
        pytest.fail(f"--gpu-required: {reason}", pytrace=False)
    item.stash[_REFUSED] = reason
    pytest.skip(reason)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    """A test is reported as skipped at its own line, not at this module's."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and _REFUSED in item.stash:
        path, line, _ = item.location
        report.longrepr = (path, (line or 0) + 1, f"Skipped: {item.stash[_REFUSED]}")


# ------------------------------------------------------------------------------------------------ one look a session


def _sight(config: pytest.Config) -> Sight:
    if _SIGHT not in config.stash:
        config.stash[_SIGHT] = _shared_sight(getattr(config, "workerinput", {}).get(_SHARED))
    return config.stash[_SIGHT]


def _shared_sight(folder: str | None) -> Sight:
    """What this session's first worker saw, or, where that cannot be shared (another machine), a look of one's own."""
    from gpudoctor.testing import Sight, look
    from gpudoctor.world import World

    if folder is None or sys.platform == "win32" or not os.path.isdir(folder):
        return look(World())
    import fcntl

    import msgspec

    with open(os.path.join(folder, "sight.json"), "a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # the first worker looks, the others wait for it
        file.seek(0)
        seen = file.read()
        if seen:
            return msgspec.json.decode(seen, type=Sight)
        sight = look(World())
        file.write(msgspec.json.encode(sight))
        return sight


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """pytest-xdist starts a worker: all of them get one private folder, in which the first to look leaves its sight."""
    stash = node.config.stash
    if _FOLDER not in stash:
        try:
            stash[_FOLDER] = tempfile.mkdtemp(prefix="gpudoctor-")
        except OSError:  # nowhere to write: each worker looks for itself
            return
    node.workerinput[_SHARED] = stash[_FOLDER]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Nothing is left behind."""
    if _FOLDER in config.stash:
        shutil.rmtree(config.stash[_FOLDER], ignore_errors=True)
