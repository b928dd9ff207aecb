"""Question and answer of a Python session: what each expression's value states, in every way people print it."""

from __future__ import annotations

import pytest

from gpudoctor import facts as f
from gpudoctor.intake import read


def framework(text: str, name: str) -> f.Framework:
    facts = read(text).facts
    assert isinstance(facts.frameworks, f.Frameworks)
    return next(one for one in facts.frameworks.frameworks if one.name == name)


def imported(text: str, name: str = "torch") -> f.Imported:
    found = framework(text, name).imported
    assert isinstance(found, f.Imported)
    return found


def build(text: str, name: str = "torch") -> f.Build:
    found = framework(text, name).build
    assert isinstance(found, f.Build)
    return found


SESSION = """\
>>> torch.__version__
'2.13.0+cu130'
>>> torch.version.cuda
'13.0'
>>> torch.backends.cudnn.version()
92000
>>> torch.cuda.is_available()
True
>>> torch.cuda.get_arch_list()
['sm_75', 'sm_80', 'sm_90']
"""


def test_every_answer_of_a_session_arrives() -> None:
    assert (build(SESSION).version, build(SESSION).cuda) == ("2.13.0+cu130", "13.0")
    said = imported(SESSION)
    assert (said.available, said.cudnn, said.cuda, said.targets) == (
        True,
        "9.20.0",
        "13.0",
        ("sm_75", "sm_80", "sm_90"),
    )
    assert read(SESSION).unread == {}


@pytest.mark.parametrize(("printed", "version"), [("92000", "9.20.0"), ("8907", "8.9.7"), ("7605", "7.6.5")])
def test_the_encoding_of_cudnn_changed_with_its_ninth_version(printed: str, version: str) -> None:
    text = f">>> torch.__version__\n'2.9.0+cu128'\n>>> torch.backends.cudnn.version()\n{printed}\n"
    assert imported(text).cudnn == version


@pytest.mark.parametrize(
    "text",
    [
        "In [2]: torch.__version__, torch.cuda.is_available()\nOut[2]: ('2.1.0+cu121', False)\n",
        ">>> print(torch.__version__, torch.cuda.is_available())\n2.1.0+cu121 False\n",
        "print('torch', torch.__version__)\nprint('', torch.cuda.is_available())\ntorch 2.1.0+cu121\nFalse\n",
        'print(f"{torch.__version__} cuda={torch.cuda.is_available()}")\n2.1.0+cu121 cuda=False\n',
        'print("version " + str(torch.__version__))\nprint(torch.cuda.is_available())\nversion 2.1.0+cu121\nFalse\n',
        '$ python -c "import torch; print(torch.__version__); print(torch.cuda.is_available())"\n2.1.0+cu121\nFalse\n',
        "import torch; torch.__version__\n'2.1.0+cu121'\n>>> torch.cuda.is_available()\nFalse\n",
        "`torch.__version__`\nreturns 2.1.0+cu121\n`torch.cuda.is_available()`\nreturns False\n",
    ],
)
def test_a_tuple_a_call_of_print_a_script_and_a_command_are_one_mechanism(text: str) -> None:
    assert (build(text).version, imported(text).available) == ("2.1.0+cu121", False)


def test_log_lines_between_question_and_answer_are_passed_over() -> None:
    text = (
        ">>> tf.test.is_gpu_available()\n"
        "2020-07-10 19:40:03.191437: I tensorflow/core/common_runtime/gpu/gpu_device.cc:1561] Found device 0\n"
        "WARNING:tensorflow:From <stdin>:1: is_gpu_available is deprecated.\n"
        "False\n"
        ">>> tf.sysconfig.get_build_info()['cudnn_version']\n'8'\n"
    )
    assert imported(text, "tensorflow").available is False


def test_the_next_prompt_ends_the_wait_for_an_answer() -> None:
    text = ">>> torch.cuda.is_available()\n>>> x.is_leaf\nTrue\n"
    assert isinstance(read(text).facts.frameworks, f.Missing)


@pytest.mark.parametrize(
    "text",
    [
        ">>> torch.cuda.is_available()\nTraceback (most recent call last):\nNameError: name 'torch' is not defined\n",
        ">>> torch.backends.cudnn.version()\nRuntimeError: cuDNN version incompatibility\n",
        "print(torch.cuda.is_available())\nEpoch 1\nTrue positives: 3\n",
        "print(torch.cuda.is_available(), model.device)\nTrue\n",
        "torch.cuda.is_available() was called before fork\nTrue\n",
    ],
)
def test_what_is_no_answer_to_the_expression_states_nothing(text: str) -> None:
    assert isinstance(read(text).facts.frameworks, f.Missing)


def test_devices_of_jax_and_their_backend() -> None:
    assert imported(">>> jax.devices()\n[CpuDevice(id=0)]\n", "jax").available is False
    assert imported(">>> jax.default_backend()\n'gpu'\n", "jax").available is True


