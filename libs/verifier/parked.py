"""What services hold back, as their parked-changelogs say, and what operators asked them and were answered."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from verifier.facts import Asked, DeadLetter, Message, Position, Waiting
from verifier.flow import CONTROL, OPERATIONS, PARKED

Source = tuple[str, Position]
"""A service, and where a record lay that it consumed."""


@dataclass
class Parked:
    """Folded record by record, in order; a changelog's only up to the cut."""

    waiting: dict[Source, Waiting] = field(default_factory=dict)
    """The records that wait now."""
    once: set[Source] = field(default_factory=set)
    """Those that waited at some time, as far as the changelogs still say."""
    held_keys: set[tuple[str, str]] = field(default_factory=set)
    """Service and key of everything that waited at some time."""
    emptied_keys: set[tuple[str, str]] = field(default_factory=set)
    """Service and key of what was parked and freed in one batch, and so was never seen to wait."""
    paused_commands: set[tuple[str, str]] = field(default_factory=set)
    """Service and type of the commands that operators have asked it to pause at some time."""
    resolved: dict[tuple[str, Position, int], str] = field(default_factory=dict)
    """What became of a dead letter, by how often it had been redriven before."""
    cleaned: set[str] = field(default_factory=set)
    """Services whose changelogs have lost their beginning."""
    asked: list[Asked] = field(default_factory=list)
    answered: set[tuple[str, int, str]] = field(default_factory=set)
    """Service, partition and operation id."""
    edited: dict[Source, set[bytes]] = field(default_factory=lambda: defaultdict(set))
    """The values that operators gave a record instead of its own."""
    _waiting_ids: Counter[tuple[str, str]] = field(default_factory=Counter)
    _once_ids: set[tuple[str, str]] = field(default_factory=set)
    _numbered: dict[tuple[str, int, bytes], Source] = field(default_factory=dict)
    _keys: dict[tuple[str, int, bytes], Mapping[str, Any]] = field(default_factory=dict)
    _places: set[tuple[str, int]] = field(default_factory=set)

    def holds(self, service: str, message: Message) -> bool:
        """Return whether the message waits, at its own place or at that of an older attempt."""
        return (service, message.position) in self.waiting or (service, message.message_id) in self._waiting_ids

    def was_ever(self, service: str, message: Message) -> bool:
        """Return whether the message has waited; true if that is no longer known."""
        has_waited = (service, message.position) in self.once or (service, message.message_id) in self._once_ids
        return has_waited or service in self.cleaned

    def may_have_waited(self, service: str, message: Message) -> bool:
        """Return whether the message has waited, or may have in a batch that parked and freed records of its order."""
        return self.was_ever(service, message) or (service, message.order_id) in self.emptied_keys

    def may_have_been_held(self, service: str, message: Message) -> bool:
        """Return whether a message of the same order has waited, or may have if that is no longer known.

        A record that waits for the end of a command's pause, and is handled in the batch that ends it, is never seen to
        wait.
        """
        if (service, message.order_id) in self.held_keys or service in self.cleaned:
            return True
        return (service, message.type) in self.paused_commands

    def fate(self, letter: DeadLetter) -> str:
        """Return `redriven`, `discarded` or `closed`, or an empty string while there is no decision."""
        return self.resolved.get((letter.service, letter.source, letter.generation), "") if letter.source else ""

    def heads(self) -> Iterator[Waiting]:
        """Return the first record of every parked key."""
        for (service, partition, key), entry in self._keys.items():
            place = (service, partition, b"record/%b/%012d" % (key, entry["first"]))
            if (source := self._numbered.get(place)) is not None:
                yield self.waiting[source]._replace(status=entry["status"])

    # -- reading --------------------------------------------------------------------------------------------------

    def take(self, position: Position, key: bytes, kind: str, fields: Mapping[str, Any]) -> None:
        """Add a record of a runtime's own topic; an empty `kind` is a tombstone."""
        service, _, suffix = position.topic.rpartition(".")
        match f".{suffix}":
            case topic if topic == PARKED:
                self._note_beginning(service, position)
                self._change(service, position.partition, key, fields if kind else None)
            case topic if topic == CONTROL:
                self._ask(service, position, kind, fields)
            case topic if topic == OPERATIONS and kind == "OperationDone":
                self.answered.add((service, fields["partition"], fields["operation_id"]))

    def _note_beginning(self, service: str, position: Position) -> None:
        place = (service, position.partition)
        if place not in self._places:
            self._places.add(place)
            if position.offset:
                self.cleaned.add(service)

    def _change(self, service: str, partition: int, key: bytes, fields: Mapping[str, Any] | None) -> None:
        sort, _, name = key.partition(b"/")
        place = (service, partition)
        if sort == b"key":
            self._set_key((*place, name), fields)
        elif sort == b"record":
            self._set_record((*place, key), fields)
        elif sort == b"mark" and fields is not None:
            topic, from_partition, offset, generation, _ = name.decode(errors="replace").split("/", 4)
            source = Position(topic, int(from_partition), int(offset))
            self.resolved[service, source, int(generation)] = fields["how"]

    def _set_key(self, place: tuple[str, int, bytes], fields: Mapping[str, Any] | None) -> None:
        if fields is None:
            self._keys.pop(place, None)
        else:
            self._keys[place] = fields

    def _set_record(self, place: tuple[str, int, bytes], fields: Mapping[str, Any] | None) -> None:
        if (before := self._numbered.pop(place, None)) is not None:
            gone = self.waiting.pop(before, None)
            self._waiting_ids -= Counter([(place[0], gone.message_id)] if gone else [])
        service, key = place[0], place[2].split(b"/", 1)[1].rpartition(b"/")[0]
        if fields is None and before is None:
            self.emptied_keys.add((service, key.decode(errors="replace")))
        if fields is not None:
            source = (service, Position(fields["topic"], fields["partition"], fields["offset"]))
            self._numbered[place] = source
            what = (source[1], fields["message"], fields["message_id"])
            self.waiting[source] = Waiting(service, key.decode(errors="replace"), *what)
            self._waiting_ids[service, fields["message_id"]] += 1
            self._once_ids.add((service, fields["message_id"]))
            self.once.add(source)
            self.held_keys.add((service, key.decode(errors="replace")))

    def _ask(self, service: str, position: Position, kind: str, fields: Mapping[str, Any]) -> None:
        if not kind:
            return
        self.asked.append(Asked(position, service, kind, fields["operation_id"], fields["at"]))
        if kind == "PauseWork" and fields["scope"] == "command":
            self.paused_commands.add((service, fields["name"]))
        if kind == "RedriveRecord" and fields["edited"] is not None:
            source = Position(fields["topic"], fields["partition"], fields["offset"])
            self.edited[service, source].add(fields["edited"])
