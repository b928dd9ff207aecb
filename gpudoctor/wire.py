"""The JSON report that scripts rely on: its own types, apart from the records inside, with a version.

Fields are only ever added within ``gpudoctor.report/1``. ``docs/report.schema.json`` is made from these types with
:func:`schema`. Numbers that JSON cannot hold (NaN, infinity) are null.
"""

from __future__ import annotations

import inspect
import json
import sys
from typing import Any, Literal

import msgspec

from gpudoctor import findings as f
from gpudoctor.facts import Facts, Part, Precision, Proof, Smoke, SmokeResult, SmokeStage, Training
from gpudoctor.window import Window

SCHEMA: Literal["gpudoctor.report/1"] = "gpudoctor.report/1"

FailOn = Literal["error", "warning", "never"]
ExitCode = Literal[0, 1, 2, 3]
SeverityName = Literal["error", "warning", "info"]
ConfidenceName = Literal["certain", "likely", "possible"]


def exit_code(status: f.Status, fail_on: FailOn = "error") -> ExitCode:
    """What the process ends with: 1 where the threshold is reached, 3 where it cannot be told, else 0."""
    if status == "undetermined":
        return 3
    failing: dict[FailOn, tuple[f.Status, ...]] = {"error": ("broken",), "warning": ("broken", "warnings"), "never": ()}
    return 1 if status in failing[fail_on] else 0


class _Wire(msgspec.Struct, frozen=True, kw_only=True):
    pass


class CauseWire(_Wire, frozen=True, kw_only=True):
    """The one cause to fix first; its rule is the rule of one of the findings."""

    rule: str
    title: str
    confidence: ConfidenceName


class CandidateWire(_Wire, frozen=True, kw_only=True):
    """A cause that the facts cannot tell from another one, and the commands that would."""

    rule: str
    confidence: ConfidenceName
    settled_by: tuple[str, ...]


class AboutWire(_Wire, frozen=True, kw_only=True):
    """The one GPU (NVML's index) and the one framework that a finding is about, where it is about one."""

    gpu: int | None
    framework: str | None


class EvidenceWire(_Wire, frozen=True, kw_only=True):
    """A fact that a finding rests on, and where it was read."""

    fact: str
    value: str
    source: str


class FixWire(_Wire, frozen=True, kw_only=True):
    """What to do: commands that run as they stand at ``where``, and the command that shows that it worked."""

    title: str
    commands: tuple[str, ...]
    where: f.Where
    risk: str
    verify: str
    note: str


class FindingWire(_Wire, frozen=True, kw_only=True):
    """What one rule found. ``because_of`` is the rule, also among the findings, that explains this one."""

    rule: str
    severity: SeverityName
    confidence: ConfidenceName
    title: str
    detail: str
    about: AboutWire
    evidence: tuple[EvidenceWire, ...]
    fixes: tuple[FixWire, ...]
    because_of: str | None
    settled_by: tuple[str, ...]


class OutcomeWire(_Wire, frozen=True, kw_only=True):
    """What became of one rule, and what was checked, missing, not applicable or broken."""

    rule: str
    outcome: Literal["found", "passed", "not-applicable", "skipped", "crashed"]
    why: str


class UnknownWire(_Wire, frozen=True, kw_only=True):
    """An essential fact that could not be had, why, and the commands that would settle it."""

    what: str
    why: str
    settled_by: tuple[str, ...]


class ProofWire(_Wire, frozen=True, kw_only=True):
    """One item of evidence about a smoke job; ``holds`` null: it could not be looked at."""

    holds: bool | None
    detail: str
    required: bool


class SmokeEvidenceWire(_Wire, frozen=True, kw_only=True):
    """How the job's process ended, where it hung, and each item of evidence by name."""

    error: str | None
    ended: str | None
    pid: int | None
    wait_channel: str | None
    seconds: float | None
    proofs: dict[str, ProofWire]


class PartWire(_Wire, frozen=True, kw_only=True):
    """One operation, checked against the CPU (``holds`` null: not compared) and timed.

    ``promised`` is what the GPU's datasheet or its link promises, in ``unit`` as ``rate`` is; ``promise`` says which.
    """

    name: str
    holds: bool | None
    detail: str
    error: str | None
    rate: float | None
    unit: str | None
    promised: float | None
    promise: str | None


