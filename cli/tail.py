"""Records of one order as they come."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from backoffice import find_records
from cli.orders import state_of
from ensemble.command_line import tail
from ensemble.command_line.output_format import OutputFormat
from ensemble.command_line.streams import say
from ensemble.command_line.tail import Selection, live_entries, select_entries, show_entries
from ensemble.operations import Entry
from ensemble.program import command

if TYPE_CHECKING:
    from ensemble.kafka.client import ClusterClient


def follow(access: ClusterClient, selection: Selection, order_id: str | None = None, *, output: OutputFormat) -> None:
    """Show what is selected until there is no more of it, or until Ctrl-C; of an order only its lifetime is read."""
    if order_id is None:
        tail.follow(access, selection, output=output)
    else:
        selection.places(access)
        show_entries(_entries(access, selection, order_id), selection, output=output)


def _entries(access: ClusterClient, selection: Selection, order_id: str) -> Iterator[Entry]:
    records = find_records(access, order_id, state_of(access, order_id), topics=selection.names())
    if selection.from_beginning or selection.since is not None:
        yield from select_entries(records.read(access), selection)
        if records.unread:
            say(f"{records.unread} records of its time were not read; see `{command('orders show --full')}`")
    if not selection.until_end:
        with access.follow_from(records.ends) as follower:
            yield from live_entries(follower, selection)
