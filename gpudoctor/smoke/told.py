"""What a framework's child told, and how it ended, as facts. Pure: :mod:`gpudoctor.smoke.jobs` does the running.

A fact can be made at any moment: what is not told yet stays unknown, so that an interruption keeps what was known.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from gpudoctor.children import Ending
from gpudoctor.children import Message as Line
from gpudoctor.facts import (
    FrameworkDevice,
    FrameworkName,
    Gpu,
    GpuProcess,
    Imported,
    MappedLibrary,
    Maybe,
    Message,
    Missing,
    Part,
    Precision,
    Proof,
    Sample,
    Smoke,
    SmokeResult,
    SmokeStage,
    Training,
)
from gpudoctor.pci import index_at
from gpudoctor.smoke.places import Place

Device = Literal["gpu", "cpu", "skip"]

CONVOLUTIONAL = "convolutional"
PERCEPTRON, PERCEPTRON_IMAGES = "perceptron", "32x32x3"
STAGE_MARK = "@gpudoctor-stage "
GPU_DEVICES: Mapping[FrameworkName, str] = {"torch": "cuda:0", "tensorflow": "GPU:0", "jax": "gpu:0"}
SKIPPED = "no usable GPU here, and the CPU was not allowed"
HELD_SHARE = 0.75  # of the memory that a job says it holds; other programs' memory moves too
LEAST_HELD = 16 << 20  # bytes; less is not to be told from what a driver or another program takes at any time
_MESSAGES_LIMIT = 40
_TEXT_LIMIT = 500


class Sight(Protocol):
    """What a witness sees of one GPU: bytes in use, those of the asked processes on it, and how many in all."""

    @property
    def used(self) -> int | None: ...
    @property
    def processes(self) -> tuple[GpuProcess, ...]: ...
    @property
    def listed(self) -> int | None: ...


class Warned(NamedTuple):
    """A warning and the stage it came at; ``early``: before the job, so that it belongs to the import."""

    stage: str
    text: str
    early: bool


@dataclass
class Learnt:
    """What one network's training told."""

    losses: list[float] = field(default_factory=list)
    speed: float | None = None
    scores: dict[str, float] = field(default_factory=dict)


@dataclass
class Told:
    """All that one child told so far, as it came."""

    name: FrameworkName
    pid: int | None = None
    stage: SmokeStage = "start"
    said: Line | None = None
    listed: Line | None = None
    seconds: float | None = None
    failed: str | None = None
    warnings: list[Warned] = field(default_factory=list)
    decision: Device | None = None
    went: bool = False
    device: str | None = None
    learnt: dict[str, Learnt] = field(default_factory=dict)
    cpu_speed: float | None = None
    proofs: list[Proof] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    samples: tuple[Sample, ...] = ()
    held: int | None = None
    trying: str | None = None
    place: Place | None = None
    gpu: int | None = None
    allowed: float | None = None
    before: Sight | Missing | None = None
    during: Sight | Missing | None = None
    job_seconds: float | None = None

    def take(self, line: Line) -> None:
        """Note one message of the child. Raises TypeError, ValueError or KeyError for one that is not ours."""
        network = str(line.get("network", CONVOLUTIONAL))
        for key, value in line.items():
            if key in _KEEP:
                setattr(self, _KEEP[key], value)
            elif key == "warning":
                self.warnings.append(Warned(self.stage, str(value), early=not self.went))
            elif key == "loss":
                self.of(network).losses.append(float(value))
            elif key == "speed":
                self.of(network).speed = value
            elif key == "scores":
                self.of(network).scores = dict(value)
            elif key == "proof":
                self.proofs.append(Proof(**value))
            elif key == "part":
                self.parts.append(Part(**value))

    def of(self, network: str) -> Learnt:
        """What the training of that network told."""
        return self.learnt.setdefault(network, Learnt())

    @property
    def done(self) -> bool:
        """Everything that is required was told; a witness or a part tried afterwards may still have failed."""
        return self.stage in ("parts", "done") or self.trying is not None


_KEEP = {
    "pid": "pid",
    "stage": "stage",
    "imported": "said",
    "listed": "listed",
    "seconds": "seconds",
    "failed": "failed",
    "device": "device",
    "cpu_speed": "cpu_speed",
    "hold": "held",
    "trying": "trying",
}


# ------------------------------------------------------------------------------------------------ the import


