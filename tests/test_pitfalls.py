"""Situations in which other tools were seen to fail, where they span several rooms; each is named by its number.

Those that one room answers alone stand in that room's tests, with the same words in the docstring: the last test here
asks for all of them.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gpudoctor import facts as f
from gpudoctor.cli.app import run
from gpudoctor.doctor import Plan, diagnose
from gpudoctor.findings import Fix
from gpudoctor.intake import read
from gpudoctor.matrix import load
from gpudoctor.matrix.questions import cudnn_text
from gpudoctor.probes.at_host import look
from gpudoctor.probes.toolkit import toolkits
from gpudoctor.relations import CudaVersion
from gpudoctor.report import judge
from gpudoctor.world import World
from tests.cases.render import cases, render
from tests.cli.run import BUSY, ROOT, environ, gpudoctor, survivors
from tests.cli.test_diagnose import driver, imitated, imitation, quick
from tests.good import GOOD, H100, change, found, only, outcome, proved, verdict, with_framework, with_gpu
from tests.intake import pastes
from tests.lab.drivers.build import compiler
from tests.lab.drivers.fake import SEGV, Machine, error, gpus
from tests.lab.drivers.needs import need_compiler
from tests.probes.roots import GOOD as GOOD_ROOT
from tests.probes.roots import changed, write_root

TORCH = change(only("torch"), smokes=())


def fixes(facts: f.Facts) -> Iterator[Fix]:
    """Every fix of every finding."""
    return (fix for finding in judge(facts).findings for fix in finding.fixes)


# ------------------------------------------------------------------------------------------------ verdicts


def test_a_cpu_build_beside_a_working_driver_is_told_from_pasted_text_with_the_build_to_install() -> None:
    """Pitfall 1."""
    text = pastes.COLLECT_ENV_CPU.partition("CUDA runtime version")[0] + pastes.SMI_WINDOWS
    report = judge(read(text).facts)
    assert report.cause is not None
    assert report.cause.rule == "torch-cpu-build"
    command = report.findings_of("torch-cpu-build")[0].fixes[0].commands[0]
    assert re.search(
        r"pip install .*torch==\d+\.\d+\.\d+.* --index-url https://download\.pytorch\.org/whl/cu12\d", command
    )


@pytest.mark.parametrize("program", [None, "touch ran"])
def test_a_driver_is_seen_without_its_program_and_the_program_is_never_run(tmp_path: Path, program: str | None) -> None:
    """Pitfalls 2 and 3: no banner is parsed on a live machine, whatever generation it is."""
    folder = tmp_path / "bin"
    folder.mkdir()
    if program:
        (folder / "nvidia-smi").write_text(f"#!/bin/sh\n{program} {tmp_path}/ran\n")
        (folder / "nvidia-smi").chmod(0o755)
    ran = quick(tmp_path, Machine(driver="610.43.02", cuda_version=13030), PATH=str(folder))
    assert (ran.report["facts"]["nvml"]["driver"], ran.report["facts"]["nvml"]["cuda"]) == ("610.43.02", "13.3")
    assert [o["outcome"] for o in ran.report["outcomes"] if o["rule"] == "driver-not-installed"] == ["passed"]
    assert not (tmp_path / "ran").exists()


_BANNERS = (
    ("| NVIDIA-SMI 331.62     Driver Version: 331.62         |", "331.62", None),
    ("| NVIDIA-SMI 390.116                Driver Version: 390.116                   |", "390.116", "9.1"),
    ("| NVIDIA-SMI 410.104      Driver Version: 410.104      CUDA Version: 10.0     |", "410.104", "10.0"),
    ("| NVIDIA-SMI 525.60.13    Driver Version: 525.60.13    CUDA Version: 12.0     |", "525.60.13", "12.0"),
    (
        "| NVIDIA-SMI 550.54.15              Driver Version: 550.54.15      CUDA Version: 12.4     |",
        "550.54.15",
        "12.4",
    ),
    (
        "| NVIDIA-SMI 580.65.06              Driver Version: 580.65.06      CUDA Version: 13.0     |",
        "580.65.06",
        "13.0",
    ),
    (
        "| NVIDIA-SMI 610.43.02              KMD Version: 610.43.02     CUDA UMD Version: 13.3     |",
        "610.43.02",
        "13.3",
    ),
)


@pytest.mark.parametrize(("banner", "number", "cuda"), _BANNERS)
def test_triage_reads_the_banner_of_every_driver_generation(banner: str, number: str, cuda: str | None) -> None:
    """Pitfall 3."""
    rule = "+" + "-" * (len(banner) - 2) + "+"
    nvml = read(f"Tue Nov 17 09:00:00 2026\n{rule}\n{banner}\n{rule}\n").facts.nvml
    assert isinstance(nvml, f.Nvml)
    assert (nvml.result, nvml.driver, nvml.cuda) == ("NVML_SUCCESS", number, cuda)


@pytest.mark.parametrize(
    ("capability", "targets", "judged"),
    [
        ("8.9", "sm_75 sm_80 sm_86 sm_90 sm_100 sm_120", "passed"),
        ("7.0", "sm_75 sm_80 sm_86 sm_90 sm_100 sm_120", "error certain"),
        ("9.0", "sm_80 compute_80", "warning likely"),
        ("8.0", "sm_86 compute_86", "error certain"),
        ("9.0", "sm_90a", "passed"),
        ("10.3", "sm_100a", "error certain"),
        ("10.3", "sm_100f", "passed"),
        ("12.1", "sm_120f", "passed"),
        ("12.0", "sm_100f", "error certain"),
        ("12.0", "sm_100", "error certain"),
    ],
)
def test_a_gpu_is_reached_by_code_of_its_major_and_by_ptx_from_below(
    capability: str, targets: str, judged: str
) -> None:
    """Pitfalls 4 and 5."""
    facts = with_gpu(TORCH, name="NVIDIA GPU", capability=capability)
    facts = with_framework("torch", facts, build={"targets": tuple(targets.split())}, imported={"targets": ()})
    seen = outcome(facts, "torch-arch-unsupported")
    if seen == "found":
        finding = found(facts, "torch-arch-unsupported")
        seen = f"{finding.severity.value} {finding.confidence.value}"
    assert seen == judged


def test_desktop_code_on_tegra_is_at_most_likely() -> None:
    """Pitfall 4: 8.0 and 8.6 on 8.7."""
    facts = with_gpu(TORCH, name="Orin", capability="8.7")
    facts = with_framework("torch", facts, build={"targets": ("sm_80", "sm_86")}, imported={"targets": ()})
    assert all(finding.confidence.value != "certain" for finding in judge(facts).findings_of("torch-arch-unsupported"))
    assert outcome(facts, "torch-arch-unsupported") != "passed"


def test_volta_gets_a_build_of_an_older_cuda_and_never_one_of_cuda_13() -> None:
    """Pitfalls 5 and 19: also not a nightly of the same."""
    facts = with_gpu(TORCH, name="Tesla V100-SXM2-16GB", capability="7.0")
    commands = [command for fix in fixes(facts) for command in fix.commands]
    assert any("/whl/cu12" in command for command in commands)
    assert not any("cu13" in command or "nightly" in command for command in commands)
    newest = [
        build
        for release in load().torch_releases
        for build in release.builds
        if build.cuda and CudaVersion.parse(build.cuda).major >= 13 and build.capabilities
    ]
    assert newest
    assert [build for build in newest if {"7.0", "7.2"} & {*(build.capabilities or ()), *build.ptx}] == []


def test_minor_version_compatibility_holds_for_pasted_text_too() -> None:
    """Pitfall 6: driver 550 (CUDA 12.4) with a cu128 build is healthy, with cu130 it is not."""
    for variant, cause in (("cu128", None), ("cu130", "driver-too-old-for-cuda")):
        dotted = f"{variant[2:4]}.{variant[4]}"
        text = pastes.COLLECT_ENV_2_4.replace("2.4.0+cu121", f"2.9.0+{variant}").replace("12.1\n", f"{dotted}\n")
        text = text if cause is None else text.replace("CUDA available: True", "CUDA available: False")
        report = judge(read(text.replace("[pip3]", "#")).facts)
        assert (report.cause.rule if report.cause else None) == cause, report.findings


def test_a_cuda_version_of_three_parts_is_compared() -> None:
    """Pitfall 7."""
    facts = change(
        only("tensorflow"),
        nvml={"driver": "470.256.02", "cuda": "11.4"},
        cuda={"version": "11.4"},
        kernel_driver={"version": "470.256.02"},
    )
    assert verdict(facts) == ("broken", "driver-too-old-for-cuda")
    assert "12.5.1" in found(facts, "driver-too-old-for-cuda").title


@pytest.mark.parametrize(
    ("number", "version"),
    [("7605", "7.6.5"), ("8907", "8.9.7"), ("90100", "9.1.0"), ("92000", "9.20.0"), ("91002", "9.10.2")],
)
def test_cudnns_number_is_encoded_differently_from_version_9_on(number: str, version: str) -> None:
    """Pitfall 8."""
    assert cudnn_text(number) == version
    copies = read(f"PyTorch version: 2.9.0+cu128\ncuDNN version: {number}\n").facts.cudnn
    assert isinstance(copies, f.CudnnCopies)
    assert [copy.version for copy in copies.copies] == [version]


def test_a_compiler_on_path_is_found_without_cuda_home_and_says_where(tmp_path: Path) -> None:
    """Pitfall 9."""
    root = changed(
        GOOD_ROOT,
        {
            "/opt/cuda-12.8/bin/nvcc": "#!/bin/sh\n",
            "/opt/cuda-12.8/version.json": '{"cuda": {"version": "12.8.1"}}',
            "/opt/cuda-12.8/include/cuda.h": "#define CUDA_VERSION 12080\n",
        },
    )
    looked = look(toolkits, write_root(tmp_path, root, {"PATH": "/usr/bin:/opt/cuda-12.8/bin"}))
    assert isinstance(looked, f.Toolkits)
    (toolkit,) = looked.toolkits
    assert (toolkit.path, toolkit.version, toolkit.found_by) == ("/opt/cuda-12.8", "12.8.1", "PATH")


def test_a_driver_whose_library_and_module_differ_is_not_called_absent(tmp_path: Path) -> None:
    """Pitfall 10: neither in facts, nor on a live machine whose /proc and /sys show nothing of the module."""
    facts = change(
        GOOD,
        nvml=f.Nvml(source="NVML", result="NVML_ERROR_LIB_RM_VERSION_MISMATCH"),
        gpus=f.Missing("unreadable", "NVML_ERROR_LIB_RM_VERSION_MISMATCH", "nvmlInit"),
        driver_files={"libraries": ("580.82.07",)},
        smokes=(),
    )
    assert verdict(facts) == ("broken", "driver-library-mismatch")
    refused = error(18)
    ran = quick(tmp_path, Machine(faults={"nvmlInit_v2": refused, "nvmlInitWithFlags": refused}))
    assert not {"no-nvidia-gpu", "driver-not-installed", "driver-not-loaded"} & {
        finding["rule"] for finding in ran.report["findings"]
    }
    assert ran.code != 0


def test_of_two_gpus_the_incompatible_one_is_named_by_index_address_and_name() -> None:
    """Pitfall 11."""
    old = msgspec.structs.replace(
        H100,
        index=1,
        name="Tesla V100-SXM2-16GB",
        pci="00000000:3B:00.0",
        capability=f.GpuCapability(source="NVML", value="7.0"),
    )
    finding = found(change(TORCH, gpus={"gpus": (H100, old)}), "torch-arch-unsupported")
    assert finding.about.gpu == 1
    said = f"{finding.title} {finding.detail} {[(e.fact, e.value) for e in finding.evidence]}"
    assert "Tesla V100-SXM2-16GB" in said
    assert "GPU 1" in said
    assert "3B:00.0" in said.upper()


@pytest.mark.parametrize("value", ["-1", "", "GPU-00000000-dead-beef-0000-000000000000"])
def test_a_variable_that_hides_every_gpu_is_the_cause(tmp_path: Path, value: str) -> None:
    """Pitfall 12."""
    ran = quick(tmp_path, Machine(faults={"cuInit": error(100)}), CUDA_VISIBLE_DEVICES=value)
    assert (ran.code, ran.cause) == (1, "cuda-visible-devices")


def test_a_machine_without_system_cudnn_and_toolkit_is_healthy_and_no_folder_of_libraries_is_ever_advised() -> None:
    """Pitfall 13."""
    assert isinstance(GOOD.toolkits, f.Toolkits)
    assert isinstance(GOOD.cudnn, f.CudnnCopies)
    assert (GOOD.toolkits.toolkits, GOOD.cudnn.copies) == ((), ())
    assert verdict(GOOD) == ("healthy", None)
    for case in cases():
        for fix in fixes(read(render(case)).facts):
            for command in fix.commands:
                assert not re.search(r"export LD_LIBRARY_PATH=.", command), (case.id, command)


def test_a_python_newer_than_any_table_is_judged_by_the_package_itself() -> None:
    """Pitfall 14."""
    assert verdict(change(GOOD, interpreter={"version": "3.19.0"})) == ("healthy", None)


@pytest.mark.parametrize(
    "arguments",
    [
        ("diagnose", "--framework", "no-such"),
        ("diagnose", "--ignore", "no-such-rule"),
        ("triage", "--ignore", "no-such-rule", "-"),
        ("explain", "no-such-rule"),
    ],
)
def test_a_name_that_means_nothing_is_wrong_usage(
    arguments: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    """Pitfall 15."""
    assert run(list(arguments)) == 2
    told = capfd.readouterr()
    assert told.out == ""
    assert "no-such" in told.err


def test_nothing_known_is_not_healthy() -> None:
    """Pitfall 15."""
    report = judge(f.Facts())
    assert (report.status, report.cause) == ("undetermined", None)
    assert [unknown.what for unknown in report.unknown][:2] == ["the driver", "CUDA initialisation"]


_PLACEHOLDER = re.compile(r"<[a-z]|\.\.\.|…|\b(?:manual|verif(?:y|ication) needed|TODO|latest|your)\b|\{\w*\}|None\b")
_PINNED = re.compile(r"\b(torch|tensorflow|jax)(?:\[[\w,-]+\])?==([\w.+]+)")


def test_every_printed_command_is_complete_and_names_releases_that_exist() -> None:
    """Pitfall 16: over the fixes of all real cases."""
    known = {
        "torch": {release.release for release in load().torch_releases},
        "tensorflow": {release.release for release in load().tensorflow_releases},
        "jax": {release.release for release in load().jax_releases},
    }
    commands = {c for case in cases() for fix in fixes(read(render(case)).facts) for c in fix.commands}
    assert len(commands) > 50
    assert {command for command in commands if _PLACEHOLDER.search(command)} == set()
    pinned = {pin for command in commands for pin in _PINNED.findall(command)}
    assert pinned
    assert {(name, version) for name, version in pinned if version.partition("+")[0] not in known[name]} == set()


def test_the_default_linux_wheel_in_a_plain_python_image_is_a_cuda_build_that_lacks_the_hosts_driver() -> None:
    """Pitfall 17: python:3.11-slim and pip install torch."""
    facts = change(
        TORCH,
        container={"engine": "docker"},
        nvml=f.Nvml(source="NVML", result="NVML_ERROR_LIBRARY_NOT_FOUND"),
        gpus={"gpus": ()},
        libcuda={"taken": None},
        cuda=f.CudaDriver(source="libcuda", result="not-found"),
        device_nodes={"nodes": ()},
        driver_files={"modules": (), "libraries": ()},
    )
    assert verdict(facts) == ("broken", "container-no-gpu-access")
    text = "PyTorch version: 2.9.0\nOS: Debian GNU/Linux 13 (trixie) (x86_64)\n\n[pip3] torch==2.9.0\n"
    build = read(text).facts.framework("torch")
    assert build is not None
    assert isinstance(build.build, f.Build)
    assert build.build.accelerator != "cpu"


def test_what_a_cpu_build_has_no_cuda_for_is_none_and_what_a_wheel_carries_is_its_own() -> None:
    """Pitfall 18: "Could not collect" means neither."""
    text = pastes.COLLECT_ENV_CPU.replace("PyTorch: None", "PyTorch: Could not collect")
    cpu = read(text).facts.framework("torch")
    assert cpu is not None
    assert isinstance(cpu.build, f.Build)
    assert (cpu.build.accelerator, cpu.build.cuda) == ("cpu", None)
    carried = read(pastes.COLLECT_ENV_2_4).facts.framework("torch")
    assert carried is not None
    assert isinstance(carried.build, f.Build)
    assert "cuDNN version: Could not collect" in pastes.COLLECT_ENV_2_4
    assert carried.build.cudnn is not None
    assert carried.build.cudnn.startswith("9.1.0")


# ------------------------------------------------------------------------------------- exit codes and output

_MACHINES = {
    "good": (GOOD, 0),
    "warning": (with_gpu(link={"width": 4}), 0),
    "unhealthy gpu": (with_gpu(ecc={"remap_failure": True}), 1),
    "conflict": (change(only("torch"), nvml={"cuda": "12.4"}, cuda={"version": "12.4"}, smokes=()), 1),
    "skipped job": (
        change(smokes=(msgspec.structs.replace(proved("torch"), result="not-run", stage="init"), proved("tensorflow"))),
        3,
    ),
    "nothing known": (f.Facts(), 3),
}


@pytest.mark.parametrize("name", _MACHINES)
def test_exit_code_status_text_and_json_agree(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Pitfall 20."""
    facts, code = _MACHINES[name]
    path = tmp_path / "facts.json"
    path.write_bytes(f.encode(facts))
    codes = [run(["diagnose", "--from-facts", str(path), "--format", "json"])]
    report = json.loads(capfd.readouterr().out)
    codes.append(run(["diagnose", "--from-facts", str(path)]))
    first = capfd.readouterr().out[0]
    assert codes == [code, code]
    assert report["exit_code"] == code
    assert report["status"] in {0: ("healthy", "warnings"), 1: ("broken",), 3: ("undetermined",)}[code]
    assert first == {"healthy": "✓", "warnings": "!", "broken": "✗", "undetermined": "?"}[report["status"]]
    severities = {finding["severity"] for finding in report["findings"]}
    assert ("error" in severities) == (code == 1)


