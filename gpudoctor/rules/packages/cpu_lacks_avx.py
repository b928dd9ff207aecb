"""The framework's code uses instructions that this processor does not have.

## What it means
The official builds of TensorFlow (from 1.6 on), JAX and PyTorch are compiled for processors with AVX. On another one
the first such instruction ends the program: "Illegal instruction (core dumped)", SIGILL, "trap invalid opcode".

## Why it happens
A processor older than 2011, a Pentium, Celeron or Atom without AVX; or a virtual machine whose hypervisor shows the
guest a generic model (QEMU Virtual CPU, kvm64) and hides AVX.

## How to fix
In a virtual machine, give the guest the host's processor model (QEMU and libvirt: host-passthrough; Proxmox: CPU
type host). On such a processor itself, use a build that was compiled without AVX (conda-forge has some, or compile it).

## How it is detected
By the flags in /proc/cpuinfo, together with an import that was ended by SIGILL or a program that says so. Where the
flags show AVX, the rule does not believe the message.

## Sources
- https://www.tensorflow.org/install/pip#hardware-requirements
- https://github.com/tensorflow/tensorflow/issues/19584
"""

from __future__ import annotations

import re

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Fact, Framework, Imported, Message, Processor, System, VirtualMachine
from gpudoctor.findings import Confidence, Evidence, Found, NotApplicable, NotJudged, Passed, Verdict
from gpudoctor.remedies import Run
from gpudoctor.rules._texts import first_match
from gpudoctor.words import name_of

RULE = Rule(without_gpu="none", masks=("windows-runtime-dll-missing",))

_ARM = ("aarch64", "arm64", "ppc64le", "riscv64")
# Models that never had AVX, for texts that show a model and no flags: Core 2, Nehalem and Westmere Xeons (a letter and
# four digits, no dash), Phenom, Athlon II, older Opterons, QEMU's and KVM's generic models.
_WITHOUT = re.compile(
    r"Core\(?(?:TM)?\)? ?2|Xeon\S{0,8} {1,2}(?:CPU {1,10})?[EXLW][3-7]\d{3}\b|Phenom|Athlon\S{0,5} II|QEMU "
    r"Virtual|\bkvm64\b"
    r"|Common KVM|Pentium|Celeron|\bAtom\b|Opteron\S{0,5} (?:Processor )?[2468][1-4]\d\d",
    re.IGNORECASE,
)


@RULE.detector
def killed_at_import(
    framework: Framework, imported: Imported, processor: Processor, machine: VirtualMachine | None
) -> Verdict:
    """The import ended with SIGILL, or fails, on a processor without AVX."""
    if _has_avx(processor) or not processor.flags:
        return Passed(f"{processor.model or 'the processor'} has AVX, or is of another kind")
    if imported.ok:
        return Passed(f"{name_of(framework)} runs without AVX")
    return _found(f"{name_of(framework)} was ended ({imported.ended or imported.error}).", imported, processor, machine)


_TEXTS = (
    (
        r"(?:TensorFlow library|jaxlib(?: version \S{1,20})?|binary) was compiled to use \S{0,40} ?(?:AVX|SSE4"
        r"|FMA)\S{0,10} instructions,"
        r" but these (?:aren't|are not) available"
    ),
    r"\bdoes(?: not|n't) support (?:the )?AVX",
    r"without AVX (?:support|instructions)",
    r"AVX2? instruction set (?:is )?(?:not (?:supported|available)|required)",
    r"This (?:version of jaxlib|jaxlib|program) .{0,40}(?:requires|was built using) AVX",
)
_ENDED = (
    r"Illegal instruction",
    r"trap invalid opcode",
    r"SIGILL\b",
    r"(?:exit code|exitcode|returned?) {0,2}(?:132|-4)\b",
    r"EXCEPTION_ILLEGAL_INSTRUCTION|0xC000001D|exit code -1073741795",
)


@RULE.detector
def a_program_says_so(
    message: Message, processor: Processor | None, machine: VirtualMachine | None, system: System | None
) -> Verdict:
    """The framework names AVX, or the program was ended by an illegal instruction."""
    stated = first_match(_TEXTS, message.text)
    text = stated or first_match(_ENDED, message.text)
    if text is None:
        return None
    if system and system.architecture in _ARM:
        return NotApplicable(f"{system.architecture} has no AVX and needs none")
    if processor and _has_avx(processor):
        return NotJudged("the processor has AVX")
    known = processor is not None and (bool(processor.flags) or bool(_WITHOUT.search(processor.model or "")))
    return _found(text, message, processor, machine, Confidence.CERTAIN if stated or known else Confidence.LIKELY)


def _has_avx(processor: Processor) -> bool:
    return any(flag.startswith("avx") or flag == "asimd" for flag in processor.flags)


def _found(
    detail: str,
    source: Fact,
    processor: Processor | None,
    machine: VirtualMachine | None,
    confidence: Confidence = Confidence.CERTAIN,
) -> Found:
    model = processor.model if processor else None
    guest = bool(machine and machine.hypervisor) or bool(processor and "hypervisor" in processor.flags)
    evidence: tuple[Evidence, ...] = (cite("program", detail, source),)
    if processor:
        evidence += (cite("processor", f"{model or 'model not known'}, AVX not among its flags", processor),)
    note = "In libvirt and QEMU: CPU mode host-passthrough; in Proxmox: CPU type host; in VMware: raise the EVC mode."
    return Found(
        title=f"{model or 'The processor'} has no AVX, which the framework's build uses.",
        detail=detail,
        evidence=evidence,
        remedies=(
            Run(title="Give the virtual machine the host's processor model", where="host", note=note)
            if guest
            else Run(
                title="Use another machine, or a build without AVX",
                where="machine",
                note="Releases that were compiled without AVX: TensorFlow up to 1.5, some of conda-forge's, your own.",
            ),
        ),
        confidence=confidence,
    )
