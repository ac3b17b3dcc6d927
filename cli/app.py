"""All commands in one application. Modules of commands import Typer alone; what a command needs it imports itself."""

from __future__ import annotations

from typing import Literal

import typer

from cli.commands import (
    acls,
    certificates,
    config,
    consumers,
    dead_letters,
    demo,
    incidents,
    orders,
    parked,
    pauses,
    policies,
    publish,
    records,
    run,
    schemas,
    stock,
    tail,
    topics,
    topology,
    up,
    verify,
)
from cli.streams import is_terminal

_HELP = "Run, inspect and operate the order flow on Kafka."
_EPILOG = "Start with `ensemble demo`, or with `ensemble up` in one terminal and `ensemble orders place` in another."


def make_app() -> typer.Typer:
    """Build the application. Help has colours and frames on a terminal only."""
    style: Literal["rich"] | None = "rich" if is_terminal() else None
    app = typer.Typer(
        help=_HELP, epilog=_EPILOG, no_args_is_help=True, rich_markup_mode=style, pretty_exceptions_enable=False
    )
    for module in (demo, up, run, publish, tail, verify):
        module.add_to(app)
    for name, group in _GROUPS.items():
        app.add_typer(group, name=name, no_args_is_help=True)
    return app


_GROUPS = {
    "orders": orders.group,
    "stock": stock.group,
    "dead-letters": dead_letters.group,
    "parked": parked.group,
    "incidents": incidents.group,
    "steps": pauses.steps,
    "commands": pauses.commands,
    "services": pauses.services,
    "pauses": pauses.group,
    "consumers": consumers.group,
    "records": records.group,
    "topics": topics.group,
    "schemas": schemas.group,
    "acls": acls.group,
    "certificates": certificates.group,
    "topology": topology.group,
    "policies": policies.group,
    "config": config.group,
}
