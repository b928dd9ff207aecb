"""The installed JAX has no CUDA plugin, so it computes on the CPU.

## What it means
`jaxlib` alone runs on the CPU. The GPU comes with the packages jax-cudaXX-plugin and jax-cudaXX-pjrt (before
0.4.31: with a jaxlib whose version ends in +cudaXX), and none is installed.

## Why it happens
`pip install jax` without an extra.

## How to fix
Install `jax[cuda13]`, or `jax[cuda12]` for a driver of CUDA 12.

## How it is detected
The installed distributions of the environment under test.

## Sources
- https://docs.jax.dev/en/latest/installation.html
"""

from __future__ import annotations

from gpudoctor.engine import Rule
from gpudoctor.rules._cpu_build import cpu_build_beside_gpu

RULE = Rule(frameworks=("jax",), masks=("smoke-ran-on-cpu",), without_gpu="absent")
RULE.detector(cpu_build_beside_gpu)
