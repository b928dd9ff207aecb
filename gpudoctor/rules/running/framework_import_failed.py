"""A framework is installed and cannot be imported.

## What it means
Importing the framework in a process of its own ended with an exception, a crash or no answer. Nothing can be
trained with it.

## Why it happens
Missing or mixed libraries, a half-finished installation, a local file of the same name, an instruction that this
processor does not have. Where one of these was recognised, that finding explains this one.

## How to fix
Reinstall the framework in a fresh environment, or follow the finding that explains it.

## How it is detected
A child process of the interpreter under test imports the framework and reports what happened.

## Sources
- https://docs.python.org/3/library/exceptions.html#ImportError
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Framework, Imported
from gpudoctor.findings import Confidence, Found, Verdict
from gpudoctor.words import name_of

RULE = Rule(without_gpu="none", last_resort=True, masks=("requirement-not-met",))


@RULE.detector
def import_in_a_child(framework: Framework, imported: Imported) -> Verdict:
    """The import did not end well."""
    if imported.ok:
        return None
    how = imported.ended or "exception"
    return Found(
        title=f"{name_of(framework)} is installed, and importing it failed ({how}).",
        detail=imported.error or "",
        evidence=(cite("import", imported.error or how, imported),),
        confidence=Confidence.LIKELY,
    )
