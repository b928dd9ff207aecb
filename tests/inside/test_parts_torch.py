"""PyTorch's parts, in the real PyTorch on the CPU: right ones hold, wrong ones do not, failing ones say why."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.inside.test_train_torch import asked, converse, told

pytestmark = pytest.mark.framework

ON_CPU = {
    "matrix-product-fp32": (True, "TFLOP/s"),
    "matrix-product-tf32": (None, None),
    "matrix-product-fp16": (True, "TFLOP/s"),
    "matrix-product-bf16": (True, "TFLOP/s"),
    "matrix-product-int8": (None, None),
    "matrix-product-fp8": (True, "TFLOP/s"),
    "convolution-fp32": (True, "TFLOP/s"),
    "convolution-fp16": (True, "TFLOP/s"),
    "fft": (True, "TFLOP/s"),
    "solver": (True, "TFLOP/s"),
    "random-numbers": (True, "M/s"),
    "copy-to-gpu-pinned": (None, None),
    "copy-to-gpu-pageable": (None, None),
    "copy-from-gpu-pinned": (None, None),
    "copy-from-gpu-pageable": (None, None),
    "copy-inside-gpu": (True, "GB/s"),
    "sparse-product": (True, "TFLOP/s"),
    "compile": (None, None),
}
NO_COMPILER = r"InvalidCxxCompiler: No working C\+\+ compiler found in .*"


def test_every_part_is_told_and_what_the_cpu_can_do_holds(torch_python: Path) -> None:
    # Without a compiler, which takes half a minute where it is found: that is a test of its own.
    messages = converse(torch_python, "torch", {"device": "cpu", "steps": 2, "parts": True}, PATH="/nonexistent")
    parts = told(messages, "part")
    assert {part["name"]: (part["holds"], part["unit"]) for part in parts} == ON_CPU
    errors = {part["name"]: part["error"] for part in parts if part["error"]}
    assert list(errors) == ["compile"]
    assert re.fullmatch(NO_COMPILER, errors["compile"]), errors
    assert [part["name"] for part in parts if (part["rate"] or 0) > 0] == [name for name in ON_CPU if ON_CPU[name][0]]
    details = {part["name"]: part["detail"] for part in parts if part["holds"] is None}
    on_cpu = "this job is on the CPU"
    assert details == {
        "matrix-product-tf32": f"tf32 is a mode of NVIDIA GPUs; {on_cpu}",
        "matrix-product-int8": "not in this framework's public interface",
        **dict.fromkeys((name for name in ON_CPU if name.startswith("copy-") and "inside" not in name), on_cpu),
        "compile": "",
    }
    assert told(messages, "trying") == [name for name in ON_CPU if name != "matrix-product-int8"]
    assert told(messages, "stage")[-2:] == ["parts", "done"]
    assert told(messages, "warning") == []


# Each is spoilt in the same process, and set right again.
SPOILT = {
    "matrix-product-fp32": (("torch", "matmul", "wrong"),),
    "matrix-product-bf16": (("torch", "matmul", "wrong"),),
    "matrix-product-fp8": (("torch.nn.functional", "scaled_mm", "wrong"),),
    "convolution-fp32": (("torch.nn.functional", "conv2d", "wrong"),),
    "fft": (("torch.fft", "fft", "wrong"),),
    "solver": (("torch.linalg", "solve", "wrong"),),
    "sparse-product": (("torch.sparse", "mm", "wrong"),),
    "random-numbers": (("torch", "randn", "wide"),),
    "copy-inside-gpu": (("torch.Tensor", "copy_", "idle"),),
}
REPEATS = {"random-numbers": (("torch", "randn", "dull"),)}
RAISES = {"solver": (("torch.linalg", "solve", "failing"),)}
PARTS = """
import functools
import types

torch = framework.torch
framework.init(False)


def wrong(right):
    # What is computed in float64 is the reference; one number among 4096 is wrong.
    def spoilt(*operands, **options):
        result = right(*operands, **options)
        if result.dtype in (torch.float64, torch.complex128):
            return result
        result = result.contiguous()
        result.view(-1)[::4096] += 0.5 * result.abs().float().mean().to(result.dtype)
        return result
    return spoilt


def wide(right):
    return lambda *shape, **options: right(*shape, **options) * 1.05


def idle(right):
    return lambda to, source, **options: to


def dull(right):
    def same(*shape, **options):
        torch.manual_seed(1)
        return right(*shape, **options)
    return same


def failing(right):
    def fail(*_, **__):
        raise RuntimeError("cusolver error: CUSOLVER_STATUS_INTERNAL_ERROR" + chr(10) + "and more")
    return fail


def one(name, spoils):
    kept = []
    for place, what, how in spoils:
        owner = functools.reduce(getattr, place.split(".")[1:], torch)
        kept.append((owner, what, getattr(owner, what)))
        setattr(owner, what, globals()[how](getattr(owner, what)))
    parts = []
    talk = types.SimpleNamespace(say=lambda part=None, **message: parts.append(part))
    every = framework.parts()
    framework.parts = lambda: {name: every[name]}
    try:
        Parts(talk, framework, False, None).run()
    finally:
        del framework.parts
        for owner, what, right in kept:
            setattr(owner, what, right)
    return [part for part in parts if part and part["name"] == name][0]


print(json.dumps({name: one(name, spoils) for name, spoils in WANTED.items()}))
"""


def parts(python: Path, wanted: dict[str, Any], **environ: str) -> dict[str, dict[str, Any]]:
    """Parts alone, each after something in PyTorch was spoilt for it."""
    found = asked(python, "torch", f"WANTED = {wanted!r}\n{PARTS}", **environ)
    assert isinstance(found, dict)
    return found


def test_few_wrong_numbers_among_many_are_found(torch_python: Path) -> None:
    found = parts(torch_python, SPOILT)
    assert {name: part["error"] for name, part in found.items()} == dict.fromkeys(SPOILT)
    assert {name: part["holds"] for name, part in found.items()} == dict.fromkeys(SPOILT, False), found


def test_a_generator_that_repeats_itself_is_found(torch_python: Path) -> None:
    found = parts(torch_python, REPEATS)["random-numbers"]
    assert found["holds"] is False
    assert re.fullmatch(r"two draws gave the same \d+ numbers", found["detail"])


def test_what_raises_is_an_error_and_not_wrong(torch_python: Path) -> None:
    found = parts(torch_python, RAISES)["solver"]
    found.pop("seconds")
    assert found == {
        "name": "solver",
        "holds": None,
        "detail": "",
        "error": "RuntimeError: cusolver error: CUSOLVER_STATUS_INTERNAL_ERROR",
        "rate": None,
        "unit": None,
    }


def test_a_small_function_is_compiled(torch_python: Path, tmp_path: Path) -> None:
    found = parts(torch_python, {"compile": ()}, TORCHINDUCTOR_CACHE_DIR=str(tmp_path), TMPDIR=str(tmp_path))["compile"]
    assert (found["holds"], found["error"]) == (True, None), found
