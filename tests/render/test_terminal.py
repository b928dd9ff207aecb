"""The whole report on a terminal, as a person sees it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gpudoctor.facts import Facts, Gpu, Gpus, Message
from gpudoctor.findings import Evidence, Reading, Report, Silenced
from gpudoctor.render.page import Style
from gpudoctor.render.terminal import terminal
from gpudoctor.wire import failure_report
from tests import reports

# ------------------------------------------------------------------------------------------- whole outputs


def test_a_healthy_machine_says_what_was_proved_where_and_with_what() -> None:
    assert (
        terminal(reports.healthy(), Style(width=80))
        == """\
✓ Your GPU trains. Proved with PyTorch and TensorFlow on 2 of 2 GPUs.

  Machine     Ubuntu 24.04.1 LTS, kernel 6.8.0-48-generic,      ✓ no fault found
              x86_64
  Driver      580.65.06, open kernel modules, CUDA 13.0         ✓ answers
  GPU 0, 1    H100 80GB HBM3, 9.0, 79.6 GiB, PCIe 5.0 ×16,      ✓ trains
              NVLink 18 of 18 links, each
  Python      3.12.7, /home/alice/proj/.venv (uv)               ✓ runs
  PyTorch     2.15.0+cu130, cuDNN 9.13.0, NCCL 2.28.3           ✓ trains
  TensorFlow  2.21.0, CUDA 12.5, cuDNN 9.3                      ✓ trains

  Smoke  PyTorch     ✓ GPU 0 proved: loss 2.30 → 0.05 █▆▄▂▁▁▁▁, accuracy 0.99,
                       212,000 images/s, 6.1 s
  Smoke  PyTorch     ✓ GPU 1 proved: loss 2.30 → 0.05 █▆▄▂▁▁▁▁, accuracy 0.99,
                       212,000 images/s, 6.1 s
  Smoke  TensorFlow  ✓ GPU 0 proved: loss 2.30 → 0.05 █▆▄▂▁▁▁▁, accuracy 0.99,
                       212,000 images/s, 6.1 s
  Smoke  TensorFlow  ✓ GPU 1 proved: loss 2.30 → 0.05 █▆▄▂▁▁▁▁, accuracy 0.99,
                       212,000 images/s, 6.1 s

  62 rules: 61 passed, 1 not applicable                                    9.4 s
"""
    )


def test_a_quick_look_says_no_fault_found_and_that_training_was_not_run() -> None:
    assert (
        terminal(reports.quick(), Style(width=80))
        == """\
✓ No fault found. Training was not run (--quick).

  Machine     Ubuntu 24.04.1 LTS, kernel 6.8.0-48-generic,      ✓ no fault found
              x86_64
  Driver      580.65.06, open kernel modules, CUDA 13.0         ✓ answers
  GPU 0, 1    H100 80GB HBM3, 9.0, 79.6 GiB, PCIe 5.0 ×16,      ✓ answers
              NVLink 18 of 18 links, each
  Python      3.12.7, /home/alice/proj/.venv (uv)               ✓ runs
  PyTorch     2.15.0+cu130, cuDNN 9.13.0, NCCL 2.28.3           – not imported
  TensorFlow  2.21.0, CUDA 12.5, cuDNN 9.3                      – not imported

  62 rules: 61 passed, 1 not applicable                                    0.8 s
"""
    )


def test_a_broken_machine_shows_the_cause_the_commands_and_what_else_is_wrong() -> None:
    assert (
        terminal(reports.broken(), Style(width=80))
        == """\
✗ Your GPU does not train: torch 2.5.1+cu124 has no kernels for it.
  torch-arch-unsupported

  GPU 0, NVIDIA GeForce RTX 5090, has compute capability 12.0 (NVML).
  torch 2.5.1+cu124 was compiled for 5.0 6.0 7.0 7.5 8.0 8.6 9.0
  (libtorch_python.so).

  Fix      Install a build with kernels for 12.0; driver 570.211.01 runs CUDA 12
           builds, not CUDA 13
           In /home/alice/proj/.venv (uv):
             uv pip install "torch==2.13.0" "torchvision==0.28.0" --index-url https://download.pytorch.org/whl/cu129
  Risk     Other packages may pin the old torch
  Verify   gpudoctor smoke --framework torch

  Also     ✗ TensorFlow 2.18.0 has no kernels for 12.0 and failed at compute:
           tf-arch-unsupported (likely)
  Fix      Install a newer TensorFlow
           In /home/alice/proj/.venv (uv):
             uv pip install "tensorflow[and-cuda]==2.21.0"
  Follows  ✗ The smoke job of PyTorch failed at compute: smoke-failed, because
           of torch-arch-unsupported

  Machine     Ubuntu 24.04.1 LTS, kernel                ✓ no fault found
              6.8.0-48-generic, x86_64, in Docker
  Driver      570.211.01, open kernel modules, CUDA     ✓ answers
              12.8
  GPU 0       GeForce RTX 5090, 12.0, 79.6 GiB, PCIe    ✓ answers
              5.0 ×16
  Python      3.12.7, /home/alice/proj/.venv (uv)       ✓ runs
  PyTorch     2.5.1+cu124, cuDNN 9.1.0, NCCL 2.21.5     ✗ torch-arch-unsupported
  TensorFlow  2.18.0, CUDA 12.5, cuDNN 9.3              ✗ tf-arch-unsupported
  Toolkits    12.4.1 /usr/local/cuda-12.4

  Smoke  PyTorch     ✗ GPU 0 failed at compute after 4.1 s: no kernel image is
                       available for execution on the device
  Smoke  TensorFlow  ✗ GPU 0 failed at compute after 9.7 s (signal SIGABRT):
                       CUDA_ERROR_INVALID_HANDLE

  61 rules: 56 passed, 3 errors, 1 crashed, 1 not judged (--verbose)      11.3 s
  More: gpudoctor explain torch-arch-unsupported
  Ticket: gpudoctor diagnose --ticket
