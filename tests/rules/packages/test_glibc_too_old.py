from __future__ import annotations

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, says, verdict

RULE = "glibc-too-old"
PASTE = f.Facts(origin="paste")


def test_the_loaders_words_are_certain() -> None:
    text = (
        "ImportError: /lib64/libc.so.6: version `GLIBC_2.17' not found (required by "
        "torch/_C.cpython-36m-x86_64-linux-gnu.so)"
    )
    facts = says(text, PASTE)
    assert verdict(facts)[1] == RULE
    assert found(facts, RULE).title == (
        "GLIBC_2.17 is needed by torch/_C.cpython-36m-x86_64-linux-gnu.so, and the glibc that is loaded is older."
    )


def test_an_older_libstdcxx_of_the_system_is_told_apart() -> None:
    text = (
        "ImportError: /usr/lib/x86_64-linux-gnu/libstdc++.so.6: version `GLIBCXX_3.4.30' not found (required by "
        "libtorch_python.so)"
    )
    finding = found(says(text, PASTE), RULE)
    assert finding.fixes[0].title == "Install a newer libstdc++ in the environment"


def test_a_c_library_that_is_new_enough_contradicts_the_message() -> None:
    text = "ImportError: /lib64/libc.so.6: version `GLIBC_2.28' not found (required by x.so)"
    assert findings(says(text, GOOD), RULE) == ()


def test_a_wheel_that_pip_skips_for_the_c_library_is_named() -> None:
    text = "ERROR: Could not find a version that satisfies the requirement torch==2.8.0 (from versions: 2.4.1, 2.5.1)"
    old = change(GOOD, libc={"version": "2.17"})
    facts = says(text, old)
    assert found(facts, RULE).title == "PyTorch 2.8.0 needs glibc 2.28; this system has 2.17."
    assert findings(says(text, GOOD), RULE) == ()


def test_musls_loader_says_by_its_own_words_that_there_is_no_glibc() -> None:
    text = (
        "OSError: Error relocating /usr/local/lib/python3.9/site-packages/torch/lib/libgomp-a34b3233.so.1: "
        "pthread_attr_setaffinity_np: symbol not found"
    )
    assert verdict(says(text, PASTE)) == ("broken", RULE)
    assert findings(says("ImportError: libtorch.so: undefined symbol: _ZN2at4_ops", PASTE), RULE) == ()


def test_an_installer_that_finds_no_wheel_on_alpine_lacks_glibc_and_no_other_python_helps() -> None:
    alpine = change(PASTE, container=f.Container(source="line 1", engine="docker", image="python:3.12-alpine"))
    text = (
        "ERROR: Could not find a version that satisfies the requirement torch (from versions: none) "
        "ERROR: No matching distribution found for torch"
    )
    assert verdict(says(text, alpine)) == ("broken", RULE)
    slim = change(PASTE, container=f.Container(source="line 1", engine="docker", image="python:3.12-slim"))
    assert findings(says(text, slim), RULE) == ()
