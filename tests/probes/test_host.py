from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpudoctor.facts import (
    Fact,
    Facts,
    HostedNotebook,
    HostMemory,
    Jetson,
    Libc,
    Missing,
    Processor,
    Scheduler,
    SharedMemory,
    System,
    VirtualMachine,
    Wsl,
)
from gpudoctor.probes.at_host import HOST_PROBES, look
from gpudoctor.probes.host import (
    hosted,
    jetson,
    libc,
    memory,
    processor,
    scheduler,
    shared_memory,
    system,
    virtual_machine,
    wsl,
)
from gpudoctor.world import World
from tests.probes.roots import ENVIRON, GOOD, KERNEL, RICH, UNREADABLE, Content, Link, changed, write_root


def machine(tmp_path: Path, *changes: Mapping[str, Content | None], environ: Mapping[str, str] | None = None) -> World:
    return write_root(tmp_path, changed(GOOD, *changes), environ)


# ------------------------------------------------------------------------------------------ laws of all probes


def test_every_host_probe_is_named_after_a_field_of_facts() -> None:
    assert set(HOST_PROBES) <= {field.name for field in msgspec.structs.fields(Facts)}


def test_every_probe_answers_on_the_good_machine_with_a_sourced_fact_of_its_field(tmp_path: Path) -> None:
    world = write_root(tmp_path, GOOD)
    found = {name: look(probe, world) for name, probe in HOST_PROBES.items()}
    assert [name for name, fact in found.items() if isinstance(fact, Missing)] == []
    assert [name for name, fact in found.items() if isinstance(fact, Fact) and not fact.source] == []
    facts = msgspec.convert(msgspec.to_builtins(found) | {"schema": "gpudoctor.facts/1"}, Facts)
    assert {name: getattr(facts, name) for name in found} == found


def test_no_probe_crashes_on_the_machine_that_runs_the_tests() -> None:
    found = {name: look(probe, World()) for name, probe in HOST_PROBES.items()}
    assert [fact for fact in found.values() if isinstance(fact, Missing) and fact.kind == "crashed"] == []


FILES = sorted(path for path, content in RICH.items() if isinstance(content, (str, bytes)))
GARBAGE = {
    "nothing": b"",
    "zeros": b"\0" * 100,
    "no utf-8": b"\xff\xfe" * 50,
    "colons": b":" * 200 + b"\n" * 200,
    "large number": b"9" * 5000,
    "nested": b"[" * 100_000,
    "elf": b"\x7fELF\x02\x01" + b"\xff" * 200,
}


def encodable(world: World) -> None:
    for name, probe in HOST_PROBES.items():
        found = look(probe, world)
        assert not (isinstance(found, Missing) and found.kind == "crashed"), (name, found)
        msgspec.json.encode(found)


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
def test_no_file_with_garbage_crashes_any_probe(tmp_path: Path, garbage: bytes) -> None:
    world = write_root(tmp_path, RICH, ENVIRON)
    for path in FILES:
        before = world.at(path).read_bytes()
        world.at(path).write_bytes(garbage)
        encodable(world)
        world.at(path).write_bytes(before)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(path=st.sampled_from(FILES), cut=st.integers(0, 400), garbage=st.binary(max_size=60))
def test_no_damaged_file_crashes_any_probe(
    tmp_path_factory: pytest.TempPathFactory, path: str, cut: int, garbage: bytes
) -> None:
    world = write_root(tmp_path_factory.mktemp("root"), RICH, ENVIRON)
    before = world.at(path).read_bytes()
    world.at(path).write_bytes(before[:cut] + garbage + before[cut + len(garbage) :])
    encodable(world)


@settings(max_examples=60, deadline=None)
@given(value=st.text(max_size=40), raw=st.binary(max_size=20))
def test_no_environment_variable_crashes_any_probe(value: str, raw: bytes) -> None:
    names = (
        "CUDA_HOME CUDA_PATH CONDA_PREFIX PATH SLURM_JOB_ID SLURM_JOB_GPUS PBS_JOBID PBS_GPUFILE container "
        "NVIDIA_PRODUCT_NAME CUDA_VERSION NVARCH LD_LIBRARY_PATH KUBERNETES_SERVICE_HOST"
    )
    for text in (value, "/" + value, raw.decode("utf-8", "surrogateescape")):
        encodable(World(Path("/nonexistent-root"), dict.fromkeys(names.split(), text)))


