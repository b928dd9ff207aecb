"""When witnesses look: what a context takes, and what others move, is not to be taken for the job's memory."""

from __future__ import annotations

from gpudoctor.facts import GpuProcess
from gpudoctor.smoke.jobs import Target
from tests.smoke.test_jobs import Seen, imitate, replace, run, smoke, with_witness

GIB = 1 << 30
MIB = 1 << 20


def test_the_first_look_is_at_a_gpu_that_is_open_and_the_second_while_memory_is_held() -> None:
    seen: list[str] = []

    def witness(pids: tuple[int, ...], target: Target) -> Seen:
        seen.append("look")
        return Seen(GIB)

    run(replace(imitate(), witness=witness), lambda event: seen.append(event.stage))
    told = [word for before, word in zip(["", *seen], seen, strict=False) if word != before]
    assert told[: told.index("verify") + 3] == [
        "start",
        "import",
        "init",
        "look",
        "copy",
        "compute",
        "train",
        "verify",
        "look",
        "parts",
    ]


def test_a_job_that_only_keeps_a_context_is_not_proved() -> None:
    # The driver lists the process, as it lists every one with a context, and tells no memory: a container.
    def context(pids: tuple[int, ...], target: Target) -> Seen:
        return Seen(GIB, (GpuProcess(pid=pids[0], used=0),), 1)

    job = smoke(run(replace(imitate(), witness=context)))
    listed = job.proof("outside-process")
    assert listed is not None
    assert listed.holds
    assert job.result == "ran-on-cpu"
    assert "outside-memory: memory in use on the GPU went up by 0 MiB" in (job.error or "")


def test_memory_that_another_container_gives_back_meanwhile_refutes_nothing() -> None:
    job = smoke(run(with_witness(imitate(), Seen(9 * GIB), Seen(9 * GIB - 500 * MIB))))
    assert job.result == "not-run"
