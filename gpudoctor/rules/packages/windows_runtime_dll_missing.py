"""A DLL of Windows itself that the framework needs is missing or too old: most often the Visual C++ runtime.

## What it means
The framework's DLLs are there and one that they depend on is not: "[WinError 126] The specified module could not be
found. Error loading …fbgemm.dll or one of its dependencies", "DLL load failed while importing …", or its
initialisation fails ("[WinError 1114]").

## Why it happens
A fresh Windows without the Visual C++ redistributable, or with an older one than the build was made with; libomp140
or another compiler library missing; Windows N without its media feature pack; security software that removed a file.

## How to fix
Install the newest Visual C++ redistributable for x64. If the error stays, reinstall the framework, and see with a
dependency viewer which DLL is missing.

## How it is detected
By the words of Windows, Python and the framework when a DLL is loaded. A CUDA DLL that is named as missing is another
matter.

## Sources
- https://learn.microsoft.com/en-us/cpp/windows/latest-supported-vc-redist
- https://www.tensorflow.org/install/errors
- https://github.com/pytorch/pytorch/issues/169429
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Message, System
from gpudoctor.findings import Confidence, Found, NotApplicable, Verdict
from gpudoctor.remedies import Run
from gpudoctor.rules._texts import first_match

RULE = Rule(without_gpu="none", masks=("companion-mismatch",))

_CERTAIN = (
    r"Microsoft Visual C\+\+ Redistributable is not installed",
    r"Could not find the DLL\(s\) '[^']{1,120}'",
    (
        r"(?:msvcp140|vcruntime140|concrt140|vcomp140|libomp140)\w{0,10}(?:\.x86_64)?(?:\.dll)? .{0,40}(?:not "
        r"found|missing|could not be found)"
    ),
    r"Could not find '(?:msvcp140|vcruntime140)\w{0,4}\.dll'",
)
_LIKELY = (
    # A log may break the line before or inside the path.
    r"\[WinError (?:126|1114|127|182)\] .{0,140}Error loading(?: .{1,260}\.dll\"?|$)",
    r"torch\\{1,2}lib\\{1,2}\w{1,40}\.dll\" or one of its dependencies",
    r"DLL load failed while importing _pywrap_\w{1,60}: .{1,120}",
    (
        r"DLL load failed(?: while importing \w{1,60})?: (?:The specified (?:module|procedure) could not be found"
        r"|A dynamic link library \(DLL\) initialization routine failed)"
    ),
)
_CUDA = r"(?:cudart|cublas|cudnn|cufft|curand|cusolver|cusparse|cupti|nvcuda|caffe2_nvrtc)\w{0,20}64?_?\d{0,3}\.dll"


@RULE.detector
def windows_says_so(message: Message, system: System | None) -> Verdict:
    """A dependency of one of the framework's own DLLs could not be loaded."""
    if system and system.os != "windows":
        return NotApplicable(f"{system.name or system.os} is not Windows")
    certain = first_match(_CERTAIN, message.text)
    text = certain or first_match(_LIKELY, message.text)
    if text is None or (not certain and "torch" not in message.text.lower() and first_match((_CUDA,), message.text)):
        return None
    return Found(
        title="A Windows DLL that the framework needs cannot be loaded, most often of the Visual C++ runtime.",
        detail=text,
        evidence=(cite("message", text, message),),
        remedies=(
            Run(
                title="Install the newest Visual C++ redistributable for x64",
                argvs=(("winget", "install", "--id", "Microsoft.VCRedist.2015+.x64", "--source", "winget"),),
                where="machine",
                note="By hand: https://aka.ms/vs/17/release/vc_redist.x64.exe. Windows N: the Media Feature Pack too.",
            ),
        ),
        confidence=Confidence.CERTAIN if certain else Confidence.LIKELY,
    )
