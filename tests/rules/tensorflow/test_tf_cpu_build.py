from __future__ import annotations

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, only, outcome, says, verdict, with_framework

RULE = "tf-cpu-build"
CPU = {"accelerator": "cpu", "cuda": None, "targets": (), "distribution": "tensorflow-cpu"}


def test_tensorflow_cpu_beside_a_gpu_is_the_cause_and_is_removed_first() -> None:
    facts = change(only("tensorflow"), smokes=())
    facts = with_framework("tensorflow", facts, build=CPU, imported={"available": False, "devices": ()})
    assert verdict(facts) == ("broken", RULE)
    commands = found(facts, RULE).fixes[0].commands
    assert commands[0] == "/home/ann/venv/bin/python -m pip uninstall -y tensorflow-cpu"
    assert commands[1].startswith("/home/ann/venv/bin/python -m pip install 'tensorflow[and-cuda]==")


def test_a_cuda_build_passes() -> None:
    assert outcome(GOOD, RULE) == "passed"


def test_conda_forges_cpu_tensorflow_beside_another_channels_meta_package_is_a_cpu_build() -> None:
    conda = (
        f.CondaPackage(name="tensorflow", version="1.10.0", build="py36_0", channel="conda-forge"),
        f.CondaPackage(name="tensorflow-gpu", version="1.10.0", build="hf154084_0", channel="defaults"),
    )
    paste = f.Facts(origin="paste", packages=f.Packages(source="conda list", packages=(), conda=conda))
    assert found(paste, RULE).confidence.value == "likely"
    one = tuple(f.CondaPackage(name=c.name, version=c.version, build=c.build, channel="defaults") for c in conda)
    assert findings(change(paste, packages={"conda": one}), RULE) == ()


def test_a_text_that_names_condas_cpu_variant_is_likely() -> None:
    paste = f.Facts(origin="paste")
    assert found(says("conda lists an mkl build of tensorflow", paste), RULE).confidence.value == "likely"
    assert findings(says("numpy 1.21 mkl build", paste), RULE) == ()
