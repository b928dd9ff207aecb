"""The refresh on recorded answers of an index: it adds, reports, and leaves hand-checked rows alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from compat_matrix import refresh, upstream
from compat_matrix.wheels import RecordedIndex, Wheel, by_release, dotted, pins, representative
from gpudoctor.matrix import Matrix, TorchRelease, data_folder

Row = dict[str, Any]


@pytest.fixture
def index() -> RecordedIndex:
    """Answers recorded from a real index: torch 2.14.1 and 2.15.0, TensorFlow 2.20 and 2.21, one JAX."""
    recording = Path(__file__).parent / "recorded_index.json"
    return RecordedIndex(json.loads(recording.read_text(encoding="utf-8")))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the data that may be written."""
    for path in data_folder().glob("*.jsonl"):
        shutil.copy(path, tmp_path)
    return tmp_path


def _run(index: RecordedIndex, folder: Path, *tables: str, deep: bool = False) -> tuple[int, str]:
    said: list[str] = []
    options = refresh.Options(folder, tables, write=True, deep=deep, today="2026-12-24")
    return refresh.refresh(index, options, said.append), "\n".join(said)


def _edit(folder: Path, table: str, release: str, **fields: Any) -> None:
    rows = refresh.read_table(folder, table)
    refresh.write_table(folder, table, [{**r, **fields} if r["release"] == release else r for r in rows])


def _remove(folder: Path, release: str) -> None:
    for table in ("torch", "torch_builds", "torch_pins"):
        rows = refresh.read_table(folder, table)
        refresh.write_table(folder, table, [row for row in rows if row["release"] != release])


def _release(folder: Path, release: str) -> TorchRelease:
    found = Matrix(folder).torch(release)
    assert isinstance(found, TorchRelease)
    return found


def test_nothing_changes_when_nothing_is_new(index: RecordedIndex, folder: Path) -> None:
    """The committed data equals what the index said, and a refresh leaves the files as they are."""
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert _run(index, folder, "torch", "tensorflow", "jax", deep=True)[0] == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_new_release_is_added_from_its_own_metadata(index: RecordedIndex, folder: Path) -> None:
    """CUDA, cuDNN, NCCL, Triton, kernels, Pythons and companions come out of the wheels."""
    committed = _release(folder, "2.15.0")
    _remove(folder, "2.15.0")
    count, said = _run(index, folder, "torch")
    assert count > 0
    assert "new: 2.15.0" in said
    added = _release(folder, "2.15.0")
    assert (added.pythons, added.torchvision) == (committed.pythons, committed.torchvision)
    default = next(b for b in added.builds if b.platform == "linux_x86_64" and b.pypi_default)
    known = next(b for b in committed.builds if b.platform == "linux_x86_64" and b.pypi_default)
    assert (default.variant, default.cuda, default.cudnn) == ("cu132", "13.2", known.cudnn)
    assert (default.nccl, default.triton, default.toolkit) == (known.nccl, known.triton, known.toolkit)
    assert (default.capabilities, default.ptx) == (known.capabilities, known.ptx)
    assert default.checked == "2026-12-24"


def test_a_change_upstream_is_reported_and_written(index: RecordedIndex, folder: Path) -> None:
    """A row that is not hand-checked follows the wheel, and the report names both values."""
    _edit(folder, "torch", "2.15.0", requires_python=">=3.9")
    _, said = _run(index, folder, "torch")
    assert "2.15.0: requires_python: '>=3.9' → '>=3.11' (changed)" in said
    assert _release(folder, "2.15.0").requires_python == ">=3.11"


def test_a_hand_checked_row_is_never_overwritten(index: RecordedIndex, folder: Path) -> None:
    """The difference is reported, the row stays."""
    _edit(folder, "torch", "2.15.0", requires_python=">=3.9", hand_checked=True)
    _, said = _run(index, folder, "torch")
    assert "(KEPT, hand-checked)" in said
    assert _release(folder, "2.15.0").requires_python == ">=3.9"


def test_without_write_no_file_is_touched(index: RecordedIndex, folder: Path) -> None:
    """A report is only a report."""
    _remove(folder, "2.15.0")
    before = (folder / "torch.jsonl").read_bytes()
    options = refresh.Options(folder, ("torch",), write=False, deep=False, today="2026-12-24")
    assert refresh.refresh(index, options, lambda _: None) > 0
    assert (folder / "torch.jsonl").read_bytes() == before