def test_what_cannot_be_read_is_missing_unreadable_with_the_machines_own_path(tmp_path: Path) -> None:
    world = machine(tmp_path, {"/proc/cpuinfo": UNREADABLE})
    assert look(processor, world) == Missing("unreadable", "Too many levels of symbolic links", "/proc/cpuinfo")


def test_a_refused_folder_is_missing_unreadable() -> None:
    def refused(world: World) -> Fact:
        raise PermissionError(errno.EACCES, "Permission denied", "/sys/bus")

    assert look(refused, World(Path("/nowhere"))) == Missing("unreadable", "Permission denied", "/sys/bus")


def test_a_probe_that_crashes_is_missing_crashed() -> None:
    def broken(world: World) -> Fact:
        raise KeyError("x")

    assert look(broken, World()) == Missing("crashed", "KeyError: 'x'", "broken")


# ------------------------------------------------------------------------------------------------- system


def test_system_of_the_good_machine(tmp_path: Path) -> None:
    assert look(system, write_root(tmp_path, GOOD)) == System(
        source="/etc/os-release, /proc/sys/kernel/osrelease",
        os="linux",
        distribution="ubuntu",
        release="22.04",
        name="Ubuntu 22.04.3 LTS",
        like=("debian",),
        kernel=KERNEL,
        architecture="x86_64",
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            'ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.3"\nPRETTY_NAME="Rocky Linux 9.3 (Blue Onyx)"\n',
            ("rocky", "9.3", "Rocky Linux 9.3 (Blue Onyx)", ("rhel", "centos", "fedora")),
        ),
        ('NAME="Arch Linux"\nID=arch\nPRETTY_NAME="Arch Linux"\nBUILD_ID=rolling\n', ("arch", None, "Arch Linux", ())),
        ('# ID=no\nID=\'debian\'\nVERSION_ID="12"\nPRETTY_NAME=""\n', ("debian", "12", None, ())),
    ],
)
def test_os_release_is_read_whatever_its_quotes(
    tmp_path: Path, text: str, expected: tuple[str, str | None, str | None, tuple[str, ...]]
) -> None:
    found = system(machine(tmp_path, {"/etc/os-release": text}))
    assert (found.distribution, found.release, found.name, found.like) == expected


def test_a_system_without_os_release_has_no_distribution(tmp_path: Path) -> None:
    assert system(machine(tmp_path, {"/etc/os-release": None, "/proc/sys/kernel/arch": "aarch64\n"})) == System(
        source="no os-release, /proc/sys/kernel/osrelease", os="linux", kernel=KERNEL, architecture="aarch64"
    )


def test_the_running_kernel_is_read_although_sysctl_files_refuse_large_buffers() -> None:
    found = system(World())
    assert found.kernel == Path("/proc/sys/kernel/osrelease").read_text().strip()


def test_glibc_is_known_from_its_banner(tmp_path: Path) -> None:
    assert libc(write_root(tmp_path, GOOD)) == Libc(
        source="/lib/x86_64-linux-gnu/libc.so.6", name="glibc", version="2.35"
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"/lib/apk/db/installed": "C:Q1\nP:busybox\nV:1.36.1-r15\n\nC:Q1\nP:musl\nV:1.2.4_git20230717-r4\n"},
            Libc(source="/lib/apk/db/installed", name="musl", version="1.2.4"),
        ),
        ({}, Libc(source="/lib/ld-musl-x86_64.so.1", name="musl", version="1.2.3")),
    ],
)
def test_musl_is_known_from_its_package_or_its_loader(
    tmp_path: Path, changes: Mapping[str, str], expected: Libc
) -> None:
    alpine: dict[str, Content | None] = {
        "/lib/x86_64-linux-gnu": None,
        "/lib/ld-musl-x86_64.so.1": b"\x7fELF\0musl libc (%s)\nVersion %s\n\x001.2.3\0",
        "/lib/libc.so.6": Link("ld-musl-x86_64.so.1"),
    }
    assert libc(machine(tmp_path, alpine, changes)) == expected