def imported_fact(told: Told, ending: Ending | None) -> Maybe[Imported]:
    """What the import came to; Missing where the interpreter never spoke or time ended first."""
    if told.said is not None:
        return _imported(told, told.said, told.listed or {}, ending)
    if told.failed is not None:
        return _not_imported(told, "exception", told.failed)
    if ending is None:
        return Missing("timed-out", "interrupted", f"{told.name} {told.stage}")
    if ending.how == "not-started":
        return Missing("unreadable", ending.detail, "start of the interpreter")
    if ending.how == "timed-out":
        return Missing("timed-out", "the time limit came first", f"{told.name} {told.stage}")
    if told.pid is None:
        return Missing("crashed", _last_words(ending), "start of the interpreter")
    return _not_imported(told, _ended(ending), _last_words(ending))


def _not_imported(told: Told, ended: str, error: str) -> Imported:
    warnings = tuple(warned.text for warned in told.warnings)
    return Imported(
        source=_source(told.name), ok=False, ended=ended, error=error, seconds=told.seconds, warnings=warnings
    )


def _imported(told: Told, said: Line, listed: Line, ending: Ending | None) -> Imported:
    broke = told.listed is None
    libraries = mapped_libraries(listed.get("libraries") or (), listed.get("cudnn"))
    return Imported(
        source=_source(told.name),
        ok=True,
        ended=None if not broke else _ended(ending) if told.failed is None else "exception",
        error=None if not broke else told.failed or f"after the import, at its first questions: {_last_words(ending)}",
        seconds=told.seconds,
        version=said.get("version"),
        cuda=said.get("cuda"),
        cudnn=_number(listed.get("cudnn"), cudnn_version),
        cudnn_built=said.get("cudnn_built"),
        nccl=_number(listed.get("nccl"), nccl_version),
        available=listed.get("available"),
        devices=tuple(FrameworkDevice(**device) for device in listed.get("devices", ())),
        targets=tuple(said.get("targets", ())),
        warnings=tuple(warned.text for warned in told.warnings if warned.early),
        libraries=libraries,
    )


def _source(name: FrameworkName) -> str:
    return f"import {name} in a child process"


def _number(value: Any, spell: Any) -> str | None:
    return spell(value) if isinstance(value, int) else None


def cudnn_version(number: int) -> str:
    """cudnnGetVersion's number as text: 8907 is 8.9.7, 92000 is 9.20.0; cuDNN 9 changed the encoding."""
    thousands = 10000 if number >= 90000 else 1000
    return f"{number // thousands}.{number % thousands // 100}.{number % 100}"


def nccl_version(number: int) -> str:
    """ncclGetVersion's number as text: 2804 is 2.8.4, 21805 is 2.18.5; NCCL 2.9 changed the encoding."""
    thousands = 10000 if number >= 10000 else 1000
    return f"{number // thousands}.{number % thousands // 100}.{number % 100}"


# ---------------------------------------------------------------------------------------- mapped libraries


def mapped_libraries(paths: Iterable[str], cudnn: int | None) -> tuple[MappedLibrary, ...]:
    """The mapped files with the distributions that own them, and their versions where anything tells them."""
    owners = _Owners()
    return tuple(_mapped_library(path, cudnn, owners) for path in paths)


def _mapped_library(path: str, cudnn: int | None, owners: _Owners) -> MappedLibrary:
    file = path.rpartition("/")[2]
    owner, owner_version = owners.of(path)
    # Two numbers are only the interface: every CUDA 11 has libcudart.so.11.0.
    version = re.search(r"\.so\.(\d+(?:\.\d+){2,})$", file)
    told = cudnn_version(cudnn) if cudnn and file.startswith("libcudnn.so") else None
    of_wheel = owner_version if owner and owner.startswith("nvidia-") else None
    return MappedLibrary(
        name=re.sub(r"-[0-9a-f]{8}$", "", file.partition(".so")[0]),  # auditwheel adds a hash
        path=path,
        version=told or (version[1] if version else None) or of_wheel,
        owner=owner,
    )


class _Owners:
    """Which distribution's RECORD lists a file (https://packaging.python.org/specifications/recording-installed-packages/)."""

    def __init__(self) -> None:
        self._records: dict[Path, list[tuple[str, str, frozenset[str]]]] = {}

    def of(self, path: str) -> tuple[str | None, str | None]:
        parts = Path(path).parts
        at = next((i for i, part in enumerate(parts) if part in ("site-packages", "dist-packages")), None)
        if at is None or at + 1 >= len(parts):
            return None, None
        folder, inside = Path(*parts[: at + 1]), "/".join(parts[at + 1 :])
        for name, version, files in self._of_folder(folder, parts[at + 1]):
            if inside in files:
                return name, version
        return None, None

    def _of_folder(self, folder: Path, top: str) -> list[tuple[str, str, frozenset[str]]]:
        """Libraries listed by the distributions named after the package folder (nvidia/… is of nvidia_…)."""
        key = folder / top
        if key not in self._records:
            infos = sorted(folder.glob(f"{top}*.dist-info"))
            self._records[key] = [record for info in infos if (record := _record(info))]
        return self._records[key]


