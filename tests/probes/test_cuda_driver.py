"""The loader's search over folders that stand for machines, and libcuda itself in real child processes."""

from __future__ import annotations

import ctypes.util
import os
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from gpudoctor import children
from gpudoctor.children import Limits
from gpudoctor.facts import CudaDriver, LibcudaFiles, LibraryFile, Missing
from gpudoctor.probes import cuda_child
from gpudoctor.probes.cuda_driver import cached_libraries, cuda_driver, libcuda, library_path
from gpudoctor.world import READ_LIMIT, World
from tests.cli.run import BUSY
from tests.lab.drivers.fake import ABORT, HANG, SEGV, FakeGpu, Machine, error, gpus, install, lay, prints
from tests.lab.drivers.needs import need_compiler

IDLE = 2.0
H100 = "NVIDIA H100 80GB HBM3"


@pytest.fixture
def compiler() -> None:
    need_compiler()


def ask(folder: Path, machine: Machine, **environ: str) -> CudaDriver | Missing:
    world = World(environ={**os.environ, **install(folder, machine), **environ})
    return cuda_driver(world, Limits.within(20, IDLE))


def good(folder: Path) -> CudaDriver:
    library = folder / "lib" / "libcuda.so.580.65.06"
    return CudaDriver(
        source="CUDA driver API",
        result="CUDA_SUCCESS",
        code=0,
        version="13.0",
        count=1,
        library=str(library),
        names=(H100,),
    )


def refused(folder: Path, result: str, code: int) -> CudaDriver:
    healthy = good(folder)
    return CudaDriver(source=healthy.source, result=result, code=code, version=healthy.version, library=healthy.library)


# ------------------------------------------------------------------------------------------------ libcuda's answers