def test_no_known_c_library_is_missing(tmp_path: Path) -> None:
    found = look(libc, machine(tmp_path, {"/lib/x86_64-linux-gnu": None}))
    assert found == Missing("unreadable", "no glibc and no musl found", "libc.so.6")


def test_the_processor_of_the_good_machine(tmp_path: Path) -> None:
    assert processor(write_root(tmp_path, GOOD)) == Processor(
        source="/proc/cpuinfo",
        model="Intel(R) Core(TM) i9-13900K",
        flags=frozenset({"fpu", "sse4_2", "avx", "f16c", "avx2", "fma"}),
        count=2,
    )


def test_an_arm_processor_tells_features_and_no_model(tmp_path: Path) -> None:
    text = "processor\t: 0\nBogoMIPS\t: 2000.00\nFeatures\t: fp asimd sve\nCPU implementer\t: 0x41\n\n"
    assert processor(machine(tmp_path, {"/proc/cpuinfo": text})) == Processor(
        source="/proc/cpuinfo", model=None, flags=frozenset({"fp", "asimd", "sve"}), count=1
    )


# ------------------------------------------------------------------------------------------------- memory

TOTAL, AVAILABLE = 65536000 * 1024, 60000000 * 1024


@pytest.mark.parametrize(
    ("changes", "limit"),
    [
        ({}, None),
        ({"/sys/fs/cgroup/user.slice/memory.max": "max\n"}, None),
        ({"/sys/fs/cgroup/user.slice/memory.max": f"{8 << 30}\n"}, 8 << 30),
        (
            {
                "/proc/self/cgroup": "4:memory:/docker/abc\n1:name=systemd:/docker/abc\n",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes": f"{2 << 30}\n",
            },
            2 << 30,
        ),
        (
            {
                "/proc/self/cgroup": "4:memory:/\n",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            },
            None,
        ),
        ({"/proc/self/cgroup": "0::/../other\n", "/sys/fs/cgroup/memory.max": "1000000\n"}, 1000000),
    ],
    ids=["none", "max", "version 2, above", "version 1, namespace", "version 1, none", "outside the namespace"],
)
def test_the_lowest_memory_limit_of_the_cgroup_and_those_above_counts(
    tmp_path: Path, changes: Mapping[str, str], limit: int | None
) -> None:
    source = "/proc/meminfo" + (", cgroup" if limit else "")
    expected = HostMemory(source=source, total=TOTAL, available=AVAILABLE, limit=limit)
    assert memory(machine(tmp_path, changes)) == expected


def test_recorded_shared_memory_is_the_mounts_size_less_its_files(tmp_path: Path) -> None:
    assert shared_memory(write_root(tmp_path, GOOD)) == SharedMemory(
        source="/proc/self/mountinfo", total=32768000 * 1024, free=32768000 * 1024 - 4096
    )


def test_shared_memory_that_is_not_mounted_is_missing(tmp_path: Path) -> None:
    found = look(shared_memory, machine(tmp_path, {"/proc/self/mountinfo": ""}))
    assert found == Missing("unreadable", "no mount with a size", "/dev/shm")


# -------------------------------------------------------------------------------------- virtual machine, WSL

