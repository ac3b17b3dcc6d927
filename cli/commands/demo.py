"""`ensemble demo`: everything from nothing, a few orders, and the check at the end."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.options import AsJson

_EPILOG = "Examples: `ensemble demo`; `ensemble demo --only express --only declined`."

Only = Annotated[list[str] | None, typer.Option("--only", metavar="NAME", help="This scenario; may be repeated.")]
Keep = Annotated[bool, typer.Option("--keep", help="Leave logs and data where they are, and say where.")]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog=_EPILOG)(demo)


def demo(only: Only = None, keep: Keep = False, as_json: AsJson = False) -> None:
    """Run orders through all services on a Kafka of its own, tell each one's story, then verify.

    Exit code 0 when all is well, 1 when an order ended otherwise than it must, or the check is not clean.
    """
    from cli.demo import run

    raise typer.Exit(run(only or [], keep=keep, as_json=as_json))
