from __future__ import annotations

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, only, outcome, with_framework

RULE = "metal-plugin-missing"
MAC = f.System(source="platform", os="macos", name="macOS 15.3", architecture="arm64")
CPU = {"accelerator": "cpu", "cuda": None, "targets": (), "version": "2.18.0"}
FACTS = with_framework(
    "tensorflow",
    change(only("tensorflow"), system=MAC, smokes=()),
    build=CPU,
    imported={"available": False, "devices": ()},
)


def test_tensorflow_on_apple_silicon_without_the_plug_in_is_a_warning() -> None:
    assert (found(FACTS, RULE).severity.value, found(FACTS, RULE).confidence.value) == ("warning", "certain")


def test_with_the_plug_in_it_passes() -> None:
    plugin = f.Package(name="tensorflow-metal", version="1.2.0", location="/lib")
    assert outcome(change(FACTS, packages={"packages": (plugin,)}), RULE) == "passed"


def test_linux_is_no_mac() -> None:
    assert findings(GOOD, RULE) == ()