def test_an_unrelated_folder_changes_nothing(tmp_path: Path) -> None:
    """Pitfall 20."""
    variables = driver(tmp_path, Machine())
    reports = []
    for name in ("empty", "full"):
        folder = tmp_path / name
        folder.mkdir()
        if name == "full":
            for unrelated in ("nvidia-smi", "cuda", "cudnn", "requirements.txt", "Dockerfile"):
                (folder / unrelated).write_text("cuda 11.8\n")
        ran = gpudoctor("diagnose", "--quick", "--format", "json", home=folder, **variables)
        reports.append((ran.code, ran.report["status"], ran.report["outcomes"]))
    assert reports[0] == reports[1]


# ------------------------------------------------------------------------------------------------ robustness


def test_patience_grows_with_the_number_of_gpus_inside_one_budget(tmp_path: Path) -> None:
    """Pitfall 23."""
    from gpudoctor.doctor import _generous
    from gpudoctor.probes.nvml import _patience

    worlds = []
    for count in (1, 8):
        buses = {f"/proc/driver/nvidia/gpus/0000:{n:02x}:00.0/information": "Model: H100\n" for n in range(count)}
        root = changed(GOOD_ROOT, {"/proc/driver/nvidia/gpus": None}, buses)
        worlds.append(write_root(tmp_path / str(count), root))
    one, eight = worlds
    assert _patience(eight) - _patience(one) >= 7
    assert _generous(eight) - _generous(one) >= 7 * 30
    assert _patience(eight) < _generous(eight)


