"""Records of topics as they come."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from ensemble.clock import clock, rfc3339
from ensemble.command_line.connection import entry_of
from ensemble.command_line.errors import UnknownName
from ensemble.command_line.output import json_text, show_json_line
from ensemble.command_line.output_format import OutputFormat
from ensemble.command_line.selection import application, control_flow
from ensemble.command_line.streams import console, is_terminal, say, styled, write
from ensemble.errors import did_you_mean
from ensemble.operations import Entry
from ensemble.program import command
from ensemble.system_messages import SCHEMAS

if TYPE_CHECKING:
    from ensemble.kafka.client import ClusterClient, Follower, ReceivedRecord, TopicPlace

_NAME: Final = re.compile(r"\{(\w+)\}")
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
    since: int | None = None
    """Epoch milliseconds."""
    types: frozenset[str] = frozenset()
    pattern: re.Pattern[str] | None = None
    """What key, type or fields hold somewhere."""
    partition: int | None = None
    template: str | None = None
    """What is printed of each record, with names of fields in braces."""

    def takes(self, entry: Entry) -> bool:
        """Return whether the record meets every condition."""
        record = entry.record
        return (
            (self.key is None or self.key == entry.key or self.key in entry.fields.values())
            and (self.since is None or record.timestamp >= self.since)
            and (not self.types or entry.type in self.types)
            and self.partition in {None, record.partition}
            and (self.pattern is None or self.pattern.search(_searchable(entry)) is not None)
        )

    def places(self, access: ClusterClient) -> list[TopicPlace]:
        """Return the partitions to read. Raises UnknownName for a topic or a partition that is nowhere."""
        catalogue = {topic.name for topic in application().catalogue.topics}
        names = catalogue if catalogue.issuperset(self.topics) else catalogue | access.topics().keys()
        if missing := [name for name in self.topics if name not in names]:
            advice = did_you_mean(missing[0], names) or f"see `{command('topics list')}`"
            raise UnknownName(f"TOPIC: no topic {missing[0]!r}; {advice}")
        everywhere = access.places(self.names())
        places = [place for place in everywhere if self.partition in {None, place[1]}]
        if everywhere and not places:
            last = max(partition for _, partition in everywhere)
            raise UnknownName(f"--partition {self.partition}: the topics have partitions 0 to {last}")
        return places

    def names(self) -> list[str]:
        """Return the names of the topics: by default of all that carry commands and events."""
        return list(self.topics) or [
            topic.name for topic in application().catalogue.topics if topic.cleanup == "delete"
        ]


def require_types(names: Iterable[str]) -> frozenset[str]:
    """Return the names. Raises UnknownName for one that is no message of the application, or of the runtime."""
    types = {kind.__name__ for kind in application().catalogue.message_types()} | {
        name.rpartition(".")[2] for name in SCHEMAS.names()
    }
    for name in names:
        if name not in types:
            advice = did_you_mean(name, types) or f"see `{command('topology show')}`"
            raise UnknownName(f"--type: no message type {name!r}; {advice}")
    return frozenset(names)


def follow(access: ClusterClient, selection: Selection, *, output: OutputFormat) -> None:
    """Show what is selected until there is no more of it, or until Ctrl-C."""
    places = selection.places(access)
    if selection.since is None:
        reading = access.follow(places, from_beginning=selection.from_beginning)
    else:
        reading = access.follow_from(access.offsets_at(places, selection.since))
    with reading as follower:
        show_entries(live_entries(follower, selection), selection, output=output)


def show_entries(entries: Iterable[Entry], selection: Selection, *, output: OutputFormat) -> None:
    """Show entries as they come, as many and in the form that the selection says."""
    for shown, entry in enumerate(entries, start=1):
        if selection.template is not None:
            write(filled(selection.template, entry))
        else:
            _show(entry, output=output)
        if shown == selection.limit:
            return


def filled(template: str, entry: Entry) -> str:
    """Return the template with what the record has of each name in braces: of its message first, then of itself."""
    values = {**entry.document(), "place": entry.place, **entry.fields}
    text = template.replace("\\t", "\t")
    return _NAME.sub(lambda match: str(values.get(match[1], "")), text)


def _searchable(entry: Entry) -> str:
    return f"{entry.key} {entry.type} {json_text(dict(entry.fields))} {entry.problem}"


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


def _show(entry: Entry, *, output: OutputFormat) -> None:
    if output.is_json:
        show_json_line(entry.document())
    elif output is OutputFormat.NAME:
        write(entry.place)
    elif is_terminal() and output is not OutputFormat.WIDE:
        _show_coloured(entry)
    else:
        write(
            "\t".join((rfc3339(entry.record.timestamp), entry.place, entry.sender, entry.type, entry.key, _says(entry)))
        )


def _show_coloured(entry: Entry) -> None:
    from ensemble.command_line.colours import colour_of

    colour = colour_of(control_flow().control_of(entry.type, entry.sender), entry.kind)
    width = shutil.get_terminal_size().columns
    line = styled(
        (f"{_time(entry.record.timestamp)} ", "bright_black"),
        (f"{entry.place:<24} " if width >= _WIDE else "", "bright_black"),
        (f"{entry.sender:>12} ", "bold"),
        (f"{entry.type:<20} ", f"bold {colour}"),
        f"{entry.key:<14} {_says(entry)}",
        no_wrap=True,
    )
    line.truncate(width - 1, overflow="ellipsis")
    console().print(line)


def _time(at: int, now: datetime | None = None) -> str:
    """Return the time of day, of another day than today with its date."""
    today, text = (now or datetime.now(UTC)).date().isoformat(), rfc3339(at)
    return clock(at) if text.startswith(today) else text


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
