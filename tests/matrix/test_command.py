"""``gpudoctor matrix``: what it prints, in which shape, and its exit codes."""

from __future__ import annotations

import json
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from gpudoctor.cli.matrix import matrix

app = typer.Typer()
app.command()(matrix)


@app.command()
def other() -> None:
    """A second command, so that ``matrix`` is a sub-command as in the real program."""


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["matrix", *arguments])
    return result.exit_code, result.stdout, result.stderr


def answer(*arguments: str) -> dict[str, Any]:
    code, out, _ = run(*arguments, "--format", "json")
    assert code == 0
    plain: dict[str, Any] = json.loads(out)
    return plain


def test_torch_in_json_has_the_promised_shape() -> None:
    """Scripts rely on these names."""
    torch = answer("torch", "2.6.0")
    assert {"release", "builds", "python", "torchvision", "torchaudio", "source", "checked"} <= set(torch)
    fields = {"variant", "platform", "cuda", "cudnn", "nccl", "capabilities", "pypi_default", "index_url"}
    assert all(fields <= set(build) for build in torch["builds"])
    default = next(b for b in torch["builds"] if b["pypi_default"] and b["platform"] == "linux_x86_64")
    assert (default["variant"], default["index_url"]) == ("cu124", "https://download.pytorch.org/whl/cu124")
    assert default["capabilities"] == ["5.0", "6.0", "7.0", "7.5", "8.0", "8.6", "9.0"]
    assert torch["python"] == ["3.9", "3.10", "3.11", "3.12", "3.13"]


@pytest.mark.parametrize(
    ("arguments", "field", "value"),
    [
        (("tensorflow", "2.15"), "cuda", "12.2"),
        (("cuda", "12.4"), "driver_branch", "R550"),
        (("driver", "550"), "max_cuda", "12.4"),
        (("driver", "537.13", "--platform", "windows"), "branch", "R535"),
        (("gpu", "RTX 5090"), "capability", "12.0"),
        (("gpu", "RTX", "5090"), "recommended_driver_branch", "R595"),
        (("cudnn", "9.1"), "soname", "libcudnn.so.9"),
        (("jax", "0.4.30"), "cudnn_floor", {"12": "9.0"}),
        (("xid", "79"), "rules", ["gpu-lost"]),
        (("error", "803"), "runtime_name", "cudaErrorSystemDriverMismatch"),
    ],
)
def test_every_kind_answers_with_its_origin(arguments: tuple[str, ...], field: str, value: object) -> None:
    """Each answer says where it is from and when it was looked at."""
    plain = answer(*arguments)
    assert plain[field] == value
    assert plain["source"]
    assert plain["checked"]


@pytest.mark.parametrize("arguments", [("torch", "2.6.0"), ("cuda", "12.4"), ("gpu", "Tesla T4"), ("driver", "580")])
def test_the_terminal_gets_plain_text(arguments: tuple[str, ...]) -> None:
    """No control characters where the output is not a terminal."""
    code, out, err = run(*arguments)
    assert (code, err) == (0, "")
    assert out.isprintable() or all(line.isprintable() for line in out.splitlines())


@pytest.mark.parametrize(
    ("arguments", "close"),
    [
        (("torch", "2.6.9"), "2.6.0"),
        (("tensorflow", "2.99"), "2.21.0"),
        (("cuda", "12.7"), "12.6"),
        (("cuda", "new"), "13."),
        (("driver", "552"), "R550"),
        (("gpu", "RTX 4075"), "RTX 407"),
        (("cudnn", "99"), "9."),
        (("jax", "0.4.99"), "0.5.0"),
        (("xid", "9999"), "172"),
        (("error", "cudaErrorNoDevic"), "cudaErrorNoDevice"),
        (("pytorch", "2.6.0"), "torch"),
        (("check", "550.54.15", "RTX 4090", "torch==2.6.9"), "2.6.0"),
        (("check", "550.54.15", "RTX 4090"), "Usage"),
    ],
)
def test_an_unknown_name_says_what_is_close(arguments: tuple[str, ...], close: str) -> None:
    """Exit code 2, stdout empty, one line on stderr."""
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert close in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("driver", "gpu", "wheel", "code", "words"),
    [
        ("550.54.15", "RTX 4090", "torch==2.6.0", 0, "machine code"),
        ("550.54.15", "RTX 5090", "torch==2.6.0", 1, "newer than driver branch R550"),
        ("570.124.06", "RTX 5090", "torch==2.6.0", 1, "no code for"),
        ("590.48.01", "GTX 1080 Ti", "torch==2.6.0", 1, "no longer supports"),
        ("470.256.02", "Tesla T4", "torch==2.6.0", 1, "knows CUDA up to 11.4"),
        ("525.60.13", "Tesla T4", "torch==2.6.0", 0, "machine code"),
        ("525.53", "Tesla T4", "torch==2.6.0", 1, "need driver 525.60.13"),
        ("450.51.06", "A100-SXM4-40GB", "torch==1.8.1+cu111", 1, "need driver 450.80.02"),
        ("580.65.06", "Tesla T4", "torch==2.6.0+cpu", 1, "CPU build"),
        ("570.124.06", "RTX 5090", "tensorflow==2.19.0", 0, "only PTX"),
        ("570.124.06", "RTX 4090", "tensorflow==2.19.0", 0, "machine code"),
        ("535.129.03", "RTX 4090", "tensorflow-gpu==2.10.1", 0, "only PTX"),
        ("535.129.03", "RTX 3090", "jax==0.5.3", 0, "runs on"),
        ("470.256.02", "RTX 3090", "jax==0.5.3", 1, "needs driver 525.60.13"),
        ("550.54.15", "8.6", "torch==2.6.0", 0, "capability 8.6"),
        ("580.65.06", "Jetson AGX Orin", "torch==2.6.0", 3, "does not promise"),
    ],
)
def test_check(driver: str, gpu: str, wheel: str, code: int, words: str) -> None:
    """Will this wheel run on that node? The exit code answers, the sentence says why."""
    got, out, _ = run("check", driver, gpu, wheel)
    assert (got, words in out) == (code, True), out


def test_a_no_names_what_would_fit() -> None:
    """An answer that helps."""
    _, out, _ = run("check", "470.256.02", "Tesla T4", "torch==2.6.0")
    assert "--index-url https://download.pytorch.org/whl/cu118" in out


def test_check_in_json() -> None:
    """The verdict for scripts."""
    plain = answer("check", "550.54.15", "RTX 4090", "torch==2.6.0")
    assert (plain["answer"], plain["certain"]) == ("yes", True)


def test_check_on_windows() -> None:
    """Windows wheels of the package index are CPU builds; driver numbers are Windows'."""
    code, out, _ = run("check", "551.61", "RTX 4090", "torch==2.6.0", "--platform", "windows")
    assert (code, "CPU build" in out) == (1, True)
    assert run("check", "551.61", "RTX 4090", "torch==2.6.0+cu124", "--platform", "windows")[0] == 0
