"""GPU product names as NVML, nvidia-smi, PyTorch and lspci print them, and how they lead to a model.

A product name is ambiguous in places (one name on two chips), so a caller that has the driver's own
``compute_cap`` uses that; this is for pasted text and for machines whose driver does not run.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Literal

import msgspec

from gpudoctor.matrix.records import GpuModel, PciDevice, Unlisted, VgpuBase

FoundBy = Literal["pci-id", "chip", "mig", "vgpu", "truncated", "family"]

_MIG = re.compile(r"\s{1,4}MIG\s{1,4}\d{1,2}[cg][\w.+ ]{0,60}$", re.IGNORECASE)
_LSPCI_PREFIX = re.compile(r"^.*?\b(?:controller|accelerators?)\s*(?:\[[0-9a-f]{4}\])?:\s*", re.IGNORECASE)
_REVISION = re.compile(r"\s{0,4}\(rev\s{1,4}[0-9a-f]{1,4}\).*", re.IGNORECASE)
_PCI_PAIR = re.compile(r"\[10de:([0-9a-f]{4})\]", re.IGNORECASE)
_BARE_DEVICE = re.compile(r"^(?:nvidia(?: corporation)?\s+)?device\s+(?:10de:)?([0-9a-f]{4})$", re.IGNORECASE)
_CHIP_AND_NAME = re.compile(
    r"^(?:nvidia(?: corporation)?\s+)?((?:G[FKMPVAHB]|TU|AD)\d{2,3}[A-Z]?)\w{0,20}"
    r"(?:\s{0,4}/[^\[]{0,120})?\s{0,4}(?:\[([^\]]{1,120})\])?$",
    re.IGNORECASE,
)
_VGPU = re.compile(r"^(?:(?:NVIDIA|GRID)\s{1,4}){1,4}(.{1,60}?)-\d{1,4}(?:-\d{1,4})?(?:Q|C|A|B|VF|CME)$", re.IGNORECASE)
_CUT_OFF = re.compile(r"\s{0,4}(?:\.{2,60}|…)$")
_FORM = re.compile(r"^(?:sxm\d?|pcie|hbm\d?e?|nvl|\d+gb?)$")
_NAMELESS = frozenset({"graphics device", "3d controller", "vga compatible controller"})


def key(name: str) -> str:
    """A name as lower-case words, without the maker: "NVIDIA GeForce RTX 3080Ti" is "geforce rtx 3080 ti"."""
    text = re.sub(r"\bnvidia\b(?:\s+corporation\b)?|\((?:r|tm|nvgpu)\)|[®™]", " ", name.lower())
    text = re.sub(r"(?<=\d)(ti|super)\b", r" \1", text)
    text = re.sub(r"[-_/()]+", " ", text.replace("/integrated", " "))
    text = re.sub(r"\blaptop gpu\b|\bmobile\b", "laptop", text)
    text = re.sub(r"\b(?:with )?max q(?: design)?\b", "max-q", text)
    text = re.sub(r"\b(?:engineering reference )?developer kit(?: super)?\b|\bnvgpu\b", " ", text)
    return " ".join(text.split())


def _short(words: str) -> str:
    """The key without the brand that people leave out."""
    return " ".join(word for word in words.split() if word not in ("geforce", "tesla"))


def _family(words: str) -> str:
    """The key without memory size, form factor and brand: "tesla v100 sxm2 16gb" is "v100"."""
    return " ".join(word for word in _short(words).split() if not _FORM.match(word))


def _group(models: dict[str, GpuModel], shorten: Callable[[str], str]) -> dict[str, list[GpuModel]]:
    groups: dict[str, list[GpuModel]] = {}
    for words, model in models.items():
        groups.setdefault(shorten(words), []).append(model)
    return groups


def _agreed(models: Iterable[GpuModel], name: str, found_by: FoundBy) -> GpuModel | None:
    """One model for several that share a capability: without the figures, in which they may differ."""
    found = list(models)
    if not found or len({model.capability for model in found}) != 1:
        return None
    if len(found) == 1:
        return msgspec.structs.replace(found[0], found_by=found_by)
    first = found[0]
    return GpuModel(
        name=name,
        capability=first.capability,
        kind=first.kind,
        other_capabilities=tuple(sorted({other for model in found for other in model.other_capabilities})),
        source=first.source,
        checked=first.checked,
        verified=all(model.verified for model in found),
        found_by=found_by,
    )


class GpuNames:
    """The models by every spelling that is safe to accept."""

    def __init__(
        self,
        models: Iterable[GpuModel],
        vgpus: Iterable[VgpuBase],
        chips: dict[str, str],
        pci: Callable[[], Iterable[PciDevice]],
    ) -> None:
        """``chips`` maps a chip (AD102) to its capability; ``pci`` is asked only when a name is not a model's."""
        self._models = tuple(models)
        self._vgpus = {vgpu.base.lower(): vgpu for vgpu in vgpus}
        self._chips = chips
        self._pci = pci

    @cached_property
    def _by_key(self) -> dict[str, GpuModel]:
        return {key(model.name): model for model in self._models}

    @cached_property
    def _by_short(self) -> dict[str, GpuModel]:
        groups = _group(self._by_key, _short)
        return {words: models[0] for words, models in groups.items() if len(models) == 1}

    @cached_property
    def _by_family(self) -> dict[str, list[GpuModel]]:
        return _group(self._by_key, _family)

    def find(self, name: str) -> GpuModel | Unlisted:
        """The model that a printed name means. Raises nothing: any text is allowed."""
        text = _REVISION.sub("", _LSPCI_PREFIX.sub("", name.strip()))
        pair = _PCI_PAIR.search(text) or _BARE_DEVICE.match(text)
        if pair:
            return self.by_pci_id(pair[1])
        slice_of = _MIG.sub("", text)
        if slice_of != text:
            whole = self.find(slice_of)
            return whole if isinstance(whole, Unlisted) else msgspec.structs.replace(whole, found_by="mig")
        ways = (self._chip, self._exact, self._vgpu, self._listed_by_pci, self._cut_off, self._same_family)
        found = next((model for way in ways if (model := way(text)) is not None), None)
        return found if found is not None else self._unlisted(name, text)

    def by_pci_id(self, device_id: str) -> GpuModel | Unlisted:
        """The model of a PCI device id such as "2684" (any of "0x2684", "10DE:2684")."""
        wanted = device_id.strip().upper().removeprefix("10DE:").removeprefix("0X")
        named = [model for model in self._models if wanted in model.pci_ids]
        if len(named) == 1:
            return msgspec.structs.replace(named[0], found_by="pci-id")
        if agreed := _agreed(named, " or ".join(model.name for model in named), "pci-id"):
            return agreed
        listed = [device for device in self._pci() if device.device_id == wanted]
        return _from_pci(listed[0], "pci-id") if listed else Unlisted(kind="GPU", asked=f"10de:{wanted.lower()}")

    def _exact(self, text: str) -> GpuModel | None:
        words = key(text)
        return self._by_key.get(words) or self._by_short.get(words)

    def _chip(self, text: str) -> GpuModel | None:
        """An lspci name, "AD104 [GeForce RTX 4070 Ti]": the chip settles the capability, the rest the model."""
        match = _CHIP_AND_NAME.match(text)
        if match is None:
            return None
        capability = self._chips.get(match[1].upper()) or self._chips.get(match[1].upper().rstrip("GMB"))
        if capability is None:
            return None
        product = (match[2] or match[1]).strip()
        model = self._exact(product.split(" / ")[0])
        if model is not None and model.capability == capability:
            return model
        like = next((m for m in self._models if m.capability == capability), None)
        return (
            None
            if like is None
            else GpuModel(
                name=product,
                capability=capability,
                kind=kind_of(product),
                source=("pci-ids",),
                checked=like.checked,
                found_by="chip",
            )
        )

    def _vgpu(self, text: str) -> GpuModel | None:
        match = _VGPU.match(text)
        vgpu = self._vgpus.get(match[1].strip().lower().replace(" ", "-")) if match else None
        if vgpu is None:
            return None
        return GpuModel(
            name=vgpu.board,
            capability=vgpu.capability,
            kind=vgpu.kind,
            source=vgpu.source,
            checked=vgpu.checked,
            verified=vgpu.verified,
            found_by="vgpu",
        )

    def _listed_by_pci(self, text: str) -> GpuModel | None:
        """A product that only the list of PCI ids knows, if all chips under that name agree."""
        words = {key(text), _short(key(text))}
        same = [device for device in self._pci() if not words.isdisjoint(_spellings(device.name))]
        return _agreed((_from_pci(device, "chip") for device in same), text, "chip")

    def _cut_off(self, text: str) -> GpuModel | None:
        """A name that nvidia-smi's table cut ("NVIDIA A100-SXM..."), if all that it can mean agree."""
        start = key(_CUT_OFF.sub("", text))
        if not _CUT_OFF.search(text) or len(start) < 2:
            return None
        return _agreed((m for words, m in self._by_key.items() if words.startswith(start)), text, "truncated")

    def _same_family(self, text: str) -> GpuModel | None:
        """A board of which another memory size or form factor is listed."""
        return _agreed(self._by_family.get(_family(key(text)), ()), text, "family")

    def _unlisted(self, asked: str, text: str) -> Unlisted:
        words = key(text)
        if words in _NAMELESS:
            return Unlisted(kind="GPU", asked=asked, why="the driver or lspci does not know this GPU's name")
        spellings = {_short(known): model.name for known, model in self._by_key.items()}
        near = difflib.get_close_matches(_short(words), spellings, n=3, cutoff=0.7)
        return Unlisted(kind="GPU", asked=asked, close=tuple(spellings[word] for word in near))