DMI = "/sys/class/dmi/id"
GUEST_CPU = "processor\t: 0\nflags\t\t: fpu avx hypervisor\n"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"/proc/cpuinfo": GUEST_CPU}, "unknown"),
        ({"/proc/cpuinfo": GUEST_CPU, f"{DMI}/sys_vendor": "QEMU\n", f"{DMI}/product_name": "Standard PC\n"}, "qemu"),
        ({f"{DMI}/product_name": "KVM\n"}, "kvm"),
        ({"/proc/cpuinfo": GUEST_CPU, f"{DMI}/sys_vendor": "VMware, Inc.\n"}, "vmware"),
        (
            {"/proc/cpuinfo": GUEST_CPU, f"{DMI}/sys_vendor": "Amazon EC2\n", f"{DMI}/product_name": "g5.xlarge\n"},
            "amazon",
        ),
        ({f"{DMI}/sys_vendor": "Amazon EC2\n", f"{DMI}/product_name": "p4d.metal\n"}, None),
        ({"/proc/cpuinfo": GUEST_CPU, f"{DMI}/product_name": "Google Compute Engine\n"}, "google"),
        ({"/proc/cpuinfo": GUEST_CPU, f"{DMI}/product_name": "Virtual Machine\n"}, "microsoft"),
        ({"/sys/hypervisor/type": "xen\n"}, "xen"),
        ({"/proc/device-tree/hypervisor/compatible": "linux,kvm\0"}, "kvm"),
        (
            {"/proc/cpuinfo": GUEST_CPU, "/sys/firmware/acpi/tables/DSDT": b"DSDT\x53\x0f\0\0\x02\x77FIRECKFCVMDSDT"},
            "firecracker",
        ),
        ({"/proc/version": "Linux version 4.4.0 #1 SMP Sun Jan 10 15:06:54 PST 2016\n"}, "gvisor"),
        (
            {"/proc/cpuinfo": GUEST_CPU, "/proc/sys/kernel/osrelease": "5.15.153.1-microsoft-standard-WSL2\n"},
            "microsoft",
        ),
    ],
)
def test_the_hypervisor_is_named(tmp_path: Path, changes: Mapping[str, str | bytes], expected: str | None) -> None:
    without_acpi: dict[str, Content | None] = {"/sys/firmware": None}
    found = look(virtual_machine, machine(tmp_path, without_acpi, changes))
    assert isinstance(found, VirtualMachine)
    assert found.hypervisor == expected


def test_a_machine_that_says_nothing_of_itself_is_not_called_bare_metal(tmp_path: Path) -> None:
    changes: dict[str, Content | None] = {"/proc/cpuinfo": "processor\t: 0\nFeatures\t: fp\n", DMI: None}
    assert look(virtual_machine, machine(tmp_path, changes)) == Missing("unreadable", "no word about the machine", DMI)


WSL_SOURCE = "/proc/sys/kernel/osrelease, /usr/lib/wsl/lib, /dev/dxg"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Wsl(source=WSL_SOURCE, version=None)),
        ({"/proc/sys/kernel/osrelease": "4.4.0-19041-Microsoft\n"}, Wsl(source=WSL_SOURCE, version=1)),
        ({"/proc/sys/kernel/osrelease": "4.19.84-microsoft-standard\n"}, Wsl(source=WSL_SOURCE, version=2)),
        (
            {
                "/proc/sys/kernel/osrelease": "5.15.153.1-microsoft-standard-WSL2\n",
                "/dev/dxg": "",
                "/usr/lib/wsl/lib/libcuda.so.1": "",
                "/usr/lib/wsl/lib/nvidia-smi": "",
            },
            Wsl(source=WSL_SOURCE, version=2, libraries=("libcuda.so.1", "nvidia-smi"), dxg=True),
        ),
        (
            {
                "/proc/sys/kernel/osrelease": "6.6.1-mine\n",
                "/dev/dxg": "",
                "/proc/sys/fs/binfmt_misc/WSLInterop": "enabled\n",
            },
            Wsl(source=WSL_SOURCE, version=2, dxg=True),
        ),
    ],
    ids=["none", "WSL 1", "early WSL 2", "WSL 2 with GPU", "own kernel"],
)
def test_which_wsl_this_is(tmp_path: Path, changes: Mapping[str, str], expected: Wsl) -> None:
    assert wsl(machine(tmp_path, changes)) == expected


# ------------------------------------------------------------------------------------- Jetson, hosted, Slurm

