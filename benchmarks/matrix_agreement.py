"""How far the matrix equals the wheels: CUDA, cuDNN and NCCL of every readable wheel, agreed and disagreed.

    python benchmarks/matrix_agreement.py

Reads torch/version.py, build_info.py and METADATA of every wheel that the matrix names, by range requests, from
the index that pip is configured for (about seven minutes). Exit code 1 if anything disagrees.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.argv = ["refresh.py", "--agreement"]
    runpy.run_path(str(Path(__file__).parent.parent / "compat_matrix" / "refresh.py"), run_name="__main__")