def _record(info: Path) -> tuple[str, str, frozenset[str]] | None:
    name, _, version = info.name.removesuffix(".dist-info").partition("-")
    try:
        lines = (info / "RECORD").read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    files = frozenset(line.split(",")[0].strip('"') for line in lines if ".so" in line)
    return re.sub(r"[-_.]+", "-", name).lower(), version, files


# --------------------------------------------------------------------------------------------------- the job


def smoke_fact(told: Told, ending: Ending | None, precision: Precision = "fp32") -> Smoke:
    """What the job came to; with no ending, how far it had come when it was interrupted."""
    proofs = (*told.proofs, *_witness_proofs(told, ending))
    result, stage, ended, error = _verdict(told, ending, proofs)
    learnt = told.of(CONVOLUTIONAL)
    return Smoke(
        source=f"training job in {told.name}",
        framework=told.name,
        device=_device(told),
        gpu=told.gpu if told.decision == "gpu" else None,
        mig=told.place.mig if told.place and told.decision == "gpu" else None,
        precision_mode=precision,
        stage=stage,
        result=result,
        error=error,
        ended=ended,
        pid=ending.pid if ending and ending.stuck else None,
        wait_channel=ending.wait_channel if ending else None,
        loss=_finite(learnt.losses),
        examples_per_second=learnt.speed,
        cpu_examples_per_second=told.cpu_speed,
        seconds=told.job_seconds,
        perceptron=_perceptron(told),
        proofs=proofs,
        parts=(*told.parts, *_broken_part(told, ending)),
        timeline=told.samples,
        **_scores(learnt),
    )


def _device(told: Told) -> str:
    """The framework's name of the device, counted as the user's own program would."""
    if told.decision == "cpu":
        return told.device or "cpu"
    if told.place is None or told.device == "cpu":
        return told.device or GPU_DEVICES[told.name]
    return f"{(told.device or GPU_DEVICES[told.name]).rpartition(':')[0]}:{told.place.device}"


def _finite(losses: Iterable[float]) -> tuple[float, ...]:
    return tuple(loss for loss in losses if math.isfinite(loss))


def _scores(learnt: Learnt) -> dict[str, Any]:
    return {name: learnt.scores.get(name) for name in ("accuracy", "precision", "recall", "f1")}


def _perceptron(told: Told) -> Training | None:
    learnt = told.learnt.get(PERCEPTRON)
    if learnt is None:
        return None
    return Training(
        network=PERCEPTRON,
        images=PERCEPTRON_IMAGES,
        loss=_finite(learnt.losses),
        examples_per_second=learnt.speed,
        **_scores(learnt),
    )


def _broken_part(told: Told, ending: Ending | None) -> Iterator[Part]:
    """The part at which the child ended before it was done."""
    if told.stage == "parts" and told.trying and not any(part.name == told.trying for part in told.parts):
        words = _last_words(ending)
        crashed = ending is not None and ending.how in ("exited", "signalled", "hung", "flooded")
        error, detail = (words, "") if crashed else (None, words)
        yield Part(name=told.trying, holds=None, error=error, detail=detail)


_Verdict = tuple[SmokeResult, SmokeStage, str | None, str | None]


def _verdict(told: Told, ending: Ending | None, proofs: Sequence[Proof]) -> _Verdict:
    if told.done:
        return _proved(told, proofs)
    if told.decision == "skip" and told.listed is not None:
        return "not-run", "import", None, SKIPPED
    if told.failed is not None:
        return "failed", told.stage, "exception", told.failed
    if ending is None:
        return "not-run", _reached(told), "interrupted", f"interrupted at stage {_reached(told)}"
    if ending.how == "timed-out":
        return "not-run", _reached(told), "timed out", f"{_what_was_over(told)}, at stage {_reached(told)}"
    if ending.how == "not-started" or told.pid is None:
        return "not-run", "start", ending.words, f"the interpreter did not start: {_last_words(ending)}"
    result: SmokeResult = "hung" if ending.how in ("hung", "stopped") else "failed"
    return result, told.stage, _ended(ending), _last_words(ending)