class SmokeWire(_Wire, frozen=True, kw_only=True):
    """One smoke-training job. ``stage`` is the last stage that began, ``gpu`` NVML's index.

    ``precision`` is a score of the network; ``precision_mode`` the number format that it trained in.
    """

    framework: str
    device: str
    gpu: int | None
    stage: SmokeStage
    result: SmokeResult
    loss: tuple[float | None, ...]
    accuracy: float | None
    precision: float | None
    recall: float | None
    f1: float | None
    examples_per_second: float | None
    cpu_examples_per_second: float | None
    mig: str | None
    precision_mode: Precision
    perceptron: Training | None
    parts: tuple[PartWire, ...]
    evidence: SmokeEvidenceWire


class SilencedWire(_Wire, frozen=True, kw_only=True):
    """A rule that the user silenced, and where: ``--ignore``, ``pyproject.toml``, ``gpudoctor.toml``."""

    rule: str
    by: str


class ReadingWire(_Wire, frozen=True, kw_only=True):
    """How many lines a pasted text has that are not blank, and how many of them were recognised.

    ``cut``: the text was too long and its middle was left out. ``damaged``: it is a gpudoctor ticket whose facts could
    not be restored, so that its words were judged.
    """

    lines: int
    recognised: int
    cut: bool
    damaged: bool


class ReportWire(_Wire, frozen=True, kw_only=True):
    """The JSON report. ``facts`` is what was seen, each group with its source.

    ``exit_code`` is 2 in the report on a pasted text that could not be read. ``reading`` is null on a machine,
    ``window`` where neither the driver's CUDA nor a GPU's compute capability is known.
    ``hidden`` counts the places from which private values were removed by their kind (``user-name``, ``ip-address`` …),
    null where none were looked for.
    """

    schema: Literal["gpudoctor.report/1"]
    gpudoctor: str
    created: str
    source: Literal["machine", "paste"]
    input: str | None
    quick: bool
    status: f.Status
    exit_code: ExitCode
    cause: CauseWire | None
    candidates: tuple[CandidateWire, ...]
    findings: tuple[FindingWire, ...]
    outcomes: tuple[OutcomeWire, ...]
    unknown: tuple[UnknownWire, ...]
    silenced: tuple[SilencedWire, ...]
    reading: ReadingWire | None
    window: Window | None
    smoke: tuple[SmokeWire, ...]
    facts: Facts
    seconds: float
    hidden: dict[str, int] | None


# ------------------------------------------------------------------------------------- report to wire types


def to_wire(report: f.Report, *, fail_on: FailOn = "error") -> ReportWire:
    """The report as its wire type, with the exit code that ``fail_on`` gives it."""
    return ReportWire(
        schema=SCHEMA,
        gpudoctor=report.gpudoctor,
        created=report.created,
        source=report.source,
        input=report.input,
        quick=report.quick,
        status=report.status,
        exit_code=2 if report.unreadable else exit_code(report.status, fail_on),
        cause=_cause(report.cause) if report.cause else None,
        candidates=tuple(map(_candidate, report.candidates)),
        findings=tuple(map(_finding, report.findings)),
        outcomes=tuple(OutcomeWire(rule=o.rule, outcome=o.outcome, why=o.why) for o in report.outcomes),
        unknown=tuple(UnknownWire(what=u.what, why=u.why, settled_by=u.settled_by) for u in report.unknown),
        silenced=tuple(SilencedWire(rule=s.rule, by=s.by) for s in report.silenced),
        reading=_reading(report.reading) if report.reading else None,
        window=report.window,
        smoke=tuple(_smoke(smoke, report) for smoke in report.smoke),
        facts=report.facts,
        seconds=report.seconds,
        hidden=report.hidden,
    )


def _cause(cause: f.Cause) -> CauseWire:
    return CauseWire(rule=cause.rule, title=cause.title, confidence=cause.confidence.value)


def _candidate(candidate: f.Candidate) -> CandidateWire:
    return CandidateWire(rule=candidate.rule, confidence=candidate.confidence.value, settled_by=candidate.settled_by)


def _finding(finding: f.Finding) -> FindingWire:
    return FindingWire(
        rule=finding.rule,
        severity=finding.severity.value,
        confidence=finding.confidence.value,
        title=finding.title,
        detail=finding.detail,
        about=AboutWire(gpu=finding.about.gpu, framework=finding.about.framework),
        evidence=tuple(EvidenceWire(fact=e.fact, value=e.value, source=e.source) for e in finding.evidence),
        fixes=tuple(map(_fix, finding.fixes)),
        because_of=finding.because_of,
        settled_by=finding.settled_by,
    )


def _fix(fix: f.Fix) -> FixWire:
    return FixWire(
        title=fix.title, commands=fix.commands, where=fix.where, risk=fix.risk, verify=fix.verify, note=fix.note
    )


