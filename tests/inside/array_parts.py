"""What JAX's and TensorFlow's parts have in common, which are judged by NumPy: right ones hold, wrong ones do not."""

from __future__ import annotations

from pathlib import Path

from gpudoctor.facts import FrameworkName
from tests.inside.test_train_torch import asked, converse, told

ONLY_ON_GPUS = ["matrix-product-tf32", "copy-to-gpu-pageable", "copy-from-gpu-pageable"]
SPOILED = ["matrix-product-fp32", "convolution-fp32", "fft", "solver", "random-numbers", "compile"]
SPOILT = """
framework.init(False)
made = %s(framework)
right, names = made.there, %s


def wrongly(work):
    def spoilt(*tensors):
        result = made.here(work(*tensors)).copy()
        result.reshape(-1)[::64] += 3
        return right(result, str(result.dtype))
    return spoilt


product = made.product
made.product = lambda kind: wrongly(product(kind))
made.convolve, made.transform, made.solve = map(wrongly, (made.convolve, made.transform, made.solve))
made.normal = wrongly(made.normal)
compiled = made.compiled
made.compiled = lambda: wrongly(compiled())
parts = made.parts()
print(json.dumps({name: parts[name](Bench(framework, False))["holds"] for name in names}))
"""


def check_that_all_are_told(python: Path, name: FrameworkName, not_public: list[str]) -> None:
    """Every part is told, and what the CPU can do holds; ``not_public`` are those that the framework does not offer."""
    messages = converse(python, name, {"device": "cpu", "steps": 2, "parts": True, "speedup": True})
    parts = {part["name"]: part for part in told(messages, "part")}
    assert len(parts) == 18
    assert [part["error"] for part in parts.values()] == [None] * 18
    unknown = {name: part["detail"] for name, part in parts.items() if part["holds"] is not True}
    assert [name for name in unknown if "public interface" in unknown[name]] == not_public
    assert [name for name in unknown if "this job is on the CPU" in unknown[name]] == ONLY_ON_GPUS
    assert len(unknown) == len(not_public) + len(ONLY_ON_GPUS)
    assert [name for name, part in parts.items() if part["holds"] and not part["rate"]] == ["compile"]
    assert told(messages, "cpu_speed")[0] > 100
    assert told(messages, "stage")[-2:] == ["parts", "done"]


def check_that_few_wrong_numbers_are_found(python: Path, name: FrameworkName, parts: str) -> None:
    """Few wrong numbers among many make a part wrong. ``parts`` is the class of the framework's parts."""
    found = asked(python, name, SPOILT % (parts, SPOILED))
    assert found == dict.fromkeys(SPOILED, False)