"""
    )


def test_a_consequence_is_folded_under_its_cause() -> None:
    assert (
        terminal(reports.no_gpu(), Style(width=80))
        == """\
✗ There is no NVIDIA GPU in this machine.                          no-nvidia-gpu

  The PCI bus shows one display controller: Red Hat Virtio 1.0 GPU.

  Fix      Run this on a machine with an NVIDIA GPU, or attach one to this
           virtual machine
           Without a GPU the same check is: gpudoctor diagnose --allow-cpu

  Follows  – torch 2.13.0+cpu is a build without CUDA: torch-cpu-build, because
           of no-nvidia-gpu

  Machine  Ubuntu 24.04.1 LTS, kernel 6.8.0-48-generic,         ✓ no fault found
           x86_64, under kvm
  Driver   none                                                 – absent
  GPU      none by NVIDIA; on the PCI bus: Virtio 1.0 GPU       ✗ no-nvidia-gpu
  Python   3.12.7, /home/alice/proj/.venv (uv)                  ✓ runs
  PyTorch  2.13.0+cpu, CPU build                                ✓ imports

  Smoke  PyTorch  ? not run: no GPU to run on

  15 rules: 12 passed, 1 error, 1 note, 1 not applicable                   3.2 s
  More: gpudoctor explain no-nvidia-gpu
  Ticket: gpudoctor diagnose --ticket
"""
    )


def test_with_cpu_allowed_the_report_says_plainly_that_the_cpu_did_it() -> None:
    assert (
        terminal(reports.cpu_allowed(), Style(width=80))
        == """\
✓ Training works on the CPU, with PyTorch. No GPU was used.

  Seen     – There is no NVIDIA GPU in this machine: no-nvidia-gpu
  Follows  – torch 2.13.0+cpu is a build without CUDA: torch-cpu-build, because
           of no-nvidia-gpu

  Machine  Ubuntu 24.04.1 LTS, kernel 6.8.0-48-generic,      ✓ no fault found
           x86_64, under kvm
  Driver   none                                              – absent
  GPU      none by NVIDIA; on the PCI bus: Virtio 1.0 GPU    – no-nvidia-gpu
  Python   3.12.7, /home/alice/proj/.venv (uv)               ✓ runs
  PyTorch  2.13.0+cpu, CPU build                             ✓ trains on the CPU

  Smoke  PyTorch  ✓ the CPU trained, not a GPU: loss 2.30 → 0.05 █▆▄▂▁▁▁▁,
                    accuracy 0.99, 1,510 images/s, 6.1 s

  15 rules: 12 passed, 2 notes, 1 not applicable                           8.8 s
  More: gpudoctor explain no-nvidia-gpu
"""
    )


def test_what_could_not_be_judged_stands_first_and_what_would_settle_it() -> None:
    assert (
        terminal(reports.hung(), Style(width=80))
        == """\
? Not judged: the list of GPUs: NVML did not answer within 20 s (hung in
  nvmlDeviceGetHandleByIndex, GPU 3).

  Also     ? Not judged: CUDA initialisation: cuInit did not answer within 20 s.
  Settle   sudo dmesg | grep -i xid

  What was seen was judged: 17 rules passed, no fault found.

  Machine  Ubuntu 24.04.1 LTS, kernel 6.8.0-48-generic, x86_64  ✓ no fault found
  Driver   580.65.06                                            ? timed out
  GPU      not known: nvmlDeviceGetHandleByIndex, GPU 3: no     ? timed out
           answer within 20 s
  Python   3.12.7, /home/alice/proj/.venv (uv)                  ✓ runs
  PyTorch  2.15.0+cu130                                         ✓ imports

  20 rules: 17 passed, 3 not judged (--verbose)                           41.7 s
  Ticket: gpudoctor diagnose --ticket
