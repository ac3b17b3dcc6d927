"""`ensemble runs`: what acts in waves on this machine, and how to stop it."""

from __future__ import annotations

from typing import Annotated

import typer

from ensemble.command_line.options import All, Output
from ensemble.command_line.output_format import TABLE

group = typer.Typer(help="List and stop commands that act in waves.")

RunId = Annotated[str, typer.Argument(metavar="RUN", help="Id of the run, as `list` shows it.")]


@group.command("list", epilog="Example: `ensemble runs list --all`.")
def list_runs(everything: All = False, output: Output = TABLE) -> None:
    """List runs of this machine, the latest first.

    Those that have ended are kept for a day. The control room lists its own.
    """
    from dataclasses import asdict

    from ensemble.command_line.output import Sheet, show
    from ensemble.command_line.run_records import list_runs

    records = list_runs(running_only=not everything)
    columns = ("run", "what", "state", "total", "succeeded", "failed", "started_at", "by", "cluster", "reason")
    rows = [
        (r.id, r.what, r.state, r.total, r.succeeded, r.failed, r.started_at, r.by, r.cluster, r.reason)
        for r in records
    ]
    nothing = "no runs" if everything else "no run goes on; --all shows those that have ended"
    spare = ("cluster", "started_at", "reason")
    show(Sheet(columns, rows, spare=spare, nothing=nothing), [asdict(record) for record in records], output=output)


@group.command(epilog="Example: `ensemble runs stop 3f2a9c01d4b5e6f7`.")
def stop(run: RunId, output: Output = TABLE) -> None:
    """Stop a run before its next wave; its command says what is left."""
    from dataclasses import asdict

    from ensemble.command_line.output import show_document
    from ensemble.command_line.run_records import request_stop

    show_document(asdict(request_stop(run)), output=output)
