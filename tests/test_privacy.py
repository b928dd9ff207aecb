"""What must not leave the machine does not, whatever string it hides in; what a reader needs stays."""

from __future__ import annotations

import contextlib
import os
import shlex
import string
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gpudoctor.facts import (
    Environment,
    Facts,
    Gpu,
    GpuProcess,
    GpuProcesses,
    Gpus,
    KernelLog,
    Message,
    MigInstance,
    MigInstances,
    OtherEnvironment,
    OtherEnvironments,
    Package,
    Packages,
    XidEvent,
    decode,
    encode,
)
from gpudoctor.findings import About, Fix, Report, Unknown
from gpudoctor.privacy import Identity, redact, redact_report, secretive, shell_home
from tests import reports

ALICE = Identity(user="alice", host="gpu-box-17", home="/home/alice")

SECRETS = {
    "Hugging Face token": ("hf_aBcDeFgHiJkLmNoPqRsTuVwXyZ012345", "aBcDeFgHiJkLmNoPqRsTuVwXyZ012345"),
    "GitHub token": ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", "16C7e42F292c6912E7710c838347Ae178B4a"),
    "fine-grained token": ("github_pat_11ABCDEFG0_abcdefghijkl", "abcdefghijkl"),
    "GitLab token": ("glpat-ABCdef123456ghiJKL78", "ABCdef123456ghiJKL78"),
    "API key": ("sk-proj-Zx81kLmNoPq72RsTuVw", "Zx81kLmNoPq72RsTuVw"),
    "AWS key id": ("AKIAIOSFODNN7EXAMPLE", "IOSFODNN7EXAMPLE"),
    "AWS secret": ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "wJalrXUtnFEMI"),
    "JWT": ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P", "dozjgNryP4J3"),
    "NGC key": ("nvapi-AbCdEfGh-IjKlMnOp_QrStUv", "IjKlMnOp"),
    "index credentials": ("https://bob:s3cr3tpw@pypi.corp.example/simple", "s3cr3tpw"),
    "private host": ("--index-url https://wheels.intern.example:8443/t0p/simple", "intern.example"),
    "credentials of a public host": ("git+https://oauth2:tok3nvalue@github.com/some/repo", "tok3nvalue"),
    "password option": ("mysql --password hunter2horse", "hunter2horse"),
    "nested name": ("config: retry: password=hunter3horse", "hunter3horse"),
    "JSON field": ('{"api_key": "my key with blanks"}', "key with blanks"),
    "bearer": ("Authorization: Bearer abcdef123456.ghijkl", "abcdef123456"),
    "query": ("https://download.pytorch.org/x?token=q1w2e3r4t5z6", "q1w2e3r4t5z6"),
    "private key": (
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----",
        "b3Blbn",
    ),
    "long hex": ("id 3f8a2b1c9d0e4f5a6b7c8d9e0f1a2b3c4d5e6f70", "3f8a2b1c9d0e"),
    "long base64": ("Zm9vYmFyQmF6UXV4MTIzNDU2Nzg5MEFCQ0RFRkdISUpLTE1OT1A=", "Zm9vYmFyQmF6"),
    "e-mail": ("mail alice.liddell@wonder.example", "liddell"),
    "login": ("ssh carroll@oxford-login", "carroll"),
    "IPv4": ("tcp://192.168.17.23:29500", "192.168.17"),
    "bare IPv4": ("peer 10.20.30.40 refused", "10.20.30.40"),
    "IPv6": ("listening on fe80::1ff:fe23:4567:890a", "1ff:fe23"),
    "MAC": ("eth0 02:42:ac:11:00:02", "02:42:ac"),
    "cloud host": ("node ip-172-31-5-9.ec2.internal", "172-31-5-9"),
    "GPU UUID": ("GPU-5f3c9a1e-1234-5678-9abc-def012345678", "5f3c9a1e"),
    "short GPU UUID": ("CUDA_VISIBLE_DEVICES=GPU-7d4e21ab", "7d4e21ab"),
    "MIG UUID": ("MIG-11111111-2222-3333-4444-5555555555ab", "5555555555ab"),
    "old MIG UUID": ("MIG-GPU-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee/1/0", "eeeeeeeeeeee"),
    "serial number": ("Serial Number : 1324621012345", "1324621012345"),
    "home": ("/home/alice/proj/train.py", "alice"),
    "another's home": ("/home/dodgson/data", "dodgson"),
    "home after an option": ("-L/home/dodgson/lib", "dodgson"),
    "mounted home": ("/gpfs/users/dodgson/data", "dodgson"),
    "home on Windows": (r"C:\Users\Lewis Carroll\venv", "Carroll"),
    "Windows home in WSL": ("/mnt/c/Users/dodgson/venv", "dodgson"),
    "home in a file URL": ("file:///home/dodgson/wheels", "dodgson"),
    "network home folder": (r"\\\\filer-07\\homes\\x", "filer-07"),
    "prompt of a container": ("root@3f2a9c81d0e4:/workspace# nvidia-smi", "3f2a9c81d0e4"),
    "user in a listing": ("uid=1000(dormouse) gid=1000(dormouse) groups=27(sudo)", "dormouse"),
    "user in a variable": ("SUDO_USER=dormouse", "dormouse"),
    "address of the first node": ("MASTER_ADDR=tweedledee-12", "tweedledee"),
    "option of a container": ("docker run -e DB_SETTING=walrus77 --gpus all x", "walrus77"),
    "quoted option of a container": ("docker run --env 'NOTE'=x -e NOTE='the carpenter' x", "carpenter"),
    "secret option of a container": ("docker run --env HF_TOKEN=oyster123 x", "oyster123"),
    "Windows account": ("S-1-5-21-3623811015-3361044348-30300820-1013", "3623811015"),
    "key's fingerprint": ("SHA256:Jx8kUQ5vT3aZ9mN1pR7sW2yB4cD6eF0gH8iK5lM3nO1", "Jx8kUQ5vT3aZ"),
    "serial number in XML": ("<serial>1324621054321</serial>", "1324621054321"),
    "Slack webhook": ("https://hooks.slack.com/services/T00/B00/XyZ123abc", "XyZ123abc"),
    "database": ("postgresql://queen:h3arts@db.wonder.example:5432/cards", "h3arts"),
    "cookie": ("Cookie: session=mockturtle99", "mockturtle99"),
    "connection string": ("AccountKey=gryphonGRYPHON12==;EndpointSuffix=x", "gryphonGRYPHON12"),
    "e-mail in angle brackets": ("Cheshire <cat@wonder.example>", "cat@wonder"),
    "IPv6 with a zone": ("peer fe80::42:acff:fe11:2%eth0", "acff:fe11"),
    "network": ("route 172.16.45.0/24 via 172.16.45.1", "172.16.45"),
    "MAC with hyphens": ("02-42-AC-11-00-03", "AC-11-00"),
    "user name alone": ("owner Alice, group users", "lice"),
    "netrc": ("machine github.com login ann password walrusNetrc", "walrusNetrc"),
    "curl's user": ("curl -s -u 'ann:carpenterCurl' https://x.example", "carpenterCurl"),
    "mysql's password": ("mysql -u root -pOysterSql db", "OysterSql"),
    "sshpass": ("sshpass -p 'dormouse Pass' ssh x", "dormouse Pass"),
    "registry login": ("docker login -u ann -p jabberPw registry.example", "jabberPw"),
    "key of a service": ("python train.py --wandb-key snarkKey", "snarkKey"),
    "serial number with a hyphen": ("Chassis Serial Number: SN-99887766", "99887766"),
    "address of a peer": ("connect() timed out, addr=[bandersnatch-9.corp.example]:29500", "bandersnatch"),
    "host name": ("Nov 21 09:00:00 gpu-box-17 kernel: NVRM: Xid", "gpu-box"),
}


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def _message(text: str) -> Facts:
    return Facts(messages=(Message(source="line 1", text=text),))


