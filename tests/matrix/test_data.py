"""Invariants of the data: what must hold between rows, whatever their values are."""

from __future__ import annotations

import datetime
import itertools
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable

import pytest

from gpudoctor.matrix import Matrix, TorchRelease, Unlisted, data_folder, load
from gpudoctor.matrix.records import Row
from gpudoctor.relations import Capability, CudaVersion, Platform, driver_version

# Table → file and the fields that name a row.
TABLES: dict[str, tuple[str, tuple[str, ...]]] = {
    "toolkits": ("toolkits", ("release",)),
    "minor_version_floors": ("minor_version_floors", ("cuda_major",)),
    "forward_compatibility": ("forward_compatibility", ("cuda",)),
    "container_requirements": ("container_require_cuda", ("cuda",)),
    "driver_branches": ("driver_branches", ("branch",)),
    "architectures": ("architectures", ("capability",)),
    "gpus": ("gpus", ("name",)),
    "pci_devices": ("pci_devices", ("device_id",)),
    "vgpus": ("vgpus", ("base",)),
    "torch_releases": ("torch", ("release",)),
    "torch_pins": ("torch_pins", ("release", "platform")),
    "tensorflow_releases": ("tensorflow", ("release",)),
    "jax_releases": ("jax", ("release",)),
    "cudnn_families": ("cudnn_families", ("first",)),
    "cudnn_releases": ("cudnn", ("package", "version")),
    "companions": ("companions", ("package", "version")),
    "cuda_errors": ("cuda_errors", ("code",)),
    "xids": ("xids", ("number",)),
    "jetsons": ("jetson", ("jetpack",)),
    "numpy2_ranges": ("numpy2", ("package", "versions", "platform")),
    "toolkit_component_sets": ("toolkit_components", ("toolkit",)),
    "facts": ("facts", ("subject", "fact")),
}


@pytest.fixture
def matrix() -> Matrix:
    return load()


def _rows(matrix: Matrix, table: str) -> tuple[Row, ...]:
    rows: tuple[Row, ...] = getattr(matrix, table)
    return rows


def _all_rows(matrix: Matrix) -> Iterable[Row]:
    for table in TABLES:
        yield from _rows(matrix, table)
    for torch in matrix.torch_releases:
        yield from torch.builds
    for tensorflow in matrix.tensorflow_releases:
        yield from tensorflow.builds


def test_every_file_is_a_table() -> None:
    """No data file lies about unread."""
    files = {path.stem for path in data_folder().glob("*.jsonl")}
    assert files == {file for file, _ in TABLES.values()} | {"sources", "torch_builds", "tensorflow_builds"}


def test_every_row_has_a_source_and_a_date(matrix: Matrix) -> None:
    """Knowledge without its origin is hearsay."""
    for row in _all_rows(matrix):
        assert row.source, row
        assert set(row.source) <= set(matrix.sources), row
        assert datetime.date.fromisoformat(row.checked), row


def test_every_source_is_used(matrix: Matrix) -> None:
    """A source that no row names is a leftover."""
    used = {source for row in _all_rows(matrix) for source in row.source}
    used |= {source for gpu in matrix.gpus for source in gpu.figures_source}
    assert used == set(matrix.sources)


def test_what_rests_on_memory_alone_is_marked(matrix: Matrix) -> None:
    """Recalled rows are never verified."""
    for row in _all_rows(matrix):
        if set(row.source) <= {"recall", "chip", "datasheet", "derived", "vgpu-guide"}:
            assert not row.verified, row


@pytest.mark.parametrize("table", TABLES)
def test_no_row_is_there_twice(matrix: Matrix, table: str) -> None:
    """A name means one row."""
    _, key = TABLES[table]
    counts = Counter(tuple(str(getattr(row, field)).lower() for field in key) for row in _rows(matrix, table))
    assert [name for name, count in counts.items() if count > 1] == []


def test_no_build_is_there_twice(matrix: Matrix) -> None:
    """One row for a variant on a platform, one default for a platform."""
    for release in matrix.torch_releases:
        counts = Counter((build.variant, build.platform) for build in release.builds)
        defaults = Counter(build.platform for build in release.builds if build.pypi_default)
        assert max([*counts.values(), *defaults.values(), 0]) <= 1, release.release


