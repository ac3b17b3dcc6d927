"""`ensemble up`: everything, until Ctrl-C."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.options import NoOpen

FreePorts = Annotated[bool, typer.Option("--free-ports", help="Use any free ports instead of 8100 to 8105 and 8090.")]
KeepGoing = Annotated[
    bool, typer.Option("--keep-going", help="Go on when a process ends; the control room starts it again.")
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Delete data of the previous run first.")]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog="Examples: `ensemble up`; `KAFKA_BOOTSTRAP_SERVERS=host:9092 ensemble up`.")(up)


def up(
    free_ports: FreePorts = False, fresh: Fresh = False, keep_going: KeepGoing = False, no_open: NoOpen = False
) -> None:
    """Start everything: Kafka, services and the control room.

    The payment sandbox as well. Shows the control room's address, and the orders while it runs; Ctrl-C stops
    everything. With KAFKA_BOOTSTRAP_SERVERS that cluster is used instead of an embedded one.
    """
    from cli.up import run

    raise typer.Exit(run(on_free_ports=free_ports, fresh=fresh, opens=not no_open, keep_going=keep_going))