def test_a_capability_and_a_name_by_their_index() -> None:
    text = ">>> torch.cuda.get_device_capability(1)\n(8, 6)\n>>> torch.cuda.get_device_name(1)\n'NVIDIA RTX A6000'\n"
    gpus = read(text).facts.known_gpus()
    assert [(gpu.index, gpu.name) for gpu in gpus] == [(1, "NVIDIA RTX A6000")]
    assert isinstance(gpus[0].capability, f.GpuCapability)
    assert gpus[0].capability.value == "8.6"


def test_no_device_is_no_gpu_and_a_count_alone_proves_none() -> None:
    assert imported(">>> torch.cuda.device_count()\n0\n").available is False
    assert isinstance(read(">>> torch.cuda.device_count()\n8\n").facts.frameworks, f.Missing)


def test_the_configuration_that_pytorch_prints() -> None:
    text = (
        "PyTorch                   1.3.1\nPyTorch built with:\n  - GCC 7.3\n  - CUDA Runtime 10.1\n"
        "  - NVCC architecture flags: -gencode;arch=compute_37,code=sm_37;-gencode;arch=compute_70,code=sm_70\n"
        "  - CuDNN 7.6.3\n"
    )
    assert (build(text).cuda, build(text).targets) == ("10.1", ("sm_37", "sm_70"))
    assert imported(text).cudnn == "7.6.3"


TENSORFLOW = """\
- OS Platform and Distribution: Linux Ubuntu 16.04
- TensorFlow installed from (source or binary): {}
- TensorFlow version (use command below): 1.12.0
- GPU model and memory: GTX 1080
- tf.test.is_gpu_available() returns False
"""


@pytest.mark.parametrize(
    ("source", "accelerator"), [("pip install tensorflow-gpu", "cuda"), ("binary", "cpu"), ("tensorflow-cpu", "cpu")]
)
def test_the_package_that_was_installed_says_what_an_old_tensorflow_was_built_for(
    source: str, accelerator: str
) -> None:
    assert build(TENSORFLOW.format(source), "tensorflow").accelerator == accelerator


@pytest.mark.parametrize(
    ("asked", "answer", "line"),
    [
        (">>> torch.cuda.is_available()", "False", "torch.cuda.is_available(): False"),
        (">>> print(torch.version.cuda)", "None", "torch.version.cuda: None"),
        (">>> tf.config.list_physical_devices('GPU')", "[]", "tf.config.list_physical_devices('GPU'): []"),
    ],
)
def test_who_is_told_that_there_is_none_misses_it(asked: str, answer: str, line: str) -> None:
    assert line in [one.text for one in read(f"{asked}\n{answer}\n").facts.messages]


def test_who_is_told_that_there_is_one_misses_nothing() -> None:
    assert read(">>> torch.cuda.is_available()\nTrue\n").facts.messages == ()


RANKS = """\
# nThread 1 nGpus 2 minBytes 8 maxBytes 134217728 step: 2(factor) warmup iters: 5 iters: 20 validation: 1
#
# Using devices
#   Rank  0 Pid 871210 on node-a device  0 [0x01] NVIDIA GeForce RTX 4090
#  Rank  1 Group  0 Pid 871210 on node-a device  1 [0000:0x24] NVIDIA GeForce RTX 4090
#   Rank  2 Pid   9123 on node-b device  0 [0x01] NVIDIA A40
"""


def test_the_gpus_of_the_first_machine_that_nccls_tests_list() -> None:
    gpus = read(RANKS).facts.known_gpus()
    assert [(gpu.index, gpu.name) for gpu in gpus] == [
        (0, "NVIDIA GeForce RTX 4090"),
        (1, "NVIDIA GeForce RTX 4090"),
    ]
    assert isinstance(read("Rank 1 of 4 on the list of devices").facts.gpus, f.Missing)


PADDLE = (
    "W0731 06:54:49.351 7 gpu_resources.cc:119] Please NOTE: device: 0, GPU Compute Capability: 8.0, "
    "Driver API Version: 12.4, Runtime API Version: 11.8"
)


def test_paddle_tells_of_the_device_that_it_opened() -> None:
    facts = read(f"GPU 0: NVIDIA Unheard-of 1\n{PADDLE}\n").facts
    (gpu,) = facts.known_gpus()
    assert isinstance(gpu.capability, f.GpuCapability)
    assert gpu.capability.value == "8.0"
    assert isinstance(facts.nvml, f.Nvml)
    assert (facts.nvml.result, facts.nvml.cuda) == ("NVML_SUCCESS", "12.4")
    elsewhere = read("The Driver API Version: 12.4 has to be known first").facts
    assert isinstance(elsewhere.gpus, f.Missing)
    assert isinstance(elsewhere.nvml, f.Missing)
