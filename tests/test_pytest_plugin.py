"""The pytest plug-in in real pytest runs, on machines that the fake driver libraries describe."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from gpudoctor import facts as f
from gpudoctor.testing import Device, Need, Sight, chosen, devices, needed
from tests.cli.run import ROOT
from tests.lab.drivers.fake import GIB, FakeGpu, Machine, MigSlice, error, gpus, install
from tests.lab.drivers.needs import need_compiler

pytest_plugins = ("pytester",)

PLUGIN = ("-p", "gpudoctor.pytest_plugin", "--strict-markers", "-rsE")
H100 = Device(number=0, name="NVIDIA H100 80GB HBM3", capability="9.0", vram=80 * GIB, driver="580.65.06", cuda="13.0")
T4 = Device(number=1, name="Tesla T4", capability="7.5", vram=15 * GIB, driver="580.65.06", cuda="13.0")
TWO_T4 = tuple(
    replace(gpu, name="Tesla T4", capability=(7, 5), memory=(15 * GIB, 450 << 20, GIB), mig_mode=None)
    for gpu in gpus(2)
)
# Tells in a file of each look, and passes it on.
TELLTALE = """
    import os, gpudoctor.testing as testing
    _look = testing.look
    def look(world):
        with open(os.environ["LOOKS"], "a") as file:
            file.write("look\\n")
        return _look(world)
    testing.look = look