def test_every_cuda_named_exists(matrix: Matrix) -> None:
    """A CUDA version that a build, branch or board names is a toolkit that was released."""
    toolkits = {toolkit.cuda for toolkit in matrix.toolkits}
    named = {build.cuda for release in matrix.torch_releases for build in release.builds if build.cuda}
    named |= {str(CudaVersion.parse(t.cuda)) for t in matrix.tensorflow_releases if t.cuda}
    named |= {branch.max_cuda for branch in matrix.driver_branches} - {"12.7"}  # shown, never released
    named |= {jetson.cuda for jetson in matrix.jetsons}
    named |= {t for a in matrix.architectures for t in (a.first_toolkit, a.last_toolkit) if t and float(t) >= 7}
    assert named <= toolkits


def test_every_toolkit_that_torch_pins_has_its_components(matrix: Matrix) -> None:
    """The cuda-toolkit release in a torch build is one whose packages are known."""
    pinned = {b.toolkit for t in matrix.torch_releases for b in t.builds if b.toolkit and b.pypi_default}
    for toolkit in pinned:
        if CudaVersion.parse(toolkit) >= CudaVersion(13, 0):
            assert not isinstance(matrix.toolkit_components(toolkit), Unlisted), toolkit


def test_every_capability_named_exists(matrix: Matrix) -> None:
    """Builds, boards and libraries name capabilities that have a row."""
    known = {architecture.capability for architecture in matrix.architectures}
    builds = [build for release in matrix.torch_releases for build in release.builds]
    named = {c for build in builds for c in (*(build.capabilities or ()), *build.ptx)}
    named |= {c for gpu in matrix.gpus for c in (gpu.capability, *gpu.other_capabilities)}
    named |= {device.capability for device in matrix.pci_devices} | {vgpu.capability for vgpu in matrix.vgpus}
    named |= {c for jetson in matrix.jetsons for c in (*jetson.capabilities, *jetson.sbsa_capabilities)}
    named |= {str(t.capability) for r in matrix.tensorflow_releases for b in r.builds for t in b.code_targets or ()}
    named |= {c for f in matrix.cudnn_families for c in (f.first_capability, f.last_capability) if c}
    assert named <= known


def test_a_newer_driver_never_supports_less_cuda(matrix: Matrix) -> None:
    """Branches are in order, and so is the CUDA that they know."""
    branches = matrix.driver_branches
    assert [branch.number for branch in branches] == sorted({branch.number for branch in branches})
    for older, newer in itertools.pairwise(branches):
        assert older.cuda <= newer.cuda, newer.branch
        assert older.windows_majors[1] < newer.windows_majors[0], newer.branch


def test_a_dropped_gpu_stays_dropped(matrix: Matrix) -> None:
    """A GPU is driven by one unbroken run of branches, and that run is not empty."""
    for architecture in matrix.architectures:
        if architecture.tegra:
            continue
        has = [matrix.branch_supports(branch, architecture.cc) for branch in matrix.driver_branches]
        assert True in has, architecture.capability
        assert re.fullmatch("n*y+n*", "".join("y" if supported else "n" for supported in has))


def test_branches_that_architectures_name_exist(matrix: Matrix) -> None:
    """First and last branch of a capability are listed branches."""
    branches = {branch.branch for branch in matrix.driver_branches}
    named = {b for a in matrix.architectures for b in (a.first_branch, a.last_branch) if b}
    assert named <= branches


def test_the_open_kernel_rule_is_monotonic(matrix: Matrix) -> None:
    """Unsupported up to Volta, a choice after it, required from some capability on."""
    order = ["unsupported", "supported", "required"]
    steps = [order.index(architecture.open_kernel) for architecture in matrix.architectures]
    assert steps == sorted(steps)


@pytest.mark.parametrize("platform", ["linux", "windows"])
def test_a_minimum_driver_knows_its_cuda(matrix: Matrix, platform: Platform) -> None:
    """The driver that a toolkit asks for belongs to a branch that carries this CUDA."""
    for toolkit in matrix.toolkits:
        driver = toolkit.minimum(platform)
        if driver is None or driver_version(driver).major < matrix.driver_branches[0].number:
            continue
        branch = matrix.driver_branch(driver, platform)
        assert not isinstance(branch, Unlisted), driver
        assert branch.cuda >= CudaVersion.parse(toolkit.cuda), (toolkit.release, branch.branch)


@pytest.mark.parametrize("platform", ["linux", "windows"])
def test_later_updates_do_not_ask_for_older_drivers(matrix: Matrix, platform: Platform) -> None:
    """Minimum drivers rise with the toolkit, previews left out."""
    named = [m for t in matrix.toolkits if not t.preview and (m := t.minimum(platform))]
    assert [driver_version(driver) for driver in named] == sorted(map(driver_version, named))


