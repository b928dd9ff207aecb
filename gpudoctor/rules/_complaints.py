"""What is said of a framework that shows no GPU: the program's own output or a person's words, which give no reason."""

from __future__ import annotations

from gpudoctor.facts import FrameworkName
from gpudoctor.findings import Evidence
from gpudoctor.rules._texts import first_match, lists_no_gpu
from gpudoctor.views import Printed

# PyTorch's own ways to say so.
_TORCH = (
    r"cuda\.is_available\(\)(?: returns| ?->| ?==?|:| gives| is)? ?False",
    r"\bCUDA is not available\b",
    r"torch\.version\.cuda(?: is| ?==?|:) ?None",
    r"Torch is not able to use GPU",
    r"No CUDA runtime is found, using CUDA_HOME=",
    r"Attempting to deserialize object on a CUDA device but torch\.cuda\.is_available\(\) is False",
)


def speaks_of_torch_alone(printed: Printed) -> bool:
    """Whether some line names PyTorch and none another framework."""
    return {line.framework for line in printed.lines} - {None} == {"torch"}


def shows_no_gpu(printed: Printed | None, framework: FrameworkName) -> Evidence | None:
    """The first line that says it of this framework, or of none in particular."""
    for line in printed.lines if printed else ():
        if line.framework not in (None, framework) and framework not in line.text.lower():
            continue
        own = first_match(_TORCH, line.text) if framework == "torch" else None
        text = own or lists_no_gpu(line.text)
        if text is not None:
            return Evidence(fact="message", value=text, source=line.source)
    return None
