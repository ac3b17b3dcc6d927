"""The `ensemble` of this checkout, or `python -m cli`: the library's command line, and the order flow's beside it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ensemble.command_line.__main__ import run_program


def main() -> None:
    """Run the command line of this process."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code, one of `ExitCode`."""
    from cli.app import make_app

    return run_program(make_app, arguments)


if __name__ == "__main__":
    main()