@pytest.mark.usefixtures("compiler")
def test_a_healthy_driver_tells_version_devices_and_file(tmp_path: Path) -> None:
    assert ask(tmp_path, Machine()) == good(tmp_path)


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize(
    ("code", "name"),
    [
        (100, "CUDA_ERROR_NO_DEVICE"),
        (304, "CUDA_ERROR_OPERATING_SYSTEM"),
        (802, "CUDA_ERROR_SYSTEM_NOT_READY"),
        (803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"),
        (804, "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE"),
        (805, "CUDA_ERROR_MPS_CONNECTION_FAILED"),  # this libcuda has no name for it
        (999, "CUDA_ERROR_UNKNOWN"),
        (12345, "CUDA error 12345"),
    ],
)
def test_a_refused_cuinit_is_a_result_with_its_name_and_the_version(tmp_path: Path, code: int, name: str) -> None:
    assert ask(tmp_path, Machine(faults={"cuInit": error(code)})) == refused(tmp_path, name, code)


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("visible", ["", "-1", "7", "GPU-stale"])
def test_hidden_gpus_are_no_device(tmp_path: Path, visible: str) -> None:
    answer = ask(tmp_path, Machine(gpus=gpus(2)), CUDA_VISIBLE_DEVICES=visible)
    assert answer == refused(tmp_path, "CUDA_ERROR_NO_DEVICE", 100)


@pytest.mark.usefixtures("compiler")
def test_devices_are_told_in_cudas_own_order(tmp_path: Path) -> None:
    machine = Machine(gpus=(FakeGpu(), FakeGpu(name="NVIDIA TITAN V", uuid="GPU-1"), FakeGpu(name=b"\xff\x1b[1m")))
    answer = ask(tmp_path, machine, CUDA_VISIBLE_DEVICES="2,1")
    assert isinstance(answer, CudaDriver)
    assert (answer.count, answer.names) == (2, ("\ufffd\x1b[1m", "NVIDIA TITAN V"))


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize(
    ("function", "where"),
    [("cuInit", "cuInit"), ("cuDeviceGetCount", "cuDeviceGetCount"), ("cuDeviceGetName", "cuDeviceGetName, device 0")],
)
def test_a_hang_is_told_with_its_call_and_what_was_known_before(tmp_path: Path, function: str, where: str) -> None:
    started = time.monotonic()
    answer = ask(tmp_path, Machine(faults={function: HANG}))
    known = f"CUDA 13.0; {tmp_path}/lib/libcuda.so.580.65.06"
    assert answer == Missing("timed-out", f"no answer for 2 s; {known}", where)
    assert time.monotonic() - started < IDLE + BUSY
    assert not children._running


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize(
    ("fault", "words"), [(SEGV, "signal SIGSEGV"), (ABORT, "signal SIGABRT"), ("exit 7", "exit code 7")]
)
def test_a_crash_is_told_with_its_call(tmp_path: Path, fault: str, words: str) -> None:
    answer = ask(tmp_path, Machine(faults={"cuInit": fault}))
    assert answer == Missing("crashed", f"{words}; CUDA 13.0; {tmp_path}/lib/libcuda.so.580.65.06", "cuInit")


@pytest.mark.usefixtures("compiler")
def test_a_refused_count_is_not_known_rather_than_none(tmp_path: Path) -> None:
    answer = ask(tmp_path, Machine(faults={"cuDeviceGetCount": error(999)}))
    detail = f"CUDA_ERROR_UNKNOWN; CUDA 13.0; {tmp_path}/lib/libcuda.so.580.65.06"
    assert answer == Missing("unreadable", detail, "cuDeviceGetCount")


@pytest.mark.usefixtures("compiler")
def test_a_libcuda_that_prints_on_standard_output_changes_nothing(tmp_path: Path) -> None:
    assert ask(tmp_path, Machine(faults={"cuInit": prints("loading kernels ...")})) == good(tmp_path)


@pytest.mark.usefixtures("compiler")
def test_the_linkers_stub_is_a_result_of_its_own(tmp_path: Path) -> None:
    stub = lay(tmp_path / "stubs", "libcuda.so.1", Machine())
    answer = ask(tmp_path / "machine", Machine(), LD_LIBRARY_PATH=str(stub.parent))
    assert answer == CudaDriver(source="CUDA driver API", result="CUDA_ERROR_STUB_LIBRARY", code=34, library=str(stub))


@pytest.mark.usefixtures("compiler")
def test_the_version_is_that_of_cuda_compat_where_the_loader_takes_it(tmp_path: Path) -> None:
    machine = Machine(driver="550.54.15", cuda_version=12040, compat_cuda_version=13000)
    compat = lay(tmp_path / "cuda-13.0" / "compat", "libcuda.so.1", machine, "580.65.06")
    path = f"{compat.parent}:{tmp_path / 'machine' / 'lib'}"
    answer = ask(tmp_path / "machine", machine, LD_LIBRARY_PATH=path)
    assert answer == msgspec.structs.replace(good(tmp_path), library=str(compat))


@pytest.mark.usefixtures("compiler")
def test_cuda_compat_on_a_gpu_that_may_not_use_it_is_a_result(tmp_path: Path) -> None:
    machine = Machine(compat_cuda_version=13000, faults={"compat.cuInit": error(804)})
    compat = lay(tmp_path / "cuda" / "compat", "libcuda.so.1", machine)
    answer = ask(tmp_path / "machine", machine, LD_LIBRARY_PATH=str(compat.parent))
    assert isinstance(answer, CudaDriver)
    assert (answer.result, answer.code, answer.version) == ("CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE", 804, "13.0")


@pytest.mark.skipif(ctypes.util.find_library("cuda") is not None, reason="this machine has an NVIDIA driver")
def test_no_libcuda_is_a_result() -> None:
    answer = cuda_driver(World(environ={"PATH": os.environ["PATH"]}), Limits.within(10))
    assert isinstance(answer, CudaDriver)
    assert (answer.result, answer.code, answer.version, answer.library) == ("not-found", None, None, None)


def test_a_libcuda_that_the_loader_refuses_is_not_loadable(tmp_path: Path) -> None:
    (tmp_path / "libcuda.so.1").write_bytes(b"")
    answer = cuda_driver(World(environ={"LD_LIBRARY_PATH": str(tmp_path)}), Limits.within(10))
    detail = f"{tmp_path}/libcuda.so.1: file too short"
    assert answer == CudaDriver(source="CUDA driver API", result="not-loadable", detail=detail)


def test_an_interpreter_that_cannot_start_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    answer = cuda_driver(World(environ={}), Limits.within(5))
    assert answer == Missing("unreadable", "No such file or directory", "start of a child process")


def test_the_built_in_error_names_are_few() -> None:
    assert len(cuda_child._ERROR_NAMES) <= 35


# ------------------------------------------------------------------------------------------------ the loader's search

ELF64, ELF32 = b"\x7fELF\x02", b"\x7fELF\x01"
DRIVER = "/usr/lib/x86_64-linux-gnu/libcuda.so.535.129.03"
LINK = "/usr/lib/x86_64-linux-gnu/libcuda.so.1"


def write(root: Path, path: str, content: bytes = ELF64) -> None:
    place = root / path.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)