def _spellings(product: str) -> set[str]:
    """The keys of a product of the PCI list: "RTX 4060 Max-Q / Mobile" is two, the last word of the first."""
    first, *others = product.split(" / ")
    stem = re.sub(r"\s{1,4}(?:Mobile|Max-Q)$", "", first)
    names = [first, *(f"{stem} {other}" if other in ("Mobile", "Max-Q") else other for other in others)]
    keys = {key(name) for name in names}
    return keys | {_short(words) for words in keys}


def kind_of(product: str) -> Literal["datacenter", "workstation", "geforce", "nvs", "mining"]:
    """The class of a product by its brand."""
    words = key(product)
    if re.search(r"\bnvs\b", words):
        return "nvs"
    if re.search(r"\bcmp\b|\bp10[246]\b", words):
        return "mining"
    if re.search(r"geforce|titan|\brtx [2345]0\d0(?: ti| super| laptop|$)|\bgtx?\b|\bmx\d", words):
        return "geforce"
    if re.search(r"quadro|\brtx\b|\bt\d{3,4}\b", words):
        return "workstation"
    return "datacenter"


def _from_pci(device: PciDevice, found_by: FoundBy) -> GpuModel:
    return GpuModel(
        name=device.name,
        capability=device.capability,
        kind=device.kind,
        pci_ids=(device.device_id,),
        source=device.source,
        checked=device.checked,
        verified=device.verified,
        found_by=found_by,
    )
