"""Lists CUDA's devices, in a child process of gpudoctor's own interpreter."""

from __future__ import annotations

from gpudoctor.probes.cuda_calls import Cuda, run


def main(mark: str) -> None:
    """Tell every device, then that all are told."""

    def work(cuda: Cuda) -> None:
        cuda.tell(devices=cuda.devices())

    run(mark, work)
