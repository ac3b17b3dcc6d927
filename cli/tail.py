"""Records of topics as they come."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cli.entries import Entry, entry_of
from cli.formatting import clock
from cli.output import show_json_line
from cli.streams import console, is_terminal, say, styled, write
from contracts.catalogue import CATALOGUE

if TYPE_CHECKING:
    from ensemble.kafka.client import ClusterClient, Follower


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
    places = access.places(selection.topics or [topic.name for topic in CATALOGUE.topics])
    shown = 0
    with access.follow(places, from_beginning=selection.from_beginning) as follower:
        for entry in _entries(follower, selection):
            _show(entry, as_json=as_json)
            shown += 1
            if shown == selection.limit:
                return


def _entries(follower: Follower, selection: Selection) -> Iterator[Entry]:
    last_problem = ""
    while True:
        records = sorted(follower.poll(0.2), key=lambda record: record.timestamp)
        yield from (entry for entry in map(entry_of, records) if selection.takes(entry))
        if selection.until_end and follower.has_caught_up:
            return
        if follower.problem != last_problem:
            last_problem = follower.problem
            say(f"waiting for Kafka: {last_problem}" if last_problem else "Kafka is back")


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
