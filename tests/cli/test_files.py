"""A file that is written whole or not at all, and what must be written to in place."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gpudoctor.cli import files
from gpudoctor.cli.files import write_whole
from tests.cli.run import ROOT

pytestmark = pytest.mark.skipif(os.name == "nt", reason="modes, links and pipes are those of POSIX")


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.lstat().st_mode) for path in folder.iterdir()}


def test_a_new_file_has_the_mode_that_the_umask_leaves_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_whole(tmp_path / "gpu.prom", b"new")
    finally:
        os.umask(before)
    assert (tmp_path / "gpu.prom").read_bytes() == b"new"
    assert modes(tmp_path) == {"gpu.prom": 0o644}


def test_an_old_file_is_replaced_in_one_step_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "gpu.prom"
    path.write_bytes(b"old")
    path.chmod(0o640)
    with path.open("rb") as reader:
        write_whole(path, b"new")
        assert reader.read() == b"old"
    assert path.read_bytes() == b"new"
    assert modes(tmp_path) == {"gpu.prom": 0o640}


def test_a_reader_sees_the_old_file_or_the_new_one_and_never_half_of_it(tmp_path: Path) -> None:
    path, seen, over = tmp_path / "gpu.prom", set[bytes](), threading.Event()
    texts = [letter * 300_000 for letter in (b"a", b"b")]
    write_whole(path, texts[0])

    def read() -> None:
        while not over.is_set():
            seen.add(path.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(100):
        write_whole(path, texts[number % 2])
    over.set()
    reader.join()
    assert seen <= set(texts)


def test_a_link_stays_a_link_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "real").write_bytes(b"old")
    (tmp_path / "middle").symlink_to("data/real")
    (tmp_path / "link").symlink_to(tmp_path / "middle")
    before = (tmp_path / "data" / "real").stat().st_ino
    write_whole(tmp_path / "link", b"new")
    assert os.readlink(tmp_path / "middle") == "data/real"
    assert (tmp_path / "data" / "real").read_bytes() == b"new"
    assert (tmp_path / "data" / "real").stat().st_ino != before
    assert set(os.listdir(tmp_path / "data")) == {"real"}


def test_a_link_to_nothing_makes_the_file_that_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("missing")
    write_whole(tmp_path / "link", b"new")
    assert (tmp_path / "missing").read_bytes() == b"new"
    assert (tmp_path / "link").is_symlink()


def test_links_that_lead_nowhere_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        write_whole(tmp_path / "a", b"new")


def test_a_file_with_a_second_name_is_written_in_place(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"an older and longer text")
    os.link(tmp_path / "one", tmp_path / "two")
    write_whole(tmp_path / "one", b"new")
    assert (tmp_path / "two").read_bytes() == b"new"


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    write_whole(tmp_path / "pipe", b"new")
    reader.join(10)
    assert got == [b"new"]
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/stdout leads through /proc")
@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_stdout_by_its_path_is_written_to_where_it_is_a_file_too(tmp_path: Path, name: str) -> None:
    program = (
        f"from pathlib import Path; from gpudoctor.cli.files import write_whole; write_whole(Path({name!r}), b'new')"
    )
    with (tmp_path / "out").open("wb") as out:
        inode = os.fstat(out.fileno()).st_ino
        subprocess.run(
            [sys.executable, "-c", program], stdout=out, check=True, env={"PYTHONPATH": str(ROOT)}, timeout=60
        )
    assert (tmp_path / "out").read_bytes() == b"new"
    assert (tmp_path / "out").stat().st_ino == inode


def test_where_nothing_can_be_put_beside_it_the_file_itself_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A single file that is mounted into a container: renaming over it gives EBUSY."""
    path = tmp_path / "mounted"
    path.write_bytes(b"an older and longer text")
    inode = path.stat().st_ino

    def busy(*_: object) -> None:
        raise OSError(16, "Device or resource busy")

    monkeypatch.setattr(os, "replace", busy)
    write_whole(path, b"new")
    assert (path.read_bytes(), path.stat().st_ino) == (b"new", inode)
    assert os.listdir(tmp_path) == ["mounted"]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "gpu.prom"
    path.write_bytes(b"old")

    def full(_number: int, _data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "_write", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["gpu.prom"]
