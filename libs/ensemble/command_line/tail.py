"""Records of topics as they come."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ensemble.clock import clock
from ensemble.command_line.connection import entry_of
from ensemble.command_line.output import show_json_line
from ensemble.command_line.selection import application, control_flow
from ensemble.command_line.streams import console, is_terminal, say, styled, write
from ensemble.operations import Entry

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
    key: str | None

    def takes(self, entry: Entry) -> bool:
        return self.key is None or self.key == entry.key or self.key in entry.fields.values()

    def names(self) -> list[str]:
        """Return the names of the topics: by default of all that carry commands and events."""
        return list(self.topics) or [
            topic.name for topic in application().catalogue.topics if topic.cleanup == "delete"
        ]


def follow(access: ClusterClient, selection: Selection, *, as_json: bool) -> None:
    """Show what is selected until there is no more of it, or until Ctrl-C."""
    places = access.places(selection.names())
    with access.follow(places, from_beginning=selection.from_beginning) as follower:
        show_entries(live_entries(follower, selection), selection.limit, as_json=as_json)


def show_entries(entries: Iterable[Entry], limit: int | None, *, as_json: bool) -> None:
    """Show entries as they come, at most so many."""
    for shown, entry in enumerate(entries, start=1):
        _show(entry, as_json=as_json)
        if shown == limit:
            return


def live_entries(follower: Follower, selection: Selection) -> Iterator[Entry]:
    """Yield what is selected as it comes, and say when Kafka is away."""
    last_problem = ""
    while True:
        yield from select_entries(follower.poll(0.2), selection)
        if selection.until_end and follower.has_caught_up:
            return
        if follower.problem != last_problem:
            last_problem = follower.problem
            say(f"waiting for Kafka: {last_problem}" if last_problem else "Kafka is back")


def select_entries(records: Iterable[ReceivedRecord], selection: Selection) -> Iterator[Entry]:
    """Yield the selected records in the order of their times. One that does not hold the key is never decoded."""
    key = selection.key.encode() if selection.key else None
    meant = (record for record in records if key is None or key == record.key or key in (record.value or b""))
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
    from ensemble.command_line.colours import colour_of

    colour = colour_of(control_flow().control_of(entry.type, entry.sender), entry.kind)
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
    key = _key_field(entry.record.topic)
    fields = ", ".join(f"{name}={_short(value)}" for name, value in entry.fields.items() if name != key)
    return " ".join((entry.problem or fields).split())


def _key_field(topic: str) -> str:
    """Return the field that is shown as the key already, or "" for a topic that the catalogue does not have."""
    return next((each.key for each in application().catalogue.topics if each.name == topic), "")


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."  # noqa: PLR2004  one field must not hide the others
