"""The whole story on one page: look at the machine, ask the environment, let the frameworks train, judge.

:func:`collect` yields facts that grow, so that whoever is interrupted still holds what is known so far.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from gpudoctor import __version__
from gpudoctor.children import Limits
from gpudoctor.facts import Build, CudnnCopies, Facts, Frameworks, Imported, Maybe, Missing, Precision, Request
from gpudoctor.probes.background import Background, Series
from gpudoctor.world import World

if TYPE_CHECKING:
    from gpudoctor.collectives import job
    from gpudoctor.collectives.job import Node, Rank
    from gpudoctor.findings import Report
    from gpudoctor.probes.target import TargetAnswer
    from gpudoctor.smoke import jobs
    from gpudoctor.smoke.places import Choice

Watch = Callable[[str, str], None]
"""Told of progress: what is looked at (``driver``, ``torch``), and how far it is (``import``, ``train``, ``done``)."""

_BASE_SECONDS = 600.0
_SECONDS_PER_GPU = 60.0
_IDLE_SECONDS = 60.0
_LOOK_SHARE = 0.4  # of the whole time; what remains is for the frameworks


class Training(msgspec.Struct, frozen=True):
    """How the frameworks are to train; see :class:`gpudoctor.smoke.jobs.Plan`. None: its own default."""

    choice: Choice = "all"
    seconds: float | None = None
    batch: int | None = None
    precision: Precision = "fp32"
    deep: bool = False


class Plan(msgspec.Struct, frozen=True):
    """What to look at. ``executable`` is the interpreter under test; ``time_limit`` seconds for everything.

    ``part`` is this machine's, or this process's, in a job of collective operations; None: there is none.
    """

    executable: str
    request: Request
    time_limit: float | None = None
    training: Training = Training()
    part: Node | Rank | None = None


def diagnose(plan: Plan, world: World, watch: Watch = lambda _what, _state: None) -> Report:
    """Look, judge, and report: :func:`collect` to its end, then :func:`gpudoctor.report.judge`."""
    from gpudoctor.report import judge

    started = time.monotonic()
    *_, facts = collect(plan, world, watch)
    return judge(facts, seconds=time.monotonic() - started)


def collect(plan: Plan, world: World, watch: Watch, meanwhile: Callable[[], object] = lambda: None) -> Iterator[Facts]:
    """All facts, growing: first nothing but the request, at last with the smoke jobs.

    The frameworks are imported as soon as it is known which there are, while the driver is still being asked.
    ``meanwhile`` is called beside all this, in a thread of its own, as soon as the children work.
    """
    facts = Facts(
        gpudoctor=__version__,
        created=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        request=plan.request,
    )
    yield facts
    limits = Limits.within(plan.time_limit or _generous(world))
    looks = _Looks(plan, world, limits, watch, meanwhile)
    for grown in looks.at_host_and_environment(facts):
        facts = grown
        yield facts
    with _jobs(facts, plan, world, limits, watch) as running:
        facts = looks.at_driver(facts)
        yield facts
        if running is not None:
            try:
                running.run(facts.known_gpus())
            except BaseException:
                # Interrupted: what is known so far goes out before the interrupt does.
                yield _with_jobs(facts, running.known())
                raise
            facts = _with_jobs(facts, running.known())
            yield facts
    if plan.training.deep:
        for grown in _deeply(facts, plan, world, limits, watch):
            facts = grown
            yield facts
    part = plan.part or _part_of_this_machine(facts, plan)
    if part is not None:
        yield from _together(facts, plan, part, world, limits, watch)


def _generous(world: World) -> float:
    """Seconds for everything: more for more GPUs, which the kernel lists without being asked to wake them."""
    try:
        count = len(world.list("/proc/driver/nvidia/gpus"))
    except OSError:
        count = 1
    return _BASE_SECONDS + _SECONDS_PER_GPU * count


# ---------------------------------------------------------------------------------------------- looking


class _Looks:
    """Host files, NVML, libcuda and the environment under test, looked at side by side."""

    def __init__(self, plan: Plan, world: World, limits: Limits, watch: Watch, meanwhile: Callable[[], object]) -> None:
        from gpudoctor.probes.target import collect as ask_target

        seconds = (limits.deadline - time.monotonic()) * _LOOK_SHARE
        self._watch = watch
        self._patience = patience = Limits.within(seconds)
        unhurried = Limits.within(seconds, _IDLE_SECONDS)
        watch("driver", "look")
        watch("environment", "look")
        # Children first, the slowest ahead: they work while this process imports what it needs next.
        self._target = Background(lambda: ask_target(world, plan.executable, unhurried))
        from gpudoctor.probes.cuda_driver import cuda_driver, libcuda
        from gpudoctor.probes.nvml import nvml

        self._nvml = Background(lambda: nvml(world, patience))
        self._cuda = Background(lambda: cuda_driver(world, patience))
        from gpudoctor.probes.at_host import HOST_PROBES, look

        self._libcuda = Background(lambda: look(libcuda, world))
        self._host = Series({name: partial(look, probe, world) for name, probe in HOST_PROBES.items()})
        self._meanwhile = meanwhile

    def at_host_and_environment(self, facts: Facts) -> Iterator[Facts]:
        """What is on disk and in the environment: enough to know which frameworks there are."""
        host = self._host.result(self._patience)
        # Not earlier: two threads that both compute hand the interpreter's lock back and forth, which costs more.
        Background(self._meanwhile)
        facts = _with(facts, host, tuple(host))
        yield facts
        facts = with_environment(facts, self._target.result(self._patience))
        self._watch("environment", "done")
        yield facts

    def at_driver(self, facts: Facts) -> Facts:
        """What the driver's libraries answer."""
        facts = _with(facts, _only("libcuda", self._libcuda.result(self._patience)), ("libcuda",))
        facts = _with(facts, _only("cuda", self._cuda.result(self._patience)), ("cuda",))
        facts = _with(facts, _fields(self._nvml.result(self._patience)), ("nvml", "gpus"))
        self._watch("driver", "done")
        return facts


