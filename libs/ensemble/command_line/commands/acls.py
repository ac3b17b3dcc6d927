"""`ensemble acls`: what each service must be allowed to do, and what the cluster allows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ensemble.command_line.flags import expand_flags
from ensemble.command_line.options import DryRun, Output, Yes
from ensemble.command_line.output_format import TABLE, OutputFormat
from ensemble.command_line.selection import application

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ensemble.operations import Others, PermissionSummary

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


@dataclass(frozen=True)
class Users:
    """Users beside the services."""

    registry: Registry = None
    operator: Operator = None
    client: Client = None

    def others(self) -> Others:
        """Return them as the library names them."""
        from ensemble.operations import Others

        return Others(self.registry, self.operator, self.client)


@group.command(epilog="Examples: `ensemble acls show --json`; `ensemble acls show --cluster`.")
@expand_flags
def show(users: Users, of_cluster: OfCluster = False, output: Output = TABLE) -> None:
    """Show the permissions that the services need. With --cluster, exits 1 if some are missing."""
    from ensemble.operations import compare_permissions, list_permissions

    others = users.others()
    if not of_cluster:
        _show(list_permissions(application(), others), output=output)
        return
    from ensemble.command_line.connection import connect

    permissions = compare_permissions(application(), connect(), others)
    _show(permissions, output=output)
    if any(permission.status == "missing" for permission in permissions):
        raise typer.Exit(1)


@group.command(epilog="Examples: `ensemble acls apply --dry-run`; `ensemble acls apply --passwords secrets --yes`.")
@expand_flags
def apply(
    users: Users, passwords: Passwords = None, dry_run: DryRun = False, yes: Yes = False, output: Output = TABLE
) -> None:
    """Grant missing permissions. Permissions beyond a service's needs are shown as `extra` and left alone."""
    from ensemble.command_line.connection import cluster_name, connect
    from ensemble.command_line.operators import confirm_set_up
    from ensemble.command_line.streams import say
    from ensemble.operations import compare_permissions, grant_permissions, users_of
    from ensemble.quantities import quantity

    others, access = users.others(), connect()
    permissions = compare_permissions(application(), access, others)
    names = users_of(application(), others) if passwords else []
    missing = [f"{p.principal} {p.operation} {p.resource} {p.name}" for p in permissions if p.status == "missing"]
    if dry_run and names:
        say(f"users with a password each: {', '.join(names)}")
    if (missing or names) and not dry_run:
        deed = f"grant {quantity(len(missing), 'permission')}{f' and set {len(names)} passwords' if names else ''}"
        confirm_set_up(deed, [*names, *missing], cluster_name(access), yes=yes)
        permissions = grant_permissions(application(), access, others, passwords)
    _show(permissions, output=output)


def _show(permissions: Iterable[PermissionSummary], *, output: OutputFormat) -> None:
    from ensemble.command_line.output import Sheet
    from ensemble.command_line.output import show as show_sheet
    from ensemble.command_line.rows import permission_row

    rows = [permission_row(permission) for permission in permissions]
    columns = ("principal", "operation", "resource", "name", "pattern", "status")
    table = [tuple(row.get(name) for name in columns) for row in rows]
    styles = {"status": {"ok": "green", "granted": "green", "missing": "yellow", "extra": "yellow"}}
    show_sheet(Sheet(columns, table, styles, ("pattern",)), rows, output=output)