def link(root: Path, path: str, target: str) -> None:
    place = root / path.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)


def with_driver(root: Path) -> Path:
    """A host with one driver in the distribution's own folder."""
    write(root, DRIVER)
    link(root, LINK, "libcuda.so.535.129.03")
    return root


HOST_DRIVER = LibraryFile(path=LINK, real=DRIVER, version="535.129.03", kind="driver", found_by="default folders")


def search(root: Path, **environ: str) -> tuple[LibraryFile, ...]:
    """All files found, the one that is taken first."""
    found = libcuda(World(root=root, environ=environ))
    return (*(file for file in (found.taken,) if file), *found.others)


def seen(root: Path, **environ: str) -> list[tuple[str, str | None]]:
    return [(file.kind, file.found_by) for file in search(root, **environ)]


def test_no_libcuda_anywhere_is_known_absence(tmp_path: Path) -> None:
    assert libcuda(World(root=tmp_path, environ={})) == LibcudaFiles(source="dynamic loader's search path", taken=None)


def test_the_driver_of_a_host_is_taken_with_the_version_of_its_real_file(tmp_path: Path) -> None:
    assert search(with_driver(tmp_path)) == (HOST_DRIVER,)


def cache(*entries: tuple[str, str]) -> bytes:
    """An /etc/ld.so.cache in glibc's new format (struct cache_file_new in sysdeps/generic/dl-cache.h)."""
    start = 48 + 24 * len(entries)
    table, strings = b"", b""
    for name, path in entries:
        key, value = start + len(strings), start + len(strings) + len(name) + 1
        table += struct.pack("=iIIIQ", 0x0303, key, value, 0, 0)
        strings += f"{name}\0{path}\0".encode()
    return struct.pack("=20sII4B4I", b"glibc-ld.so.cache1.1", len(entries), len(strings), *[0] * 8) + table + strings


def test_the_loaders_order_is_preload_then_path_then_cache_then_default_folders(tmp_path: Path) -> None:
    root = with_driver(tmp_path)
    for folder in ("/preload", "/first", "/second", "/opt/nvidia"):
        write(root, f"{folder}/libcuda.so.1")
    write(
        root, "/etc/ld.so.cache", cache(("libc.so.6", "/lib/libc.so.6"), ("libcuda.so.1", "/opt/nvidia/libcuda.so.1"))
    )
    found = search(
        root, LD_PRELOAD="/x/libfoo.so /preload/libcuda.so.1", LD_LIBRARY_PATH="/first:relative:;/second/:/none"
    )
    assert [(file.path, file.found_by) for file in found] == [
        ("/preload/libcuda.so.1", "LD_PRELOAD"),
        ("/first/libcuda.so.1", "LD_LIBRARY_PATH"),
        ("/second/libcuda.so.1", "LD_LIBRARY_PATH"),
        ("/opt/nvidia/libcuda.so.1", "ld.so.cache"),
        (LINK, "default folders"),
    ]


def test_a_file_found_on_several_ways_is_told_once_by_the_first(tmp_path: Path) -> None:
    root = with_driver(tmp_path)
    write(root, "/etc/ld.so.cache", cache(("libcuda.so.1", LINK)))
    link(root, "/lib", "usr/lib")
    assert seen(root) == [("driver", "ld.so.cache")]


def test_a_file_of_another_word_size_is_passed_over(tmp_path: Path) -> None:
    root = with_driver(tmp_path)
    write(root, "/usr/lib32/libcuda.so.1", ELF32)
    assert seen(root, LD_LIBRARY_PATH="/usr/lib32") == [("driver", "default folders")]