@pytest.mark.parametrize("fault", ["import:crash", "import:hang"])
def test_an_import_that_aborts_or_hangs_takes_nothing_with_it(tmp_path: Path, fault: str) -> None:
    """Pitfall 24."""
    marker = f"GPUDOCTOR_TEST_{os.getpid()}_{fault.replace(':', '_')}"
    ran = imitated(tmp_path, "--time-limit", "15", fault=fault, **{marker: "1"})
    assert ran.code == 1
    assert ran.seconds < 15 + BUSY
    assert ran.report["facts"]["gpus"]["gpus"][0]["name"] == "NVIDIA H100 80GB HBM3"
    assert "Traceback" not in ran.stdout + ran.stderr
    assert survivors(marker) == []


@pytest.mark.parametrize("home", ["/proc/no/such/folder", "", "/dev/null"])
def test_a_home_that_is_missing_or_cannot_be_written_is_no_failure(tmp_path: Path, home: str) -> None:
    """Pitfall 25."""
    variables = {**driver(tmp_path, Machine()), **imitation(tmp_path)}
    ran = gpudoctor(
        *("diagnose", "--format", "json", "--time-limit", "60"),
        home=tmp_path,
        **{**variables, "HOME": home, "TMPDIR": "/proc/no/such/folder", "XDG_CACHE_HOME": "/proc/no/such/folder"},
    )
    assert ran.report["facts"]["cuda"]["result"] == "CUDA_SUCCESS"
    assert [job["framework"] for job in ran.report["smoke"]] == ["torch"]
    assert "Traceback" not in ran.stdout + ran.stderr


