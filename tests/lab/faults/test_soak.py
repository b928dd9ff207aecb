"""Runs with random faults, one after another, leave no process, no file and no mount, and none loses its report."""

from __future__ import annotations

import pytest

from tests.lab.drivers.needs import need_compiler
from tests.lab.faults.soak import Draw, draws, run

RUNS = 10
SEED = 20261121


@pytest.mark.parametrize("draw", list(draws(RUNS, SEED)), ids=range(RUNS))
def test_a_run_with_random_faults_leaves_nothing_behind(draw: Draw) -> None:
    need_compiler()
    assert run(draw).wrong == [], str(draw)


def test_the_same_seed_draws_the_same_faults() -> None:
    assert list(map(str, draws(20, 7))) == list(map(str, draws(20, 7)))
    assert list(map(str, draws(20, 7))) != list(map(str, draws(20, 8)))
