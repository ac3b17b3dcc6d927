"""`ensemble`, or `python -m ensemble.command_line`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ensemble.command_line.errors import answer
from ensemble.command_line.streams import prepare_streams
from ensemble.errors import MissingExtra

if TYPE_CHECKING:
    import typer


def main() -> None:
    """Run the command line of this process."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code: 0 for success, 1 for a failure, 2 for a mistake of the user."""
    try:
        from ensemble.command_line.app import make_app
    except MissingExtra as error:
        return answer(error)
    return run_program(make_app, arguments)


def run_program(make_app: Callable[[], typer.Typer], arguments: Sequence[str]) -> int:
    """Run one command of a program as `run` does. Every error is answered in words."""
    prepare_streams()
    try:
        make_app()(args=list(arguments), prog_name="ensemble")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  every error is answered in words
        return answer(error)
    return 0


if __name__ == "__main__":
    main()
