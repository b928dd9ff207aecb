"""Laws: the collector changes nothing, ends by itself, gives nothing away, and a damaged text says that it is one."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import time
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpudoctor.collector.told import facts_of
from gpudoctor.facts import Facts, Gpus, Missing, encode
from gpudoctor.intake import read
from gpudoctor.pasted import triage
from gpudoctor.report import judge
from gpudoctor.ticket import MARK, block
from gpudoctor.world import World
from tests.cli.run import BUSY, wait_until
from tests.collector.places import elsewhere, interpreters, oldest, run, triaged, written
from tests.lab.drivers.fake import FakeGpu, Machine, error, install
from tests.lab.drivers.needs import need_compiler
from tests.made_environment import Made, install_cuda_torch, make, torch_files
from tests.probes.roots import GOOD, Content, changed, write_root


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("collector"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    made = make(tmp_path_factory.mktemp("environment") / "env")
    install_cuda_torch(made.site)
    return made


# --------------------------------------------------------------------------------------------------- the command


def test_a_python_before_3_6_is_told_in_one_sentence(file: Path) -> None:
    pyenv = Path(os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv"))
    old = next(iter(pyenv.glob("versions/2.7*/bin/python")), None)
    if old is None:
        pytest.skip("there is no Python 2.7 here")
    done = subprocess.run([str(old), str(file)], capture_output=True, encoding="utf-8", timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "collect.py needs Python 3.6 or newer; this is 2.7.\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("--python", "/no/such/python"),
        ("--python", "no-such-python"),
        ("--time-limit", "0"),
        ("--time-limit", "soon"),
        ("--unknown",),
        ("-o", "/no/such/folder/facts.txt"),
    ],
)
def test_wrong_usage_is_one_sentence_and_2(arguments: tuple[str, ...], file: Path) -> None:
    done = run(file, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert arguments[0].lstrip("-") in done.stderr or arguments[-1] in done.stderr


def test_it_can_be_piped_into_python(file: Path, made: Made) -> None:
    with file.open("rb") as program:
        done = subprocess.run(
            [oldest(), "-", "--python", made.python], stdin=program, capture_output=True, timeout=120, check=True
        )
    assert triaged(done.stdout.decode()).framework("torch") is not None


def test_a_file_is_written_only_where_it_was_named(file: Path, made: Made, tmp_path: Path) -> None:
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    environ = {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(tmp_path / "home")}
    done = run(file, "-o", str(work / "facts.txt"), "--python", made.python, environ=environ, cwd=work)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [path.name for path in (*home.rglob("*"), *work.rglob("*"))] == ["facts.txt"]
    assert triaged((work / "facts.txt").read_text("utf-8")).framework("torch") is not None
    assert [path.name for path in file.parent.iterdir()] == ["collect.py"]


@pytest.mark.parametrize("version", interpreters())
def test_files_beside_it_take_the_place_of_no_module(version: str, made: Made, tmp_path: Path) -> None:
    file = written(tmp_path)
    for name in ("json", "queue", "typing", "ctypes", "subprocess", "pynvml", "threading"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name} of the user was imported')\n")
    done = run(file, "--python", made.python, python=interpreters()[version])
    assert (done.returncode, done.stderr) == (0, "")
    assert triaged(done.stdout).framework("torch") is not None


def test_a_reader_that_goes_away_is_no_traceback(file: Path, made: Made) -> None:
    line = f"'{oldest()}' '{file}' --python '{made.python}' | head -c 10"
    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, encoding="utf-8", timeout=120)
    assert done.stdout == "What gpudo"
    assert "Traceback" not in done.stderr


# ---------------------------------------------------------------------------------------------------------- its end


def _hanging(folder: Path) -> Path:
    place = folder / "python"
    place.write_text(f"#!/bin/sh\necho $$ > {folder}/pid\nexec sleep 300\n")
    place.chmod(0o755)
    return place


def _lives(folder: Path) -> bool:
    try:
        state = Path(f"/proc/{(folder / 'pid').read_text().strip()}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state.rpartition(")")[2].split()[0] != "Z"


def test_it_ends_by_its_time_limit_and_leaves_no_process(file: Path, tmp_path: Path) -> None:
    started = time.monotonic()
    done = run(file, "--python", str(_hanging(tmp_path)), "--time-limit", "3")
    assert time.monotonic() - started < 3 + BUSY
    assert done.returncode == 0
    interpreter = triaged(done.stdout).interpreter
    assert isinstance(interpreter, Missing)
    assert interpreter.kind == "timed-out"
    wait_until(lambda: not _lives(tmp_path), "the interpreter is gone", 10)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_it_and_all_that_it_started(number: int, code: int, file: Path, tmp_path: Path) -> None:
    argv = [oldest(), str(file), "--python", str(_hanging(tmp_path))]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")
    wait_until(lambda: _lives(tmp_path), "the interpreter runs")
    time.sleep(0.5)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (code, "")
    wait_until(lambda: not _lives(tmp_path), "the interpreter is gone", 10)


# ------------------------------------------------------------------------------------------------- what people read


def test_what_people_read_of_a_recorded_machine(file: Path, made: Made, tmp_path: Path) -> None:
    text = elsewhere(file, write_root(tmp_path / "root", GOOD, {"HOME": "/home/user"}), made.python, redact=True)
    head, _, _ = text.partition(f"\n{MARK}")
    lines = head.splitlines()
    assert lines[0].startswith("What gpudoctor ")
    assert lines[1].startswith("Hidden here: ")
    python = [line for line in lines if line.startswith("Python ")]
    assert [line for line in lines[3:] if line not in python] == [
        "PyTorch version: 2.7.1+cu126",
        "CUDA used to build PyTorch: 12.6",
        "ROCM used to build PyTorch: N/A",
        "OS: Ubuntu 22.04.3 LTS (x86_64)",
        "Libc version: glibc-2.35",
        "PCI 0000:00:02.0: Raptor Lake-S GT1 [UHD Graphics 770]",
        "PCI 0000:01:00.0: NVIDIA GeForce RTX 4090",
        "NVIDIA kernel module: 535.129.03",
        "NVML: NVML_ERROR_LIBRARY_NOT_FOUND",
        "failed call to cuInit: not-found",
        "",
        "Versions of relevant libraries:",
        "[pip3] torch==2.7.1+cu126",
    ]
    assert len(python) == 3


HOSTILE = b"H\x1b]0;owned\x07\x1b[2J\n```</details>\r<script>\xe2\x80\xae"


def test_hostile_names_are_text_without_control_characters(file: Path, made: Made, tmp_path: Path) -> None:
    need_compiler()
    environ = {"PATH": os.environ["PATH"], **install(tmp_path / "driver", Machine(gpus=(FakeGpu(name=HOSTILE),)))}
    text = elsewhere(file, World(environ=environ), made.python)
    assert [character for character in text if not character.isprintable() and character != "\n"] == []
    gpus = triaged(text).gpus
    assert isinstance(gpus, Gpus)
    assert gpus.gpus[0].name == HOSTILE.decode()


# --------------------------------------------------------------------------------------------------------- privacy

SECRETS = {
    "user": "annaberg",
    "host": "gpunode-berlin7",
    "token": "hf_AbCdEfGhIjKlMnOpQrStUv",
    "uuid": "5e1f7c2a-1234-4000-8000-0000000000a0",
    "mac": "3c:ec:ef:12:34:56",
    "address": "10.87.65.43",
    "mail": "anna.berg@example.org",
}


def test_nothing_private_leaves(file: Path, tmp_path: Path) -> None:
    need_compiler()
    root: dict[str, Content | None] = {
        "/dev/kmsg": (
            f"6,1,1,-;NVRM: hostname={SECRETS['host']} {SECRETS['mac']} {SECRETS['address']} {SECRETS['mail']}\n"
            f"6,2,2,-;nvidia: token={SECRETS['token']} /home/{SECRETS['user']}/x GPU-{SECRETS['uuid']}\n"
        ),
        f"/home/{SECRETS['user']}/miniconda3/lib/python3.11/site-packages/torch-2.5.0.dist-info/METADATA": "",
    }
    made = make(tmp_path / "home" / SECRETS["user"] / "env")
    install_cuda_torch(made.site)
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": f"/home/{SECRETS['user']}",
        "USER": SECRETS["user"],
        "HF_TOKEN": SECRETS["token"],
        "NCCL_SOCKET_IFNAME": SECRETS["address"],
        "NVIDIA_VISIBLE_DEVICES": f"GPU-{SECRETS['uuid']}",
        "AWS_SECRET": SECRETS["token"],
        **install(tmp_path / "driver", Machine(gpus=(FakeGpu(uuid=f"GPU-{SECRETS['uuid']}"),))),
    }
    world = write_root(tmp_path / "root", changed(GOOD, root), environ)
    text = elsewhere(file, world, made.python, redact=True)
    whole = text + encode(triaged(text)).decode()
    assert {kind for kind, secret in SECRETS.items() if secret.lower() in whole.lower()} == set()
    assert "Hidden here: " in text
    assert "nothing" not in text.splitlines()[1]


# ---------------------------------------------------------------------------------------------- damage and hostility


@pytest.fixture(scope="module")
def lost(file: Path, made: Made, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the collector prints of a machine with one GPU that answers and one that fell off the bus."""
    need_compiler()
    gone = FakeGpu(uuid="GPU-2", pci="00000000:27:00.0", faults={"nvmlDeviceGetHandleByIndex_v2": error(15)})
    environ = install(tmp_path_factory.mktemp("lost") / "driver", Machine(gpus=(FakeGpu(), gone)))
    return elsewhere(file, World(environ={"PATH": os.environ["PATH"], **environ}), made.python, redact=True)


