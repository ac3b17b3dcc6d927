"""`ensemble run`: services in the foreground."""

from __future__ import annotations

from typing import Annotated

import typer

from ensemble.command_line.options import complete_service

_EPILOG = "Examples: `ensemble run payment`; `ensemble run inventory --instance 1 --port 8113`."

Services = Annotated[
    list[str],
    typer.Argument(metavar="SERVICE", help="Name of the service, or several.", autocompletion=complete_service),
]
Instance = Annotated[str | None, typer.Option("--instance", help="Id of the instance, if several of one service run.")]
Port = Annotated[int | None, typer.Option("--port", min=0, max=65_535, help="Port for health and metrics.")]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog=_EPILOG)(run)


def run(services: Services, instance: Instance = None, port: Port = None) -> None:
    """Run a service in the foreground until Ctrl-C, or several in one process. Settings come from the environment."""
    from ensemble.command_line.foreground import run_services

    raise typer.Exit(run_services(services, instance, port))