def test_a_variant_is_named_after_its_cuda(matrix: Matrix) -> None:
    """cu124 is CUDA 12.4, and cpu has none."""
    for build in (build for release in matrix.torch_releases for build in release.builds):
        named = f"cu{build.cuda.replace('.', '')}" if build.cuda else "cpu"
        assert build.variant == named, build
        assert build.toolkit is None or build.toolkit.startswith(f"{build.cuda}."), build


def test_a_build_holds_code_that_its_toolkit_can_make(matrix: Matrix) -> None:
    """No kernels for GPUs that the toolkit does not know, nor for those that it dropped."""
    lifetimes = {
        a.capability: (CudaVersion.parse(a.first_toolkit), CudaVersion.parse(a.last_toolkit or "99"))
        for a in matrix.architectures
    }
    for build in (build for release in matrix.torch_releases for build in release.builds):
        for capability in build.capabilities or ():
            first, last = lifetimes[capability]
            assert build.cuda_version is not None
            assert first <= build.cuda_version <= last, (build.release, build.variant, capability)


@pytest.mark.parametrize("package", ["torchvision", "torchaudio"])
def test_the_pairings_are_symmetrical(matrix: Matrix, package: str) -> None:
    """What torch's row names as companion accepts that torch, and who pins a torch is named by its row."""
    rows = {companion.version: companion for companion in matrix.companions if companion.package == package}
    for release in matrix.torch_releases:
        for version in getattr(release, package):
            pinned = rows[version].torch if version in rows else None
            accepted = {c.version for c in matrix.companions_for_torch(package, release.release)}
            assert pinned is None or version in accepted, (release.release, version, pinned)
    for companion in rows.values():
        torch = (companion.torch or "").removeprefix("==")
        release_row = matrix.torch(torch) if re.fullmatch(r"[\d.]+", torch) else None
        if isinstance(release_row, TorchRelease):
            assert companion.version in getattr(release_row, package), (companion.version, torch)


def test_vgpu_boards_are_of_the_capability_of_their_board(matrix: Matrix) -> None:
    """A vGPU is of the same chip as the board that it is a slice of."""
    boards = {gpu.name: gpu.capability for gpu in matrix.gpus}
    for vgpu in matrix.vgpus:
        assert boards.get(vgpu.board, vgpu.capability) == vgpu.capability, vgpu


def test_a_model_and_its_pci_ids_agree(matrix: Matrix) -> None:
    """A model's device ids are of a chip of its capability, wherever the public list has them."""
    listed = {device.device_id: device.capability for device in matrix.pci_devices}
    for gpu in matrix.gpus:
        for device_id in gpu.pci_ids:
            assert listed.get(device_id, gpu.capability) == gpu.capability, (gpu.name, device_id)


def test_every_release_asked_for_has_a_row(matrix: Matrix) -> None:
    """torch from 1.0 and TensorFlow from 1.12, without a gap in the minor versions."""
    torch = {tuple(map(int, t.release.split(".")[:2])) for t in matrix.torch_releases}
    assert {(1, minor) for minor in range(14)} <= torch
    assert {(2, minor) for minor in range(max(torch)[1] + 1)} <= torch
    tensorflow = {tuple(map(int, t.release.split(".")[:2])) for t in matrix.tensorflow_releases}
    assert {(1, minor) for minor in (12, 13, 14, 15)} <= tensorflow
    assert {(2, minor) for minor in range(max(tensorflow)[1] + 1)} <= tensorflow


def test_capabilities_are_in_order(matrix: Matrix) -> None:
    """The table of capabilities is sorted, lowest first."""
    listed = [architecture.cc for architecture in matrix.architectures]
    assert listed == sorted(set(listed))
    assert Capability(8, 9) in listed


def test_what_a_diagnosis_needs_loads_fast() -> None:
    """Drivers, toolkits, GPUs and torch in less than half the time that Python's own parser takes for all files.

    It is a seventh (1.2 ms) on a quiet machine. The best of several in processor time: it may be busy, or slow.
    """

    def typed() -> None:
        fresh = Matrix(data_folder())
        tables = fresh.torch_releases, fresh.gpus, fresh.toolkits, fresh.driver_branches, fresh.architectures
        assert all(tables)

    def plain() -> None:
        for path in data_folder().glob("*.jsonl"):
            assert all(json.loads(line) for line in path.read_text("utf-8").splitlines())

    def seconds(work: Callable[[], None]) -> float:
        start = time.process_time()
        work()
        return time.process_time() - start

    rounds = [(seconds(typed), seconds(plain)) for _ in range(7)]
    assert min(one for one, _ in rounds) < min(other for _, other in rounds) / 2