"""
    )


def test_causes_that_cannot_be_told_apart_each_have_the_command_that_settles_it() -> None:
    assert (
        terminal(reports.candidates(), Style(width=80))
        == """\
! No fault that stops training found. Training was not run (--quick). Two causes
  are possible; what was seen does not tell them apart.

  Either   ? The driver may be in a broken state since the last suspend:
           driver-broken-state (possible)
           cuInit returned CUDA_ERROR_UNKNOWN (999).
  Settle   sudo modprobe -r nvidia_uvm && sudo modprobe nvidia_uvm

  Or       ? /dev/nvidia-uvm may not be permitted here: device-nodes-missing
           (possible)
  Settle   ls -l /dev/nvidia-uvm

  Machine     Ubuntu 24.04.1 LTS, kernel                ✓ no fault found
              6.8.0-48-generic, x86_64
  Driver      580.65.06, open kernel modules, CUDA      ! driver-broken-state +1
              13.0, cuInit: CUDA_ERROR_UNKNOWN
  GPU 0, 1    H100 80GB HBM3, 9.0, 79.6 GiB, PCIe 5.0   ✓ answers
              ×16, NVLink 18 of 18 links, each
  Python      3.12.7, /home/alice/proj/.venv (uv)       ✓ runs
  PyTorch     2.15.0+cu130, cuDNN 9.13.0, NCCL 2.28.3   – not imported
  TensorFlow  2.21.0, CUDA 12.5, cuDNN 9.3              – not imported

  42 rules: 40 passed, 2 warnings                                          0.8 s
  More: gpudoctor explain driver-broken-state
"""
    )


def test_warnings_do_not_hide_that_it_trains_and_each_shows_its_fix_once() -> None:
    assert (
        terminal(reports.warnings(), Style(width=80))
        == """\
! Your GPU trains. Proved with PyTorch and TensorFlow on 2 of 2 GPUs. 2
  warnings.

  ! GPU 1 slows down for heat at 91 °C: gpu-throttled
    Active throttle reason: HW thermal slowdown (NVML).

  Fix      Clean or speed up the fans of GPU 1
  Verify   gpudoctor diagnose --quick

  Also     ! Persistence mode is off on GPU 0: persistence-mode-off
  Fix      Turn it on
           On this machine:
             sudo nvidia-smi -pm 1
  Also     ! Persistence mode is off on GPU 1: persistence-mode-off

  Machine     Ubuntu 24.04.1 LTS, kernel                  ✓ no fault found
              6.8.0-48-generic, x86_64
  Driver      580.65.06, open kernel modules, CUDA 13.0   ✓ answers
  GPU 0       H100 80GB HBM3, 9.0, 79.6 GiB, PCIe 5.0     ! persistence-mode-off
              ×16, NVLink 18 of 18 links
  GPU 1       H100 80GB HBM3, 9.0, 79.6 GiB, PCIe 5.0     ! gpu-throttled +1
              ×16, NVLink 18 of 18 links
  Python      3.12.7, /home/alice/proj/.venv (uv)         ✓ runs
  PyTorch     2.15.0+cu130, cuDNN 9.13.0, NCCL 2.28.3     ✓ trains
  TensorFlow  2.21.0, CUDA 12.5, cuDNN 9.3                ✓ trains

  Smoke  PyTorch     ✓ GPU 0 proved: loss 2.30 → 0.05 █▆▄▂▁▁▁▁, accuracy 0.99,
                       212,000 images/s, 6.1 s
  Smoke  PyTorch     ✓ GPU 1 proved: loss 2.30 → 0.05 █▆▄▂▁▁▁▁, accuracy 0.99,
                       212,000 images/s, 6.1 s
  Smoke  TensorFlow  ✓ GPU 0 proved: loss 2.30 → 0.05 █▆▄▂▁▁▁▁, accuracy 0.99,
                       212,000 images/s, 6.1 s
  Smoke  TensorFlow  ✓ GPU 1 proved: loss 2.30 → 0.05 █▆▄▂▁▁▁▁, accuracy 0.99,
                       212,000 images/s, 6.1 s

  61 rules: 59 passed, 2 warnings                                          9.4 s
  More: gpudoctor explain gpu-throttled
"""
    )


def test_an_environment_without_frameworks_names_the_others_nearby() -> None:
    assert (
        terminal(reports.no_framework(), Style(width=80))
        == """\
✓ No fault found. No framework is installed in /home/alice/proj/.venv (uv), so
  nothing was trained.

  Nearby   /home/alice/other env: torch 2.13.0, jax 0.9.0
             gpudoctor diagnose --python '/home/alice/other env/bin/python'

  Machine     Ubuntu 24.04.1 LTS, kernel 6.8.0-48-generic,      ✓ no fault found
              x86_64
  Driver      580.65.06, open kernel modules, CUDA 13.0         ✓ answers
  GPU 0, 1    H100 80GB HBM3, 9.0, 79.6 GiB, PCIe 5.0 ×16,      ✓ answers
              NVLink 18 of 18 links, each
  Python      3.12.7, /home/alice/proj/.venv (uv)               ✓ runs
  Frameworks  none of PyTorch, TensorFlow or JAX installed      – absent

  21 rules: 20 passed, 1 not applicable                                    2.0 s
