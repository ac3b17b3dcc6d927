"""`ensemble run`: one service or the payment sandbox in the foreground."""

from __future__ import annotations

from typing import Annotated

import typer

from ensemble.command_line.commands.run import Instance, Port

_EPILOG = "Examples: `ensemble run payment`; `ensemble run inventory --instance 1 --port 8113`."

NAMES = ("order", "payment", "inventory", "shipping", "orchestrator", "payment-sandbox")


def complete_service() -> list[str]:
    """Complete service names for the shell."""
    return list(NAMES)


Service = Annotated[str, typer.Argument(metavar="SERVICE", help=", ".join(NAMES), autocompletion=complete_service)]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog=_EPILOG)(run)


def run(service: Service, instance: Instance = None, port: Port = None) -> None:
    """Run one service in the foreground until Ctrl-C. Settings come from the environment."""
    from cli.foreground import run_service

    raise typer.Exit(run_service(service, instance, port))
