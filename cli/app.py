"""The commands of the order flow, beside those that serve any application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import typer

from cli.commands import demo, doctor, orders, pauses, publish, run, status, stock, tail, up, verify
from ensemble.command_line.app import LIBRARY, CommandSet, ProfileName, Version, assemble
from ensemble.command_line.commands import new
from ensemble.command_line.selection import select

if TYPE_CHECKING:
    from ensemble import Application

_HELP: Final = "Run, inspect and operate the order flow on Kafka."
_EPILOG: Final = (
    "Start with `ensemble demo`, or with `ensemble up` in one terminal and `ensemble orders place` in another."
)
_OF_ORDERS: Final = {"orders": orders.group, "stock": stock.group}
_WITH_WAVES: Final = {"pauses": pauses.group}


def make_app() -> typer.Typer:
    """Build the program, about the order flow."""
    select(_order_flow)
    commands = CommandSet(
        (demo, up, status, doctor, run, publish, tail, verify, new), {**_OF_ORDERS, **LIBRARY.groups, **_WITH_WAVES}
    )
    program = assemble(commands, help_text=_HELP, epilog=_EPILOG)

    @program.callback()
    def _options(profile: ProfileName = None, version: Version = False) -> None:  # noqa: FBT002  as Typer calls it
        """Take what all commands share."""

    return program


def _order_flow() -> Application:
    from services.app import APP

    return APP
