"""Imports frameworks and trains in them, each in a child of the interpreter under test.

All imports overlap. When the last has ended, those children whose framework is due a job take turns, so that speed
and memory can be judged. The facts themselves are made in :mod:`gpudoctor.smoke_facts`.
"""

from __future__ import annotations

import contextlib
import pkgutil
import queue
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from gpudoctor.children import MARK, Child, Ending, Limits
from gpudoctor.children import Message as Line
from gpudoctor.facts import FrameworkName, Gpu, Imported, Maybe, Message, Missing, Smoke
from gpudoctor.smoke_facts import Device, Sight, Told, Warned, gpu_index, imported_fact, messages, smoke_fact

STEPS = 200
IDLE_SECONDS = 60.0  # without a message or processor time; a driver that wakes many GPUs takes some
SHORTEST_IDLE_SECONDS = 5.0  # a cold disk alone keeps an import silent for a while


def patience(seconds: float) -> Limits:
    """Limits for a plan that may take so many seconds: where they are few, a hang is told sooner.

    Where they are very few, the time limit comes first: too little time to wait is no sign of a hang.
    """
    return Limits.within(seconds, max(SHORTEST_IDLE_SECONDS, min(IDLE_SECONDS, 0.4 * seconds)))


Decide = Callable[[FrameworkName, Imported], Device]
Witness = Callable[[tuple[int, ...], int], Sight | Missing]


class Event(NamedTuple):
    """Progress for a display: a stage began, or a step of training was done. ``seconds`` since the start."""

    framework: FrameworkName
    stage: str
    seconds: float
    step: int | None = None
    steps: int | None = None


@dataclass(frozen=True)
class Plan:
    """What is to be run.

    ``executable`` is the interpreter under test, ``environ`` the user's environment. ``decide`` says, once a
    framework was imported or failed to be, where its job is due: on the GPU, on the CPU, or nowhere (``skip``).
    ``witness`` looks at one GPU (NVML's index) from outside for these processes, before the job and while it holds
    memory. ``gpus`` are NVML's. ``train`` False: imports only.
    """

    executable: str
    frameworks: tuple[FrameworkName, ...]
    environ: Mapping[str, str]
    limits: Limits
    decide: Decide
    witness: Witness | None = None
    gpus: tuple[Gpu, ...] = ()
    steps: int = STEPS
    train: bool = True


@dataclass(frozen=True)
class Known:
    """What is known so far: whole at the end, partial after an interruption."""

    imported: Mapping[FrameworkName, Maybe[Imported]]
    smokes: tuple[Smoke, ...]
    messages: tuple[Message, ...]


@dataclass
class _Course:
    """One framework's child and what it told."""

    told: Told
    child: Child
    ending: Ending | None = None
    went_at: float = 0.0

    @property
    def importing(self) -> bool:
        return self.ending is None and self.told.listed is None

    @property
    def ready(self) -> bool:
        return self.ending is None and self.told.listed is not None and self.told.decision is None

    @property
    def running(self) -> bool:
        return self.ending is None and self.told.decision is not None


@dataclass
class Jobs:
    """The children of one plan. Use it as a context manager: leaving it ends them and removes their caches.

    ``known()`` may be asked at any time, also after ``run()`` was interrupted.
    """

    plan: Plan
    report: Callable[[Event], None] = lambda _: None
    _courses: list[_Course] = field(default_factory=list)
    _queue: queue.SimpleQueue[tuple[_Course, Line | Ending]] = field(default_factory=queue.SimpleQueue)
    _exit: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _notes: list[Message] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)

    def __enter__(self) -> Jobs:
        with contextlib.ExitStack() as stack:
            scratch = stack.enter_context(_scratch())
            if scratch is None:
                text = "no writable temporary folder: caches of the frameworks are switched off where they can be"
                self._notes.append(Message(source="gpudoctor", text=text))
            for name in dict.fromkeys(self.plan.frameworks):
                self._start(name, scratch, stack)
            self._exit = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def _start(self, name: FrameworkName, scratch: Path | None, stack: contextlib.ExitStack) -> None:
        environ = child_environ(self.plan.environ, name, scratch)
        child = Child.python(
            self.plan.executable, program(name), environ=environ, limits=self.plan.limits, listens=True
        )
        course = _Course(Told(name), child)
        listener = threading.Thread(target=self._listen, args=(course,), daemon=True)
        # The listener ends when the child does; it is waited for after that.
        stack.callback(listener.join, 5.0)
        stack.enter_context(child)
        self._courses.append(course)
        listener.start()

    def _listen(self, course: _Course) -> None:
        for line in course.child.messages():
            self._queue.put((course, line))
        self._queue.put((course, course.child.ending()))

    # ------------------------------------------------------------------------------------------------ running

    def run(self) -> None:
        """Run everything to its end. Every child ends by itself or by its limits."""
        while any(course.ending is None for course in self._courses):
            course, item = self._queue.get()
            if isinstance(item, Ending):
                self._ended(course, item)
            elif course.ending is None:
                self._heard(course, item)
            self._give_turn()

    def _ended(self, course: _Course, ending: Ending) -> None:
        told, course.ending = course.told, ending
        if course.went_at:
            told.job_seconds = told.job_seconds or time.monotonic() - course.went_at
        imported = imported_fact(told, ending)
        if self.plan.train and told.decision is None and isinstance(imported, Imported):
            told.decision = self.plan.decide(told.name, imported)

    def _heard(self, course: _Course, line: Line) -> None:
        told = course.told
        try:
            told.take(line)
        except (KeyError, TypeError, ValueError):
            told.warnings.append(Warned(told.stage, f"not understood: {line!r}"[:200], early=not told.went))
        if "stage" in line:
            self._show(told)
            if told.stage == "done":
                told.job_seconds = time.monotonic() - course.went_at
        elif "step" in line:
            self._show(told, line["step"], line.get("of"))
        elif "hold" in line:
            told.during = self._look(course)
            course.child.send({"continue": True, "profile": not self._seen(told)})

    def _show(self, told: Told, step: int | None = None, steps: int | None = None) -> None:
        self.report(Event(told.name, told.stage, time.monotonic() - self._began, step, steps))

    def _seen(self, told: Told) -> bool:
        proofs = smoke_fact(told, None).proofs
        return any(proof.holds for proof in proofs if proof.name.startswith("outside-"))

    def _look(self, course: _Course) -> Sight | Missing:
        gpu, pids = course.told.gpu, {course.child.pid, course.told.pid}
        if self.plan.witness is None:
            return Missing("not-asked", "no witness")
        if gpu is None:
            return Missing("unreadable", "which of the driver's GPUs this is, is not known")
        return self.plan.witness(tuple(pid for pid in pids if pid is not None), gpu)

    def _give_turn(self) -> None:
        if any(course.importing or course.running for course in self._courses):
            return
        for course in self._courses:
            if course.ready:
                self._let_go(course)
                return

    def _let_go(self, course: _Course) -> None:
        told, child = course.told, course.child
        imported = imported_fact(told, None)
        assert isinstance(imported, Imported)  # noqa: S101 - it was listed
        told.decision = self.plan.decide(told.name, imported) if self.plan.train else "skip"
        if told.decision == "skip":
            child.send({"stop": True})
            return
        if told.decision == "gpu":
            listed = told.listed or {}
            name = imported.devices[0].name if imported.devices else None
            told.gpu = gpu_index(self.plan.gpus, listed.get("pci"), name)
            told.before = self._look(course)
        told.went, course.went_at = True, time.monotonic()
        child.send({"go": {"device": told.decision, "steps": self.plan.steps}})

    # --------------------------------------------------------------------------------------------- the facts

    def known(self) -> Known:
        """All facts so far. A job that was neither done nor ended counts as interrupted."""
        told = [(course.told, course.ending) for course in self._courses]
        return Known(
            imported={one.name: imported_fact(one, ending) for one, ending in told},
            smokes=tuple(smoke_fact(one, ending) for one, ending in told) if self.plan.train else (),
            messages=(*self._notes, *(message for one, ending in told for message in messages(one, ending))),
        )