def _what_was_over(told: Told) -> str:
    if told.allowed is None or told.job_seconds is None or told.job_seconds < told.allowed:
        return "the time limit came first"
    return f"the {told.allowed:.0f} s that were left for it were over (gpudoctor smoke --seconds gives more)"


def _reached(told: Told) -> SmokeStage:
    """The last stage of the job; one that still waited for its turn had only imported."""
    return "import" if told.listed is not None and not told.went else told.stage


_WITNESSES = ("outside-process", "outside-memory", "profiler-kernels")


def _proved(told: Told, proofs: Sequence[Proof]) -> _Verdict:
    """Numbers first, then place, then witnesses; what none of them confirms is no result."""
    refuted = [proof for proof in proofs if proof.required and proof.holds is not True]
    places = [proof for proof in refuted if proof.name.endswith("-on-device")]
    wrong = [proof for proof in refuted if proof not in places]
    if wrong:
        return "failed", "verify", None, f"{wrong[0].name} does not hold: {wrong[0].detail}"
    if told.decision == "cpu":
        return "ran-on-cpu", "done", None, None
    if places:
        return "ran-on-cpu", "done", None, f"{places[0].name} does not hold: {places[0].detail}"
    seen = {proof.name: proof.holds for proof in proofs if proof.name in _WITNESSES}
    # A process that is listed may do no more than keep a context: memory that did not move speaks against it.
    contradicted = seen.get("outside-memory") is False and not seen.get("profiler-kernels")
    if any(seen.values()) and not contradicted:
        return "proved", "done", None, None
    details = "; ".join(f"{proof.name}: {proof.detail}" for proof in proofs if proof.name in _WITNESSES)
    if False in seen.values():
        return "ran-on-cpu", "done", None, f"nothing ran on the GPU: {details}"
    return "not-run", "done", None, f"trained, but nobody outside {told.name} could see it on the GPU: {details}"


def _witness_proofs(told: Told, ending: Ending | None) -> Iterator[Proof]:
    if told.held is not None and told.during is not None:
        yield process_proof(told.before, told.during, told.pid, told.held)
        yield memory_proof(told.before, told.during, told.held)
    elif told.held is not None:
        yield Proof(name="outside-memory", holds=None, detail="no witness")
    if told.trying and told.stage == "verify" and not any(proof.name == told.trying for proof in told.proofs):
        words = "interrupted" if ending is None else _last_words(ending)
        yield Proof(name=told.trying, holds=None, detail=f"the profiler did not end well: {words}")


def process_proof(before: Sight | Missing | None, during: Sight | Missing, pid: int | None, held: int) -> Proof:
    """Whether the driver lists the job's process on the GPU, with the memory that it holds where that is told.

    Not being listed proves nothing: see containers. Nor does being listed with other memory than the job holds: in a
    container the number may be another process's, on the host. There drivers tell 0 bytes of every process:
    https://github.com/NVIDIA/open-gpu-kernel-modules/pull/614
    """
    if isinstance(during, Missing):
        return Proof(name="outside-process", holds=None, detail=str(during))
    if any(process.pid == pid for process in during.processes):
        detail = f"the driver lists process {pid} on the GPU"
        now, earlier = _used_by(pid, during), 0 if isinstance(before, Missing | None) else _used_by(pid, before)
        if now and now - earlier < HELD_SHARE * held:
            told = f"{detail}, its memory went up by {_mib(now - earlier)}, the job holds {_mib(held)}"
            return Proof(name="outside-process", holds=None, detail=told)
        return Proof(name="outside-process", holds=True, detail=detail)
    told = "lists no processes" if during.listed is None else f"lists {during.listed} processes, not this one by number"
    return Proof(name="outside-process", holds=None, detail=f"the driver {told}")


def _used_by(pid: int | None, sight: Sight) -> int:
    return sum(process.used or 0 for process in sight.processes if process.pid == pid)


def memory_proof(before: Sight | Missing | None, during: Sight | Missing, held: int) -> Proof:
    """Whether the GPU's memory grew by what the job holds.

    Memory that stays as it was contradicts the job where the driver lists nobody else on the GPU. Where others are
    listed, or memory moved in another way (by a program in another container, whom the driver does not list here),
    nothing is proved.
    """

    def proof(holds: bool | None, detail: str) -> Proof:
        return Proof(name="outside-memory", holds=holds, detail=detail)

    for sight in (before, during):
        if isinstance(sight, Missing):
            return proof(None, str(sight))
    if before is None or isinstance(before, Missing) or isinstance(during, Missing):
        return proof(None, "no reading before the job")
    if before.used is None or during.used is None or held <= 0:
        return proof(None, "memory in use is not told")
    grew = during.used - before.used
    detail = f"memory in use on the GPU went up by {_mib(grew)}, the job holds {_mib(held)}"
    if held < LEAST_HELD:
        return proof(None, f"{detail}: too little to tell it from others' memory")
    if grew >= HELD_SHARE * held:
        return proof(True, detail)
    alone = during.listed == len(during.processes)
    ours = sum(process.used or 0 for process in during.processes) - sum(one.used or 0 for one in before.processes)
    still = abs(grew) <= (1 - HELD_SHARE) * held and ours < HELD_SHARE * held
    return proof(False if alone and still else None, detail)


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.0f} MiB"