def _text(facts: Facts) -> str:
    return facts.messages[0].text


def _redacted(text: str, identity: Identity = ALICE) -> str:
    return _text(redact(_message(text), identity)[0])


# ------------------------------------------------------------------------------------------------ hidden


@pytest.mark.parametrize("said", ["at api_key='00000000000A", "at api_key='00000000000A' x"])
def test_a_secret_in_quotes_stays_hidden_in_a_word_that_a_shell_quotes(said: str) -> None:
    message = Message(source="line 1", text=f"ran {shlex.quote(said)}")
    shown = redact(Facts(gpudoctor="1", messages=(message,)))[0].messages[0].text
    assert shlex.split(shown) == ["ran", said.replace("00000000000A", "hidden-secret")]


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_is_hidden_in_any_text(kind: str) -> None:
    planted, telling = SECRETS[kind]
    facts, hidden = redact(_message(f"before {planted} after"), ALICE)
    assert telling not in _text(facts)
    assert _text(facts).startswith("before ")
    assert _text(facts).endswith(" after") or kind in ("private key",)
    assert sum(hidden.values()) >= 1


def _everywhere(value: Any, plant: str) -> Any:
    """The same value with the text appended to every string that its type lets be any text."""
    if isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            planted = replace(value, **{name: _everywhere(getattr(value, name), plant)})
            with contextlib.suppress(msgspec.ValidationError):
                value = msgspec.convert(msgspec.to_builtins(planted), type(value))
        return value
    if isinstance(value, dict):
        return {key: _everywhere(item, plant) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_everywhere(item, plant) for item in value)
    return f"{value} {plant}" if isinstance(value, str) else value