def test_a_root_on_which_nothing_can_be_written_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Pitfall 25."""

    def refuses(*_: object, **__: object) -> Any:
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patch:
        for name, value in {**driver(tmp_path, Machine()), **imitation(tmp_path)}.items():
            patch.setenv(name, value)
        for name in ("mkdtemp", "mkstemp", "gettempdir"):
            patch.setattr(tempfile, name, refuses)
        code = run(["diagnose", "--format", "json", "--time-limit", "60"])
    told = capfd.readouterr()
    report = json.loads(told.out)
    assert report["unknown"] == [] or "did not finish" not in report["unknown"][0]["what"]
    assert [job["framework"] for job in report["smoke"]] == ["torch"]
    assert code == report["exit_code"]


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"nvmlDeviceGetHandleByIndex_v2": error(15)}, "gpu-lost"),
        ({"nvmlDeviceGetName": SEGV}, None),
    ],
)
def test_a_lost_gpu_neither_hides_the_healthy_ones_nor_ends_the_run(
    tmp_path: Path, fault: dict[str, str], told: str | None
) -> None:
    """Pitfall 27."""
    first, second, third = gpus(3)
    ran = quick(tmp_path, Machine(gpus=(first, replace(second, faults=fault), third)))
    listed = ran.report["facts"]["gpus"]["gpus"]
    assert [gpu["name"] for gpu in listed] == ["NVIDIA H100 80GB HBM3", None, "NVIDIA H100 80GB HBM3"]
    assert listed[2]["memory"]["fact"] == "gpu-memory"
    if told:
        errors = [finding for finding in ran.report["findings"] if finding["severity"] == "error"]
        assert [(finding["rule"], finding["about"]["gpu"]) for finding in errors] == [(told, 1)]
    assert ran.code in (1, 3)


def test_one_python_is_looked_at_and_the_first_on_path_is_not_mixed_in(tmp_path: Path) -> None:
    """Pitfall 28."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    site = next(venv.glob("lib/python*/site-packages"))
    _install(site, "numpy", "9.8.7")
    first = tmp_path / "first"
    first.mkdir()
    for program in ("python", "python3", "pip", "pip3", "conda", "uv"):
        (first / program).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\necho 'torch 1.2.3'\n")
        (first / program).chmod(0o755)
    ran = gpudoctor(
        *("diagnose", "--quick", "--format", "json", "--no-redact", "--python", str(venv)),
        home=tmp_path,
        PATH=f"{first}{os.pathsep}{os.environ['PATH']}",
    )
    assert [(p["name"], p["version"]) for p in ran.report["facts"]["packages"]["packages"]] == [("numpy", "9.8.7")]
    assert ran.report["facts"]["packages"]["total"] == 1
    assert ran.report["facts"]["interpreter"]["prefix"] == str(venv)
    assert not (tmp_path / "ran").exists()


