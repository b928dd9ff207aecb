"""What a rule may say, and what a report holds: findings, fixes, outcomes, the verdict."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from gpudoctor.facts import Facts, Part, Record, Smoke
from gpudoctor.remedies import Remedy
from gpudoctor.speed import Speed
from gpudoctor.window import Window

if TYPE_CHECKING:
    from gpudoctor.render import Format
    from gpudoctor.render.view import View


class Severity(Enum):
    """How bad a finding is for training on the GPU here. Ordered from worst to mildest."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Confidence(Enum):
    """How sure the finding is of the cause: certain by a hard rule, likely, or one of several."""

    CERTAIN = "certain"
    LIKELY = "likely"
    POSSIBLE = "possible"


Where = Literal["environment", "machine", "host"]


class Evidence(Record, frozen=True, kw_only=True):
    """A fact that a finding rests on, as shown: ``driver CUDA``, ``12.4``, ``cuDriverGetVersion``."""

    fact: str
    value: str
    source: str


class Fix(Record, frozen=True, kw_only=True):
    """What to do. ``commands`` run as they stand, one shell line each, in this order, at ``where``.

    ``where``: the Python environment, this machine, or the host outside (of a container, or Windows around WSL).
    ``note`` holds what cannot be a command. ``verify`` is the command that shows that it worked.
    """

    title: str
    commands: tuple[str, ...] = ()
    where: Where = "environment"
    risk: str = ""
    verify: str = ""
    note: str = ""


class About(Record, frozen=True, kw_only=True):
    """What a finding is about. None: not about one GPU, not about one framework."""

    gpu: int | None = None
    framework: str | None = None

    def overlaps(self, other: About) -> bool:
        """True unless both name a GPU or both name a framework, and another one."""
        same_gpu = self.gpu is None or other.gpu is None or self.gpu == other.gpu
        same_framework = self.framework is None or other.framework is None or self.framework == other.framework
        return same_gpu and same_framework


class Found(Record, frozen=True, kw_only=True):
    """What a detector returns when its cause is there.

    ``title`` and ``detail`` use the machine's own values. ``severity`` None means the rule's own. ``remedies`` say
    what must change; :mod:`gpudoctor.remedies` turns them into commands for this machine. ``settled_by`` are the
    commands that would turn a possible cause into a certain one. ``own_cause`` says that no other finding explains
    this one, whatever their rules mask.
    """

    title: str
    detail: str = ""
    evidence: tuple[Evidence, ...] = ()
    remedies: tuple[Remedy, ...] = ()
    severity: Severity | None = None
    confidence: Confidence = Confidence.CERTAIN
    settled_by: tuple[str, ...] = ()
    about: About | None = None
    own_cause: bool = False


class NotApplicable(Record, frozen=True):
    """The rule's question does not arise here."""

    why: str


class NotJudged(Record, frozen=True):
    """The question arises and cannot be answered: too new for the matrix, a build that says nothing of itself."""

    why: str


class Passed(Record, frozen=True):
    """The relation was checked and holds."""

    why: str = ""


Verdict = Found | NotApplicable | NotJudged | Passed | None
"""What a detector returns; None is short for ``Passed()``."""


class Finding(Record, frozen=True, kw_only=True):
    """A finding of one rule in the report. ``because_of`` is the rule that explains it, None for a cause."""

    rule: str
    severity: Severity
    confidence: Confidence
    title: str
    detail: str = ""
    about: About = About()
    evidence: tuple[Evidence, ...] = ()
    fixes: tuple[Fix, ...] = ()
    because_of: str | None = None
    settled_by: tuple[str, ...] = ()


class Outcome(Record, frozen=True, kw_only=True):
    """What became of one rule. ``why`` says what was checked, missing, not applicable or broken."""

    rule: str
    outcome: Literal["found", "passed", "not-applicable", "skipped", "crashed"]
    why: str = ""


class Cause(Record, frozen=True, kw_only=True):
    """The one cause to fix first."""

    rule: str
    title: str
    confidence: Confidence


