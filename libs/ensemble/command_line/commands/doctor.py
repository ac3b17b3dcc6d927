"""`ensemble doctor`: what may be wrong, asked one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ensemble.command_line.options import NoCache, Output
from ensemble.command_line.output_format import TABLE

if TYPE_CHECKING:
    import typer

    from ensemble.operations import Status

EPILOG = "Example: `ensemble doctor`."


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog=EPILOG)(doctor)


def doctor(no_cache: NoCache = False, output: Output = TABLE) -> None:
    """Check cluster, services and this machine, and say what to do.

    Exits 1 if there is a problem, 5 if something could not be asked, else 0.
    """
    import typer

    from ensemble.command_line.connection import endpoints, open_session
    from ensemble.command_line.doctor_output import show_checks
    from ensemble.command_line.view import synced_view
    from ensemble.embedded import default_directory
    from ensemble.operations import Patient, examinations_of, examine, read_status, status_projections

    session = open_session()

    def read() -> Status:
        with synced_view(session.client, status_projections(session), "status", use_file=not no_cache) as view:
            return read_status(session, view, endpoints())

    patient = Patient(session, read, [default_directory()])
    raise typer.Exit(show_checks(examine(examinations_of(patient)), output=output))
