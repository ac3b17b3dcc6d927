"""`ensemble demo`: everything from nothing, a few orders, and the check at the end."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.options import NoOpen
from ensemble.command_line.options import Output
from ensemble.command_line.output_format import TABLE

_EPILOG = "Examples: `ensemble demo`; `ensemble demo --only express --only declined`."

Only = Annotated[list[str] | None, typer.Option("--only", metavar="NAME", help="Run only this scenario; repeatable.")]
Keep = Annotated[bool, typer.Option("--keep", help="Keep logs and data, and show where they are.")]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog=_EPILOG)(demo)


def demo(only: Only = None, keep: Keep = False, no_open: NoOpen = False, output: Output = TABLE) -> None:
    """Run sample orders through all services, then verify.

    Everything runs on an embedded Kafka of its own. Exits 0 on success, 1 if an order ended otherwise than expected or
    the check found violations.
    """
    from cli.demo import run

    raise typer.Exit(run(only or [], keep=keep, output=output, opens=not no_open))