class Candidate(Record, frozen=True, kw_only=True):
    """A cause that the facts cannot tell from another one, and the commands that would."""

    rule: str
    confidence: Confidence
    settled_by: tuple[str, ...]


Status = Literal["healthy", "warnings", "broken", "undetermined"]


class Unknown(Record, frozen=True, kw_only=True):
    """An essential fact that could not be had, why, and what would settle it."""

    what: str
    why: str
    settled_by: tuple[str, ...] = ()


class Silenced(Record, frozen=True, kw_only=True):
    """A rule that was not asked because the user said so; ``by`` is where: ``--ignore``, ``pyproject.toml``."""

    rule: str
    by: str


class Reading(Record, frozen=True, kw_only=True):
    """How much of a pasted text was understood, in lines that are not blank.

    ``cut``: the text was too long, its middle was left out. ``damaged``: it is a gpudoctor ticket whose facts could not
    be restored, so its words were judged. ``unrecognised`` are the first lines that no format knew and no finding rests
    on.
    """

    lines: int
    recognised: int
    cut: bool = False
    damaged: bool = False
    unrecognised: tuple[str, ...] = ()


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The whole answer. Renderers turn it into text and look at nothing else.

    ``speeds`` compare what the smoke jobs timed with what is promised; ``window`` tells which builds fit here, None
    where too little is known. ``reading`` tells of a pasted text; ``unreadable`` marks the report on a file that could
    not be read at all. ``hidden`` counts the places from which private values were removed, None where none were looked
    for.
    """

    gpudoctor: str
    created: str
    source: Literal["machine", "paste"]
    input: str | None = None
    quick: bool = False
    status: Status
    cause: Cause | None = None
    candidates: tuple[Candidate, ...] = ()
    findings: tuple[Finding, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    unknown: tuple[Unknown, ...] = ()
    facts: Facts
    seconds: float = 0.0
    silenced: tuple[Silenced, ...] = ()
    speeds: tuple[Speed, ...] = ()
    window: Window | None = None
    reading: Reading | None = None
    unreadable: bool = False
    hidden: dict[str, int] | None = None

    @property
    def smoke(self) -> tuple[Smoke, ...]:
        """The smoke jobs that ran or were due."""
        return self.facts.smokes

    def speed_of(self, smoke: Smoke, part: Part) -> Speed | None:
        """What a part of a job reached of what is promised, None where nothing is."""
        named = (smoke.framework, smoke.gpu, part.name)
        return next((one for one in self.speeds if (one.framework, one.gpu, one.part) == named), None)

    def findings_of(self, rule: str) -> tuple[Finding, ...]:
        """The findings of one rule."""
        return tuple(finding for finding in self.findings if finding.rule == rule)

    def redacted(self) -> Report:
        """The report without what must not leave the machine, for values that are shown or sent one by one."""
        return self.view().report

    def view(self, *, redact: bool = True) -> View:
        """The report to be looked at: rich in a notebook, else text. ``redact`` False: with private values."""
        from gpudoctor.render.view import view

        return view(self, redact=redact)

    def render(self, format: Format, *, redact: bool = True) -> str:  # noqa: A002 - the option's own name
        """The report in a format of the command line (``json``, ``html``, ``markdown`` …), redacted like there.

        The terminal's format is redacted here as well. Raises ValueError for a format that there is not.
        """
        from gpudoctor.render.view import as_text

        return as_text(self, format, redact=redact)

    def __str__(self) -> str:
        """The report as on a terminal, without what must not leave the machine."""
        return str(self.view())

    def __repr__(self) -> str:
        """One line; the fields hold private values, which a notebook would show to whomever it is given."""
        return f"Report({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        cause = self.cause.rule if self.cause else None
        return [("status", self.status), ("cause", cause), ("findings", len(self.findings))]

    def _repr_html_(self) -> str:
        return self.view()._repr_html_()

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return self.view()._repr_mimebundle_()
