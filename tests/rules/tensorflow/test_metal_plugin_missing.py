from __future__ import annotations

from gpudoctor import facts as f
from gpudoctor.intake import read
from tests.good import GOOD, change, findings, found, only, outcome, verdict, with_framework

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


SESSION = """%s
>>> tf.config.list_physical_devices('GPU')
[]
"""


def test_an_empty_list_on_apple_silicon_speaks_for_the_plug_in() -> None:
    facts = read(SESSION % "M1 macbook").facts
    assert verdict(facts)[1] == RULE
    assert found(facts, RULE).title.startswith("TensorFlow lists no GPU on Apple silicon")
    assert found(facts, "macos-no-cuda").severity.value == "info"


def test_a_list_with_a_gpu_or_another_computer_has_the_plug_in() -> None:
    gpu = "[PhysicalDevice(name='/physical_device:GPU:0', device_type='GPU')]"
    assert findings(read((SESSION % "M1 macbook").replace("[]", gpu)).facts, RULE) == ()
    assert findings(read(SESSION % "Ubuntu 22.04").facts, RULE) == ()


def test_a_gpu_that_tensorflow_calls_available_is_enough() -> None:
    facts = with_framework("tensorflow", FACTS, imported={"available": True, "devices": ()})
    assert outcome(facts, RULE) == "passed"