def _full_facts() -> Facts:
    """Facts in which nearly every kind of record occurs."""
    facts = reports.broken().facts
    processes = GpuProcesses(source="NVML", processes=(GpuProcess(pid=1, name="train"),))
    mig = MigInstances(source="NVML", instances=(MigInstance(uuid="m", name="1g.10gb"),))
    gpu = replace(facts.known_gpus()[0], processes=processes, mig=mig)
    return replace(
        facts,
        gpus=Gpus(source="NVML", gpus=(gpu,)),
        environment=Environment(source="environ", variables={"LD_LIBRARY_PATH": "/x", "SOME_NAME": "y"}),
        kernel_log=KernelLog(source="dmesg", xids=(XidEvent(xid=79, pci=None, text="fell off"),), lines=("NVRM",)),
        packages=Packages(source="m", packages=(Package(name="torch", version="2.5.1", location="/x"),)),
        other_environments=OtherEnvironments(
            source="s", environments=(OtherEnvironment(path="/y", frameworks={"torch": "2"}),)
        ),
        messages=(Message(source="line 1", text="oops"),),
    )


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_planted_in_every_string_of_the_facts_is_found_in_none(kind: str) -> None:
    planted, telling = SECRETS[kind]
    facts = _everywhere(_full_facts(), planted)
    assert sum(telling in text for text in _strings(msgspec.to_builtins(facts))) > 70
    clean, _ = redact(facts, ALICE)
    assert [text for text in _strings(msgspec.to_builtins(clean)) if telling in text] == []


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_planted_in_every_string_of_a_report_is_found_in_none(kind: str) -> None:
    planted, telling = SECRETS[kind]
    report = replace(reports.broken(), facts=_full_facts())
    findings = tuple(_everywhere(finding, planted) for finding in report.findings)
    planted_report = replace(
        report,
        facts=_everywhere(report.facts, planted),
        findings=tuple(replace(finding, rule="r", because_of=None, about=About()) for finding in findings),
        unknown=(Unknown(what=planted, why=planted, settled_by=(planted,)),),
    )
    clean = msgspec.to_builtins(redact_report(planted_report, ALICE))
    assert [text for text in _strings(clean) if telling in text] == []


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(sorted(SECRETS)),
    before=st.text(alphabet=string.ascii_letters + string.digits + " .,;()[]{}<>|", max_size=30),
    after=st.text(alphabet=string.ascii_letters + " .,;()[]<>|", max_size=30),
)
def test_a_secret_is_hidden_whatever_stands_around_it(kind: str, before: str, after: str) -> None:
    planted, telling = SECRETS[kind]
    assert telling not in _redacted(f"{before} {planted} {after}")