def test_what_upstream_does_not_tell_survives() -> None:
    """Fields of a known row that the reader has no word on stay."""
    ours = [{"release": "1.0", "cuda": "9.0", "note": "by hand", "source": ["wheel"], "checked": "2020-01-01"}]
    merged = refresh.merge(ours, [{"release": "1.0", "cuda": "10.0", "source": ["wheel"]}], ("release",), "2026-12-24")
    assert merged.rows == [
        {"release": "1.0", "cuda": "10.0", "note": "by hand", "source": ["wheel"], "checked": "2026-12-24"}
    ]


def test_agreement_counts_and_names_disagreements(index: RecordedIndex, folder: Path) -> None:
    """Zero disagreements as committed; a wrong value is counted and named."""
    said: list[str] = []
    assert refresh.agreement(index, folder, said.append) == 0
    assert said[-1].startswith("agreed ")
    _edit(folder, "torch_builds", "2.15.0", cudnn="9.1.0.70")
    assert refresh.agreement(index, folder, said.append) == 2


def test_the_refresh_names_no_index_host() -> None:
    """Which index is asked is pip's configuration, not ours."""
    for name in ("refresh.py", "upstream.py", "wheels.py"):
        text = (Path(refresh.__file__).parent / name).read_text(encoding="utf-8")
        assert "http" not in text.replace("LazyZipOverHTTP", "").replace("HTTP range", "")


def test_markers_decide_which_pins_hold() -> None:
    """A pin for Linux is none on Windows; an extra's pins are only the extra's."""
    metadata = (
        b"Requires-Dist: filelock\n"
        b'Requires-Dist: nvidia-cudnn-cu12 (==9.1.0.70) ; platform_system == "Linux"\n'
        b'Requires-Dist: keras ; extra == "more"\n\n'
    )
    assert pins(metadata, "linux_x86_64", "3.12") == {"filelock": "", "nvidia-cudnn-cu12": "==9.1.0.70"}
    assert pins(metadata, "win_amd64", "3.12") == {"filelock": ""}
    assert pins(metadata, "linux_x86_64", "3.12", "more") == {"keras": ""}


def test_wheel_file_names_are_read() -> None:
    """Platform, Python, glibc and build number are in the name."""
    wheel = Wheel("torch-2.10.0-3-cp313-cp313t-manylinux_2_28_x86_64.whl")
    assert (wheel.platforms, wheel.pythons) == (frozenset({"linux_x86_64"}), frozenset({"3.13t"}))
    assert (wheel.min_glibc, wheel.build_number) == ("2.28", 3)
    old = Wheel("tensorflow-1.12.0-cp27-cp27mu-manylinux1_x86_64.whl")
    assert (old.pythons, old.min_glibc) == (frozenset({"2.7"}), "2.5")


def test_the_wheel_read_last_time_stays_the_choice_until_it_is_rebuilt() -> None:
    """No change is reported because another Python's wheel could have been read."""
    first, other = (Wheel(f"torch-2.0-cp{v}-cp{v}-manylinux2014_x86_64.whl") for v in ("310", "311"))
    rebuilt = Wheel("torch-2.0-2-cp311-cp311-manylinux2014_x86_64.whl")
    assert representative([first, other], "linux_x86_64") == other
    assert representative([first, other], "linux_x86_64", first.filename) == first
    assert representative([first, other, rebuilt], "linux_x86_64", first.filename) == rebuilt


def test_yanked_files_and_pre_releases_are_no_releases() -> None:
    """What pip would not choose is not listed."""
    wheels = [
        Wheel("a-1.0-py3-none-any.whl"),
        Wheel("a-1.1-py3-none-any.whl", yanked=True),
        Wheel("a-2.0rc1-py3-none-any.whl"),
    ]
    assert list(by_release(wheels)) == ["1.0"]


@pytest.mark.parametrize(("flag", "capability"), [("sm_75", "7.5"), ("sm_120", "12.0"), ("compute_90a", "9.0")])
def test_architecture_flags_are_read(flag: str, capability: str) -> None:
    """The last digit is the minor."""
    assert dotted(flag) == capability


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("is_cuda_build = False\n", {"is_cuda_build": False}),
        ('cuda_version_number = "10.0"\n', {"cuda_version": "10.0"}),
        ("build_info = {'cuda_version': '10.1'}\n", {"cuda_version": "10.1"}),
        ("import collections\nbuild_info = collections.OrderedDict([('a', 1)])\n", {"a": 1}),
    ],
)
def test_every_generation_of_build_info_is_read(text: str, expected: Row) -> None:
    """TensorFlow changed the form of the file three times."""
    file = "tensorflow-2.0-cp311-cp311-win_amd64.whl"
    index = RecordedIndex({"members": {file: {"python/platform/build_info.py": text}}})
    assert upstream.tf_build_info(index, Wheel(file)) == expected