def _install(site: Path, name: str, version: str) -> None:
    info = site / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "INSTALLER").write_text("pip\n")


_IN_OPEN = 0x20


@contextmanager
def opened(folder: Path) -> Iterator[list[str]]:
    """The names that any process opens in a folder, the folder itself as ``""``, told by inotify(7)."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_NONBLOCK)
    if descriptor < 0 or libc.inotify_add_watch(descriptor, os.fsencode(folder), _IN_OPEN) < 0:
        raise OSError(ctypes.get_errno(), "inotify")
    names: list[str] = []
    yield names
    try:
        events = os.read(descriptor, 1 << 16)
    except BlockingIOError:
        events = b""
    while events:
        *_, length = struct.unpack_from("iIII", events)
        names.append(events[16 : 16 + length].rstrip(b"\0").decode())
        events = events[16 + length :]
    os.close(descriptor)


@pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux'")
def test_the_files_below_the_current_folder_are_not_walked(tmp_path: Path) -> None:
    """Pitfall 29."""
    deep = tmp_path / "project" / "data" / "images"
    deep.mkdir(parents=True)
    for number in range(50):
        (deep / f"{number}.py").write_text("import torch\n")
    with opened(deep) as names:
        assert os.listdir(deep)
    assert names == [""], "the watch sees a listing"
    with opened(deep) as names, opened(deep.parent) as above:
        gpudoctor("diagnose", "--quick", "--format", "json", home=tmp_path / "project")
    assert (names, above) == ([], [])


# ----------------------------------------------------------------------------------------------------- trust

_SPY = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void tell(const char *what) {
    const char *path = getenv("SPY_LOG");
    int file = path ? open(path, O_WRONLY | O_CREAT | O_APPEND, 0666) : -1;
    if (file >= 0 && write(file, what, strlen(what)) >= 0) close(file);
}

int connect(int s, const struct sockaddr *a, socklen_t n) {
    int (*real)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "connect");
    if (a->sa_family == AF_INET || a->sa_family == AF_INET6) tell("connect\n");
    return real(s, a, n);
}

int getaddrinfo(const char *h, const char *v, const struct addrinfo *i, struct addrinfo **r) {
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    real = dlsym(RTLD_NEXT, "getaddrinfo");
    tell("getaddrinfo\n");
    return real(h, v, i, r);
}
"""


