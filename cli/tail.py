"""Records of one order as they come."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from backoffice import find_records
from cli.orders import state_of
from ensemble.command_line import tail
from ensemble.command_line.streams import say
from ensemble.command_line.tail import Selection, live_entries, select_entries, show_entries
from ensemble.operations import Entry
from ensemble.program import command

if TYPE_CHECKING:
    from ensemble.kafka.client import ClusterClient


def follow(access: ClusterClient, selection: Selection, *, as_json: bool) -> None:
    """Show what is selected until there is no more of it, or until Ctrl-C. Its key, if it has one, is an order's id."""
    if selection.key is None:
        tail.follow(access, selection, as_json=as_json)
    else:
        show_entries(_entries(access, selection, selection.key), selection.limit, as_json=as_json)


def _entries(access: ClusterClient, selection: Selection, order_id: str) -> Iterator[Entry]:
    records = find_records(access, order_id, state_of(access, order_id), topics=selection.names())
    if selection.from_beginning:
        yield from select_entries(records.read(access), selection)
        if records.unread:
            say(f"{records.unread} records of its time were not read; see `{command('orders show --full')}`")
    if not selection.until_end:
        with access.follow_from(records.ends) as follower:
            yield from live_entries(follower, selection)