"""

Lab = Callable[[Machine], None]


@pytest.fixture
def lab(pytester: pytest.Pytester, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """Puts the inner pytest run on a machine; without a call it has no driver at all."""
    need_compiler()
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("LOOKS", str(tmp_path / "looks"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    for variable in ("PYTEST_ADDOPTS", "CUDA_VISIBLE_DEVICES", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_TESTRUNUID"):
        monkeypatch.delenv(variable, raising=False)
    pytester.makeconftest(textwrap.dedent(TELLTALE))

    def on(machine: Machine) -> None:
        for name, value in install(tmp_path / "lab", machine).items():
            monkeypatch.setenv(name, value)

    return on


def looks() -> int:
    """How often the inner run looked at the machine."""
    path = Path(os.environ["LOOKS"])
    return len(path.read_text().splitlines()) if path.exists() else 0


# ------------------------------------------------------------------------------------------------- whole runs


def test_a_marked_test_runs_where_the_gpus_suffice_and_gets_them(pytester: pytest.Pytester, lab: Lab) -> None:
    lab(Machine(gpus=TWO_T4))
    pytester.makepyfile("""
        import pytest
        from gpudoctor.testing import Device
        @pytest.mark.gpu(count=2, vram="14GiB", free_vram="13GiB", capability="7.5")
        @pytest.mark.gpu(driver="550.54", cuda="12.4", name="t4")
        def test_two(gpu, gpus):
            first, second = gpus
            assert gpu == first == Device(
                number=0, name="Tesla T4", uuid="GPU-5e1f7c2a-0000-4000-8000-0000000000a0", capability="7.5",
                vram=15 << 30, free_vram=(14 << 30) - (450 << 20), driver="580.65.06", cuda="13.0")
            assert (second.number, second.uuid) == (1, "GPU-5e1f7c2a-0000-4000-8000-0000000000a1")
    """)
    pytester.runpytest_subprocess(*PLUGIN).assert_outcomes(passed=1)
    assert looks() == 1


def test_a_marked_test_is_skipped_with_the_users_own_values(pytester: pytest.Pytester, lab: Lab) -> None:
    lab(Machine(gpus=TWO_T4))
    pytester.makepyfile("""
        import pytest
        @pytest.fixture(scope="session")
        def weights():
            raise AssertionError("a fixture of a test that is skipped")
        @pytest.mark.gpu(vram="16GiB", count=2)
        def test_large(weights):
            raise AssertionError
    """)
    ran = pytester.runpytest_subprocess(*PLUGIN)
    ran.assert_outcomes(skipped=1)
    ran.stdout.fnmatch_lines(
        "SKIPPED [[]1] test_a_marked_test_is_skipped_with_the_users_own_values.py:5: "
        "needs 2 GPUs with vram>=16GiB: CUDA shows 2; "
        "GPU 0 (Tesla T4) has memory 15 GiB; GPU 1 (Tesla T4) has memory 15 GiB"
    )


def test_a_machine_without_a_gpu_or_with_a_broken_driver_is_the_reason(pytester: pytest.Pytester, lab: Lab) -> None:
    lab(Machine(faults={"cuInit": error(802)}))
    pytester.makepyfile("""
        import pytest
        @pytest.mark.gpu
        def test_it(): raise AssertionError
        def test_by_fixture(gpu): raise AssertionError
    """)
    ran = pytester.runpytest_subprocess(*PLUGIN)
    ran.assert_outcomes(skipped=2)
    ran.stdout.fnmatch_lines("SKIPPED*: needs a GPU: *802*(fabric-manager-not-running)")


def test_gpu_required_turns_skips_into_failures(pytester: pytest.Pytester, lab: Lab) -> None:
    lab(Machine(gpus=()))
    pytester.makepyfile("""
        import pytest
        @pytest.mark.gpu
        def test_it(): raise AssertionError
        def test_by_fixture(gpu): raise AssertionError
        @pytest.mark.skipif(True, reason="not on this system")
        @pytest.mark.gpu
        def test_elsewhere(): raise AssertionError
    """)
    ran = pytester.runpytest_subprocess(*PLUGIN, "--gpu-required")
    ran.assert_outcomes(errors=2, skipped=1)
    assert ran.ret == pytest.ExitCode.TESTS_FAILED
    ran.stdout.fnmatch_lines("*--gpu-required: needs a GPU: *")
    assert "Traceback" not in ran.stdout.str()


def test_nothing_is_looked_at_or_imported_unless_a_test_asks(pytester: pytest.Pytester, lab: Lab) -> None:
    lab(Machine())
    pytester.makeconftest("")
    pytester.makepyfile("""
        import sys, pytest
        @pytest.mark.gpu
        def test_deselected(): pass
        @pytest.mark.gpu
        @pytest.mark.skip(reason="for now")
        def test_skipped_anyhow(): pass
        def test_plain():
            assert {name for name in sys.modules if name.startswith("gpudoctor")} == {
                "gpudoctor", "gpudoctor.pytest_plugin"}
    """)
    pytester.runpytest_subprocess(*PLUGIN, "-k", "not deselected").assert_outcomes(passed=1, skipped=1, deselected=1)


def test_a_session_looks_once(pytester: pytest.Pytester, lab: Lab) -> None:
    lab(Machine())
    pytester.makepyfile("""
        import pytest
        @pytest.mark.gpu
        @pytest.mark.parametrize("turn", range(5))
        def test_it(turn, gpu): pass
    """)
    pytester.runpytest_subprocess(*PLUGIN).assert_outcomes(passed=5)
    assert looks() == 1


def test_workers_of_xdist_look_once_together_and_leave_nothing(
    pytester: pytest.Pytester, lab: Lab, tmp_path: Path
) -> None:
    lab(Machine())
    pytester.makepyfile("""
        import pytest
        @pytest.mark.gpu(vram="40GiB")
        @pytest.mark.parametrize("turn", range(6))
        def test_it(turn, gpu, worker_id): assert gpu.capability == "9.0" and worker_id.startswith("gw")
    """)
    ran = pytester.runpytest_subprocess(*PLUGIN, "-p", "xdist", "-n2", "--dist=load")
    ran.assert_outcomes(passed=6)
    assert looks() == 1
    assert [path.name for path in (tmp_path / "tmp").iterdir() if path.name.startswith("gpudoctor-")] == []


def test_workers_that_have_nowhere_to_write_look_for_themselves(pytester: pytest.Pytester, lab: Lab) -> None:
    lab(Machine())
    pytester.makeconftest(
        textwrap.dedent(TELLTALE)
        + textwrap.dedent("""
            import tempfile
            _mkdtemp = tempfile.mkdtemp
            def mkdtemp(**said):
                if said.get("prefix") == "gpudoctor-":
                    raise OSError(30, "Read-only file system")
                return _mkdtemp(**said)
            tempfile.mkdtemp = mkdtemp
        """)
    )
    pytester.makepyfile("""
        import pytest
        @pytest.mark.gpu
        @pytest.mark.parametrize("turn", range(2))
        def test_it(turn): pass
    """)
    pytester.runpytest_subprocess(*PLUGIN, "-p", "xdist", "-n2", "--dist=load").assert_outcomes(passed=2)
    assert looks() == 2


@pytest.mark.parametrize(
    ("marker", "complaint"),
    [
        ('vramm="16GiB"', "gpu(vramm=…) is not known; did you mean vram=?"),
        ("colour=1", "gpu(colour=…) is not known; gpu takes count=, vram=, free_vram=, "),
        ("2", "gpu(2) has no name; gpu takes count="),
        ('vram="16"', "gpu(vram='16'): vram: '16' is no size with a unit (GiB, GB, MiB, MB). Write 16GiB or 16GB."),
        ("vram=16", 'gpu(vram=16): text is wanted, such as vram="16GiB"'),
        ("capability=8.0", 'gpu(capability=8.0): text is wanted, such as capability="8.0"'),
        ('cuda="new"', "gpu(cuda='new'): 'cuda>=new' is no version specifier"),
        ("count=0", "gpu(count=0): a number of GPUs from 1 on is wanted"),
        ("count=True", "gpu(count=True): a number of GPUs from 1 on is wanted"),
        ('name="("', "gpu(name='('): 'gpu~=(' cannot be read"),
    ],
)
def test_a_wrong_marker_fails_its_test_alone(pytester: pytest.Pytester, lab: Lab, marker: str, complaint: str) -> None:
    lab(Machine())
    pytester.makepyfile(f"""
        import pytest
        @pytest.mark.gpu({marker})
        def test_wrong(): pass
        @pytest.mark.gpu
        def test_right(): pass
    """)
    ran = pytester.runpytest_subprocess(*PLUGIN)
    ran.assert_outcomes(passed=1, errors=1)
    assert complaint in ran.stdout.str()


def test_a_test_takes_wishes_of_its_class_and_the_closest_one_counts(pytester: pytest.Pytester, lab: Lab) -> None:
    lab(Machine(gpus=TWO_T4))
    pytester.makepyfile("""
        import pytest
        @pytest.mark.gpu(vram="40GiB", count=2)
        class TestIt:
            @pytest.mark.gpu(vram="8GiB")
            def test_smaller(self, gpus): assert len(gpus) == 2
            def test_as_the_class(self): raise AssertionError
    """)
    pytester.runpytest_subprocess(*PLUGIN).assert_outcomes(passed=1, skipped=1)


def test_pytest_loads_it_by_its_entry_point_and_lists_marker_fixtures_and_option(
    pytester: pytest.Pytester, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    (point,) = re.findall(r'\[project\.entry-points\.pytest11\]\n(\w+) = "([\w.]+)"\n', project)
    info = tmp_path / "site" / "made-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: made\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[pytest11]\n{point[0]} = {point[1]}\n")
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{info.parent}")
    assert "@pytest.mark.gpu(count=1" in pytester.runpytest_subprocess("--markers").stdout.str()
    assert "--gpu-required" in pytester.runpytest_subprocess("--help").stdout.str()
    fixtures = pytester.runpytest_subprocess("--fixtures").stdout.str()
    assert re.search(r"^gpu -- .*pytest_plugin\.py", fixtures, re.MULTILINE)
    assert re.search(r"^gpus -- .*pytest_plugin\.py", fixtures, re.MULTILINE)
    assert looks() == 0


def test_nothing_else_of_gpudoctor_imports_pytest() -> None:
    importing = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "gpudoctor").rglob("*.py")
        if re.search(r"^\s*(import|from) _?pytest\b", path.read_text("utf-8"), re.MULTILINE)
    ]
    assert importing == ["gpudoctor/pytest_plugin.py"]


def test_importing_the_plugin_loads_nothing_that_pytest_has_not_loaded() -> None:
    program = (
        "import json, sys, _pytest.config, pytest\n"
        "_pytest.config.get_config()\n"
        "before = set(sys.modules)\n"
        "import gpudoctor.pytest_plugin\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environ)
    assert json.loads(done.stdout) == ["gpudoctor", "gpudoctor.pytest_plugin"]


# ------------------------------------------------------------------------------------------ what CUDA shows here


def test_of_two_alike_the_one_that_the_variable_names_is_the_one_that_cuda_shows() -> None:
    first, second = nvml_gpu(index=0, uuid="GPU-aaaa"), nvml_gpu(index=1, uuid="GPU-bbbb")
    listed = f.Gpus(source="NVML", gpus=(first, second))
    for value in ("1", "GPU-bb", "GPU-bbbb"):
        (shown,) = devices(cuda(first.name), listed, NVML, value)
        assert (shown.number, shown.uuid) == (0, "GPU-bbbb")


def test_cuda_orders_different_gpus_its_own_way_and_each_keeps_its_memory() -> None:
    small, large = nvml_gpu(index=0, name="Tesla T4", uuid="GPU-aaaa", gib=15), nvml_gpu(index=1, uuid="GPU-bbbb")
    shown = devices(cuda(large.name, small.name), f.Gpus(source="NVML", gpus=(small, large)), NVML, None)
    assert [(one.number, one.name, one.vram) for one in shown] == [
        (0, "NVIDIA H100 80GB HBM3", 80 * GIB),
        (1, "Tesla T4", 15 * GIB),
    ]


def test_a_mig_instance_is_a_device_with_its_own_memory() -> None:
    instance = MigSlice(uuid="MIG-1234")
    parent = msgspec.structs.replace(
        nvml_gpu(index=0, uuid="GPU-aaaa"),
        modes=f.GpuModes(source="NVML", mig=True),
        mig=f.MigInstances(
            source="NVML",
            instances=(f.MigInstance(uuid=instance.uuid, name=instance.name, memory=instance.memory),),
        ),
    )
    (shown,) = devices(cuda(instance.name), f.Gpus(source="NVML", gpus=(parent,)), NVML, None)
    assert (shown.name, shown.uuid, shown.vram, shown.capability) == (instance.name, "MIG-1234", 10 * GIB, "9.0")


def test_where_nvml_says_nothing_cuda_still_shows_a_device_and_memory_cannot_be_judged() -> None:
    (shown,) = devices(cuda("Orin"), f.Missing("unreadable", "NVML_ERROR_NOT_SUPPORTED"), f.NOT_ASKED, None)
    assert shown == Device(number=0, name="Orin", cuda="13.0")
    assert chosen(Need(), Sight(devices=(shown,))) == (shown,)
    assert chosen(need(vram="1GiB", driver="550"), Sight(devices=(shown,))) == (
        "needs a GPU with vram>=1GiB, driver>=550: CUDA shows 1; "
        "GPU 0 (Orin) does not tell its memory and does not tell its driver"
    )


def test_a_look_that_timed_out_shows_no_device() -> None:
    assert devices(f.Missing("timed-out", "no answer for 20 s", "cuInit"), f.NOT_ASKED, f.NOT_ASKED, None) == ()


# ----------------------------------------------------------------------------------------------- what is needed


BOTH = Sight(devices=(H100, T4))


def need(**said: object) -> Need:
    """What a marker with these arguments needs."""
    return needed([((), said)])


@pytest.mark.parametrize(
    ("wish", "fit"),
    [
        (need(), (H100, T4)),
        (need(count=2), (H100, T4)),
        (need(vram="15GiB"), (H100, T4)),
        (need(vram="16GB"), (H100, T4)),
        (need(vram="16GiB"), (H100,)),
        (need(vram=">=8GiB,<40GiB"), (T4,)),
        (need(capability="7.5"), (H100, T4)),
        (need(capability="8.0"), (H100,)),
        (need(capability="<8"), (T4,)),
        (need(driver="580"), (H100, T4)),
        (need(driver="580.65.6"), (H100, T4)),
        (need(cuda="13"), (H100, T4)),
        (need(name="H100|A100"), (H100,)),
        (need(name="!=Tesla T4"), (H100,)),
    ],
    ids=str,
)
def test_devices_that_meet_the_need(wish: Need, fit: tuple[Device, ...]) -> None:
    assert chosen(wish, BOTH) == fit


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        (need(count=3), "needs 3 GPUs: CUDA shows 2"),
        (
            need(count=2, capability="8.0"),
            (
                "needs 2 GPUs with capability>=8.0: CUDA shows 2, 1 of them fit; "
                "GPU 1 (Tesla T4) has compute capability 7.5"
            ),
        ),
        (
            need(cuda="13.10"),
            (
                "needs a GPU with cuda>=13.10: CUDA shows 2; GPU 0 (NVIDIA H100 80GB HBM3) has CUDA 13.0; "
                "GPU 1 (Tesla T4) has CUDA 13.0"
            ),
        ),
        (
            need(name="A100"),
            (
                "needs a GPU with gpu~=A100: CUDA shows 2; GPU 0 (NVIDIA H100 80GB HBM3) has another name; "
                "GPU 1 (Tesla T4) has another name"
            ),
        ),
    ],
)
def test_a_need_that_is_not_met_says_what_is_there(wish: Need, why: str) -> None:
    assert chosen(wish, BOTH) == why


def test_the_near_miss_of_an_80_gb_card_shows_its_size() -> None:
    card = msgspec.structs.replace(H100, vram=85520809984)
    assert chosen(need(vram="80GiB"), Sight(devices=(card,))) == (
        "needs a GPU with vram>=80GiB: CUDA shows 1; GPU 0 (NVIDIA H100 80GB HBM3) has memory 79.65 GiB"
    )
    assert chosen(need(vram="80GB"), Sight(devices=(card,))) == (card,)


NVML = f.Nvml(source="NVML", result="NVML_SUCCESS", driver="580.65.06", cuda="13.0")


def cuda(*names: str | None) -> f.CudaDriver:
    """CUDA that works and shows devices of these names."""
    shown = tuple(str(name) for name in names)
    return f.CudaDriver(source="CUDA", result="CUDA_SUCCESS", code=0, version="13.0", count=len(shown), names=shown)


def nvml_gpu(*, index: int, uuid: str, name: str = str(FakeGpu().name), gib: int = 80) -> f.Gpu:
    """A GPU as NVML lists it."""
    return f.Gpu(
        source="NVML",
        index=index,
        name=name,
        uuid=uuid,
        capability=f.GpuCapability(source="NVML", value="9.0"),
        memory=f.GpuMemory(source="NVML", total=gib * GIB, used=0, free=gib * GIB),
        modes=f.GpuModes(source="NVML", mig=False),
    )