"""
    )


def test_on_a_narrow_terminal_everything_wraps_but_the_commands() -> None:
    assert (
        terminal(reports.broken(), Style(width=40))
        == """\
✗ Your GPU does not train: torch
  2.5.1+cu124 has no kernels for it.
  torch-arch-unsupported

  GPU 0, NVIDIA GeForce RTX 5090, has
  compute capability 12.0 (NVML).
  torch 2.5.1+cu124 was compiled for 5.0
  6.0 7.0 7.5 8.0 8.6 9.0
  (libtorch_python.so).

  Fix Install a build with kernels for
    12.0; driver 570.211.01 runs CUDA 12
    builds, not CUDA 13
    In /home/alice/proj/.venv (uv):
      uv pip install "torch==2.13.0" "torchvision==0.28.0" --index-url https://download.pytorch.org/whl/cu129
  Risk Other packages may pin the old
    torch
  Verify
    gpudoctor smoke --framework torch

  Also ✗ TensorFlow 2.18.0 has no
    kernels for 12.0 and failed at
    compute: tf-arch-unsupported
    (likely)
  Fix Install a newer TensorFlow
    In /home/alice/proj/.venv (uv):
      uv pip install "tensorflow[and-cuda]==2.21.0"
  Follows ✗ The smoke job of PyTorch
    failed at compute: smoke-failed,
    because of torch-arch-unsupported

  Machine ✓ no fault found: Ubuntu
    24.04.1 LTS, kernel
    6.8.0-48-generic, x86_64, in Docker
  Driver ✓ answers: 570.211.01, open
    kernel modules, CUDA 12.8
  GPU 0 ✓ answers: GeForce RTX 5090,
    12.0, 79.6 GiB, PCIe 5.0 ×16
  Python ✓ runs: 3.12.7,
    /home/alice/proj/.venv (uv)
  PyTorch ✗ torch-arch-unsupported:
    2.5.1+cu124, cuDNN 9.1.0, NCCL
    2.21.5
  TensorFlow ✗ tf-arch-unsupported:
    2.18.0, CUDA 12.5, cuDNN 9.3
  Toolkits: 12.4.1
    /usr/local/cuda-12.4

  Smoke PyTorch ✗ GPU 0 failed at
    compute after 4.1 s: no kernel image
    is available for execution on the
    device
  Smoke TensorFlow ✗ GPU 0 failed at
    compute after 9.7 s (signal
    SIGABRT): CUDA_ERROR_INVALID_HANDLE

  61 rules: 56 passed, 3 errors, 1
  crashed, 1 not judged (--verbose)
  11.3 s
  More: gpudoctor explain torch-arch-unsupported
  Ticket: gpudoctor diagnose --ticket
"""
    )


def test_an_unknown_on_a_narrow_terminal() -> None:
    assert (
        terminal(reports.hung(), Style(width=40))
        == """\
? Not judged: the list of GPUs: NVML did
  not answer within 20 s (hung in
  nvmlDeviceGetHandleByIndex, GPU 3).

  Also ? Not judged: CUDA
    initialisation: cuInit did not
    answer within 20 s.
  Settle
    sudo dmesg | grep -i xid

  What was seen was judged: 17 rules
  passed, no fault found.

  Machine ✓ no fault found: Ubuntu
    24.04.1 LTS, kernel
    6.8.0-48-generic, x86_64
  Driver ? timed out: 580.65.06
  GPU ? timed out: not known:
    nvmlDeviceGetHandleByIndex, GPU 3:
    no answer within 20 s
  Python ✓ runs: 3.12.7,
    /home/alice/proj/.venv (uv)
  PyTorch ✓ imports: 2.15.0+cu130

  20 rules: 17 passed, 3 not judged
  (--verbose)                     41.7 s
  Ticket: gpudoctor diagnose --ticket
"""
    )


def test_a_smoke_job_on_a_narrow_terminal() -> None:
    assert (
        terminal(reports.cpu_allowed(), Style(width=40))
        == """\
✓ Training works on the CPU, with
  PyTorch. No GPU was used.

  Seen – There is no NVIDIA GPU in
    this machine: no-nvidia-gpu
  Follows – torch 2.13.0+cpu is a
    build without CUDA: torch-cpu-build,
    because of no-nvidia-gpu

  Machine ✓ no fault found: Ubuntu
    24.04.1 LTS, kernel
    6.8.0-48-generic, x86_64, under kvm
  Driver – absent: none
  GPU – no-nvidia-gpu: none by NVIDIA;
    on the PCI bus: Virtio 1.0 GPU
  Python ✓ runs: 3.12.7,
    /home/alice/proj/.venv (uv)
  PyTorch ✓ trains on the CPU:
    2.13.0+cpu, CPU build

  Smoke PyTorch ✓ the CPU trained, not
    a GPU: loss 2.30 → 0.05 █▆▄▂▁▁▁▁,
    accuracy 0.99, 1,510 images/s, 6.1 s

  15 rules: 12 passed, 2 notes, 1 not
  applicable                       8.8 s
  More: gpudoctor explain no-nvidia-gpu
