"""`ensemble`, or `python -m ensemble.command_line`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ensemble.command_line.errors import answer, asks_for_json
from ensemble.command_line.exit_codes import ExitCode
from ensemble.command_line.streams import prepare_streams
from ensemble.errors import MissingExtra

if TYPE_CHECKING:
    import typer


def main() -> None:
    """Run the command line of this process."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code, one of `ExitCode`."""
    try:
        from ensemble.command_line.app import make_app
    except MissingExtra as error:
        return answer(error)
    return run_program(make_app, arguments)


def run_program(make_app: Callable[[], typer.Typer], arguments: Sequence[str]) -> int:
    """Run one command of a program as `run` does. Every error is answered in words, or as JSON where that is asked for.

    Errors of the parser are its own to show, with the usage, but for JSON.
    """
    prepare_streams()
    as_json = asks_for_json(arguments)
    try:
        from ensemble.command_line.grammar import renew_command

        code = make_app()(args=renew_command(arguments), prog_name="ensemble", standalone_mode=not as_json)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  every error is answered in words
        return answer(error, as_json=as_json)
    return code or ExitCode.DONE


if __name__ == "__main__":
    main()