def test_values_of_variables_outside_the_allowed_list_are_hidden_and_secret_names_always() -> None:
    variables = {
        "CUDA_VISIBLE_DEVICES": "0,1",
        "LD_LIBRARY_PATH": "/home/alice/lib:/usr/lib",
        "NVIDIA_API_KEY": "short",
        "MY_SETTING": "private matter",
        "TF_CONFIG": '{"cluster": {"worker": ["10.0.0.7:2222"]}}',
    }
    facts, hidden = redact(Facts(environment=Environment(source="environ", variables=variables)), ALICE)
    assert isinstance(facts.environment, Environment)
    assert facts.environment.variables == {
        "CUDA_VISIBLE_DEVICES": "0,1",
        "LD_LIBRARY_PATH": "~/lib:/usr/lib",
        "NVIDIA_API_KEY": "hidden-secret",
        "MY_SETTING": "hidden-value",
        "TF_CONFIG": "hidden-value",
    }
    assert hidden == {"home-folder": 1, "secret": 1, "variable": 2}


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("python3.12", "python3.12"),
        ("/usr/lib/xorg/Xorg", "Xorg"),
        ("/srv/carroll/snark --hunt boojum", "hidden-program"),
    ],
)
def test_of_other_programs_only_what_everybody_runs_keeps_its_name(name: str, shown: str) -> None:
    gpu = Gpu(
        source="NVML",
        index=0,
        processes=GpuProcesses(source="NVML", processes=(GpuProcess(pid=7, name=name),)),
    )
    facts = replace(_message(f"held by {name}, 2 GiB"), gpus=Gpus(source="NVML", gpus=(gpu,)))
    clean, _ = redact(facts)
    (process,) = clean.known_gpus()[0].processes.processes  # type: ignore[union-attr]
    assert process.name == shown
    assert _text(clean) == f"held by {shown}, 2 GiB"


@pytest.mark.parametrize("name", ["HF_TOKEN", "--api-key", "dbPassword", "access_key", "PGPASS_PASS", "authToken"])
def test_secret_names(name: str) -> None:
    assert secretive(name)


@pytest.mark.parametrize("name", ["PWD", "tokenizers", "author", "KEY", "CUDA_CACHE_PATH", "keyboard", "passed"])
def test_names_that_only_resemble_secret_names(name: str) -> None:
    assert not secretive(name)


# -------------------------------------------------------------------------------------------------- kept


@pytest.mark.parametrize(
    "text",
    [
        "nvidia-cublas-cu12==12.1.3.1 is not nvidia-cublas-cu12==12.4.5.8",
        "libcudnn.so.9.1.0.70: cannot open shared object file",
        "undefined symbol: _ZN3c104cuda20CUDACachingAllocator9allocatorE, version libtorch_cuda.so",
        "_ZN2at4_ops5zeros4callEN3c108ArrayRefINS2_6SymIntEEENS2_8optionalINS2_10ScalarTypeEEENS6_INS2_6LayoutEEE",
        "NVRM: Xid (PCI:0000:17:00): 79, pid=1234, GPU has fallen off the bus.",
        "00000000:01:00.0",
        "tokenizers: 0.21.0, tensorflow 2.18.0",
        "c10::Error at std::vector, at::native::conv",
        "http://localhost:8888 and 127.0.0.1",
        "--index-url https://download.pytorch.org/whl/cu129",
        "torch@https://download.pytorch.org/whl/cpu/torch-2.5.1.whl",
        "2026-11-21T09:00:00Z",
        "GPU-accelerated, GPU-bound",
        "PATH=/usr/local/cuda/bin:/usr/bin",
        "driver 580.65.06 and 535.104.05, vBIOS 96.02.26.00.01",
        "CUDA toolkit 12.4.127.1 was found",
        "nvidia-cuda-runtime-cu12 12.4.127.1, nvidia-curand-cu12 10.3.5.147",
        "libcublas 12.4.5.8 and libcurand: 10.3.5.147",
        "cuDNN version: 9.1.0.70 or 9.2.0.82",
        "version 1.2.3.4, release 4.3.2.1, v1.2.3.4",
        "kernel 5.15.167.4-microsoft-standard-WSL2, WSL version: 2.2.4.0, WSL 2.2.4.0",
        "Windows build 10.0.22631.3880, driver 32.0.15.6636",
        "max_tokens=512, num_batched_tokens: 8192",
        "PCI:0000:17:00.0, 0000:65:00.0, 10de:2204, pci@0000:01:00.0",
        "/usr/lib/x86_64-linux-gnu/libcuda.so.580.65.06",
        "/opt/conda/lib/python3.12/site-packages/torch/lib/libtorch_cuda.so",
        "C:\\Windows\\System32\\nvcuda.dll",
        "\\\\wsl.localhost\\Ubuntu and \\\\?\\C:\\x",
        "c10::add, at::add, ::cuda",
        "docker run -e NVIDIA_VISIBLE_DEVICES=all -e CUDA_VISIBLE_DEVICES=0 nvidia/cuda:12.4.1-base-ubuntu22.04",
        "sm_90, compute_90a, 9.0+PTX",
        "2.6.0a0+ecf3bae40a.nv25.01",
        "module verification failed: signature and/or required key missing - tainting kernel",
        "CUDA error: device-side assert triggered",
    ],
)
def test_what_a_reader_needs_stays(text: str) -> None:
    facts, hidden = redact(_message(text))
    assert (_text(facts), hidden) == (text, {})


