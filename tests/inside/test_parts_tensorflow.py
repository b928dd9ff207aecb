"""TensorFlow's parts, in the real TensorFlow on the CPU: right ones hold, wrong ones do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.inside.test_train_torch import asked, converse, told

pytestmark = pytest.mark.framework

NOT_PUBLIC = [
    "matrix-product-int8",
    "matrix-product-fp8",
    "copy-to-gpu-pinned",
    "copy-from-gpu-pinned",
    "copy-inside-gpu",
]
ONLY_ON_GPUS = ["matrix-product-tf32", "copy-to-gpu-pageable", "copy-from-gpu-pageable"]


def test_every_part_is_told_and_what_the_cpu_can_do_holds(tensorflow_python: Path) -> None:
    messages = converse(tensorflow_python, "tensorflow", {"device": "cpu", "steps": 2, "parts": True, "speedup": True})
    parts = {part["name"]: part for part in told(messages, "part")}
    assert len(parts) == 18
    assert [part["error"] for part in parts.values()] == [None] * 18
    unknown = {name: part["detail"] for name, part in parts.items() if part["holds"] is not True}
    assert [name for name in unknown if "public interface" in unknown[name]] == NOT_PUBLIC
    assert [name for name in unknown if "this job is on the CPU" in unknown[name]] == ONLY_ON_GPUS
    assert len(unknown) == len(NOT_PUBLIC) + len(ONLY_ON_GPUS)
    assert [name for name, part in parts.items() if part["holds"] and not part["rate"]] == ["compile"]
    assert told(messages, "cpu_speed")[0] > 100
    assert told(messages, "stage")[-2:] == ["parts", "done"]


SPOILT = """
framework.init(False)
made = TensorFlowParts(framework)
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


def test_few_wrong_numbers_among_many_are_found(tensorflow_python: Path) -> None:
    names = ["matrix-product-fp32", "convolution-fp32", "fft", "solver", "random-numbers", "compile"]
    found = asked(tensorflow_python, "tensorflow", SPOILT % names)
    assert found == dict.fromkeys(names, False)
