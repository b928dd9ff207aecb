"""A local file or folder is imported in place of the framework.

## What it means
Python looks in the folder of the script, or the working directory, before the installed packages. A file torch.py, a
folder tensorflow/ or the framework's own source tree there is imported instead: "'tensorflow' is not a package",
"partially initialized module 'torch' has no attribute …", "No module named 'torch._C'".

## Why it happens
A script named after the framework; a folder for data or results of that name; Python started inside a clone of the
framework's repository.

## How to fix
Rename the file or folder (and remove its __pycache__), or start Python in another folder.

## How it is detected
By the files in front of the installed packages on sys.path, and by what Python and the frameworks say.

## Sources
- https://docs.python.org/3/library/sys_path_init.html
- https://github.com/pytorch/pytorch/issues/11222
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Message, Shadows
from gpudoctor.findings import Confidence, Found, NotApplicable, Severity, Verdict
from gpudoctor.remedies import Run
from gpudoctor.rules._printed import heard
from gpudoctor.rules._texts import first_match, search
from gpudoctor.views import Printed

RULE = Rule(without_gpu="none", masks=("framework-import-failed", "wrong-interpreter", "duplicate-install"))

_REMEDY = Run(
    title="Rename it, or start Python in another folder",
    where="environment",
    note="Remove its compiled copy in __pycache__ too.",
)


@RULE.detector
def in_front_of_the_packages(shadows: Shadows) -> Verdict:
    """A file that would be imported first was seen."""
    if shadows.files:
        return Found(
            title=f"{shadows.files[0]} is imported in place of the installed package.",
            detail="; ".join(shadows.files) + "." if len(shadows.files) > 1 else "",
            evidence=tuple(cite("in front on sys.path", path, shadows) for path in shadows.files),
            remedies=(_REMEDY,),
        )
    if shadows.standard:
        return Found(
            title=f"{shadows.standard[0]} is imported in place of a module of the standard library.",
            evidence=tuple(cite("in front on sys.path", path, shadows) for path in shadows.standard),
            remedies=(_REMEDY,),
            severity=Severity.WARNING,
            confidence=Confidence.LIKELY,
        )
    return None


_NAMES = r"(?:torch|tensorflow|jax|jaxlib|keras|numpy)"
_PARTIAL = rf"partially initialized module '({_NAMES})'"
_CERTAIN = (
    rf"No module named '?{_NAMES}\.[\w.]{{1,60}}'?; '?{_NAMES}'? is not a package",
    rf"partially initialized module '{_NAMES}' has no attribute '\w{{1,60}}'",
    rf"cannot import name '\w{{1,60}}' from partially initialized module '{_NAMES}'",
    r"It appears that PyTorch has loaded the `?torch/_C`? folder",
    r"you should not try to import \w{1,12} from its source directory",
    r"you're likely running python from (?:within )?the (?:numpy )?source",
    rf"File \"(?!.{{0,240}}(?:site|dist)-packages)[^\"]{{0,240}}\b{_NAMES}\.py\", line \d+",
    rf"(?:consider renaming|is shadowed by|shadows the) .{{0,160}}\b{_NAMES}(?:\.py)?\b",
)
_LIKELY = (
    r"No module named 'torch\._C'",
    r"No module named '?tensorflow\.python'?$",
    r"module 'torch' has no attribute '(?:Tensor|nn|cuda|__version__)'",
    r"'module' object has no attribute '(?:Tensor|cuda)'",
    r"module 'tensorflow' has no attribute '(?:__version__|constant|Variable)'",
    r"module 'jax' has no attribute '(?:numpy|__version__)'",
    r"module 'numpy' has no attribute '(?:array|ndarray|__version__)'",
    rf"\b{_NAMES} is imported from /(?!\S{{0,240}}(?:site|dist)-packages)\S{{1,240}}/{_NAMES}/__init__\.py",
)
_STATED = (rf"\b(?:script|file|folder|directory) (?:is )?(?:named|called) '?{_NAMES}(?:\.py)?'?(?![\w.-])",)


@RULE.detector
def python_says_so(message: Message, shadows: Shadows | None, printed: Printed) -> Verdict:
    """The import took something that is not the package."""
    certain = first_match(_CERTAIN, message.text)
    text = certain or first_match((*_LIKELY, *_STATED), message.text)
    if text is None or search(r"importlib|<frozen", text):
        return None
    partial = search(_PARTIAL, text)
    if partial and heard(printed, rf"(?:site|dist)-packages[/\\]{partial[1]}[/\\][\w/\\]{{1,120}}\.py"):
        return NotApplicable(f"the import of the installed {partial[1]} itself was under way")
    own = shadows is not None and not shadows.files and not shadows.standard
    if own and not certain:
        return NotApplicable("no local file lies in front of the packages")
    return Found(
        title="A local file or folder is imported in place of the framework.",
        detail=text,
        evidence=(cite("message", text, message),),
        remedies=(_REMEDY,),
        confidence=Confidence.POSSIBLE if own else Confidence.CERTAIN if certain else Confidence.LIKELY,
        settled_by=('python -c "import torch; print(torch.__file__)"',),
    )