def _quoted(text: str) -> str:
    return "".join(f"> > {line}\n" for line in text.splitlines())


def _wrapped(text: str) -> str:
    return "\n".join(line[start : start + 40] for line in text.splitlines() for start in range(0, len(line) or 1, 40))


@pytest.mark.parametrize(
    "carried",
    [
        lambda text: text.replace("\n", "\r\n"),
        _quoted,
        _wrapped,
        lambda text: "".join(f"    {line}\n" for line in text.splitlines()),
        lambda text: f"Hello,\nthis is what it printed:\n```\n{text}```\nRegards\n",
    ],
)
def test_it_survives_how_texts_travel(carried: Any, lost: str) -> None:
    assert triaged(carried(lost)) == triaged(lost)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_of_a_text_that_was_cut_the_visible_lines_are_judged_and_the_damage_is_told(share: float, lost: str) -> None:
    start = lost.index(MARK)
    found = read(lost[: start + int((len(lost) - start) * share)])
    cause = judge(found.facts).cause
    assert found.damaged
    assert cause is not None
    assert cause.rule == "gpu-lost"
    torch = found.facts.framework("torch")
    assert torch is not None
    assert torch.installed


def test_a_machine_whose_facts_were_lost_on_the_way_is_never_healthy(file: Path, tmp_path: Path) -> None:
    need_compiler()
    made = make(tmp_path / "env")
    made.install("torch", "2.9.0+cu130", files=torch_files("2.9.0+cu130", "13.0", "sm_75 sm_80 sm_90 sm_100 sm_120"))
    environ = {"PATH": os.environ["PATH"], **install(tmp_path / "driver", Machine())}
    text = elsewhere(file, World(environ=environ), made.python)
    report = triage(text[: text.index(MARK) + 500])
    assert judge(triaged(text)).status == "healthy"
    assert report.status == "undetermined"
    assert [unknown.what for unknown in report.unknown] == ["the facts of this ticket"]


