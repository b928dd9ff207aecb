"""What differs between two machines, and what of it explains the cause."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from gpudoctor import facts as f
from gpudoctor.difference import Change, Difference, Side, difference
from gpudoctor.facts import Facts, encode
from gpudoctor.pasted import triage
from gpudoctor.render.difference import as_json, terminal
from gpudoctor.render.page import Style
from gpudoctor.report import judge
from tests.cli.run import gpudoctor
from tests.good import GOOD, change, says, with_framework, with_gpu, without_gpu

OLD_DRIVER = change(
    GOOD,
    nvml={"driver": "535.129.03", "cuda": "12.2"},
    kernel_driver={"version": "535.129.03"},
    cuda={"version": "12.2"},
    smokes=(),
)


def between(before: Facts, after: Facts) -> Difference:
    return difference(judge(before), judge(after), ("yesterday", "today"), judge)


def told(found: Difference) -> list[tuple[str, str | None, str | None, str | None]]:
    return [(one.what, one.before, one.after, one.explains) for one in found.changes]


def test_the_same_facts_do_not_differ() -> None:
    found = between(GOOD, GOOD)
    assert found.alike
    assert found.before == Side(name="yesterday", created=GOOD.created, status="healthy", cause=None)


def test_what_explains_the_cause_comes_first_and_names_its_rule() -> None:
    after = with_framework("tensorflow", OLD_DRIVER, build={"version": "2.20.0"})
    rule = "driver-too-old-for-cuda"
    assert told(between(GOOD, after)) == [
        ("NVML driver", "580.65.06", "535.129.03", rule),
        ("NVML cuda", "13.0", "12.2", rule),
        ("kernel driver version", "580.65.06", "535.129.03", rule),
        ("CUDA version", "13.0", "12.2", rule),
        ("TensorFlow build version", "2.21.0", "2.20.0", None),
    ]


def test_a_cause_that_is_gone_is_explained_as_one_that_came() -> None:
    assert [one.explains for one in between(OLD_DRIVER, GOOD).changes] == ["driver-too-old-for-cuda"] * 4


def test_of_two_frameworks_only_the_one_at_fault_explains() -> None:
    after = with_framework("torch", build={"accelerator": "cpu", "version": "2.13.0+cpu", "cuda": None})
    after = with_framework("tensorflow", after, build={"version": "2.20.0"})
    found = between(GOOD, after)
    assert {one.subject for one in found.changes if one.explains} == {"PyTorch"}
    assert {one.subject for one in found.changes if not one.explains} == {"TensorFlow"}


def test_a_cause_on_both_sides_is_explained_by_no_difference() -> None:
    after = change(OLD_DRIVER, environment={"variables": {"LD_LIBRARY_PATH": "/opt/cuda/lib64"}})
    assert told(between(OLD_DRIVER, after)) == [("variable LD_LIBRARY_PATH", None, "/opt/cuda/lib64", None)]


def test_a_cause_that_rests_on_a_line_alone_is_explained_by_nothing() -> None:
    line = "RuntimeError: CUDA error: uncorrectable ECC error encountered"
    found = between(GOOD, change(says(line), libc={"version": "2.31"}))
    assert found.after.cause == "gpu-hardware-fault"
    assert told(found) == [("C library version", "2.39", "2.31", None)]


def test_what_is_never_the_same_twice_is_no_difference() -> None:
    after = with_gpu(memory={"used": 5, "free": 7}, clocks={"temperature": 80, "power": 600.0})
    assert between(GOOD, change(after, created="2026-11-22T09:00:00Z")).alike


def test_entries_of_a_list_go_by_their_names() -> None:
    assert isinstance(GOOD.packages, f.Packages)
    first, *rest = GOOD.packages.packages
    found = between(
        GOOD, change(GOOD, packages={"packages": (*rest, f.Package(name="cupy", version="14", location="x"))})
    )
    assert {one.what for one in found.changes} >= {"packages cupy version", f"packages {first.name} version"}
    assert not any("torch" in one.what for one in found.changes)


def _eight(*, sound: bool = True) -> Facts:
    assert isinstance(GOOD.gpus, f.Gpus)
    first = GOOD.gpus.gpus[0]
    gpus = tuple(replace(first, index=index, uuid=f"GPU-a{index:02}", pci=f"0000:{index}7:00.0") for index in range(8))
    lost = f.Missing("unreadable", "NVML_ERROR_GPU_IS_LOST")
    bad = replace(gpus[3], name=None, pci=None, error="NVML_ERROR_GPU_IS_LOST", capability=lost, memory=lost)
    seen = gpus if sound else (*gpus[:3], bad, *gpus[4:7])
    return change(GOOD, gpus={"gpus": seen}, cuda={"names": (first.name,) * len(seen), "count": len(seen)})


def test_gpus_of_one_name_go_by_their_index_and_each_change_has_a_line_of_its_own() -> None:
    assert told(between(_eight(), _eight(sound=False))) == [
        ("GPU 3 error", None, "NVML_ERROR_GPU_IS_LOST", "gpu-lost"),
        ("GPU 3 name", "NVIDIA H100 80GB HBM3", None, "gpu-lost"),
        ("GPU 3 pci", "0000:37:00.0", None, "gpu-lost"),
        ("GPU 3 capability", "known", "not known (unreadable)", "gpu-lost"),
        ("GPU 3 memory", "known", "not known (unreadable)", "gpu-lost"),
        ("GPU 7", "there", None, "gpu-lost"),
        ("CUDA count", "8", "7", None),
        ("CUDA names", "8 x NVIDIA H100 80GB HBM3", "7 x NVIDIA H100 80GB HBM3", None),
    ]


def test_sizes_have_units_and_no_value_is_a_python_object() -> None:
    after = change(without_gpu(), pci={"devices": ()})
    values = [value for one in between(_eight(), after).changes for value in (one.before, one.after) if value]
    assert not [value for value in values if "{" in value or "('" in value]
    smaller = with_gpu(memory={"total": 40 << 30})
    assert told(between(GOOD, smaller)) == [("GPU NVIDIA H100 80GB HBM3 memory total", "79.6 GiB", "40.0 GiB", None)]


def test_of_a_long_list_the_entries_of_one_side_alone_are_shown() -> None:
    names = tuple(f"nvidia-driver-580-part-{number}" for number in range(9))
    found = between(change(GOOD, driver_files={"packages": names}), change(GOOD, driver_files={"packages": names[1:]}))
    assert told(found) == [("driver files packages", names[0], None, None)]


def test_what_a_pasted_text_does_not_tell_is_no_difference() -> None:
    pasted = triage(
        b"NVIDIA-SMI 535.129.03   Driver Version: 535.129.03   CUDA Version: 12.2\ntorch==2.13.0+cu130\n", "-"
    )
    found = difference(judge(GOOD), pasted, ("machine", "paste"), judge)
    assert ("NVML driver", "580.65.06", "535.129.03") in [(one.what, one.before, one.after) for one in found.changes]
    assert not [one for one in found.changes if one.after in (None, "unknown", "not-shown")]
    assert {"TensorFlow", "container"} <= set(found.uncompared)


def test_what_one_side_did_not_look_at_is_not_compared() -> None:
    found = between(change(GOOD, kernel_log=f.NOT_ASKED), GOOD)
    assert found.alike
    assert found.uncompared == ("kernel log",)


def test_the_terminal_shows_it_whole() -> None:
    after = change(OLD_DRIVER, environment={"variables": {"LD_LIBRARY_PATH": "[bold]\x1b[31m"}})
    assert terminal(between(GOOD, after), Style(width=100)) == (
        "  Before  yesterday, 2026-11-21T09:00:00Z  ✓ healthy\n"
        "  After   today, 2026-11-21T09:00:00Z  ✗ broken: driver-too-old-for-cuda\n"
        "\n"
        "  With the other side's value, driver-too-old-for-cuda would not be found:\n"
        "    NVML driver: 580.65.06 → 535.129.03\n"
        "    NVML cuda: 13.0 → 12.2\n"
        "    kernel driver version: 580.65.06 → 535.129.03\n"
        "    CUDA version: 13.0 → 12.2\n"
        "\n"
        "  Other differences\n"
        "    variable LD_LIBRARY_PATH: absent → [bold]\\x1b[31m\n"
    )


def test_json_holds_the_same() -> None:
    found = between(GOOD, OLD_DRIVER)
    plain = json.loads(as_json(found))
    assert plain["schema"] == "gpudoctor.difference/1"
    assert plain["after"] == {
        "name": "today",
        "created": GOOD.created,
        "status": "broken",
        "cause": "driver-too-old-for-cuda",
    }
    assert plain["changes"][0] == {
        "subject": "driver",
        "what": "NVML driver",
        "before": "580.65.06",
        "after": "535.129.03",
        "explains": "driver-too-old-for-cuda",
    }
    assert found.changes[0] == Change(**plain["changes"][0])


def test_the_command_tells_the_difference_of_facts_and_reports_by_its_exit_code(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(encode(GOOD))
    (tmp_path / "b.json").write_bytes(encode(without_gpu()))
    assert gpudoctor("diff", "a.json", "a.json", home=tmp_path).code == 0
    ran = gpudoctor("diff", "a.json", "b.json", "--format", "json", home=tmp_path)
    assert (ran.code, ran.stderr) == (1, "")
    assert ran.report["after"]["cause"] == "no-nvidia-gpu"


@pytest.mark.parametrize("missing", ["a.json", "b.json"])
def test_a_file_that_is_not_there_is_wrong_usage(tmp_path: Path, missing: str) -> None:
    for name in {"a.json", "b.json"} - {missing}:
        (tmp_path / name).write_bytes(encode(GOOD))
    ran = gpudoctor("diff", "a.json", "b.json", home=tmp_path)
    assert (ran.code, ran.stdout) == (2, "")
    assert missing in ran.stderr
