"""`ensemble doctor` of the order flow: what may be wrong with its services and its orders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ensemble.command_line.commands.doctor import EPILOG
from ensemble.command_line.options import NoCache, Output
from ensemble.command_line.output_format import TABLE

if TYPE_CHECKING:
    import typer

    from backoffice.status import FlowStatus


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog=EPILOG)(doctor)


def doctor(no_cache: NoCache = False, output: Output = TABLE) -> None:
    """Check cluster, services, orders and machine; say what to do.

    Exits 1 if there is a problem, 5 if something could not be asked, else 0.
    """
    from functools import cache

    import typer

    from backoffice.status import flow_examinations, flow_projections, read_flow_status
    from cli.running_stack import endpoints
    from ensemble.command_line.connection import open_session
    from ensemble.command_line.doctor_output import show_checks
    from ensemble.command_line.view import synced_view
    from ensemble.embedded import default_directory
    from ensemble.operations import Patient, examine

    session = open_session()

    @cache
    def read() -> FlowStatus:
        with synced_view(session.client, flow_projections(session), "status", use_file=not no_cache) as view:
            return read_flow_status(session, view, endpoints())

    patient = Patient(session, read, [default_directory()])
    raise typer.Exit(show_checks(examine(flow_examinations(patient, read)), output=output))
