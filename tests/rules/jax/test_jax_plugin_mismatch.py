from __future__ import annotations

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, outcome, says, verdict

RULE = "jax-plugin-mismatch"
PASTE = f.Facts(origin="paste")


def versions(jaxlib: str, plugin: str) -> f.Facts:
    listed = (("jax", jaxlib), ("jaxlib", jaxlib), ("jax-cuda12-plugin", plugin), ("jax-cuda12-pjrt", plugin))
    packages = tuple(f.Package(name=name, version=version, location="/lib") for name, version in listed)
    return change(GOOD, packages={"packages": packages})


def test_a_plug_in_of_another_release_is_an_error_and_all_are_installed_together() -> None:
    finding = found(versions("0.4.30", "0.4.35"), RULE)
    assert finding.severity.value == "error"
    assert finding.fixes[0].commands == ("/home/ann/venv/bin/python -m pip install 'jax[cuda12]==0.4.30'",)


def test_one_release_passes_and_a_fourth_number_repairs_the_same_one() -> None:
    assert outcome(versions("0.9.0", "0.9.0"), RULE) == "passed"
    assert outcome(versions("0.9.0", "0.9.0.1"), RULE) == "passed"


def test_jaxs_own_words_are_certain() -> None:
    text = (
        "RuntimeWarning: JAX plugin jax_cuda12_plugin version 0.9.2 is installed, but it is not compatible with the "
        "installed jaxlib version 0.9.0.1, so it will not be used."
    )
    assert verdict(says(text, PASTE))[1] == RULE
    assert found(says(text, PASTE), RULE).confidence.value == "certain"


def test_a_handler_that_is_missing_is_not_this_where_the_versions_agree() -> None:
    text = "No FFI handler registered for cusolver_potrf_ffi"
    assert findings(says(text, versions("0.9.0", "0.9.0")), RULE) == ()
    assert found(says(text, PASTE), RULE).confidence.value == "likely"


def test_without_a_plug_in_jax_and_jaxlib_are_what_does_not_pair() -> None:
    packages = tuple(f.Package(name=n, version=v, location="/lib") for n, v in (("jax", "0.8.1"), ("jaxlib", "0.10.2")))
    text = "RuntimeError: jaxlib version 0.10.2 is newer than and incompatible with jax version 0.8.1. Please update"
    finding = found(says(text, change(GOOD, packages={"packages": packages})), RULE)
    assert finding.title == "jax and jaxlib do not pair."
    assert finding.fixes[0].commands == ("/home/ann/venv/bin/python -m pip install jax==0.8.1",)
