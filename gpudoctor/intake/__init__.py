"""Pasted text → Facts: the same records that a machine gives, each with the line that it came from.

One file a format. A format is a function from the paste to pieces, which marks the lines that it has read; the order
of the list below is the order of reading, the most particular first, until every line is read. The merge then makes one
set of facts of all pieces. Nothing of a paste is ever run, and what no format recognises is counted, not guessed at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from gpudoctor.facts import Facts
from gpudoctor.intake.collect_env import read_collect_env
from gpudoctor.intake.containers import read_container_commands, read_container_files
from gpudoctor.intake.devices import read_device_nodes, read_lshw, read_lspci
from gpudoctor.intake.distribution import read_distribution_packages
from gpudoctor.intake.jax_info import read_jax_info
from gpudoctor.intake.kernel import (
    read_dkms,
    read_kernel_log,
    read_lsmod,
    read_modinfo,
    read_module_version,
    read_secure_boot,
)
from gpudoctor.intake.merge import merge
from gpudoctor.intake.messages import read_messages
from gpudoctor.intake.notes import read_notes
from gpudoctor.intake.nvidia_smi import read_nvidia_smi, read_nvidia_smi_list, read_nvml_errors
from gpudoctor.intake.nvidia_smi_query import read_nvidia_smi_query
from gpudoctor.intake.packages import read_packages
from gpudoctor.intake.paste import Paste, Unreadable, decode
from gpudoctor.intake.pieces import Piece
from gpudoctor.intake.prints import read_prints
from gpudoctor.intake.prose import read_prose
from gpudoctor.intake.report import facts_in
from gpudoctor.intake.services import read_services
from gpudoctor.intake.statements import read_statements
from gpudoctor.intake.system import read_system
from gpudoctor.intake.tensorflow_env import read_tensorflow_env
from gpudoctor.intake.ticket import ticket_in
from gpudoctor.intake.toolkit import read_nvcc
from gpudoctor.intake.variables import read_variables

__all__ = ["FORMATS", "Intake", "Unreadable", "read"]

Format = Callable[[Paste], Iterable[Piece]]

FORMATS: tuple[Format, ...] = (
    read_nvidia_smi,
    read_nvidia_smi_list,
    read_nvml_errors,
    read_collect_env,
    read_nvidia_smi_query,
    read_tensorflow_env,
    read_jax_info,
    read_packages,
    read_nvcc,
    read_system,
    read_lspci,
    read_lshw,
    read_device_nodes,
    read_lsmod,
    read_module_version,
    read_modinfo,
    read_secure_boot,
    read_dkms,
    read_distribution_packages,
    read_kernel_log,
    read_services,
    read_container_commands,
    read_container_files,
    read_variables,
    read_prints,
    read_notes,
    read_statements,
    read_prose,
    read_messages,
)


class Intake(msgspec.Struct, frozen=True, kw_only=True):
    """What a paste held. ``lines`` and ``recognised`` count lines that are not blank; ``name`` is the file's.

    ``unread`` are the lines that no format recognised, by their number in the text. Most of them are messages among
    the facts. ``cut``: the middle of the text was too long to be read. ``damaged``: the text holds a gpudoctor ticket
    whose facts could not be restored, so that its words were read instead.
    """

    facts: Facts
    lines: int
    recognised: int
    unread: dict[int, str] = {}
    name: str | None = None
    cut: bool = False
    damaged: bool = False


def read(text: str | bytes, name: str | None = None) -> Intake:
    """The facts of a paste. Raises :class:`Unreadable` for an empty text or a binary file."""
    if isinstance(text, bytes):
        text, cut = decode(text)
    else:
        cut = False
    told = ticket_in(text)
    saved = told.facts if told else facts_in(text)
    if saved is not None:
        lines = text.count("\n") + 1
        return Intake(facts=saved, lines=lines, recognised=lines, name=name, cut=cut)
    paste = Paste(told.rest if told else text, cut=cut)
    if not len(paste):
        raise Unreadable("The text is empty.")
    facts = merge(_pieces(paste))
    unread = [position for position in paste.free() if position not in paste.headings]
    return Intake(
        facts=facts,
        lines=len(paste),
        recognised=len(paste) - len(unread),
        unread={paste.numbers[position]: paste.texts[position] for position in unread},
        name=name,
        cut=paste.cut,
        damaged=told is not None,
    )


def _pieces(paste: Paste) -> Iterator[Piece]:
    for read_format in FORMATS:
        yield from read_format(paste)
        if paste.is_read:
            return
        paste.settle()
