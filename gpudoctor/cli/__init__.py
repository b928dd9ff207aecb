"""The command line: arguments in, exit code out. The only place that prints."""

from __future__ import annotations

import sys

from gpudoctor import __version__


def main() -> None:
    """Entry point of the ``gpudoctor`` command and of ``python -m gpudoctor``."""
    if sys.argv[1:] == ["--version"]:
        # Before typer is imported: container images ask for this at every start.
        sys.stdout.write(f"gpudoctor {__version__}\n")
        return
    from gpudoctor.cli.app import run

    sys.exit(run(sys.argv[1:]))