def test_a_file_that_is_no_library_is_taken_all_the_same(tmp_path: Path) -> None:
    write(tmp_path, "/first/libcuda.so.1", b"")
    with_driver(tmp_path)
    assert seen(tmp_path, LD_LIBRARY_PATH="/first") == [("unknown", "LD_LIBRARY_PATH"), ("driver", "default folders")]


def test_a_folder_in_place_of_the_file_is_passed_over(tmp_path: Path) -> None:
    (with_driver(tmp_path) / "first" / "libcuda.so.1").mkdir(parents=True)
    assert seen(tmp_path, LD_LIBRARY_PATH="/first") == [("driver", "default folders")]


def test_stubs_and_compat_off_the_path_are_told_beside_the_driver(tmp_path: Path) -> None:
    root = with_driver(tmp_path)
    write(root, "/usr/local/cuda-12.4/lib64/stubs/libcuda.so")
    write(root, "/usr/local/cuda-12.4/compat/libcuda.so.550.54.15")
    link(root, "/usr/local/cuda-12.4/compat/libcuda.so.1", "libcuda.so.550.54.15")
    link(root, "/usr/local/cuda", "cuda-12.4")
    compat = "/usr/local/cuda-12.4/compat/libcuda.so.550.54.15"
    stub = "/usr/local/cuda-12.4/lib64/stubs/libcuda.so"
    assert search(root) == (
        HOST_DRIVER,
        LibraryFile(path="/usr/local/cuda/compat/libcuda.so.1", real=compat, version="550.54.15", kind="compat"),
        LibraryFile(path="/usr/local/cuda/lib64/stubs/libcuda.so", real=stub, kind="stub"),
    )


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/usr/local/cuda-12.4/compat", "compat"),
        ("/usr/local/cuda/compat", "compat"),
        ("/opt/conda/cuda-compat", "compat"),
        ("/usr/local/cuda/lib64/stubs", "stub"),
        ("/usr/local/cuda/targets/x86_64-linux/lib/stubs", "stub"),
        ("/usr/lib/wsl/lib", "wsl"),
        ("/usr/lib/aarch64-linux-gnu/tegra", "tegra"),
        ("/usr/local/nvidia/lib64", "driver"),
        ("/home/user/compat", "driver"),
    ],
)
def test_a_folder_that_the_path_puts_first_says_what_its_libcuda_is(tmp_path: Path, folder: str, kind: str) -> None:
    with_driver(tmp_path)
    write(tmp_path, f"{folder}/libcuda.so.1")
    assert seen(tmp_path, LD_LIBRARY_PATH=folder) == [(kind, "LD_LIBRARY_PATH"), ("driver", "default folders")]


def test_a_board_with_an_integrated_gpu_has_tegras_libcuda(tmp_path: Path) -> None:
    write(tmp_path, "/usr/lib/aarch64-linux-gnu/nvidia/libcuda.so.1.1")
    link(tmp_path, "/usr/lib/aarch64-linux-gnu/nvidia/libcuda.so.1", "libcuda.so.1.1")
    entry = ("libcuda.so.1", "/usr/lib/aarch64-linux-gnu/nvidia/libcuda.so.1")
    write(tmp_path, "/etc/ld.so.cache", cache(entry))
    assert seen(tmp_path) == [("tegra", "ld.so.cache")]


def test_wsl_off_the_loaders_path_is_told_and_not_taken(tmp_path: Path) -> None:
    write(tmp_path, "/usr/lib/wsl/lib/libcuda.so.1")
    found = libcuda(World(root=tmp_path, environ={}))
    assert (found.taken, [file.kind for file in found.others]) == (None, ["wsl"])


MOUNTINFO = """\
600 500 0:90 / / rw,relatime - overlay overlay rw,lowerdir=/a
601 600 0:91 / /proc rw - proc proc rw
612 600 259:2 /usr/lib/libcuda.so.550.54.15 /usr/lib/x86_64-linux-gnu/libcuda.so.550.54.15 ro - ext4 /dev/root rw
613 600 259:2 /home/kubernetes/bin/nvidia /usr/local/nvidia ro - ext4 /dev/root rw
"""