def _recording(text: str) -> dict[str, Any]:
    """The JSON inside a block."""
    lines = text[text.index(MARK) :].splitlines()[1:-1]
    body = "".join(lines)
    recorded = json.loads(zlib.decompress(base64.b64decode(body + "=" * (-len(body) % 4))))
    assert isinstance(recorded, dict)
    return recorded


_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["1.0; extra == 'x'", "[" * 500, "\0\x1b[31m", "../../etc/passwd", "9" * 5000, "torch"]),
)
_VALUES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [path, *(place for key in keys for place in _places(value[key], (*path, key)))]


def _changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _changed(copy[path[0]], path[1:], new)
    return copy


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_recording_with_anything_in_it_gives_facts_or_is_refused(data: st.DataObject, lost: str) -> None:
    recorded = _recording(lost)
    for _ in range(data.draw(st.integers(1, 3))):
        places = _places(recorded)
        recorded = _changed(recorded, data.draw(st.sampled_from(places)), data.draw(_VALUES))
    try:
        facts = facts_of(json.dumps(recorded))
    except ValueError:
        return
    assert isinstance(facts, Facts)
    judge(facts)


@settings(max_examples=100, deadline=None)
@given(at=st.integers(0, 10**6), with_what=st.text(max_size=3))
def test_a_changed_block_is_never_half_right(at: int, with_what: str, lost: str) -> None:
    start = lost.index(MARK) + 40
    at = start + at % (len(lost) - start)
    found = read(lost[:at] + with_what + lost[at + 1 :])
    assert found.damaged or found.facts == triaged(lost)


def test_a_bomb_is_refused(lost: str) -> None:
    head = lost[: lost.index(MARK)]
    found = read(head + "\n".join(block(b'{"schema":"gpudoctor.collected/1","facts":"' + b" " * (64 << 20) + b'"}')))
    assert found.damaged


# --------------------------------------------------------------------------------------------------------- its length


def test_what_is_too_long_to_be_pasted_is_shortened_and_says_so(file: Path, tmp_path: Path) -> None:
    made = make(tmp_path / "env")
    noise = [f"nvidia-x{i}-{hash_(i)}; extra == '{hash_(i)}'" for i in range(3000)]
    install_cuda_torch(made.site)
    made.install("torchaudio", "2.0.0", requires=noise)
    text = elsewhere(file, write_root(tmp_path / "root", GOOD, {}), made.python)
    assert "Left out below for its length: older kernel messages, requirements of extras." in text.splitlines()
    facts = triaged(text)
    assert len(text) < 120_000
    torch = facts.framework("torch")
    assert torch is not None
    assert torch.installed


def hash_(number: int) -> str:
    """Text that does not compress."""
    import hashlib

    return hashlib.sha256(str(number).encode()).hexdigest()