def test_a_four_part_version_of_a_package_is_no_address() -> None:
    package = Package(name="nvidia-cudnn-cu12", version="9.1.0.70", location="/x")
    facts = replace(
        _message("cuDNN 9.1.0.70 was loaded, from 10.1.0.70"), packages=Packages(source="m", packages=(package,))
    )
    clean, _ = redact(facts)
    assert clean.packages == facts.packages
    assert _text(clean) == "cuDNN 9.1.0.70 was loaded, from hidden-address"


def test_a_home_folder_becomes_a_tilde_and_another_persons_stays_apart() -> None:
    text = "/home/alice/.venv and /home/bob/.venv and /home/carol/x, as bob said"
    assert _redacted(text) == "~/.venv and /home/user2/.venv and /home/user3/x, as user2 said"


def test_without_an_identity_the_home_mentioned_most_is_the_own_one() -> None:
    text = "/home/eve/a, /home/bob/b, /home/bob/c"
    assert _redacted(text, Identity()) == "/home/user2/a, ~/b, ~/c"


def test_a_user_under_a_label_of_a_line_of_its_own_is_hidden_everywhere() -> None:
    assert _redacted("Job 17\n  User: tweedledum\nowner tweedledum, User: root") == (
        "Job 17\n  User: user2\nowner user2, User: root"
    )


def test_a_user_name_that_a_report_needs_is_not_replaced_everywhere() -> None:
    text = "/home/nvidia/x: nvidia driver 580"
    assert _redacted(text, Identity(user="nvidia", home="/home/nvidia")) == "~/x: nvidia driver 580"


def test_a_gpu_keeps_one_label_in_the_order_of_the_gpus() -> None:
    gpus = Gpus(source="NVML", gpus=tuple(reports.gpu(index) for index in (0, 1)))
    second, first = (gpus.gpus[index].uuid or "" for index in (1, 0))
    text = f"{second} then {first.upper()[4:]} then {second[:12]} then MIG-{first}/3/0"
    clean, _ = redact(replace(_message(text), gpus=gpus))
    assert [gpu.uuid for gpu in clean.known_gpus()] == ["GPU-a01", "GPU-a02"]
    assert _text(clean) == "GPU-a02 then GPU-a01 then GPU-a02 then MIG-GPU-a01/3/0"


def test_names_that_scripts_rely_on_and_the_given_input_stay() -> None:
    report = replace(reports.broken(), input="/home/alice/tickets/alice.txt")
    clean = redact_report(report, Identity(user="torch-arch", host="smoke-failed", home="/home/alice"))
    assert clean.input == report.input
    assert clean.cause is not None
    assert clean.cause.rule == "torch-arch-unsupported"
    assert [finding.rule for finding in clean.findings] == [finding.rule for finding in report.findings]
    assert [finding.because_of for finding in clean.findings] == [finding.because_of for finding in report.findings]
    assert clean.outcomes == report.outcomes
    assert [finding.about for finding in clean.findings] == [finding.about for finding in report.findings]


def test_nothing_to_hide_changes_nothing() -> None:
    facts = Facts(system=reports.SYSTEM, nvml=reports.NVML, cuda=reports.CUDA)
    assert redact(facts, ALICE) == (facts, {})


@pytest.mark.parametrize("make", reports.ALL, ids=lambda make: make.__name__)
def test_redacting_twice_changes_nothing_more(make: Callable[[], Report]) -> None:
    once = redact_report(make(), ALICE)
    assert redact_report(once, ALICE) == once
    assert redact_report(once) == once
    assert redact(once.facts) == (once.facts, {})