"""
    )


def test_an_ascii_terminal_gets_ascii_only() -> None:
    assert (
        terminal(reports.broken(), Style(width=80, unicode=False))
        == """\
FAIL Your GPU does not train: torch 2.5.1+cu124 has no kernels for it.
     torch-arch-unsupported

  GPU 0, NVIDIA GeForce RTX 5090, has compute capability 12.0 (NVML).
  torch 2.5.1+cu124 was compiled for 5.0 6.0 7.0 7.5 8.0 8.6 9.0
  (libtorch_python.so).

  Fix      Install a build with kernels for 12.0; driver 570.211.01 runs CUDA 12
           builds, not CUDA 13
           In /home/alice/proj/.venv (uv):
             uv pip install "torch==2.13.0" "torchvision==0.28.0" --index-url https://download.pytorch.org/whl/cu129
  Risk     Other packages may pin the old torch
  Verify   gpudoctor smoke --framework torch

  Also     FAIL TensorFlow 2.18.0 has no kernels for 12.0 and failed at compute:
           tf-arch-unsupported (likely)
  Fix      Install a newer TensorFlow
           In /home/alice/proj/.venv (uv):
             uv pip install "tensorflow[and-cuda]==2.21.0"
  Follows  FAIL The smoke job of PyTorch failed at compute: smoke-failed,
           because of torch-arch-unsupported

  Machine     Ubuntu 24.04.1 LTS, kernel             ok no fault found
              6.8.0-48-generic, x86_64, in Docker
  Driver      570.211.01, open kernel modules, CUDA  ok answers
              12.8
  GPU 0       GeForce RTX 5090, 12.0, 79.6 GiB,      ok answers
              PCIe 5.0 x16
  Python      3.12.7, /home/alice/proj/.venv (uv)    ok runs
  PyTorch     2.5.1+cu124, cuDNN 9.1.0, NCCL 2.21.5  FAIL torch-arch-unsupported
  TensorFlow  2.18.0, CUDA 12.5, cuDNN 9.3           FAIL tf-arch-unsupported
  Toolkits    12.4.1 /usr/local/cuda-12.4

  Smoke  PyTorch     FAIL GPU 0 failed at compute after 4.1 s: no kernel image
                          is available for execution on the device
  Smoke  TensorFlow  FAIL GPU 0 failed at compute after 9.7 s (signal SIGABRT):
                          CUDA_ERROR_INVALID_HANDLE

  61 rules: 56 passed, 3 errors, 1 crashed, 1 not judged (--verbose)      11.3 s
  More: gpudoctor explain torch-arch-unsupported
  Ticket: gpudoctor diagnose --ticket
"""
    )


def test_a_loss_curve_in_ascii() -> None:
    assert (
        terminal(reports.cpu_allowed(), Style(width=80, unicode=False))
        == """\
ok Training works on the CPU, with PyTorch. No GPU was used.

  Seen     - There is no NVIDIA GPU in this machine: no-nvidia-gpu
  Follows  - torch 2.13.0+cpu is a build without CUDA: torch-cpu-build, because
           of no-nvidia-gpu

  Machine  Ubuntu 24.04.1 LTS, kernel 6.8.0-48-generic,     ok no fault found
           x86_64, under kvm
  Driver   none                                             - absent
  GPU      none by NVIDIA; on the PCI bus: Virtio 1.0 GPU   - no-nvidia-gpu
  Python   3.12.7, /home/alice/proj/.venv (uv)              ok runs
  PyTorch  2.13.0+cpu, CPU build                            ok trains on the CPU

  Smoke  PyTorch  ok the CPU trained, not a GPU: loss 2.30 -> 0.05 #=-.....,
                     accuracy 0.99, 1,510 images/s, 6.1 s

  15 rules: 12 passed, 2 notes, 1 not applicable                           8.8 s
  More: gpudoctor explain no-nvidia-gpu
"""
    )


def test_verbose_adds_evidence_and_every_rule_with_its_reason() -> None:
    assert (
        terminal(reports.broken(), Style(width=80, verbose=True))
        == """\
