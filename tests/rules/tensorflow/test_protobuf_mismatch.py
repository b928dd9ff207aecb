from __future__ import annotations

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, only, outcome, says, verdict, with_framework

RULE = "protobuf-mismatch"
PASTE = f.Facts(origin="paste")
BROKEN = {"ok": False, "ended": "exception", "error": "TypeError: Descriptors cannot not be created directly."}


def beside(tensorflow: str, protobuf: str) -> f.Facts:
    package = f.Package(name="protobuf", version=protobuf, location="/lib")
    facts = change(only("tensorflow"), packages={"packages": (package,)})
    return with_framework("tensorflow", facts, build={"version": tensorflow})


def test_protobuf_4_under_an_older_tensorflow_that_fails_is_the_cause() -> None:
    facts = with_framework("tensorflow", change(beside("2.7.1", "4.21.0"), smokes=()), imported=BROKEN)
    assert verdict(facts) == ("broken", RULE)
    assert found(facts, "framework-import-failed").because_of == RULE


def test_where_tensorflow_imports_all_the_same_it_is_a_warning() -> None:
    assert found(beside("2.7.1", "4.21.0"), RULE).severity.value == "warning"


def test_protobuf_3_20_passes_for_all_and_newer_ones_for_newer_releases() -> None:
    assert outcome(beside("2.7.1", "3.20.3"), RULE) == "passed"
    assert outcome(beside("2.18.0", "5.28.0"), RULE) == "passed"


def test_protobufs_own_words_are_certain() -> None:
    text = "TypeError: Descriptors cannot not be created directly."
    assert found(says(text, PASTE), RULE).confidence.value == "certain"
    assert findings(says("Descriptor created", GOOD), RULE) == ()


PIN = f.UnmetPin(package="tensorflow", requirement="protobuf<8.0.0,>=6.31.1", found="4.25.9")


def test_what_tensorflow_itself_requires_is_what_is_to_be_installed() -> None:
    text = "ImportError: cannot import name 'runtime_version' from 'google.protobuf'"
    facts = change(beside("2.21.0", "4.25.9"), smokes=(), pins={"unmet": (PIN,)})
    facts = with_framework("tensorflow", facts, imported={"ok": False, "error": text})
    for one in (facts, says(text, facts, "tensorflow")):
        assert found(one, RULE).fixes[0].commands == (
            "/home/ann/venv/bin/python -m pip install 'protobuf<8.0.0,>=6.31.1'",
        )


def test_words_of_a_tensorflow_that_imports_and_trains_are_a_warning() -> None:
    text = "AttributeError: 'MessageFactory' object has no attribute 'GetPrototype'"
    facts = says(text, beside("2.15.1", "7.36.2"), "tensorflow")
    assert found(facts, RULE).severity.value == "warning"
    assert verdict(facts) == ("warnings", RULE)