@pytest.mark.parametrize("kind", SECRETS)
def test_redacting_a_secret_twice_changes_nothing_more(kind: str) -> None:
    once = _redacted(f"before {SECRETS[kind][0]} after")
    assert _redacted(once) == once
    assert redact(_message(once), Identity()) == (_message(once), {})


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=80) | st.text(alphabet="ab/@:=.-0123456789 '\"\\~homeusr_tkn", max_size=60))
def test_any_text_can_be_redacted_and_saved_and_read_again(text: str) -> None:
    facts, _ = redact(_message(text), ALICE)
    if text.isprintable():
        assert decode(encode(facts)) == facts


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(sorted(value for value, _ in SECRETS.values())), max_size=4), st.text(max_size=10))
def test_redaction_of_any_mixture_is_stable(planted: list[str], between: str) -> None:
    once, _ = redact(_message(f" {between} ".join(planted)), ALICE)
    assert redact(once, ALICE)[1] == {}


# ---------------------------------------------------------------------------------------------- commands


def _report_with(*commands: str) -> Report:
    report = reports.broken()
    fix = Fix(title="do it", commands=commands, verify=commands[0])
    return replace(report, findings=(replace(report.findings[0], fixes=(fix,)), *report.findings[1:]))


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("/home/alice/.venv/bin/pip install x", "~/.venv/bin/pip install x"),
        ("ls /home/alice", "ls ~"),
        ("'/home/alice/my env/bin/pip' install x", "\"$HOME\"'/my env/bin/pip' install x"),
        ("echo 'in /home/alice/x'", "echo 'in '\"$HOME\"'/x'"),
        ('"/home/alice/my env/bin/pip" install x', '"$HOME/my env/bin/pip" install x'),
        ("pip --target=/home/alice/x y", 'pip --target="$HOME"/x y'),
        ("gcc -L/home/alice/lib x.c", 'gcc -L"$HOME"/lib x.c'),
        ("echo /home/alice2/x /home/alice.old", "echo /home/user2/x /home/user3"),
        ("cd /home/alice;ls /home/alice/x", "cd ~;ls ~/x"),
    ],
)
def test_a_home_folder_in_a_command_stays_one_for_the_shell(command: str, shown: str) -> None:
    clean = redact_report(_report_with(command), ALICE)
    assert clean.findings[0].fixes[0].commands == (shown,)
    assert clean.findings[0].fixes[0].verify == shown


def test_a_windows_home_in_a_command_becomes_powershells_variable() -> None:
    home = r"C:\Users\alice"
    clean = redact_report(_report_with(rf'& "{home}\venv\Scripts\python.exe" -m pip'), Identity(home=home))
    assert clean.findings[0].fixes[0].commands == (r'& "$HOME\venv\Scripts\python.exe" -m pip',)


_PART = st.text(alphabet="ab /'\"$\\*;~=-", max_size=8)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(_PART, st.sampled_from(["bare", "shlex", "double"])), min_size=1, max_size=4))
def test_a_shell_reads_the_same_words_from_the_redacted_command(parts: list[tuple[str, str]]) -> None:
    home = "/home/alice"
    words = []
    for part, how in parts:
        if how == "double":
            inner = f"{home}/{part}".replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
            words.append(f'"{inner}"')
        else:
            words.append(shlex.quote(f"{home}/{part}") if how == "shlex" else f"{home}/plain")
    command = f"printf '%s\\n' {' '.join(words)}"
    environment = {"HOME": home, "PATH": os.defpath}
    before, after = (
        subprocess.run(["/bin/sh", "-c", text], env=environment, capture_output=True, check=True).stdout
        for text in (command, shell_home(command, home))
    )
    assert before == after
    assert home not in shell_home(command, home)


def test_credentials_in_a_command_are_hidden_and_public_addresses_stay() -> None:
    command = "pip install torch --index-url https://bob:pw12345@download.pytorch.org/whl/cu129"
    clean = redact_report(_report_with(command), ALICE)
    assert clean.findings[0].fixes[0].commands == (
        "pip install torch --index-url https://download.pytorch.org/whl/cu129",
    )
