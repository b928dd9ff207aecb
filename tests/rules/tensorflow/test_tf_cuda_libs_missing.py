from __future__ import annotations

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, only, outcome, says, verdict, with_framework

RULE = "tf-cuda-libs-missing"
BARE = change(
    with_framework("tensorflow", only("tensorflow"), imported={"available": False, "devices": ()}),
    packages={"packages": (f.Package(name="tensorflow", version="2.21.0", location="/site-packages"),)},
    smokes=(),
)


def test_tensorflow_without_any_cuda_library_is_the_cause_and_gets_the_extra() -> None:
    assert verdict(BARE) == ("broken", RULE)
    assert found(BARE, RULE).fixes[0].commands == (
        "/home/ann/venv/bin/python -m pip install 'tensorflow[and-cuda]==2.21.0'",
    )


def test_library_packages_beside_it_are_enough() -> None:
    assert outcome(GOOD, RULE) == "passed"


def test_a_cuda_toolkit_on_the_system_may_serve_it() -> None:
    toolkit = f.Toolkit(path="/usr/local/cuda-12.5", version="12.5")
    assert findings(change(BARE, toolkits={"toolkits": (toolkit,)}), RULE) == ()


def test_tensorflows_own_words_name_the_library() -> None:
    text = "Could not load dynamic library 'libcudnn.so.8'; dlerror: libcudnn.so.8: cannot open shared object file"
    facts = says(text, change(BARE, toolkits=f.NOT_IN_PASTE), "tensorflow")
    assert found(facts, RULE).title == "TensorFlow 2.21.0 cannot load CUDA libraries that it needs: libcudnn.so.8."


def test_an_optional_library_or_a_missing_driver_is_not_this() -> None:
    for name in ("libnvinfer.so.7", "libcuda.so.1"):
        text = f"Could not load dynamic library '{name}'; dlerror: {name}: cannot open shared object file"
        assert findings(says(text, GOOD, "tensorflow"), RULE) == ()


def test_a_gpu_in_the_list_says_that_all_is_there() -> None:
    text = "Cannot dlopen some GPU libraries. Please make sure the missing libraries mentioned above are installed"
    assert findings(says(text, GOOD, "tensorflow"), RULE) == ()


def test_a_build_that_could_use_gpu_and_driver_and_shows_none_did_not_find_its_libraries() -> None:
    facts = with_framework("tensorflow", change(only("tensorflow"), smokes=()), imported={"devices": ()})
    facts = change(facts, packages=f.NOT_IN_PASTE)
    assert verdict(says("TensorFlow lists no GPU", facts)) == ("broken", RULE)
    assert findings(facts, RULE) == ()


def test_an_incomplete_list_of_packages_says_nothing_of_what_is_missing() -> None:
    assert findings(change(BARE, packages={"complete": False}), RULE) == ()


def release(version: str) -> f.Facts:
    facts = with_framework(
        "tensorflow",
        change(f.Facts(origin="paste"), frameworks=only("tensorflow").frameworks),
        build={"version": version, "accelerator": "unknown", "cuda": None, "cudnn": None, "targets": ()},
        imported={"available": False, "devices": ()},
    )
    return says("python3 -m pip install tensorflow[and-cuda]", facts, "tensorflow")


def test_tensorflow_2_16_does_not_find_its_own_wheels_and_2_17_does() -> None:
    assert verdict(release("2.16.1")) == ("broken", RULE)
    assert findings(release("2.17.0"), RULE) == ()


def test_without_a_librarys_name_another_line_may_say_more() -> None:
    bare = says("Cannot dlopen some GPU libraries. Please make sure", f.Facts(origin="paste"), "tensorflow")
    assert found(bare, RULE).confidence.value == "likely"
    jax = "Found cuSOLVER version 11002, but JAX was built against version 11401, which is newer."
    assert verdict(says(jax, bare, "jax")) == ("broken", "nvidia-wheels-mismatch")
