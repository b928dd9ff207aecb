"""The rules, by subject. One file holds one rule; the folder listing is the table of contents.

The order below is the order of causes: what lies deeper in the machine comes first, so that of two findings that
explain neither one another the deeper one is named first.
"""

from __future__ import annotations

import importlib
import inspect
from functools import cache

from gpudoctor.engine import Rule

GROUPS: dict[str, tuple[str, ...]] = {
    "driver": (
        "macos-no-cuda",
        "no-nvidia-gpu",
        "other-accelerator",
        "bios-resource-limit",
        "vm-passthrough-blocked",
        "gpu-lost",
        "gpu-hardware-fault",
        "gpu-firmware-outdated",
        "nouveau-in-use",
        "driver-not-installed",
        "driver-dropped-gpu",
        "driver-too-old-for-gpu",
        "driver-open-kernel-required",
        "driver-open-module-unsupported",
        "driver-not-loaded",
        "driver-library-mismatch",
        "confidential-compute-not-ready",
        "fabric-manager-not-running",
        "imex-not-ready",
        "vgpu-unlicensed",
        "mig-misconfigured",
        "device-nodes-missing",
        "driver-known-bug",
        "driver-broken-state",
        "compute-mode-exclusive",
        "driver-too-old-for-cuda",
        "gpu-throttled",
        "pcie-link-degraded",
    ),
    "container": (
        "wsl-unsupported",
        "wsl-gpu-in-tcc-mode",
        "wsl-libcuda-shadowed",
        "scheduler-no-gpu-allocated",
        "sandboxed-app",
        "docker-desktop-too-old",
        "jetson-container-mismatch",
        "container-image-has-driver-files",
        "container-no-gpu-access",
        "container-driver-capabilities",
        "container-devices-revoked",
        "cuda-compat-misused",
        "container-shm-too-small",
    ),
    "environment": (
        "cuda-visible-devices",
        "cuda-library-arch-unsupported",
        "library-path-shadowing",
        "cuda-toolkit-mismatch",
        "cuda-home-missing",
        "compiler-missing",
    ),
    "packages": (
        "cpu-lacks-avx",
        "glibc-too-old",
        "python-unsupported",
        "windows-store-python",
        "windows-runtime-dll-missing",
        "wrong-interpreter",
        "local-file-shadows",
        "duplicate-install",
        "venv-lib64-split",
        "nvidia-wheels-mismatch",
        "incomplete-install",
        "numpy-abi-mismatch",
        "companion-mismatch",
        "extension-arch-unsupported",
        "no-framework-installed",
    ),
    "torch": (
        "torch-not-installed",
        "torch-jetson-wheel",
        "torch-rocm-build",
        "torch-cpu-build",
        "torch-arch-unsupported",
    ),
    "tensorflow": (
        "tf-gpu-package-removed",
        "tf-not-installed",
        "tf-windows-native",
        "metal-plugin-missing",
        "tf-cpu-build",
        "keras-mismatch",
        "protobuf-mismatch",
        "tf-cuda-version-mismatch",
        "tf-cudnn-version-mismatch",
        "tf-cuda-libs-missing",
        "tf-libdevice-missing",
        "tf-arch-unsupported",
    ),
    "jax": ("jax-not-installed", "jax-windows-native", "jax-plugin-mismatch", "jax-cpu-build"),
    "running": (
        "multi-gpu-p2p-broken",
        "gpu-memory-held",
        "gpu-memory-too-small",
        "nccl-failure",
        "smoke-wrong-results",
        "smoke-hang",
        "smoke-ran-on-cpu",
        "smoke-failed",
        "smoke-too-fast",
        "smoke-slow",
        "framework-import-failed",
        "requirement-not-met",
    ),
}

HEADINGS = ("What it means", "Why it happens", "How to fix", "How it is detected", "Sources")


def names() -> tuple[str, ...]:
    """The name of every rule, in the order of causes; loads none of them."""
    return tuple(name for group in GROUPS.values() for name in group)


@cache
def all_rules() -> tuple[Rule, ...]:
    """Every rule, in the order of causes. Name and explanation come from the rule's own file."""
    return tuple(load_rule(group, name) for group, names in GROUPS.items() for name in names)


def load_rule(group: str, name: str) -> Rule:
    """One rule of a group, loaded from its file."""
    module = importlib.import_module(f"gpudoctor.rules.{group}.{name.replace('-', '_')}")
    return named(module.RULE, name, module.__doc__)


def named(rule: object, name: str, document: str | None) -> Rule:
    """A rule with its name, and with title and explanation from its module's docstring. Raises TypeError."""
    if not isinstance(rule, Rule):
        raise TypeError(f"{name} is no rule")
    rule.name = name
    text = inspect.cleandoc(document or "")
    rule.title, _, rule.explanation = text.partition("\n")
    rule.explanation = rule.explanation.strip()
    return rule
