from __future__ import annotations

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, says

RULE = "wrong-interpreter"
PASTE = f.Facts(origin="paste")


def test_a_module_that_is_listed_and_not_found_runs_in_another_python() -> None:
    facts = says("ModuleNotFoundError: No module named 'torch'", GOOD)
    assert found(facts, RULE).title == "torch is not found by this Python, although torch 2.13.0 is installed."


def test_a_module_that_is_not_listed_is_not_installed() -> None:
    assert findings(says("ModuleNotFoundError: No module named 'jax'", GOOD), RULE) == ()


def test_a_part_of_a_module_is_another_matter() -> None:
    assert findings(says("ModuleNotFoundError: No module named 'torch._C'", GOOD), RULE) == ()


def test_a_program_of_windows_inside_wsl_uses_the_python_of_windows() -> None:
    wsl = change(PASTE, wsl=f.Wsl(source="line 1", version=2))
    assert found(says("notebook is started with: jupyter-notebook.exe", wsl), RULE).confidence.value == "likely"
    assert findings(says("notebook is started with: jupyter-notebook.exe", GOOD), RULE) == ()