def gpu_index(gpus: Sequence[Gpu], pci: str | None, name: str | None) -> int | None:
    """NVML's index of CUDA's first device by PCI address, else by a name that only one GPU has; None if unsure."""
    if pci:
        return index_at(gpus, pci)
    named = [gpu.index for gpu in gpus if name is not None and gpu.name == name]
    alike = named or [gpu.index for gpu in gpus]
    return alike[0] if len(alike) == 1 else None


# -------------------------------------------------------------------------------------------- what was printed


def messages(told: Told, ending: Ending | None) -> tuple[Message, ...]:
    """Warnings, the exception and meaningful lines of standard error, each once, with the stage it came from."""
    texts = [(f"{told.name} {warned.stage}, warning", warned.text) for warned in told.warnings]
    if told.failed is not None:
        texts.append((f"{told.name} {told.stage}, exception", told.failed))
    texts += [(f"{told.name} {stage}, stderr", text) for stage, text in _printed(ending)]
    once = {text[:_TEXT_LIMIT]: source for source, text in reversed(texts)}
    kept = list(reversed(once.items()))[:_MESSAGES_LIMIT]
    return tuple(Message(source=source, text=text, framework=told.name) for text, source in kept)


def _printed(ending: Ending | None) -> Iterator[tuple[str, str]]:
    """Meaningful lines of standard error, each with the stage that it was printed at."""
    stage = "start"
    for line in ending.tail if ending else ():
        if line.startswith(STAGE_MARK):
            stage = line[len(STAGE_MARK) :].strip()
        elif text := meaningful(line):
            yield stage, text


# TensorFlow's time stamp, then absl's with the thread, then that of PyTorch's C++ part.
_STAMPS = (
    (re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: "), ""),
    (re.compile(r"^([IWEF])\d{4} \d\d:\d\d:[\d.]+\s+\d+ "), r"\1 "),
    (re.compile(r"^\[([IWEF])\d{4} \d\d:\d\d:[\d.]+ "), r"[\1 "),
)
_CONCERNS_GPUS = re.compile(r"cuda|cudnn|cublas|nccl|gpu|nvidia|dlopen|dynamic librar", re.I)
_NOISE = re.compile(
    r"Traceback \(most recent|File \"|frame #|#\d+ |0x[0-9a-f]+:|\*\*\*|Current thread|Thread 0x|Stack \(most recent"
    r"|WARNING: All log messages before absl|To enable the(m| following)|Extension modules:|USDT:|STAGE:"
)


def meaningful(line: str) -> str | None:
    """A line of standard error without its time stamp; None for stack traces and for news that are not of GPUs."""
    text = line.strip()
    if text.startswith("what():"):  # the text of a C++ exception that nobody caught
        return text[len("what():") :].strip() or None
    if not text or line[0].isspace() or line.startswith(STAGE_MARK):
        return None
    for stamp, rest in _STAMPS:
        text = stamp.sub(rest, text)
    if _NOISE.match(text):
        return None
    if re.match(r"\[?I[ \]]", text) and not _CONCERNS_GPUS.search(text):
        return None
    return text


def _last_words(ending: Ending | None) -> str:
    """The last meaningful line of the last stage, or how it ended."""
    if ending is None:
        return "interrupted"
    if ending.how == "hung":
        asleep = f"; process {ending.pid} survives in {ending.wait_channel or 'the kernel'}" if ending.stuck else ""
        return f"no sign of work{asleep}"
    stages = [line[len(STAGE_MARK) :].strip() for line in ending.tail if line.startswith(STAGE_MARK)]
    printed = [text for stage, text in _printed(ending) if not stages or stage == stages[-1]]
    return f"{ending.words}: {printed[-1][:_TEXT_LIMIT]}" if printed else ending.words


def _ended(ending: Ending | None) -> str:
    if ending is None:
        return "interrupted"
    return "hung" if ending.how in ("hung", "stopped") else ending.words
