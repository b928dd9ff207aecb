from __future__ import annotations

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, only, outcome, says, verdict, with_framework, with_gpu

RULE = "extension-arch-unsupported"
TEXT = "RuntimeError: CUDA error: no kernel image is available for execution on the device"
PASCAL = {
    "targets": ("sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90"),
    "version": "2.7.0+cu126",
    "cuda": "12.6",
}
VLLM = f.Packages(source="pip list", packages=(f.Package(name="vllm", version="0.9.1", location="/lib"),))
FACTS = change(
    with_gpu(
        with_framework("torch", change(only("torch"), smokes=()), build=PASCAL, imported={"targets": ()}),
        name="NVIDIA GeForce GTX 1080 Ti",
        capability="6.1",
    ),
    packages=VLLM,
    cudnn=f.NOT_IN_PASTE,
)


def test_a_missing_kernel_is_the_extensions_where_torch_covers_the_gpu() -> None:
    facts = with_framework("torch", says(TEXT, FACTS), imported={"cudnn": None})
    assert verdict(facts)[1] == RULE
    assert found(facts, RULE).title == "vllm 0.9.1 has no kernels for this GPU, though PyTorch 2.7.0+cu126 has."


def test_where_torch_itself_has_no_kernels_it_is_not_the_extension() -> None:
    newer = with_framework("torch", says(TEXT, FACTS), build={"targets": ("sm_75", "sm_80")})
    assert findings(newer, RULE) == ()
    assert verdict(newer)[1] == "torch-arch-unsupported"


def test_the_torch_rule_does_not_believe_the_message_where_torch_covers_the_gpu() -> None:
    assert findings(says(TEXT, FACTS), "torch-arch-unsupported") == ()


def test_an_extension_that_starts_above_the_gpu_is_a_warning() -> None:
    flash = f.Package(name="flash-attn", version="2.8.3", location="/lib")
    facts = change(with_gpu(GOOD, name="Tesla T4", capability="7.5"), packages={"packages": (flash,)})
    assert (found(facts, RULE).severity.value, "8.0" in found(facts, RULE).title) == ("warning", True)


def test_a_gpu_that_all_extensions_know_passes() -> None:
    assert outcome(GOOD, RULE) == "passed"


def test_an_extensions_own_words_are_enough() -> None:
    text = "RuntimeError: FlashAttention only supports Ampere GPUs or newer."
    assert found(says(text, f.Facts(origin="paste")), RULE).title == "An extension has no kernels for this GPU."


def test_sageattention_names_the_kernels_that_it_was_built_without() -> None:
    text = "AssertionError: SM89 kernel is not available. Make sure you GPUs with compute capability 8.9."
    assert verdict(says(text, f.Facts(origin="paste")))[1] == RULE


def test_a_triton_whose_compiler_does_not_know_the_gpu() -> None:
    paste = f.Facts(origin="paste")
    for text in (
        "ptxas fatal   : Value 'sm_121a' is not defined for option 'gpu-name'",
        "'sm_120' is not a recognized processor for this target (ignoring processor)",
    ):
        assert found(says(text, paste), RULE).title == "The compiler of Triton does not know this GPU."
    tensorflow = says("ptxas fatal   : Value 'sm_86' is not defined for option 'gpu-name'", paste, "tensorflow")
    assert findings(tensorflow, RULE) == ()


def test_an_extension_compiled_with_a_toolkit_older_than_the_gpu_has_no_kernels() -> None:
    facts = change(
        with_gpu(
            with_framework(
                "torch",
                change(only("torch"), smokes=()),
                build={"targets": (), "version": "1.3.1", "cuda": "10.1", "channel": "unknown"},
                imported={"targets": (), "devices": ()},
            ),
            name="NVIDIA GeForce RTX 2080 Ti",
            capability="7.5",
        ),
        packages=f.NOT_IN_PASTE,
        cudnn=f.NOT_IN_PASTE,
    )
    old = change(facts, toolkits=f.Toolkits(source="nvcc", toolkits=(tool("8.0"),)))
    assert found(says(TEXT, old), RULE).title.startswith("The CUDA toolkit 8.0 cannot compile for this GPU (7.5)")
    new = change(facts, toolkits=f.Toolkits(source="nvcc", toolkits=(tool("10.1"),)))
    assert findings(says(TEXT, new), RULE) == ()


def tool(version: str) -> f.Toolkit:
    return f.Toolkit(path="/usr/local/cuda", version=version, nvcc=version, found_by="nvcc")


def test_rapids_names_the_oldest_gpu_that_it_supports() -> None:
    paste = f.Facts(origin="paste")
    text = "UserWarning: A GPU with NVIDIA {} (Compute Capability 7.0) or newer architecture is required."
    assert verdict(says(text.format("Volta™"), paste))[1] == RULE
    assert findings(says("A GPU with Compute Capability 7.0 or newer is nice to have", paste), RULE) == ()