_TARGET_FIELDS = ("interpreter", "packages", "pins", "shadows", "other_environments", "frameworks")


def with_environment(facts: Facts, target: TargetAnswer | Missing) -> Facts:
    """The facts of the machine, grown by those of the environment under test."""
    facts = _with(facts, _fields(target), _TARGET_FIELDS)
    if isinstance(target, Missing):
        return facts
    return msgspec.structs.replace(facts, cudnn=_joined(facts.cudnn, target.cudnn_wheels))


# --------------------------------------------------------------------------------------------- training


@contextlib.contextmanager
def _jobs(facts: Facts, plan: Plan, world: World, limits: Limits, watch: Watch) -> Iterator[jobs.Jobs | None]:
    """The children that import every framework which is due and then train; None where there is none."""
    from gpudoctor.views import wanted

    names = tuple(framework.name for framework in facts.installed_frameworks() if wanted(framework.name, plan.request))
    if plan.request.quick or not names:
        yield None
        return
    from gpudoctor.smoke import jobs
    from gpudoctor.smoke.outside import Outside

    training = plan.training
    with Outside(world, limits) as outside:
        due = jobs.Plan(
            executable=plan.executable,
            frameworks=names,
            environ=world.environ,
            limits=jobs.patience(limits.deadline - time.monotonic()),
            decide=lambda _name, imported: _place(imported, plan),
            choice=training.choice,
            witness=outside.look,
            record=outside.record,
            batch=training.batch or jobs.BATCH,
            precision=training.precision,
            seconds=training.seconds or jobs.JOB_SECONDS,
            deep=training.deep,
        )
        with jobs.Jobs(due, lambda event: watch(event.framework, event.stage)) as running:
            yield running


def _place(imported: Imported, plan: Plan) -> Literal["gpu", "cpu", "skip"]:
    """A GPU that the framework offers is used; else the CPU where that is allowed."""
    if (imported.available or imported.devices) and plan.training.choice != "cpu":
        return "gpu"
    return "cpu" if plan.request.allow_cpu else "skip"


def _with_jobs(facts: Facts, known: jobs.Known) -> Facts:
    assert isinstance(facts.frameworks, Frameworks)  # noqa: S101 - they named the jobs
    frameworks = tuple(
        msgspec.structs.replace(one, imported=known.imported.get(one.name, one.imported))
        for one in facts.frameworks.frameworks
    )
    return msgspec.structs.replace(
        facts,
        frameworks=msgspec.structs.replace(facts.frameworks, frameworks=frameworks),
        smokes=known.smokes,
        messages=(*facts.messages, *known.messages),
    )


