"""Records of topics as they come."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backoffice import MESSAGE_TOPICS, find_records
from cli.entries import Entry, entry_of
from cli.formatting import clock
from cli.orders import state_of
from cli.output import show_json_line
from cli.streams import console, is_terminal, say, styled, write

if TYPE_CHECKING:
    from ensemble.kafka.client import ClusterClient, Follower, ReceivedRecord


_WIDE = 110
"""Columns of a terminal that has room for the place of each record."""


@dataclass(frozen=True)
class Selection:
    """What to show."""

    topics: tuple[str, ...]
    from_beginning: bool
    until_end: bool
    limit: int | None
    order: str | None

    def takes(self, entry: Entry) -> bool:
        return self.order is None or self.order in {entry.order_id, entry.key}


def follow(access: ClusterClient, selection: Selection, *, as_json: bool) -> None:
    """Show what is selected until there is no more of it, or until Ctrl-C."""
    for shown, entry in enumerate(_entries(access, selection), start=1):
        _show(entry, as_json=as_json)
        if shown == selection.limit:
            return


def _entries(access: ClusterClient, selection: Selection) -> Iterator[Entry]:
    topics = selection.topics or MESSAGE_TOPICS
    if selection.order is None:
        with access.follow(access.places(topics), from_beginning=selection.from_beginning) as follower:
            yield from _live(follower, selection)
        return
    records = find_records(access, selection.order, state_of(access, selection.order), topics=topics)
    if selection.from_beginning:
        yield from _sorted(records.read(access), selection)
        if records.unread:
            say(f"{records.unread} records of its time were not read; see `ensemble orders show --full`")
    if not selection.until_end:
        with access.follow_from(records.ends) as follower:
            yield from _live(follower, selection)


def _live(follower: Follower, selection: Selection) -> Iterator[Entry]:
    last_problem = ""
    while True:
        yield from _sorted(follower.poll(0.2), selection)
        if selection.until_end and follower.has_caught_up:
            return
        if follower.problem != last_problem:
            last_problem = follower.problem
            say(f"waiting for Kafka: {last_problem}" if last_problem else "Kafka is back")


def _sorted(records: Iterable[ReceivedRecord], selection: Selection) -> Iterator[Entry]:
    """Yield the selected records in the order of their times. One that does not name the order is never decoded."""
    order = selection.order.encode() if selection.order else None
    meant = (record for record in records if order is None or order == record.key or order in (record.value or b""))
    entries = map(entry_of, sorted(meant, key=lambda record: record.timestamp))
    yield from (entry for entry in entries if selection.takes(entry))


def _show(entry: Entry, *, as_json: bool) -> None:
    if as_json:
        show_json_line(entry.document())
    elif is_terminal():
        _show_coloured(entry)
    else:
        at = clock(entry.record.timestamp)
        write("\t".join((at, entry.place, entry.sender, entry.type, entry.key, _says(entry))))


def _show_coloured(entry: Entry) -> None:
    from cli.control_flow import colour_of, control_of

    colour = colour_of(control_of(entry.type, entry.sender), entry.kind)
    width = shutil.get_terminal_size().columns
    line = styled(
        (f"{clock(entry.record.timestamp)} ", "bright_black"),
        (f"{entry.place:<24} " if width >= _WIDE else "", "bright_black"),
        (f"{entry.sender:>12} ", "bold"),
        (f"{entry.type:<20} ", f"bold {colour}"),
        f"{entry.key:<14} {_says(entry)}",
        no_wrap=True,
    )
    line.truncate(width - 1, overflow="ellipsis")
    console().print(line)


def _says(entry: Entry) -> str:
    fields = ", ".join(f"{name}={_short(value)}" for name, value in entry.fields.items() if name != "order_id")
    return " ".join((entry.problem or fields).split())


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."  # noqa: PLR2004  one field must not hide the others
