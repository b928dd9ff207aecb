"""Secrets of every kind in every place that facts are read from: none is in what leaves, in any format."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import re
import string
import typing
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gpudoctor import ticket
from gpudoctor.facts import (
    ContainerStart,
    Environment,
    Extra,
    Extras,
    Facts,
    Gpus,
    Message,
    MigInstance,
    MigInstances,
    Missing,
    encode,
)
from gpudoctor.findings import Report
from gpudoctor.privacy import KINDS, Identity, redact, redact_report, told
from gpudoctor.probes.at_host import HOST_PROBES, look
from gpudoctor.probes.cuda_driver import libcuda
from gpudoctor.render import Format, Options, render
from gpudoctor.report import judge
from tests import planted, reports
from tests.cases.measure import measure
from tests.cases.render import cases
from tests.probes.roots import ENVIRON, RICH, write_root
from tests.test_privacy import ALICE, SECRETS

LEAVING = [name for name in typing.get_args(Format) if name != "terminal"]


def _outputs(report: Report) -> Iterator[tuple[str, str]]:
    """All that can leave the machine of one report, by format; of a ticket also what its block holds."""
    for name in LEAVING:
        text = render(report, name, options=Options(identity=ALICE))
        yield name, text
        if name == "markdown" and (found := ticket.find(text)) and found.facts:
            yield "facts in the ticket", encode(found.facts).decode()
    yield "json on one line", render(report, "json", options=Options(identity=ALICE, compact=True))
    yield "saved facts", encode(redact(report.facts, ALICE)[0]).decode()


def _assert_hidden(report: Report, *telling: str) -> None:
    for name, text in _outputs(report):
        lowered = text.lower()
        for one in telling:
            at = lowered.find(one.lower())
            assert at < 0, f"{one!r} in {name}: …{text[max(0, at - 60) : at + 60]}…"


def test_there_are_at_least_thirty_kinds_and_hundreds_of_places() -> None:
    assert len(SECRETS) >= 50
    assert planted.open_strings() > 400
    assert {"json", "markdown", "html", "junit", "openmetrics"} <= set(LEAVING)


def test_secrets_in_what_could_not_be_read_are_in_no_output_of_any_format() -> None:
    _assert_hidden(judge(planted.facts("; ".join(["before", *_ALL, "after"]), missing=True)), *_TELLING)


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_in_every_field_of_every_record_is_in_no_output_of_any_format(kind: str) -> None:
    secret, telling = SECRETS[kind]
    report = judge(planted.facts(f"before {secret} after"))
    _assert_hidden(report, "alice" if telling == "lice" else telling)


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_in_every_field_is_counted(kind: str) -> None:
    secret, _ = SECRETS[kind]
    shown = redact_report(judge(planted.facts(f"before {secret} after")), ALICE)
    assert shown.hidden is not None
    assert sum(shown.hidden.values()) > 400
    assert set(shown.hidden) <= set(KINDS)
    assert told(shown.hidden) in render(shown, "markdown", options=Options(redact=False))
    assert json.loads(render(shown, "json", options=Options(redact=False)))["hidden"] == shown.hidden


# ------------------------------------------------------------------------------------------- through the probes


def _looked(folder: Path, change: Callable[[str], str], environ: dict[str, str]) -> Facts:
    """What the probes of this machine see where every text that they read is changed."""
    root = {path: change(content) if isinstance(content, str) else content for path, content in RICH.items()}
    world = write_root(folder, root, environ)
    found: dict[str, Any] = {name: look(probe, world) for name, probe in HOST_PROBES.items()}
    return replace(Facts(gpudoctor="0.1.0", created=reports.CREATED), **found, libcuda=look(libcuda, world))


_ALL = [secret for secret, _ in SECRETS.values()]
_WORDS = [secret for secret in _ALL if " " not in secret]  # flags of a processor are words that lost their order
_TELLING = [telling if telling != "lice" else "alice" for _, telling in SECRETS.values()]  # "lice" is in "licence"


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "".join(f"{text}{secret}\n" for secret in _ALL),
        lambda text: "".join(f"{secret} {line}\n" for line in text.splitlines() for secret in _ALL),
        lambda text: "".join(f"{line} {secret}\n" for line in text.splitlines() for secret in _ALL),
        lambda text: re.sub(r'([:=]\s*"?)', lambda match: f"{match[0]}{' '.join(_WORDS)} ", text),
    ],
    ids=["lines after", "before lines", "after lines", "as values"],
)
def test_secrets_in_every_file_and_variable_that_probes_read_are_in_no_output(
    change: Callable[[str], str], tmp_path: Path
) -> None:
    names = (
        *ENVIRON,
        "LD_LIBRARY_PATH",
        "NVIDIA_DRIVER_CAPABILITIES",
        "CUDA_VISIBLE_DEVICES",
        "NCCL_DEBUG",
        "JAX_PLATFORMS",
    )
    environ = {name: " ".join([ENVIRON.get(name, "/x"), *_ALL]).replace("\n", " ") for name in names}
    environ |= {f"CUDA_X{n}": secret for n, secret in enumerate(_ALL)} | {
        f"MY_{n}": secret for n, secret in enumerate(_ALL)
    }
    facts = _looked(tmp_path, change, environ)
    assert any(not isinstance(getattr(facts, name), Missing) for name in HOST_PROBES)
    _assert_hidden(judge(facts), *_TELLING)


# ---------------------------------------------------------------------------------------------- variations

_NAME = st.from_regex(r"[a-z][a-z]{4,9}[0-9]{2}", fullmatch=True)
_WORD = st.text(alphabet=string.ascii_letters + string.digits, min_size=12, max_size=40).filter(
    lambda word: any(map(str.isdigit, word)) and any(map(str.isalpha, word))
)
_SECRETS: dict[str, st.SearchStrategy[tuple[str, str]]] = {
    "token": st.tuples(st.sampled_from(["hf_", "ghp_", "glpat-", "sk-", "nvapi-", "npm_", "AKIA"]), _WORD).map(
        lambda parts: (parts[0] + parts[1].upper() if parts[0] == "AKIA" else "".join(parts), parts[1].upper())
    ),
    "named": st.tuples(
        st.sampled_from(["password=", "PASSWORD: ", "--token ", "api_key='", 'secret="', "Authorization: Bearer "]),
        _WORD,
    ).map(lambda parts: ("".join(parts), parts[1])),
    "URL": st.tuples(_NAME, _WORD).map(
        lambda parts: (f"https://{parts[0]}:{parts[1]}@pypi.corp.example/simple", parts[1])
    ),
    "IPv4": st.ip_addresses(v=4, network="172.16.0.0/12").map(lambda one: (str(one), str(one))),
    "public IPv4": st.ip_addresses(v=4)
    .filter(lambda one: one.is_global and "." in str(one))
    .map(lambda one: (f"peer {one}:1234", str(one))),
    "IPv6": st.ip_addresses(v=6, network="2001:db8::/32")
    .filter(lambda one: str(one).count(":") > 2)
    .map(lambda one: (f"[{one}]:443" if one == ipaddress.ip_address("::1") else str(one), str(one))),
    "MAC": st.binary(min_size=6, max_size=6).map(lambda data: (data.hex(":"), data.hex(":"))),
    "UUID": st.uuids().map(lambda one: (f"GPU-{one}", str(one))),
    "MIG": st.uuids().map(lambda one: (f"MIG-{one}", str(one))),
    "e-mail": st.tuples(_NAME, _NAME).map(lambda parts: (f"{parts[0]}@{parts[1]}.example", parts[0])),
    "home": _NAME.map(lambda name: (f"/home/{name}/x/train.py", name)),
    "home on a Mac": _NAME.map(lambda name: (f"/Users/{name}/x", name)),
    "home on Windows": _NAME.map(lambda name: (rf"C:\Users\{name}\x", name)),
    "prompt": st.tuples(_NAME, _NAME).map(lambda parts: (f"{parts[0]}@{parts[1]}:~$ ls", parts[0])),
    "serial": st.integers(1_234_567_890_123, 10**14 - 1).map(lambda number: (f"Serial Number: {number}", str(number))),
    "hex": st.binary(min_size=16, max_size=40).map(lambda data: (data.hex(), data.hex())),
}


@settings(max_examples=50, deadline=None)
@given(
    drawn=st.sampled_from(sorted(_SECRETS)).flatmap(lambda kind: _SECRETS[kind]),
    before=st.sampled_from(["", "x ", "(", "'", "key: ", "a=", "> ", "→ ", "1. ", "/usr/lib: ", "é "]),
    after=st.sampled_from(["", " y", ")", "'", ",", ".", " é", "\n", "; z"]),
)
def test_varied_secrets_in_every_field_are_in_no_output(drawn: tuple[str, str], before: str, after: str) -> None:
    secret, telling = drawn
    _assert_hidden(judge(planted.facts(f"at {before}{secret}{after}")), telling)


@settings(max_examples=25, deadline=None)
@given(user=_NAME, host=_NAME)
def test_the_own_names_are_in_no_output_wherever_they_stand(user: str, host: str) -> None:
    report = judge(planted.facts(f"{user} on {host}.corp, {user.upper()}s {user}_x"))
    for name in LEAVING:
        text = render(
            report, name, options=Options(identity=Identity(user=user, host=f"{host}.corp", home=f"/x/{user}"))
        )
        assert not re.search(rf"(?<![A-Za-z0-9])(?:{user}|{host})(?![A-Za-z0-9])", text, re.IGNORECASE), name


@settings(max_examples=60, deadline=None)
@given(st.lists(st.uuids(), min_size=1, max_size=40, unique=True), st.data())
def test_labels_are_as_telling_as_the_uuids_were(found: list[uuid.UUID], data: st.DataObject) -> None:
    """CUDA takes a beginning of a UUID for the whole: no label is the beginning of another one."""
    gpus = Gpus(source="NVML", gpus=tuple(reports.gpu(n, uuid=f"GPU-{one}") for n, one in enumerate(found)))
    chosen = data.draw(st.sampled_from(found))
    facts = Facts(gpus=gpus, environment=Environment(source="e", variables={"CUDA_VISIBLE_DEVICES": f"GPU-{chosen}"}))
    clean, hidden = redact(facts)
    labels = [gpu.uuid or "" for gpu in clean.known_gpus()]
    assert len(set(labels)) == len(found)
    assert not any(a != b and b.startswith(a) for a in labels for b in labels)
    assert isinstance(clean.environment, Environment)
    assert clean.environment.variables == {"CUDA_VISIBLE_DEVICES": labels[found.index(chosen)]}
    assert hidden == {"device-id": len(found) + 1}
    assert redact(clean) == (clean, {})


# ------------------------------------------------------------------------------------------------- kept


def _verdict(report: Report) -> tuple[object, ...]:
    found = [(one.rule, one.severity, one.confidence, one.about, one.because_of) for one in report.findings]
    outcomes = [(one.rule, one.outcome) for one in report.outcomes]
    return report.status, report.cause and report.cause.rule, [one.rule for one in report.candidates], found, outcomes


def test_the_verdict_on_the_redacted_facts_of_every_case_is_the_same() -> None:
    for measured in measure(cases()):
        facts = measured.intake.facts
        assert _verdict(judge(redact(facts, ALICE)[0])) == _verdict(measured.report), measured.case.id


@pytest.mark.parametrize("make", [*reports.ALL, reports.timed], ids=lambda make: make.__name__)
def test_the_verdict_on_the_redacted_facts_of_every_report_is_the_same(make: Callable[[], Report]) -> None:
    facts = make().facts
    assert _verdict(judge(redact(facts, ALICE)[0])) == _verdict(judge(facts))


@pytest.mark.parametrize("instances", [1, 7, 14])
def test_a_chosen_mig_instance_stays_the_chosen_one(instances: int) -> None:
    mig = [
        MigInstances(
            source="NVML", instances=tuple(MigInstance(uuid=f"MIG-{uuid.UUID(int=n)}") for n in range(instances))
        )
    ]
    gpus = Gpus(source="NVML", gpus=(reports.gpu(0, mig=mig[0]),))
    variables = {"CUDA_VISIBLE_DEVICES": f"MIG-{uuid.UUID(int=0)}"}
    facts = replace(reports.healthy().facts, gpus=gpus, environment=Environment(source="e", variables=variables))
    assert _verdict(judge(redact(facts)[0])) == _verdict(judge(facts))


def test_variables_of_a_container_and_what_a_plug_in_saw_are_hidden_by_their_names() -> None:
    facts = Facts(
        container_start=ContainerStart(
            source="line 1", engine="docker", variables={"NVIDIA_VISIBLE_DEVICES": "all", "DB": "x1", "HF_TOKEN": "x2"}
        ),
        extras=Extras(
            source="p", extras=(Extra(name="p", source="p", values={"api_key": "x3", "count": 4, "mode": "on"}),)
        ),
    )
    clean, hidden = redact(facts)
    assert isinstance(clean.container_start, ContainerStart)
    assert clean.container_start.variables == {
        "NVIDIA_VISIBLE_DEVICES": "all",
        "DB": "hidden-value",
        "HF_TOKEN": "hidden-secret",
    }
    assert isinstance(clean.extras, Extras)
    assert clean.extras.extras[0].values == {"api_key": "hidden-secret", "count": 4, "mode": "on"}
    assert hidden == {"secret": 2, "variable": 1}


def test_what_was_hidden_is_told_in_words() -> None:
    assert told({"user-name": 1, "ip-address": 2, "secret": 1234}) == (
        "1 user name, 2 IP addresses, 1,234 tokens, keys and passwords"
    )
    assert told({}) == "nothing"


def test_a_text_with_nothing_to_hide_is_the_same_object() -> None:
    message = Message(source="line 1", text="CUDA error: out of memory")
    facts = Facts(messages=(message,))
    with contextlib.suppress(msgspec.ValidationError):
        assert redact(facts)[0].messages[0] is message