def test_no_process_of_a_run_uses_the_network_and_no_name_of_the_machine_is_told(tmp_path: Path) -> None:
    """Pitfall 30."""
    need_compiler()
    source, library, log = tmp_path / "spy.c", tmp_path / "spy.so", tmp_path / "log"
    source.write_text(_SPY)
    subprocess.run([*compiler(), "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    spied = {"LD_PRELOAD": str(library), "SPY_LOG": str(log)}
    calls = "import socket\ntry: socket.create_connection(('127.0.0.1', 9), 1)\nexcept OSError: pass"
    subprocess.run([sys.executable, "-c", calls], env=environ(tmp_path, **spied), check=True)
    assert set(log.read_text().split()) == {"connect", "getaddrinfo"}, "the spy sees what it should"
    log.unlink()
    ran = gpudoctor(
        *("diagnose", "--format", "json", "--time-limit", "60"),
        home=tmp_path,
        **{**driver(tmp_path, Machine()), **imitation(tmp_path), **spied},
    )
    assert ran.report["facts"]["gpus"]["fact"] == "gpus"
    assert not log.exists()
    names = [socket.gethostname()]
    for path in ("/etc/machine-id", "/sys/class/dmi/id/product_uuid"):
        try:
            names.append(Path(path).read_text().strip())
        except OSError:
            continue
    assert [name for name in names if len(name) > 3 and name in ran.stdout] == []


_SECRETS = ("hf_AbCdEfGhIjKlMnOpQrStUvWx", "hunter2-and-more", "ghp_0123456789abcdefghijABCDEFGHIJ012345")


def test_secret_values_leave_neither_a_machine_nor_a_paste(tmp_path: Path) -> None:
    """Pitfall 31: by their shape too, where the name is harmless."""
    variables = {
        "HF_TOKEN": _SECRETS[0],
        "NCCL_NOTE": f"see {_SECRETS[2]}",
        "PIP_INDEX_URL": f"https://ann:{_SECRETS[1]}@internal.example.org/simple",
        "CUDA_CACHE_PATH": f"/tmp/{_SECRETS[0]}",
    }
    ran = gpudoctor("diagnose", "--quick", "--format", "json", home=tmp_path, **variables)
    assert ran.report["facts"]["environment"]["fact"] == "environment"
    text = pastes.COLLECT_ENV_CPU + "".join(f"{name}={value}\n" for name, value in variables.items())
    text += f"RuntimeError: CUDA error: HF_TOKEN={_SECRETS[0]} https://ann:{_SECRETS[1]}@internal.example.org failed\n"
    (tmp_path / "ticket.txt").write_text(text)
    pasted = gpudoctor("triage", "--format", "json", "ticket.txt", home=tmp_path)
    assert pasted.report["source"] == "paste"
    for secret in _SECRETS:
        assert secret not in ran.stdout
        assert secret not in pasted.stdout


# ------------------------------------------------------------------------------------------------ every one


def test_every_pitfall_is_named_by_a_test() -> None:
    named: set[int] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        for numbers in re.findall(r'"""Pitfalls? (\d+(?:(?:, | and )\d+)*)', path.read_text("utf-8")):
            named |= {int(number) for number in re.findall(r"\d+", numbers)}
    assert set(range(1, 32)) - named == set()


def test_a_whole_diagnosis_in_this_process_needs_no_more_than_the_world() -> None:
    """Pitfall 26: whatever the first probe says, the others are asked and the reason is in the report."""

    class Broken(World):
        def read(self, path: str) -> str | None:
            raise PermissionError(13, "Permission denied", path)

    plan = Plan(sys.executable, f.Request(source="test", quick=True), 30)
    report = diagnose(plan, Broken())
    assert isinstance(report.facts.memory, f.Missing)
    assert "Permission denied" in str(report.facts.memory)
    assert isinstance(report.facts.interpreter, f.Interpreter)
