"""Command lines for several machines, and the part that a started process takes."""

from __future__ import annotations

import shlex

import pytest

from gpudoctor.collectives.job import Node, Rank
from gpudoctor.collectives.nodes import command_lines, expanded, host, hosts_of, part

TORCHRUN = {"RANK": "9", "LOCAL_RANK": "1", "WORLD_SIZE": "16", "MASTER_ADDR": "n0", "MASTER_PORT": "29500"}


def test_the_lines_for_two_machines() -> None:
    smoke = "gpudoctor smoke --python /venv/bin/python --nodes 2"
    options = "--nnodes=2 --nproc_per_node=8 --rdzv_id=gpudoctor --rdzv_backend=c10d --rdzv_endpoint=n0:29533"
    assert command_lines(2, 8, ("n0", "n1"), "/venv/bin/python") == (
        "# on n0:",
        f"{smoke} --rdzv n0:29533 --node-rank 0",
        "# on n1:",
        f"{smoke} --rdzv n0:29533 --node-rank 1",
        "# or once with Slurm, in an allocation of 2 nodes:",
        f"srun --nodes=2 --ntasks-per-node=1 --gpus-per-node=8 {smoke} --rdzv n0:29533",
        "# or with torchrun, on every machine:",
        f"/venv/bin/python -m torch.distributed.run {options} --no_python {smoke}",
    )


def test_what_is_not_known_of_the_others_is_left_to_torchrun_and_slurm() -> None:
    lines = command_lines(3, 0, ("n0",), "python3", program=("/opt/my tools/python", "-m", "gpudoctor"), port=1234)
    assert lines[2] == "# on machine 1 of 3:"
    assert lines[3] == (
        "'/opt/my tools/python' -m gpudoctor smoke --python python3 --nodes 3 --rdzv n0:1234 --node-rank 1"
    )
    assert lines[7].startswith("srun --nodes=3 --ntasks-per-node=1 '/opt/my tools/python'")
    assert "--nproc_per_node=gpu" in lines[9]


def test_on_the_cpu_two_processes_run_on_each_machine() -> None:
    lines = command_lines(1, 0, ("n0",), "python3", on_cpu=True)
    assert lines[1] == "gpudoctor smoke --python python3 --device cpu --nodes 1 --rdzv n0:29533 --node-rank 0"
    assert "--nproc_per_node=2" in lines[5]
    assert lines[5].endswith("gpudoctor smoke --python python3 --device cpu --nodes 1")


def test_every_line_reads_back_as_the_words_it_was_made_of() -> None:
    lines = command_lines(1, 1, ("n0",), "/a b/$(x)/python;", program=("/it's/gpudoctor",))
    for line in lines[1::2]:
        words = shlex.split(line)
        assert words[words.index("--python") + 1] == "/a b/$(x)/python;"
        assert "/it's/gpudoctor" in words


@pytest.mark.parametrize("name", ["n0;reboot", "n 0", "", "-n0", "n0\nn1", "$(x)", "n0:1"])
def test_what_is_no_host_name_is_not_printed(name: str) -> None:
    with pytest.raises(ValueError, match="is no host name"):
        command_lines(1, 1, (name,), "python")


@pytest.mark.parametrize("name", ["n0", "node-1.cluster.local", "10.0.0.1", "[fe80::1]"])
def test_names_and_addresses_are_hosts(name: str) -> None:
    assert host(name) == name


@pytest.mark.parametrize(
    ("short", "names"),
    [
        ("n1", ("n1",)),
        ("n[01-03,7],gpu1", ("n01", "n02", "n03", "n7", "gpu1")),
        ("a,b-[9-11]", ("a", "b-9", "b-10", "b-11")),
        ("r[1-2]n[3,5]", ("r1n3", "r1n5", "r2n3", "r2n5")),
    ],
)
def test_slurms_short_form_is_expanded(short: str, names: tuple[str, ...]) -> None:
    assert expanded(short) == names


def test_a_range_without_end_is_cut() -> None:
    assert len(expanded("n[0-999999999]")) == 1024
    assert len(expanded("n[0-9999][0-9999]")) == 1024


def test_the_allocation_names_the_machines_else_this_one_is_named() -> None:
    assert hosts_of({"SLURM_JOB_NODELIST": "n[1-2]"}, "here") == ("n1", "n2")
    assert hosts_of({}, "here") == ("here",)


# ------------------------------------------------------------------------------------------------ which part


def test_nothing_that_says_so_is_no_part() -> None:
    assert part({}, 2, None, None) is None
    assert part({"SLURM_PROCID": "0", "SLURM_NTASKS": "2"}, 2, None, None) is None
    assert part({**TORCHRUN, "MASTER_PORT": ""}, 2, None, None) is None


def test_a_process_of_torchrun_is_a_process_of_the_job() -> None:
    assert part(TORCHRUN, 2, None, None) == Rank(9, 1, 16, 2, "n0", 29500)


def test_an_address_and_a_number_are_a_machine_whatever_is_around() -> None:
    assert part(TORCHRUN, 2, "n0:29533", 1) == Node(1, 2, "n0", 29533)


def test_one_task_on_each_node_of_slurm_is_that_machine() -> None:
    environ = {"SLURM_STEP_NUM_NODES": "2", "SLURM_STEP_NUM_TASKS": "2", "SLURM_NODEID": "1", "SLURM_PROCID": "1"}
    assert part(environ, 2, "n0:29533", None) == Node(1, 2, "n0", 29533)


def test_several_tasks_on_a_node_are_processes_of_the_job() -> None:
    environ = {"SLURM_STEP_NUM_NODES": "2", "SLURM_STEP_NUM_TASKS": "8", "SLURM_NODEID": "1"}
    environ |= {"SLURM_PROCID": "5", "SLURM_LOCALID": "1"}
    assert part(environ, 2, "n0:29533", None) == Rank(5, 1, 8, 2, "n0", 29533)


@pytest.mark.parametrize(
    ("environ", "rdzv", "rank", "sentence"),
    [
        ({}, "n0:29533", None, "--node-rank must say which machine this is: 0 to 1"),
        ({}, "n0:29533", 2, "--node-rank must say which machine this is: 0 to 1"),
        ({"SLURM_STEP_NUM_NODES": "3", "SLURM_NODEID": "1"}, "n0:29533", None, "--node-rank must say"),
        ({}, "n0", 0, "'n0' is no HOST:PORT of the first machine"),
        ({}, "n0:99999", 0, "'n0:99999' is no HOST:PORT of the first machine"),
        ({}, "n 0:1", 0, "'n 0' is no host name"),
        ({**TORCHRUN, "RANK": "one"}, None, None, "RANK is 'one', no number"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(
    environ: dict[str, str], rdzv: str | None, rank: int | None, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence.replace("(", r"\(")):
        part(environ, 2, rdzv, rank)
