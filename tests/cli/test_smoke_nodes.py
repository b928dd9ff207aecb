"""``gpudoctor smoke --nodes``: printing the command lines, and taking part as those that are printed do."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.cli.run import BUSY, Ran, command, environ, free_port, gpudoctor


def collectives(report: dict[str, Any]) -> tuple[int, int, list[bool | None]]:
    told = report["facts"]["collectives"]
    return told["processes"], told.get("nodes", 1), [one["holds"] for one in told["collectives"]]


def test_without_an_address_the_lines_are_printed_and_nothing_is_run(tmp_path: Path) -> None:
    ran = gpudoctor("smoke", "--nodes", "2", "--python", sys.executable, home=tmp_path, SLURM_JOB_NODELIST="n[7-8]")
    lines = ran.stdout.splitlines()
    smoke = f"{sys.executable} -m gpudoctor smoke --python {sys.executable} --nodes 2"
    assert (ran.code, ran.stderr) == (0, "")
    assert lines[:4] == [
        "# on n7:",
        f"{smoke} --rdzv n7:29533 --node-rank 0",
        "# on n8:",
        f"{smoke} --rdzv n7:29533 --node-rank 1",
    ]
    assert [line.split()[0] for line in lines[4:]] == ["#", "srun", "#", sys.executable]
    assert ran.seconds < BUSY


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--rdzv", "n0:1"), "--rdzv and --node-rank need --nodes"),
        (("--nodes", "2", "--node-rank", "0"), "--node-rank needs --rdzv"),
        (("--nodes", "2", "--rdzv", "n0:1"), "--node-rank must say which machine this is: 0 to 1"),
        (("--nodes", "2", "--rdzv", "n0"), "is no HOST:PORT of the first machine"),
        (("--nodes", "2", "--python", "/nowhere/python"), "--python"),
        (("--nodes", "0"), "--nodes"),
    ],
)
def test_wrong_usage_is_one_sentence(tmp_path: Path, options: tuple[str, ...], sentence: str) -> None:
    ran = gpudoctor("smoke", *options, home=tmp_path)
    assert (ran.code, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
    assert sentence in ran.stderr


def test_two_machines_of_which_slurm_numbers_one_report_what_each_saw(torch_python: Path, tmp_path: Path) -> None:
    nodes = ("--nodes", "2", "--rdzv", f"127.0.0.1:{free_port()}")
    options = ("smoke", *nodes, "--device", "cpu", "--format", "json", "--python", str(torch_python))
    slurm = {"SLURM_STEP_NUM_NODES": "2", "SLURM_STEP_NUM_TASKS": "2", "SLURM_NODEID": "1", "SLURM_PROCID": "1"}

    def run(first: bool) -> Ran:
        if first:
            return gpudoctor(*options, "--node-rank", "0", home=tmp_path)
        return gpudoctor(*options, home=tmp_path, **slurm)

    with ThreadPoolExecutor(2) as pool:
        for ran in pool.map(run, (True, False)):
            assert (ran.code, ran.report["status"]) == (0, "healthy"), ran.stderr
            assert collectives(ran.report) == (4, 2, [True] * 3)


def test_a_process_of_torchrun_takes_part_and_reports(torch_python: Path, tmp_path: Path) -> None:
    torchrun = (str(torch_python), "-m", "torch.distributed.run", "--nproc_per_node=2", "--rdzv_backend=c10d")
    smoke = command("smoke", "--nodes", "1", "--device", "cpu", "--format", "json", "--python", str(torch_python))
    done = subprocess.run(
        [*torchrun, "--rdzv_endpoint=127.0.0.1:0", "--redirects=1", "--log_dir=logs", "--no_python", *smoke],
        capture_output=True,
        cwd=tmp_path,
        env=environ(tmp_path),
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    reports = [json.loads(path.read_text()) for path in tmp_path.glob("logs/**/stdout.log")]
    assert [collectives(report) for report in reports] == [(2, 1, [True] * 3)] * 2


def test_machines_that_never_come_leave_the_report_undetermined(torch_python: Path, tmp_path: Path) -> None:
    options = ("--nodes", "2", "--rdzv", f"127.0.0.1:{free_port()}", "--node-rank", "1", "--device", "cpu")
    ran = gpudoctor(
        "smoke", *options, "--python", str(torch_python), "--format", "json", "--time-limit", "15", home=tmp_path
    )
    assert (ran.code, ran.report["status"]) == (3, "undetermined")
    assert "the other machines did not come in time" in json.dumps(ran.report)
