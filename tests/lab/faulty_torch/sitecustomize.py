"""Faults for the real torch.distributed: ``COLLECTIVE_FAULT=all_gather:1:hang`` breaks that function in process 1.

Several functions are joined by commas. Python imports this at its start where the folder is on PYTHONPATH. Only
processes of a job are touched.
"""

import importlib
import mmap
import os
import signal
import subprocess
import time
from typing import Any


def _break(function: str, fault: str) -> None:
    distributed = importlib.import_module("torch.distributed")
    right = getattr(distributed, function)

    def broken(*arguments: Any, **named: Any) -> Any:
        first = arguments[0]
        if getattr(first, "numel", lambda: 2)() == 1:  # the exchanges before and after the checks
            return right(*arguments, **named)
        if fault == "wrong":
            result = right(*arguments, **named)
            tensor = first[0] if isinstance(first, list) else first
            tensor[len(tensor) // 2] += 1
            return result
        _fail(fault)
        return right(*arguments, **named)

    setattr(distributed, function, broken)


def _fail(fault: str) -> None:
    if fault in ("crash", "stop"):
        os.kill(os.getpid(), signal.SIGSEGV if fault == "crash" else signal.SIGSTOP)
    elif fault == "exit":
        os._exit(3)
    elif fault == "raise":
        raise RuntimeError("the cable is broken\nLast error: nobody plugged it in")
    elif fault == "print-and-abort":
        os.write(2, b"node1:1:1 [0] misc/socket.cc:1 NCCL WARN the cable is broken\n")
        os.abort()
    elif fault == "leave-child-and-hang":
        _map("/dev/shm/nccl-" + os.environ["GPUDOCTOR_TEST"])
        subprocess.Popen(["/bin/sleep", "600"], start_new_session=True)
        time.sleep(600)
    elif fault == "hang":
        time.sleep(600)


def _map(path: str) -> None:
    """Shared memory as NCCL has it while it connects: mapped, and a file that it would remove later."""
    with open(path, "wb+") as file:
        file.truncate(4096)
        _kept.append(mmap.mmap(file.fileno(), 4096))


_kept: list[mmap.mmap] = []

if "RANK" in os.environ and "COLLECTIVE_FAULT" in os.environ:
    _functions, _rank, _fault = os.environ["COLLECTIVE_FAULT"].split(":")
    if os.environ["RANK"] == _rank:
        for _function in _functions.split(","):
            _break(_function, _fault)
