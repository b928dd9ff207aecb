"""JAX was asked for and is not installed here.

## What it means
`--framework jax` makes JAX a requirement, and the interpreter under test has no copy of it.

## Why it happens
It was installed into another environment, or not at all.

## How to fix
Install the build that this driver and GPU can run, or name the interpreter that has it with `--python`.

## How it is detected
No distribution and no package folder `jax` on the sys.path of the interpreter under test.

## Sources
- https://docs.jax.dev/en/latest/installation.html
"""

from __future__ import annotations

from gpudoctor.engine import Rule
from gpudoctor.rules._installed import required_but_absent

RULE = Rule(frameworks=("jax",), without_gpu="none")
RULE.detector(required_but_absent)
