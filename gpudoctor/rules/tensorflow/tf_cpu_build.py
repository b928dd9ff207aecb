"""The installed TensorFlow is a CPU-only build.

## What it means
This package was built without CUDA, so `tf.config.list_physical_devices('GPU')` is empty whatever the driver does.

## Why it happens
`tensorflow-cpu` (or tensorflow-intel, or conda's mkl or eigen variant) was installed, by name or as a dependency;
on Windows and on ARM the package index has CPU builds only.

## How to fix
Remove the CPU package and install `tensorflow[and-cuda]`, on Linux or in WSL 2.

## How it is detected
`is_cuda_build` in `tensorflow/python/platform/build_info.py`, read as text, and the name of the distribution.

## Sources
- https://www.tensorflow.org/install/pip
"""

from __future__ import annotations

from gpudoctor.engine import Rule
from gpudoctor.rules._cpu_build import cpu_build_beside_gpu

RULE = Rule(frameworks=("tensorflow",), masks=("smoke-ran-on-cpu", "tf-cuda-libs-missing"), without_gpu="absent")
RULE.detector(cpu_build_beside_gpu)