✗ Your GPU does not train: torch 2.5.1+cu124 has no kernels for it.
  torch-arch-unsupported

  GPU 0, NVIDIA GeForce RTX 5090, has compute capability 12.0 (NVML).
  torch 2.5.1+cu124 was compiled for 5.0 6.0 7.0 7.5 8.0 8.6 9.0
  (libtorch_python.so).

  Fix      Install a build with kernels for 12.0; driver 570.211.01 runs CUDA 12
           builds, not CUDA 13
           In /home/alice/proj/.venv (uv):
             uv pip install "torch==2.13.0" "torchvision==0.28.0" --index-url https://download.pytorch.org/whl/cu129
  Risk     Other packages may pin the old torch
  Verify   gpudoctor smoke --framework torch

  Also     ✗ TensorFlow 2.18.0 has no kernels for 12.0 and failed at compute:
           tf-arch-unsupported (likely)
  Fix      Install a newer TensorFlow
           In /home/alice/proj/.venv (uv):
             uv pip install "tensorflow[and-cuda]==2.21.0"
  Follows  ✗ The smoke job of PyTorch failed at compute: smoke-failed, because
           of torch-arch-unsupported

  Machine     Ubuntu 24.04.1 LTS, kernel                ✓ no fault found
              6.8.0-48-generic, x86_64, in Docker
  Driver      570.211.01, open kernel modules, CUDA     ✓ answers
              12.8
  GPU 0       GeForce RTX 5090, 12.0, 79.6 GiB, PCIe    ✓ answers
              5.0 ×16
  Python      3.12.7, /home/alice/proj/.venv (uv)       ✓ runs
  PyTorch     2.5.1+cu124, cuDNN 9.1.0, NCCL 2.21.5     ✗ torch-arch-unsupported
  TensorFlow  2.18.0, CUDA 12.5, cuDNN 9.3              ✗ tf-arch-unsupported
  Toolkits    12.4.1 /usr/local/cuda-12.4

  Smoke  PyTorch     ✗ GPU 0 failed at compute after 4.1 s: no kernel image is
                       available for execution on the device
  Smoke  TensorFlow  ✗ GPU 0 failed at compute after 9.7 s (signal SIGABRT):
                       CUDA_ERROR_INVALID_HANDLE

  Evidence
    torch-arch-unsupported: torch 2.5.1+cu124 has no kernels for it
      compute capability = 12.0 (NVML)
      compiled for = 5.0 6.0 7.0 7.5 8.0 8.6 9.0 (libtorch_python.so)
    tf-arch-unsupported: TensorFlow 2.18.0 has no kernels for 12.0 and failed
      at compute
      targets = sm_60 … compute_90 (build_info.py)

  Crashed rules
    ? cuda-home-missing: judge: ValueError: not a CUDA version: 'twelve'

  Not judged
    ? gpu-throttled: KernelLog: unreadable: /dev/kmsg: Operation not permitted

  Passed
    ✓ sound-0, sound-1, sound-2, sound-3, sound-4, sound-5, sound-6, sound-7,
      sound-8, sound-9, sound-10, sound-11, sound-12, sound-13, sound-14,
      sound-15, sound-16, sound-17, sound-18, sound-19, sound-20, sound-21,
      sound-22, sound-23, sound-24, sound-25, sound-26, sound-27, sound-28,
      sound-29, sound-30, sound-31, sound-32, sound-33, sound-34, sound-35,
      sound-36, sound-37, sound-38, sound-39, sound-40, sound-41, sound-42,
      sound-43, sound-44, sound-45, sound-46, sound-47, sound-48, sound-49,
      sound-50, sound-51, sound-52, sound-53, sound-54, sound-55

  61 rules: 56 passed, 3 errors, 1 crashed, 1 not judged                  11.3 s
  More: gpudoctor explain torch-arch-unsupported
  Ticket: gpudoctor diagnose --ticket
"""
    )


def test_verbose_adds_the_evidence_of_a_smoke_job() -> None:
    assert (
        terminal(reports.cpu_allowed(), Style(width=80, verbose=True))
        == """\
✓ Training works on the CPU, with PyTorch. No GPU was used.

  Seen     – There is no NVIDIA GPU in this machine: no-nvidia-gpu
  Follows  – torch 2.13.0+cpu is a build without CUDA: torch-cpu-build, because
           of no-nvidia-gpu

  Machine  Ubuntu 24.04.1 LTS, kernel 6.8.0-48-generic,      ✓ no fault found
           x86_64, under kvm
  Driver   none                                              – absent
  GPU      none by NVIDIA; on the PCI bus: Virtio 1.0 GPU    – no-nvidia-gpu
  Python   3.12.7, /home/alice/proj/.venv (uv)               ✓ runs
  PyTorch  2.13.0+cpu, CPU build                             ✓ trains on the CPU

  Smoke  PyTorch  ✓ the CPU trained, not a GPU: loss 2.30 → 0.05 █▆▄▂▁▁▁▁,
                    accuracy 0.99, 1,510 images/s, 6.1 s

  Evidence
    no-nvidia-gpu: There is no NVIDIA GPU in this machine
      NVIDIA devices = none (/sys/bus/pci/devices)

  Evidence of the smoke job: PyTorch on the CPU
    ✓ weights changed: holds, required
    ✓ agrees with float64 on the CPU: holds, required; largest difference
      3e-07
    ? NVML process list: could not be looked at; not supported in this
      container

  Not applicable
    – gpu-lost: no smoke to look at

  Passed
    ✓ sound-0, sound-1, sound-2, sound-3, sound-4, sound-5, sound-6, sound-7,
      sound-8, sound-9, sound-10, sound-11

  15 rules: 12 passed, 2 notes, 1 not applicable                           8.8 s
  More: gpudoctor explain no-nvidia-gpu