# ------------------------------------------------------------------------------------------------- the children


def program(name: FrameworkName) -> str:
    """The source that a framework's child runs."""
    common, own = (_inside(file) for file in ("common_job.py", f"train_{name}.py"))
    return f"{common}\n\n{own}\n\nmain({MARK!r}, Framework)\n"


def _inside(file: str) -> str:
    data = pkgutil.get_data("gpudoctor", f"inside/{file}")
    if data is None:
        raise FileNotFoundError(file)
    return data.decode("ascii")


# Folders that would otherwise be made in the user's home, the working directory or /tmp.
_CACHES = (
    "CUDA_CACHE_PATH",
    "CUPY_CACHE_DIR",
    "JAX_COMPILATION_CACHE_DIR",
    "KERAS_HOME",
    "MPLCONFIGDIR",
    "NUMBA_CACHE_DIR",
    "PYTORCH_KERNEL_CACHE_PATH",
    "TEMP",
    "TMP",
    "TMPDIR",
    "TORCHINDUCTOR_CACHE_DIR",
    "TORCH_EXTENSIONS_DIR",
    "TORCH_HOME",
    "TRITON_CACHE_DIR",
    "TRITON_HOME",
    "XDG_CACHE_HOME",
)
# What would change the protocol, keep the child open, or print stack traces and timings.
_UNSET = (
    "PYTHONFAULTHANDLER",
    "PYTHONINSPECT",
    "PYTHONIOENCODING",
    "PYTHONPROFILEIMPORTTIME",
    "PYTHONVERBOSE",
    "TF_CPP_MAX_VLOG_LEVEL",
    "TF_CPP_VMODULE",
    "TORCH_LOGS",
)
_SET = {
    "PYTHONDONTWRITEBYTECODE": "1",
    "TF_CPP_MIN_LOG_LEVEL": "0",
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
}


def child_environ(environ: Mapping[str, str], name: FrameworkName, scratch: Path | None) -> dict[str, str]:
    """The user's environment with all caches in ``scratch``; with None, the CUDA cache is switched off."""
    result = {key: value for key, value in environ.items() if key not in _UNSET} | _SET
    # cuBLAS wants this before its first use, for the same bits twice:
    # https://docs.nvidia.com/cuda/cublas/#results-reproducibility
    result.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if name == "tensorflow":
        result["KERAS_BACKEND"] = "tensorflow"
    # The reference is computed on the CPU, which JAX_PLATFORMS=cuda would take away.
    if name == "jax" and result.get("JAX_PLATFORMS") and "cpu" not in result["JAX_PLATFORMS"].split(","):
        result["JAX_PLATFORMS"] += ",cpu"
    if scratch is None:
        return result | {"CUDA_CACHE_DISABLE": "1"}
    folders = {key: scratch / key.lower() for key in _CACHES}
    for folder in folders.values():
        folder.mkdir(exist_ok=True)
    return result | {key: str(folder) for key, folder in folders.items()}


@contextlib.contextmanager
def _scratch() -> Iterator[Path | None]:
    """A private folder that is gone afterwards; None where none can be made."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="gpudoctor-"))
    except OSError:
        yield None
        return
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
