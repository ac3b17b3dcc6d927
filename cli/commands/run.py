"""`ensemble run`: one service in the foreground."""

from __future__ import annotations

from typing import Annotated

import typer

_EPILOG = "Examples: `ensemble run payment`; `ensemble run inventory --instance 1 --port 8113`."

SANDBOX = "payment-sandbox"
NAMES = ("order", "payment", "inventory", "shipping", "orchestrator", SANDBOX)


def complete_service(incomplete: str) -> list[str]:
    """Complete service names for the shell."""
    return [name for name in NAMES if name.startswith(incomplete)]


Service = Annotated[str, typer.Argument(metavar="SERVICE", help=", ".join(NAMES), autocompletion=complete_service)]
Instance = Annotated[str | None, typer.Option("--instance", help="Id of the instance, if several of one service run.")]
Port = Annotated[int | None, typer.Option("--port", min=0, max=65_535, help="Port for health and metrics.")]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog=_EPILOG)(run)


def run(service: Service, instance: Instance = None, port: Port = None) -> None:
    """Run one service in the foreground until Ctrl-C. Settings come from the environment."""
    from cli.foreground import run_service

    raise typer.Exit(run_service(service, instance, port))