def _reading(reading: f.Reading) -> ReadingWire:
    return ReadingWire(lines=reading.lines, recognised=reading.recognised, cut=reading.cut, damaged=reading.damaged)


def _smoke(smoke: Smoke, report: f.Report) -> SmokeWire:
    return SmokeWire(
        framework=smoke.framework,
        device=smoke.device,
        gpu=smoke.gpu,
        stage=smoke.stage,
        result=smoke.result,
        loss=smoke.loss,
        accuracy=smoke.accuracy,
        precision=smoke.precision,
        recall=smoke.recall,
        f1=smoke.f1,
        examples_per_second=smoke.examples_per_second,
        cpu_examples_per_second=smoke.cpu_examples_per_second,
        mig=smoke.mig,
        precision_mode=smoke.precision_mode,
        perceptron=smoke.perceptron,
        parts=tuple(_part(part, smoke, report) for part in smoke.parts),
        evidence=_smoke_evidence(smoke),
    )


def _part(part: Part, smoke: Smoke, report: f.Report) -> PartWire:
    speed = report.speed_of(smoke, part)
    return PartWire(
        name=part.name,
        holds=part.holds,
        detail=part.detail,
        error=part.error,
        rate=part.rate,
        unit=part.unit,
        promised=speed.promised if speed else None,
        promise=speed.promise if speed else None,
    )


def _smoke_evidence(smoke: Smoke) -> SmokeEvidenceWire:
    return SmokeEvidenceWire(
        error=smoke.error,
        ended=smoke.ended,
        pid=smoke.pid,
        wait_channel=smoke.wait_channel,
        seconds=smoke.seconds,
        proofs={proof.name: _proof(proof) for proof in smoke.proofs},
    )


def _proof(proof: Proof) -> ProofWire:
    return ProofWire(holds=proof.holds, detail=proof.detail, required=proof.required)


# ---------------------------------------------------------------------------------------------- the schema


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the report. Every number may be null: JSON has no NaN."""
    nullable = _nullable_numbers(described("gpudoctor report", ReportWire))
    assert isinstance(nullable, dict)  # noqa: S101 - a dict stays a dict
    return nullable


def described(title: str, kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The JSON Schema of a type, the same whichever Python makes it: docstrings are indented before 3.13."""
    made = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **msgspec.json.schema(kind),
    }
    for definition in made["$defs"].values():
        if "description" in definition:
            definition["description"] = inspect.cleandoc(definition["description"])
    return made


def _nullable_numbers(node: Any) -> Any:
    if isinstance(node, dict):
        changed = {key: _nullable_numbers(value) for key, value in node.items()}
        return {**changed, "type": ["number", "null"]} if changed.get("type") == "number" else changed
    if isinstance(node, list):
        return [_nullable_numbers(item) for item in node]
    return node


# ------------------------------------------------------------------------------------ when the run itself fails


def unreadable_report(why: str, *, gpudoctor: str, created: str, input: str) -> f.Report:  # noqa: A002
    """The report on a pasted text that could not be read; ``why`` is a sentence such as ``The text is empty.``."""
    why = why[:1].lower() + why[1:].rstrip(".")
    return f.Report(
        gpudoctor=gpudoctor,
        created=created,
        source="paste",
        input=input,
        status="undetermined",
        unknown=(f.Unknown(what="it cannot be read", why=why),),
        facts=Facts(gpudoctor=gpudoctor, created=created, origin="paste"),
        unreadable=True,
    )


def failure_report(
    error: BaseException,
    *,
    gpudoctor: str,
    created: str,
    source: Literal["machine", "paste"] = "machine",
    input: str | None = None,  # noqa: A002 - the report's own field
    facts: Facts | None = None,
    seconds: float = 0.0,
) -> f.Report:
    """An undetermined report that says what went wrong in one line, for a run that could not finish.

    Never a traceback, also not where the error's own text holds one: its last line is what counts.
    """
    return f.Report(
        gpudoctor=gpudoctor,
        created=created,
        source=source,
        input=input,
        status="undetermined",
        unknown=(f.Unknown(what="the run did not finish", why=_one_line(error)),),
        facts=facts or Facts(gpudoctor=gpudoctor, created=created, origin=source),
        seconds=seconds,
    )


def _one_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    kind = type(error).__name__
    return f"{kind}: {lines[-1]}" if lines else kind


def schema_text() -> str:
    """The schema as it is published in ``docs/report.schema.json``."""
    return json.dumps(schema(), indent=1) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
