"""``python -m gpudoctor``."""

import sys

# The working directory comes first on the path of ``python -m``: a local json.py must not become part of us.
if sys.path and not getattr(sys.flags, "safe_path", False):
    sys.path.append(sys.path.pop(0))

try:
    from gpudoctor.cli import main
except KeyboardInterrupt:
    sys.exit(130)
main()
