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


MISSING = "ModuleNotFoundError: No module named 'tensorflow'"


def lines(*texts: str) -> f.Facts:
    facts = PASTE
    for text in texts:
        facts = says(text, facts)
    return facts


def test_two_interpreters_in_a_text_with_a_missing_module() -> None:
    one, other = r"'C:\\Users\\ann\\envs\\py36\\python.exe'", r"C:\\Users\\ann\\anaconda3\\python.exe  - Jupyter"
    assert found(lines(MISSING, one, other), RULE).confidence.value == "likely"
    assert findings(lines(MISSING, one, one), RULE) == ()
    assert findings(lines(one, other), RULE) == ()
    processes = ("0  N/A  N/A  1022  C  /usr/bin/python3  4096MiB", "1  N/A  N/A  1023  C  /opt/python3  409MiB")
    assert findings(lines(MISSING, *processes), RULE) == ()


def test_an_environment_that_is_named_after_the_module_and_is_not_the_active_one() -> None:
    base, other = "base                  *  /opt/conda", "tensorflow               /opt/conda/envs/tensorflow"
    assert found(lines(MISSING, base, other), RULE).title == (
        "tensorflow is missing in the active environment base; there is one named tensorflow."
    )
    assert findings(lines(MISSING, "base      /opt/conda", "tensorflow   *  /opt/conda/envs/tensorflow"), RULE) == ()
