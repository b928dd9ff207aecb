"""Looks at the free memory of one GPU again and again, in a child process of gpudoctor's own interpreter."""

from __future__ import annotations

import sys
from typing import Any

from gpudoctor.probes.cuda_calls import Cuda, run


def main(mark: str, wanted: dict[str, Any]) -> None:
    """Make a context on the wanted device, then answer each line of standard input with what is free, until its end."""

    def work(cuda: Cuda) -> None:
        device = cuda.find(wanted)
        if cuda.for_one_process(device):
            cuda.tell(error="the GPU's compute mode allows one process", where="cuDeviceGetAttribute")
            return
        cuda.open(device)
        cuda.memory()
        cuda.tell(ready=True)
        for _ in iter(sys.stdin.readline, ""):
            free, total = cuda.memory()
            cuda.tell(free=free, total=total)

    run(mark, work)
