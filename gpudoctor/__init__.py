"""gpudoctor: does this GPU really train here, and if not, what is the one thing to fix?

    >>> import gpudoctor
    >>> report = gpudoctor.diagnose(quick=True)
    >>> report.status, report.cause

:func:`diagnose` looks at this machine, :func:`triage` at a text from another one; both give a :class:`Report`, which
shows itself in a notebook. What a name here stands for is imported when it is first used.
"""

__version__ = "0.1.0"

# Known to type checkers by its name; typing itself takes longer to import than gpudoctor --version may.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpudoctor.api import diagnose as diagnose
    from gpudoctor.api import triage as triage
    from gpudoctor.facts import Facts as Facts
    from gpudoctor.facts import Framework as Framework
    from gpudoctor.facts import Gpu as Gpu
    from gpudoctor.facts import Missing as Missing
    from gpudoctor.facts import Smoke as Smoke
    from gpudoctor.findings import Candidate as Candidate
    from gpudoctor.findings import Cause as Cause
    from gpudoctor.findings import Confidence as Confidence
    from gpudoctor.findings import Evidence as Evidence
    from gpudoctor.findings import Finding as Finding
    from gpudoctor.findings import Fix as Fix
    from gpudoctor.findings import Outcome as Outcome
    from gpudoctor.findings import Report as Report
    from gpudoctor.findings import Severity as Severity
    from gpudoctor.findings import Unknown as Unknown

_HOMES = {
    "gpudoctor.api": ("diagnose", "triage"),
    "gpudoctor.facts": ("Facts", "Framework", "Gpu", "Missing", "Smoke"),
    "gpudoctor.findings": (
        "Candidate",
        "Cause",
        "Confidence",
        "Evidence",
        "Finding",
        "Fix",
        "Outcome",
        "Report",
        "Severity",
        "Unknown",
    ),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Candidate",
    "Cause",
    "Confidence",
    "Evidence",
    "Facts",
    "Finding",
    "Fix",
    "Framework",
    "Gpu",
    "Missing",
    "Outcome",
    "Report",
    "Severity",
    "Smoke",
    "Unknown",
    "__version__",
    "diagnose",
    "triage",
]

if not TYPE_CHECKING:  # a type checker would take any name for one of ours

    def __getattr__(name):
        home = _HOME_OF.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        globals()[name] = found = getattr(import_module(home), name)
        return found

    def __dir__():
        return sorted({*globals(), *__all__})