# ------------------------------------------------------------------------------------------- deep checks


def _deeply(facts: Facts, plan: Plan, world: World, limits: Limits, watch: Watch) -> Iterator[Facts]:
    """The memory of each GPU and the copies between them, where there is any for this environment."""
    from gpudoctor.verdict import usable_gpus

    if plan.training.choice == "cpu" or not usable_gpus(facts):
        return
    from gpudoctor.probes.cuda_deep import deep_checks
    from gpudoctor.smoke.places import chosen, places

    gpus = facts.known_gpus()
    environ = dict(world.environ)
    if plan.training.choice != "all":
        due = chosen(places(gpus, environ, usable_gpus(facts)), plan.training.choice)
        environ["CUDA_VISIBLE_DEVICES"] = ",".join(place.visible for place in due)
    memory, peers = deep_checks(world, gpus, environ, limits, lambda words: watch("CUDA", words))
    watch("CUDA", "done")
    yield msgspec.structs.replace(facts, memory_tests=memory, peer_copies=peers)


# --------------------------------------------------------------------------------------- several processes


def _part_of_this_machine(facts: Facts, plan: Plan) -> Node | None:
    """A deep run lets several GPUs compute together, or, where no GPU is wanted, two processes on the CPU."""
    from gpudoctor.views import wanted

    torch = facts.framework("torch")
    if not plan.training.deep or torch is None or not torch.installed or not wanted("torch", plan.request):
        return None
    from gpudoctor.collectives.job import Node
    from gpudoctor.verdict import usable_gpus

    several = plan.training.choice == "all" and usable_gpus(facts) > 1
    on_cpu = plan.training.choice == "cpu" or (plan.request.allow_cpu and not usable_gpus(facts))
    return Node() if several or on_cpu else None


def _together(
    facts: Facts, plan: Plan, part: Node | Rank, world: World, limits: Limits, watch: Watch
) -> Iterator[Facts]:
    """Collective operations with the other machines, or between the GPUs of this one."""
    from gpudoctor.collectives import job
    from gpudoctor.smoke import jobs
    from gpudoctor.verdict import usable_gpus

    torch = next((framework for framework in facts.installed_frameworks() if framework.name == "torch"), None)
    if torch is None:
        yield msgspec.structs.replace(facts, collectives=Missing("unreadable", "PyTorch is not installed", "torchrun"))
        return
    on_cpu = plan.training.choice == "cpu" or (isinstance(torch.build, Build) and torch.build.accelerator == "cpu")
    patience = jobs.patience(limits.deadline - time.monotonic())
    gpus = 0 if on_cpu else usable_gpus(facts)
    running = job.Job(job.CollectivesPlan.on(gpus, plan.executable, world.environ, patience, part))
    watch("torch", "together")
    try:
        running.run()
    except BaseException:
        yield _with_collectives(facts, running.known())
        raise
    yield _with_collectives(facts, running.known())
    watch("torch", "done")


def _with_collectives(facts: Facts, known: job.Known) -> Facts:
    return msgspec.structs.replace(facts, collectives=known.collectives, messages=(*facts.messages, *known.messages))


# ------------------------------------------------------------------------------------------ fields of facts


def _with(facts: Facts, found: dict[str, Any] | Missing, names: tuple[str, ...]) -> Facts:
    """The facts with the named fields found, all of them Missing where the whole look failed."""
    if isinstance(found, Missing):
        found = dict.fromkeys(names, found)
    return msgspec.structs.replace(facts, **{name: found[name] for name in names if name in found})


def _fields(answer: Any) -> dict[str, Any] | Missing:
    """The fields of an answer that holds several facts."""
    if isinstance(answer, Missing):
        return answer
    return {name: getattr(answer, name) for name in (*_TARGET_FIELDS, "nvml", "gpus") if hasattr(answer, name)}


def _joined(system: Maybe[CudnnCopies], wheels: Maybe[CudnnCopies]) -> Maybe[CudnnCopies]:
    """The cuDNN copies of the system and those of the environment's packages; known only if both are."""
    if isinstance(system, Missing) or isinstance(wheels, Missing):
        return system if isinstance(system, Missing) else wheels
    return CudnnCopies(source=f"{system.source}, {wheels.source}", copies=(*system.copies, *wheels.copies))


def _only(name: str, answer: Any) -> dict[str, Any]:
    return {name: answer}