"""
    )


def test_a_run_that_failed_is_one_sentence_without_a_traceback() -> None:
    error = RuntimeError('Traceback (most recent call last):\n  File "x.py", line 3\nOSError: disk gone')
    assert (
        terminal(failure_report(error, gpudoctor="0.1.0", created=reports.CREATED), Style())
        == """\
? Not judged: the run did not finish: RuntimeError: OSError: disk gone.

  Nothing could be judged.

  No rule was run                                                          0.0 s
  Ticket: gpudoctor diagnose --ticket
"""
    )


def test_a_pasted_text_is_named_and_what_it_does_not_show_has_no_line() -> None:
    facts = Facts(origin="paste", nvml=reports.NVML, messages=(Message(source="line 3", text="x"),))
    report = replace(reports.healthy(), source="paste", input="ticket.txt", facts=facts)
    assert (
        terminal(report, Style())
        == """\
ticket.txt:
✓ No fault found in the text.

  Driver  580.65.06  ✓ answers

  62 rules: 61 passed, 1 not applicable                                    9.4 s
"""
    )


# --------------------------------------------------------------------------------------------------- laws

_WIDTHS = (1, 24, 40, 63, 64, 80, 200)
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


def _rendered(report: Report) -> list[tuple[Style, str]]:
    styles = [
        Style(width=width, unicode=u, verbose=v) for width in _WIDTHS for u in (True, False) for v in (True, False)
    ]
    return [(style, terminal(report, style)) for style in styles]


def _commands(report: Report) -> set[str]:
    """The commands that the default view must show."""
    first = [finding for finding in report.findings if finding.because_of is None][:1]
    return {command for finding in first for fix in finding.fixes for command in fix.commands}


@pytest.mark.parametrize("make", reports.ALL, ids=lambda make: make.__name__)
def test_without_colour_there_is_no_control_character(make: Any) -> None:
    for style, text in _rendered(make()):
        assert _unprintable(text) == set()
        assert text.endswith("\n")
        if not style.unicode:
            assert text.isascii()


def _unprintable(text: str) -> set[str]:
    return {character for character in text if unicodedata.category(character)[0] == "C" and character != "\n"}


@pytest.mark.parametrize("make", reports.ALL, ids=lambda make: make.__name__)
def test_colour_adds_colour_and_changes_no_word(make: Any) -> None:
    report = make()
    coloured = terminal(report, Style(width=100, colour=True))
    plain = terminal(report, Style(width=100))
    assert "\x1b[" in coloured
    assert _ANSI.sub("", coloured) == plain


@pytest.mark.parametrize("width", [24, 40, 80, 200])
def test_a_command_is_one_line_at_every_width_and_ends_where_it_ends(width: int) -> None:
    report = reports.broken()
    (command,) = _commands(report)
    (line,) = (line for line in terminal(report, Style(width=width)).splitlines() if "torchvision" in line)
    assert line.strip() == command


@pytest.mark.parametrize(
    "make", [make for make in reports.ALL if make is not reports.hostile], ids=lambda m: m.__name__
)
@pytest.mark.parametrize("width", [40, 64, 80, 110, 200])
def test_nothing_but_a_command_is_wider_than_the_terminal(make: Any, width: int) -> None:
    report = make()
    wide = [line for line in terminal(report, Style(width=width)).splitlines() if len(line) > min(width, 110)]
    commands = _commands(report) | {"gpudoctor explain", "gpudoctor diagnose --python", "modprobe", "uv pip"}
    assert [line for line in wide if not any(command in line for command in commands)] == []


@pytest.mark.parametrize("width", [24, 40, 80, 100])
def test_an_address_stays_whole_to_be_opened_and_a_longer_word_is_broken(width: int) -> None:
    report = reports.no_gpu()
    address = f"https://docs.nvidia.com/{'long/' * 30}index.html"
    detail = f"Read ({address}) and {'x' * 150} first."
    (finding, *others) = report.findings
    text = terminal(replace(report, findings=(replace(finding, detail=detail), *others)), Style(width=width))
    assert f"({address})" in text
    assert "x" * (width - 1) not in text
    assert "x" * 150 in re.sub(r"\s", "", text)


def test_markup_is_text() -> None:
    report = reports.broken()
    gpu = replace(report.facts.known_gpus()[0], name="[red]GPU[/red] [link=x]y[/link] :smile:")
    facts = replace(report.facts, gpus=Gpus(source="NVML", gpus=(gpu,)))
    assert "[red]GPU[/red] [link=x]y[/link] :smile:" in terminal(replace(report, facts=facts), Style(width=100))


def test_a_name_longer_than_sane_is_shortened_and_keeps_both_ends() -> None:
    report = reports.broken()
    gpu = replace(report.facts.known_gpus()[0], name="begin" + "x" * 100_000 + "end")
    text = terminal(replace(report, facts=replace(report.facts, gpus=Gpus(source="NVML", gpus=(gpu,)))), Style())
    assert len(text) < 5_000
    assert "begin" in text
    assert "end" in text


def test_many_findings_of_one_rule_are_folded_until_asked_for() -> None:
    report = reports.warnings()
    many = tuple(replace(report.findings[1], title=f"Persistence mode is off on GPU {index}") for index in range(8))
    report = replace(report, findings=(report.findings[0], *many))
    folded, whole = terminal(report, Style()), terminal(report, Style(verbose=True))
    assert folded.count("Persistence mode is off") == 3
    assert "and 5 more like it: persistence-mode-off (--verbose)" in folded
    assert whole.count("Persistence mode is off") == 8


def test_what_answered_is_told_beside_the_gpu_that_did_not() -> None:
    report = reports.hung()
    gpus = (*(reports.gpu(index) for index in range(3)), Gpu(source="NVML", index=3, error="NVML_ERROR_GPU_IS_LOST"))
    text = terminal(replace(report, facts=replace(report.facts, gpus=Gpus(source="NVML", gpus=gpus))), Style(width=100))
    assert "GPUs 0–2 answered. What was seen was judged" in text
    assert re.search(r"GPU 3 +NVML_ERROR_GPU_IS_LOST +\? not judged\n", text)


@pytest.mark.parametrize("make", reports.ALL, ids=lambda make: make.__name__)
def test_only_a_job_on_a_gpu_is_called_proved(make: Any) -> None:
    report = make()
    proved = any(smoke.result == "proved" for smoke in report.smoke)
    assert ("proved" in terminal(report, Style()).lower()) == proved


def _with_text(value: Any, draw: Callable[[], str]) -> Any:
    """The same record with every open string made anew."""
    if isinstance(value, msgspec.Struct):
        open_fields = [name for name in value.__struct_fields__ if _takes_any_text(value, name)]
        return replace(value, **{name: _with_text(getattr(value, name), draw) for name in open_fields})
    if isinstance(value, tuple):
        return tuple(_with_text(item, draw) for item in value)
    return draw() if isinstance(value, str) else value


def _takes_any_text(record: msgspec.Struct, name: str) -> bool:
    value = getattr(record, name)
    if isinstance(value, tuple) and not any(isinstance(item, str) for item in value):
        return True
    probe = ("any",) if isinstance(value, tuple) else "any" if isinstance(value, str) else value
    try:
        msgspec.convert(msgspec.to_builtins(replace(record, **{name: probe})), type(record))
    except msgspec.ValidationError:
        return False
    return True


_ANY_TEXT = st.text(st.characters(codec=None), max_size=40) | st.sampled_from([reports.HOSTILE, "x" * 400, "", " "])


@settings(max_examples=40, deadline=None)
@given(st.data(), st.sampled_from(reports.ALL), st.booleans(), st.integers(20, 120))
def test_whatever_strings_a_report_holds_no_control_character_is_shown(
    texts: st.DataObject, make: Any, unicode: bool, width: int
) -> None:
    report = _with_text(make(), lambda: texts.draw(_ANY_TEXT))
    text = terminal(report, Style(width=width, unicode=unicode, verbose=True))
    assert _unprintable(text) == set()
    text.encode("utf-8" if unicode else "ascii")


def test_a_paste_is_quoted_with_its_lines_and_a_machine_is_not() -> None:
    report = replace(reports.broken(), source="paste", reading=Reading(lines=64, recognised=41, cut=True))
    evidence = (
        Evidence(fact="driver", value="470.182.03", source="line 31, compatibility matrix"),
        Evidence(fact="compiled for", value="a value of the matrix", source="compatibility matrix"),
    )
    findings = (replace(report.findings[0], evidence=evidence), *report.findings[1:])
    told = terminal(replace(report, findings=findings), Style())
    assert "\n  line 31  driver: 470.182.03\n" in told
    assert "a value of the matrix" not in told
    assert "  Read 64 lines: 41 recognised. It is too long: its middle was left out." in told
    assert "line 31" not in terminal(replace(report, source="machine", reading=None, findings=findings), Style())


def test_silenced_rules_are_named_with_the_place_that_silenced_them() -> None:
    silenced = (Silenced(rule="a-rule", by="--ignore"), Silenced(rule="b-rule", by="pyproject.toml"))
    told = terminal(replace(reports.healthy(), silenced=silenced), Style())
    assert "\n  Silenced a-rule (--ignore), b-rule (pyproject.toml)\n" in told
