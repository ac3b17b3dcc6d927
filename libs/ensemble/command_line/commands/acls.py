"""`ensemble acls`: what each service must be allowed to do, and what the cluster allows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ensemble.command_line.options import Output
from ensemble.command_line.output_format import TABLE, OutputFormat
from ensemble.command_line.selection import application

group = typer.Typer(help="Show and grant the permissions that services need.")

Passwords = Annotated[
    Path | None,
    typer.Option("--passwords", metavar="DIR", help="Create SCRAM users too, with a password file each in DIR."),
]
Registry = Annotated[
    str | None,
    typer.Option(
        "--registry",
        metavar="USER",
        help="User of a schema registry that stores schemas in topics USER.* of this Kafka.",
    ),
]
Operator = Annotated[
    str | None,
    typer.Option(
        "--operator", metavar="USER", help="User of an operator, who reads everything and writes operators' commands."
    ),
]
Client = Annotated[
    str | None,
    typer.Option("--client", metavar="USER", help="User of a program that sends what services take from outside."),
]
OfCluster = Annotated[bool, typer.Option("--cluster", help="Compare with the permissions on the cluster.")]


@group.command(epilog="Examples: `ensemble acls show --json`; `ensemble acls show --cluster`.")
def show(
    of_cluster: OfCluster = False,
    registry: Registry = None,
    operator: Operator = None,
    client: Client = None,
    output: Output = TABLE,
) -> None:
    """Show the permissions that the services need. With --cluster, exits 1 if some are missing."""
    from ensemble.operations import Others, compare_permissions, list_permissions

    others = Others(registry, operator, client)
    if not of_cluster:
        _show(list_permissions(application(), others), output=output)
        return
    from ensemble.command_line.connection import connect

    rows = compare_permissions(application(), connect(), others)
    _show(rows, output=output)
    if any(row["status"] == "missing" for row in rows):
        raise typer.Exit(1)


@group.command(epilog="Example: `ensemble acls apply --passwords secrets`.")
def apply(
    passwords: Passwords = None,
    registry: Registry = None,
    operator: Operator = None,
    client: Client = None,
    output: Output = TABLE,
) -> None:
    """Grant missing permissions. Permissions beyond a service's needs are shown as `extra` and left alone."""
    from ensemble.command_line.connection import connect
    from ensemble.operations import Others, grant_permissions

    others = Others(registry, operator, client)
    _show(grant_permissions(application(), connect(), others, passwords), output=output)


def _show(rows: list[dict[str, Any]], *, output: OutputFormat) -> None:
    from ensemble.command_line.output import Sheet
    from ensemble.command_line.output import show as show_sheet

    columns = ("principal", "operation", "resource", "name", "pattern", "status")
    table = [tuple(row.get(name) for name in columns) for row in rows]
    styles = {"status": {"ok": "green", "granted": "green", "missing": "yellow", "extra": "yellow"}}
    show_sheet(Sheet(columns, table, styles), rows, output=output)