JETSON_SOURCE = "/etc/nv_tegra_release, /proc/device-tree/model"
ORIN = {
    "/proc/device-tree/model": "NVIDIA Jetson AGX Orin Developer Kit\0",
    "/proc/device-tree/compatible": "nvidia,p3737-0000+p3701-0000\0nvidia,p3701-0000\0nvidia,tegra234\0",
}
L4T = "# R36 (release), REVISION: 4.0, GCID: 37537400, BOARD: generic, EABI: aarch64, DATE: Fri Sep 13 04:36:44 UTC\n"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Jetson(source=JETSON_SOURCE, l4t=None)),
        (
            ORIN | {"/etc/nv_tegra_release": L4T},
            Jetson(source=JETSON_SOURCE, l4t="36.4.0", model="NVIDIA Jetson AGX Orin Developer Kit"),
        ),
        (ORIN, Jetson(source=JETSON_SOURCE, l4t=None, model="NVIDIA Jetson AGX Orin Developer Kit")),
        (
            {"/proc/device-tree/model": "Raspberry Pi 5 Model B\0", "/proc/device-tree/compatible": "brcm,bcm2712\0"},
            Jetson(source=JETSON_SOURCE, l4t=None),
        ),
    ],
    ids=["none", "Orin", "a container on Orin", "another board"],
)
def test_jetson_release_and_model(tmp_path: Path, changes: Mapping[str, str], expected: Jetson) -> None:
    assert jetson(machine(tmp_path, changes)) == expected


COLAB = "/usr/local/lib/python3.11/dist-packages/google/colab"


@pytest.mark.parametrize(
    ("changes", "environ", "expected"),
    [
        ({}, {}, HostedNotebook(source="environment variables, /content", service=None)),
        (
            {},
            {"COLAB_RELEASE_TAG": "release-colab_20250101"},
            HostedNotebook(source="environment variable COLAB_RELEASE_TAG", service="colab"),
        ),
        (
            {},
            {"KAGGLE_KERNEL_RUN_TYPE": "Interactive", "COLAB_GPU": "1"},
            HostedNotebook(source="environment variable KAGGLE_KERNEL_RUN_TYPE", service="kaggle"),
        ),
        (
            {"/content/sample_data": "", f"{COLAB}/__init__.py": ""},
            {},
            HostedNotebook(source=COLAB, service="colab"),
        ),
        ({"/content/mine": ""}, {}, HostedNotebook(source="environment variables, /content", service=None)),
    ],
)
def test_hosted_notebooks(
    tmp_path: Path, changes: Mapping[str, str], environ: Mapping[str, str], expected: HostedNotebook
) -> None:
    assert hosted(machine(tmp_path, changes, environ=environ)) == expected


SLURM = "environment variable SLURM_JOB_ID"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, Scheduler(source="environment variables", name=None)),
        ({"SLURM_JOB_ID": "7"}, Scheduler(source=SLURM, name="slurm", job="7")),
        (
            {"SLURM_JOB_ID": "7", "SLURM_JOB_GPUS": "2,3", "SLURM_GPUS_ON_NODE": "2"},
            Scheduler(source=SLURM, name="slurm", job="7", gpus="2,3"),
        ),
        (
            {"SLURM_JOB_ID": "7", "SLURM_GPUS_ON_NODE": "2"},
            Scheduler(source=SLURM, name="slurm", job="7", gpus="2 on this node"),
        ),
        (
            {"PBS_JOBID": "9.head", "PBS_GPUFILE": "/var/spool/gpus"},
            Scheduler(source="environment variable PBS_JOBID", name="pbs", job="9.head", gpus="0,3"),
        ),
        ({"LSB_JOBID": "5"}, Scheduler(source="environment variable LSB_JOBID", name="lsf", job="5")),
        ({"JOB_ID": "5"}, Scheduler(source="environment variables", name=None)),
        (
            {"JOB_ID": "5", "SGE_ROOT": "/opt/sge", "SGE_HGR_gpu": "1"},
            Scheduler(source="environment variable JOB_ID", name="sge", job="5", gpus="1"),
        ),
    ],
)
def test_the_schedulers_job_and_its_gpus(tmp_path: Path, environ: Mapping[str, str], expected: Scheduler) -> None:
    assert scheduler(machine(tmp_path, {"/var/spool/gpus": "node1-gpu0\nnode1-gpu3\n"}, environ=environ)) == expected