def test_in_a_container_a_mounted_libcuda_is_the_hosts_and_another_the_images(tmp_path: Path) -> None:
    write(tmp_path, "/proc/self/mountinfo", MOUNTINFO.encode())
    write(tmp_path, "/usr/lib/x86_64-linux-gnu/libcuda.so.550.54.15")
    link(tmp_path, LINK, "libcuda.so.550.54.15")
    write(tmp_path, "/usr/local/nvidia/lib64/libcuda.so.1")
    write(tmp_path, "/usr/lib64/libcuda.so.1", b"")
    assert seen(tmp_path, LD_LIBRARY_PATH="/usr/local/nvidia/lib64") == [
        ("driver", "LD_LIBRARY_PATH"),
        ("driver", "default folders"),
        ("image", "default folders"),
    ]


class Closed(World):
    """A world in which one folder may not be searched."""

    def read_bytes(self, path: str, limit: int = READ_LIMIT) -> bytes | None:
        if path.startswith("/closed/"):
            raise PermissionError(13, "Permission denied", path)
        return super().read_bytes(path, limit)


def test_a_folder_that_may_not_be_searched_is_passed_over_as_the_loader_does(tmp_path: Path) -> None:
    world = Closed(root=with_driver(tmp_path), environ={"LD_LIBRARY_PATH": "/closed"})
    assert libcuda(world) == LibcudaFiles(source="dynamic loader's search path", taken=HOST_DRIVER)


# ------------------------------------------------------------------------------------------------ small and pure


@pytest.mark.parametrize(
    ("value", "folders"),
    [("", ()), (":", ()), ("/a:/b;/a/", ("/a", "/b")), ("lib:./x:$ORIGIN/lib:/c", ("/c",))],
)
def test_a_library_path_is_its_absolute_folders_in_order(value: str, folders: tuple[str, ...]) -> None:
    assert library_path(value) == folders


def test_a_cache_behind_the_old_format_is_read(tmp_path: Path) -> None:
    old = b"ld.so-1.7.0\0" + struct.pack("=I", 0)
    assert cached_libraries(old + cache(("libcuda.so.1", "/a/libcuda.so.1")), "libcuda.so.1") == ("/a/libcuda.so.1",)


@pytest.mark.parametrize("length", [0, 10, 19, 40, 50, 75, 90, 120])
def test_a_cut_off_cache_gives_no_exception(length: int) -> None:
    data = cache(("libcuda.so.1", "/a/libcuda.so.1"), ("libcuda.so.1", "/b/libcuda.so.1"))
    assert len(data) > length
    assert all(path.startswith("/") or not path for path in cached_libraries(data[:length], "libcuda.so.1"))


LDCONFIG = shutil.which("ldconfig", path="/sbin:/usr/sbin:/bin:/usr/bin")


@pytest.mark.usefixtures("compiler")
@pytest.mark.skipif(LDCONFIG is None, reason="no ldconfig on this machine")
def test_a_cache_written_by_the_real_ldconfig_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "driver"
    lay(folder, "libcuda.so.1", Machine())
    (tmp_path / "conf").write_text(f"{folder}\n")
    cached = tmp_path / "cache"
    subprocess.run(
        [str(LDCONFIG), "-X", "-f", str(tmp_path / "conf"), "-C", str(cached)], check=True, capture_output=True
    )
    data = cached.read_bytes()
    assert cached_libraries(data, "libcuda.so.1") == (str(folder / "libcuda.so.1"),)
    assert cached_libraries(data, "libcuda.so.9") == ()


@pytest.mark.usefixtures("compiler")
def test_what_the_search_takes_is_what_a_real_process_maps(tmp_path: Path) -> None:
    environ = install(tmp_path / "machine", Machine())
    empty = tmp_path / "empty"
    empty.mkdir()
    environ["LD_LIBRARY_PATH"] = f"{empty}:{environ['LD_LIBRARY_PATH']}"
    world = World(environ={**os.environ, **environ})
    taken, answer = libcuda(world).taken, cuda_driver(world, Limits.within(10))
    assert taken is not None
    assert isinstance(answer, CudaDriver)
    assert taken.real == answer.library == str(tmp_path / "machine" / "lib" / "libcuda.so.580.65.06")
