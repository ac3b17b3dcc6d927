"""`ensemble certificates`: an authority of one's own, for a laptop and a staging cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

group = typer.Typer(help="Create test certificates.")

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="Directory for the files, which must not exist yet.")]
Hosts = Annotated[
    list[str] | None, typer.Option("--host", help="Name or address of the broker for clients; repeatable.")
]


@group.callback()
def _commands() -> None:
    """Create test certificates."""


@group.command(epilog="Example: `ensemble certificates make secrets --host kafka --host 127.0.0.1`.")
def make(directory: Directory, hosts: Hosts = None) -> None:
    """Create ca.pem, ca.key and broker.pem. Clients need ca.pem, the broker needs broker.pem; keep ca.key secret."""
    from ensemble.command_line.streams import say
    from ensemble.embedded import make_certificates

    files = make_certificates(directory, hosts or ["localhost", "127.0.0.1"])
    say(f"created {files.authority} and {files.broker}; clients set KAFKA_SSL_CA_LOCATION={files.authority}")
