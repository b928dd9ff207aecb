from __future__ import annotations

from gpudoctor import facts as f
from gpudoctor.intake import read
from tests.good import (
    GOOD,
    change,
    findings,
    found,
    only,
    outcome,
    says,
    verdict,
    with_framework,
    with_gpu,
    without_gpu,
)

RULE = "torch-cpu-build"
CPU = {"accelerator": "cpu", "cuda": None, "cudnn": None, "nccl": None, "targets": (), "version": "2.13.0+cpu"}
NO_DEVICE = {"available": False, "devices": (), "targets": (), "cuda": None}
BESIDE_A_GPU = with_framework("torch", change(only("torch"), smokes=()), build=CPU, imported=NO_DEVICE)


def test_a_cpu_build_beside_a_gpu_is_the_cause() -> None:
    """Pitfall 1."""
    assert verdict(BESIDE_A_GPU) == ("broken", RULE)
    finding = found(BESIDE_A_GPU, RULE)
    assert finding.title == "PyTorch 2.13.0+cpu is a CPU build: it cannot use NVIDIA H100 80GB HBM3."
    assert finding.fixes[0].commands[0].startswith("/home/ann/venv/bin/python -m pip install torch==")
    assert "--index-url https://download.pytorch.org/whl/cu1" in finding.fixes[0].commands[0]


def test_without_a_gpu_it_is_a_remark() -> None:
    facts = with_framework("torch", without_gpu(only("torch")), build=CPU, imported=NO_DEVICE)
    finding = found(facts, RULE)
    assert (finding.severity.value, finding.because_of) == ("info", "no-nvidia-gpu")


def test_where_nobody_knows_of_a_gpu_it_is_not_judged() -> None:
    unseen = change(without_gpu(only("torch")), pci=f.Missing("unreadable"))
    assert outcome(with_framework("torch", unseen, build=CPU), RULE) == "skipped"


def test_a_cuda_build_passes() -> None:
    assert outcome(GOOD, RULE) == "passed"


def test_a_build_that_does_not_say_is_not_judged() -> None:
    assert outcome(with_framework("torch", only("torch"), build={"accelerator": "unknown"}), RULE) == "skipped"


def test_torchs_own_words_are_enough() -> None:
    bare = change(GOOD, frameworks=f.NOT_IN_PASTE)
    assert found(says("AssertionError: Torch not compiled with CUDA enabled", bare), RULE).severity.value == "error"
    assert findings(says("Torch compiled with CUDA"), RULE) == ()


def test_an_environment_made_by_uv_is_changed_with_uv() -> None:
    facts = change(BESIDE_A_GPU, interpreter={"tool": "uv"})
    assert (
        found(facts, RULE).fixes[0].commands[0].startswith("uv pip install --python /home/ann/venv/bin/python torch==")
    )


def test_a_conda_environment_is_changed_with_conda() -> None:
    conda = {"environment": "conda", "prefix": "/opt/conda/envs/ml", "executable": "/opt/conda/envs/ml/bin/python"}
    facts = with_framework("torch", change(BESIDE_A_GPU, interpreter=conda), build={"installer": "conda"})
    assert found(facts, RULE).fixes[0].commands == (
        "conda install --prefix /opt/conda/envs/ml --channel conda-forge pytorch-gpu",
    )


def test_a_python_of_the_distribution_gets_a_virtual_environment_first() -> None:
    system = {"environment": "system", "externally_managed": True, "executable": "/usr/bin/python3"}
    commands = found(change(BESIDE_A_GPU, interpreter=system), RULE).fixes[0].commands
    assert commands[0] == "/usr/bin/python3 -m venv .venv"
    assert commands[1].startswith(".venv/bin/python -m pip install torch==")


def test_the_installed_release_is_kept_and_its_variant_named_so_that_pip_replaces_it() -> None:
    (command,) = found(BESIDE_A_GPU, RULE).fixes[0].commands
    assert "pip install torch==2.13.0+cu130 torchvision==0.28.0+cu130 --index-url" in command
    assert command.endswith("https://download.pytorch.org/whl/cu130")


def test_where_no_variant_of_the_installed_release_fits_the_newest_that_does_is_named() -> None:
    old = with_framework("torch", with_gpu(BESIDE_A_GPU, capability="12.0"), build={"version": "2.5.1+cpu"})
    assert "torch==2.15.0 " in found(old, RULE).fixes[0].commands[0]


def test_a_cpu_build_whose_gpu_is_missed_is_enough_where_the_gpu_is_not_shown() -> None:
    unseen = change(only("torch"), pci=f.NOT_IN_PASTE, gpus=f.NOT_IN_PASTE, cuda=f.NOT_IN_PASTE, smokes=())
    facts = with_framework("torch", unseen, build=CPU, imported=NO_DEVICE)
    assert found(says("torch.cuda.is_available() returns False", facts), RULE).confidence.value == "likely"
    assert findings(facts, RULE) == ()


def test_an_index_that_does_not_exist_explains_a_build_that_is_not_known() -> None:
    unknown = with_framework("torch", change(only("torch"), smokes=()), build=f.NOT_IN_PASTE, imported=NO_DEVICE)
    text = "installed with --extra-index-url https://download.pytorch.org/whl/cu114"
    assert "cu114 serves no wheels" in found(says(text, unknown), RULE).detail
    served = "installed with --extra-index-url https://download.pytorch.org/whl/cu118"
    assert findings(says(served, unknown), RULE) == ()


def test_torchs_words_are_not_believed_of_a_cuda_build() -> None:
    assert findings(says("AssertionError: Torch not compiled with CUDA enabled"), RULE) == ()


def test_a_session_that_prints_no_cuda_is_a_cpu_build() -> None:
    session = read(">>> print(torch.version.cuda)\nNone\n>>> torch.cuda.is_available()\nFalse\n").facts
    assert verdict(session) == ("broken", "torch-cpu-build")
    named = read(">>> torch.__version__\n'2.5.1+cpu'\n>>> torch.cuda.is_available()\nFalse\n").facts
    assert verdict(named) == ("broken", "torch-cpu-build")
    code = read("if torch.version.cuda is None:\n    print('x')\n").facts
    assert findings(code, "torch-cpu-build") == ()
