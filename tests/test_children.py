"""A child can hang, crash, flood, stop or leave others behind: it ends within its limits and nothing of it stays."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from gpudoctor.children import Child, Ending, Limits, kill_all

SAY = "import json,sys\ndef say(**m):\n print('@gpudoctor ' + json.dumps(m), flush=True)\n"


def run(program: str, *, seconds: float = 60.0, idle: float | None = None) -> tuple[list[dict[str, object]], Ending]:
    limits = Limits.within(seconds, idle)
    with Child.python(sys.executable, SAY + program, environ=dict(os.environ), limits=limits) as child:
        messages = list(child.messages())
        return messages, child.ending()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


def test_messages_arrive_in_order_and_other_output_is_kept_aside() -> None:
    messages, ending = run("say(a=1)\nprint('chatter')\nsay(b=2)\nprint('last words', file=sys.stderr)")
    assert messages == [{"a": 1}, {"b": 2}]
    assert (ending.how, ending.code, set(ending.tail)) == ("exited", 0, {"chatter", "last words"})


def test_chatter_without_a_final_newline_hides_no_message() -> None:
    messages, ending = run("sys.stdout.write('no newline')\nsay(a=1)")
    assert (messages, ending.tail) == ([{"a": 1}], ("no newline",))


@pytest.mark.parametrize(
    "line", ["@gpudoctor {broken", "@gpudoctor [1]", "@gpudoctor", "@gpudoctor \\xff\\xfe", "@gpudoctor " + "[" * 99999]
)
def test_a_marked_line_that_is_no_object_is_garbage_and_no_crash(line: str) -> None:
    messages, ending = run(f"sys.stdout.buffer.write(b'{line}\\n')\nsys.stdout.flush()\nsay(after=True)")
    assert (messages, ending.how) == ([{"after": True}], "exited")


def test_a_crash_by_signal_names_the_signal() -> None:
    messages, ending = run("say(a=1)\nimport os\nos.kill(os.getpid(), 11)")
    assert (messages, ending.words) == ([{"a": 1}], "signal SIGSEGV")


def test_an_exit_code_is_kept() -> None:
    assert run("sys.exit(3)")[1].words == "exit code 3"


def test_a_silent_idle_child_is_hung_long_before_its_deadline() -> None:
    started = time.monotonic()
    messages, ending = run("say(a=1)\nimport time\ntime.sleep(600)", seconds=600, idle=1.0)
    assert (messages, ending.how) == ([{"a": 1}], "hung")
    assert time.monotonic() - started < 60
    assert ending.pid is not None
    assert gone(ending.pid)


def test_a_child_that_uses_the_processor_is_working_not_hung() -> None:
    _, ending = run("import time\nend = time.monotonic() + 3\nwhile time.monotonic() < end: pass", idle=1.0)
    assert ending.how == "exited"


def test_a_stopped_child_is_hung_and_killed() -> None:
    program = "say(a=1)\nimport os\nos.kill(os.getpid(), 19)"
    _, ending = run(program, seconds=60, idle=1.0)
    assert ending.how == "hung"
    assert ending.pid is not None
    assert gone(ending.pid)


def test_the_deadline_ends_even_a_busy_child() -> None:
    started = time.monotonic()
    _, ending = run("while True: pass", seconds=1.0)
    assert ending.how == "timed-out"
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    "flood",
    [
        "while True: sys.stdout.write('x' * 65536)",
        "while True: sys.stderr.write('line\\n' * 9999)",
        "import os\nos.execvp('yes', ['yes'])",
    ],
)
def test_endless_output_ends_in_bounded_memory_and_long_before_the_deadline(flood: str) -> None:
    _, ending = run(flood, seconds=300)
    assert ending.seconds < 150
    assert ending.how == "flooded"
    assert sum(map(len, ending.tail)) < 1 << 20


def test_what_the_child_started_dies_with_it() -> None:
    program = (
        "import subprocess\np = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "say(pid=p.pid)\nimport time\ntime.sleep(60)"
    )
    messages, _ = run(program, seconds=60, idle=1.0)
    (message,) = messages
    assert isinstance(message["pid"], int)
    assert gone(message["pid"])


def test_a_grandchild_that_holds_the_pipes_does_not_hold_us() -> None:
    program = "import subprocess\np = subprocess.Popen(['sleep', '60'], start_new_session=True)\nsay(pid=p.pid)"
    started = time.monotonic()
    messages, ending = run(program, seconds=60)
    pid = messages[0]["pid"]
    assert isinstance(pid, int)
    os.kill(pid, signal.SIGKILL)
    assert ending.how == "exited"
    assert time.monotonic() - started < 40  # the other one sleeps for 60


def test_a_program_that_cannot_be_started_is_an_ending() -> None:
    with Child(["/nonexistent/python"], environ={}, limits=Limits.within(5)) as child:
        assert list(child.messages()) == []
        assert child.ending().words == "not started: No such file or directory"


def test_instructions_sent_at_once_arrive_after_the_program() -> None:
    program = SAY + "say(got=json.loads(sys.stdin.readline()))"
    limits = Limits.within(60)
    with Child.python(sys.executable, program, environ=dict(os.environ), limits=limits, listens=True) as child:
        child.send({"go": 1})
        assert list(child.messages()) == [{"got": {"go": 1}}]


def test_a_child_that_gets_no_instructions_sees_the_end_of_its_input() -> None:
    assert run("say(rest=sys.stdin.read())")[0] == [{"rest": ""}]


def test_kill_all_ends_what_still_runs() -> None:
    program = SAY + "import time\nsay(up=1)\ntime.sleep(60)"
    with Child.python(sys.executable, program, environ=dict(os.environ), limits=Limits.within(60)) as child:
        assert next(iter(child.messages())) == {"up": 1}
        kill_all()
        assert child.pid is not None
        assert gone(child.pid)


def test_no_descriptor_stays_open_while_the_child_is_remembered() -> None:
    before = set(os.listdir("/proc/self/fd"))
    with Child.python(
        sys.executable, SAY + "say(a=1)", environ=dict(os.environ), limits=Limits.within(60), listens=True
    ) as child:
        assert list(child.messages()) == [{"a": 1}]
        assert child.ending().how == "exited"
    assert set(os.listdir("/proc/self/fd")) <= before


def test_where_no_thread_can_be_started_there_is_no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    children = set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())
    monkeypatch.setattr(threading.Thread, "start", refused)
    messages, ending = run("say(a=1)")
    assert (messages, ending.how, ending.detail) == ([], "not-started", "can't start new thread")
    assert set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()) <= children
