"""Lays down records in the storage, one by one as they are read, and counts them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from ensemble.errors import EnsembleError
from ensemble.messages import GenericDecoder, bounded_id, trace_in
from verifier.evidence import Evidence
from verifier.facts import Asked, Booking, Level, Message, Place, Position, Raw, Violation, Waiting
from verifier.flow import (
    EXTERNAL_TOPICS,
    FIELDS_OF,
    LEDGER,
    MESSAGE_TOPICS,
    ORDER_CHANGELOG,
    ORDER_STATE,
    READERS_OF,
    SENT_AGAIN,
    SHIPMENT_CHANGELOG,
    TYPES_OF,
    WAREHOUSE_CHANGELOG,
)
from verifier.placement import describe_wrong_partition
from verifier.runtime_formats import (
    CONTROL,
    DEAD_LETTER,
    OPERATIONS,
    PARKED,
    SERVICE,
    ParkedKey,
    read_dead_letter,
    read_parked_key,
)
from verifier.storage import KEPT, NO_ORDER, STATE, WAITED, Storage


def _no_lags() -> dict[str, Counter[str]]:
    readers = sorted({reader for readers in READERS_OF.values() for reader in readers})
    return {
        reader: Counter({topic: 0 for topic, readers in READERS_OF.items() if reader in readers}) for reader in readers
    }


@dataclass
class Tally:
    """What was counted while records were read, and what was wrong with them at first sight."""

    messages: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(MESSAGE_TOPICS, 0)))
    """By topic."""
    types: Counter[str] = field(default_factory=Counter)
    lags: dict[str, Counter[str]] = field(default_factory=_no_lags)
    """For each group and topic the number of records before the cut that it has not read."""
    warehouses: int = 0
    captures: int = 0
    refunds: int = 0
    violations: list[Violation] = field(default_factory=list)
    """State that cannot be read, and facts that no warehouse can have."""

    def merge(self, other: Tally) -> None:
        """Add what another process has counted of other partitions."""
        self.messages.update(other.messages)
        self.types.update(other.types)
        for reader, topics in other.lags.items():
            self.lags[reader].update(topics)
        self.warehouses += other.warehouses
        self.captures += other.captures
        self.refunds += other.refunds
        self.violations += other.violations


class _Lane(NamedTuple):
    """What is the same for all records of one partition of messages."""

    is_external: bool
    partitions: int
    has_lost_beginning: bool
    cut: int
    least_read: int
    """Up to here every reader has read."""
    committed: Mapping[str, int]
    """The next offset of each reader."""


class Loader:
    """Takes every record of the topics that the check reads; dead letters and stock snapshots first."""

    def __init__(
        self,
        decoder: GenericDecoder,
        storage: Storage,
        evidence: Evidence,
        orders: frozenset[str] | None,
    ) -> None:
        self._decoder, self._storage, self._orders = decoder, storage, orders
        self.evidence, self.tally = evidence, Tally()
        self._numbered: dict[tuple[str, int, str, int], Waiting] = {}
        self._keys: dict[tuple[str, int, str], Mapping[str, Any]] = {}
        self._first_offsets: dict[Place, int] = {}
        self._lanes: dict[Place, _Lane] = {}
        self._short_names: dict[str, str] = {}
        self._takers: dict[str, Callable[[Any, Position], None]] = {
            ORDER_STATE: self._take_state,
            ORDER_CHANGELOG: self._take_kept,
            SHIPMENT_CHANGELOG: self._take_kept,
            WAREHOUSE_CHANGELOG: self._take_level,
            **dict.fromkeys(MESSAGE_TOPICS, self._take_message),
        }

    def take(self, record: Any) -> None:
        """Add a record of any topic that the check reads."""
        topic = record.topic()
        position = Position(topic, record.partition(), record.offset())
        if topic not in self._takers:
            self._takers[topic] = self._taker_of(topic)
        if position in self.evidence.originals:
            self._storage.add_raw(position, _raw(record), position)
        self._takers[topic](record, position)

    def _taker_of(self, topic: str) -> Callable[[Any, Position], None]:
        """Return the method for records of a service's runtime."""
        takers = {
            DEAD_LETTER: self._take_letter,
            PARKED: self._take_parked,
            CONTROL: self._take_request,
            OPERATIONS: self._take_answer,
        }
        return takers[f".{topic.rpartition('.')[2]}"]

    def _is_known(self, position: Position) -> bool:
        """Return whether the position is before the cut, so that the rest of its transaction is known."""
        return position.offset < self.evidence.cut.get(position[:2], 0)

    # -- messages -------------------------------------------------------------------------------------------------

    def _take_message(self, record: Any, position: Position) -> None:
        topic, partition, offset = position
        lane = self._lanes.get((topic, partition)) or self._lane(topic, partition)
        time, key, headers = _time_of(record), record.key(), dict(record.headers() or ())
        if lane.has_lost_beginning:
            self.evidence.first_times.setdefault((topic, partition), time)
        kind, fields, fault = self._content(record.value(), topic)
        order_id = fields.get("order_id", "")
        if self._orders is not None and order_id not in self._orders:
            return
        if not fault:
            fault = "" if key else "it has no key"
            if key and lane.is_external:
                fault = describe_wrong_partition(key, partition, lane.partitions)
        own_id = headers.get("ce_id")
        message_id = bounded_id(own_id) if own_id else position.as_id
        message = (
            *(topic, partition, offset, time, key, kind, message_id, *_writer(headers.get("ce_source"))),
            *(_id(headers.get("ce_correlationid")), _id(headers.get("ce_causationid")), trace_in(headers)),
            *(order_id, fault, {name: fields.get(name) for name in FIELDS_OF.get(kind, ())} if fields else {}),
        )
        self._count(lane, topic, kind, offset)
        if kind in SENT_AGAIN:
            self.evidence.note_newer_attempt(message_id, position)
        if topic == LEDGER and not fault and self._orders is None:
            self.tally.violations += self.evidence.warehouses.take(Message._make(message), fields)
        is_about_order = order_id and not fault
        subject = order_id if is_about_order else NO_ORDER + fields.get("receipt_id", message_id)
        self._storage.add_message(subject, message)

    def _lane(self, topic: str, partition: int) -> _Lane:
        """Return what is known of the partition, from now on at once."""
        place, evidence = (topic, partition), self.evidence
        committed = {reader: evidence.committed.get(reader, {}).get(place, 0) for reader in READERS_OF[topic]}
        cut = evidence.cut.get(place, 0)
        lane = self._lanes[place] = _Lane(
            topic in EXTERNAL_TOPICS,
            evidence.partitions[topic],
            bool(evidence.firsts.get(place)),
            cut,
            min(committed.values(), default=cut),
            committed,
        )
        return lane

    def _content(self, value: bytes | None, topic: str) -> tuple[str, dict[str, Any], str]:
        """Return type, fields, and what is wrong."""
        if value is None:
            return "", {}, "it is a tombstone, on a topic that holds messages"
        try:
            name, _, _, fields = self._decoder.decode(value)
        except EnsembleError as error:
            return self._claimed(value), {}, str(error)
        kind = self._short_names.get(name) or self._short_name(name)
        if kind not in TYPES_OF[topic]:
            return kind, {}, f"{kind} does not belong on {topic}"
        return kind, fields, ""

    def _short_name(self, name: str) -> str:
        return self._short_names.setdefault(name, name.rpartition(".")[2])

    def _claimed(self, value: bytes) -> str:
        """Return the type that a broken record claims, if its schema is known."""
        try:
            return self._short_name(self._decoder.name_of(value))
        except EnsembleError:
            return ""

    def _count(self, lane: _Lane, topic: str, kind: str, offset: int) -> None:
        self.tally.messages[topic] += 1
        self.tally.types[kind] += 1
        if lane.least_read <= offset < lane.cut:
            for reader, next_offset in lane.committed.items():
                self.tally.lags[reader][topic] += next_offset <= offset

    # -- dead letters ---------------------------------------------------------------------------------------------

    def _take_letter(self, record: Any, position: Position) -> None:
        raw = _raw(record)
        letter = read_dead_letter(position, raw)
        self.evidence.add_letter(letter)
        if letter.source is not None:
            self._storage.add_raw(position, raw, letter.source)

    # -- what services keep ---------------------------------------------------------------------------------------

    def _decoded(self, record: Any, position: Position) -> tuple[str, Mapping[str, Any]] | None:
        """Return short type name and fields; None for a tombstone or an unreadable record, which is reported."""
        if record.value() is None:
            return None
        try:
            decoded = self._decoder.decode(record.value())
        except EnsembleError as error:
            self._report(position, error)
            return None
        return self._short_name(decoded.name), decoded.fields

    def _take_state(self, record: Any, position: Position) -> None:
        if self._is_known(position):
            self._note(STATE, record, position)

    def _take_kept(self, record: Any, position: Position) -> None:
        if record.value() is not None:
            self._note(KEPT, record, position)

    def _note(self, sort: int, record: Any, position: Position) -> None:
        """Keep the bytes of a state, which are decoded if a rule asks for it."""
        key, value = record.key(), record.value()
        if key is None or (value is not None and not self._is_readable(value, position)):
            return
        subject = key.decode(errors="replace")
        if self._orders is None or subject in self._orders:
            self._storage.add_note(subject, (sort, *position, _time_of(record), value))

    def _is_readable(self, value: bytes, position: Position) -> bool:
        """Return whether the bytes begin like those of a state; if not, this is reported."""
        try:
            self._decoder.name_of(value)
        except EnsembleError as error:
            self._report(position, error)
            return False
        return True

    def _report(self, position: Position, error: EnsembleError) -> None:
        self.tally.violations.append(Violation("records", str(position), f"state that cannot be read: {error}"))

    def _take_level(self, record: Any, position: Position) -> None:
        match self._decoded(record, position):
            case ("StockLevel", fields):
                level = Level(fields["on_hand"], fields["reserved"], fields["dispatched"])
                self.evidence.warehouses.claim_level(fields["warehouse_id"], fields["sku"], level)
            case ("LedgerPosition", fields):
                self.evidence.warehouses.claim_sequence(record.key().decode(errors="replace"), fields["sequence"])

    # -- what runtimes keep ---------------------------------------------------------------------------------------

    def _take_parked(self, record: Any, position: Position) -> None:
        if not self._is_known(position):
            return
        service, key = position.topic.removesuffix(PARKED), read_parked_key(record.key() or b"")
        content = self._decoded(record, position)
        if self._first_offsets.setdefault(position[:2], position.offset):
            self.evidence.cleaned.add(service)
        if key is None or (content is None and record.value() is not None):
            return
        fields = content[1] if content else None
        if key.sort == "record":
            self._set_waiting(service, position, key, fields)
        elif key.sort == "key":
            self._keys[service, position.partition, key.key] = fields or {}
        elif key.source is not None and fields is not None:
            self.evidence.resolved[service, key.source, key.number] = fields["how"]

    def _set_waiting(self, service: str, at: Position, key: ParkedKey, fields: Mapping[str, Any] | None) -> None:
        number = service, at.partition, key.key, key.number
        before = self._numbered.pop(number, None)
        if before is not None and before.source is not None:
            self.evidence.waiting.pop((service, before.source), None)
        if fields is None and before is not None:
            return
        waiting = Waiting(service, None, "", "")
        if fields is not None:
            source = Position(fields["topic"], fields["partition"], fields["offset"])
            waiting = Waiting(service, source, fields["message"], fields["message_id"])
            self._numbered[number] = self.evidence.waiting[service, source] = waiting
        place = waiting.source and tuple(waiting.source)
        content = waiting.service, place, waiting.type, waiting.message_id
        self._storage.add_note(self._subject_of(key, fields), (WAITED, *at, 0, content))

    def _subject_of(self, key: ParkedKey, fields: Mapping[str, Any] | None) -> str:
        """Return whose a parked record is: its order's, or its own where it is about none."""
        content = self._content(fields["value"], fields["topic"])[1] if fields and fields["topic"] in TYPES_OF else {}
        is_about_none = content and not content.get("order_id")
        return NO_ORDER + fields["message_id"] if fields and is_about_none else key.key

    def finish(self) -> None:
        """Say which keys are held back, once everything was read."""
        self.tally.warehouses = len(self.evidence.warehouses)
        for (service, partition, key), entry in self._keys.items():
            head = self._numbered.get((service, partition, key, entry.get("first", -1)))
            if head is not None:
                self.evidence.heads[key].append((service, head.type, entry["status"]))

    def _take_request(self, record: Any, position: Position) -> None:
        content = self._decoded(record, position) if self._is_known(position) else None
        if content is None:
            return
        (kind, fields), service = content, position.topic.removesuffix(CONTROL)
        self.evidence.asked.append(Asked(position, service, kind, fields["operation_id"], fields["at"]))
        if kind == "PauseWork" and fields["scope"] == "command":
            self.evidence.paused_commands.add((service, fields["name"]))
        if kind == "RedriveRecord" and fields["edited"] is not None:
            source = Position(fields["topic"], fields["partition"], fields["offset"])
            self.evidence.edited[service, source].add(fields["edited"])

    def _take_answer(self, record: Any, position: Position) -> None:
        match self._decoded(record, position) if self._is_known(position) else None:
            case ("OperationDone", fields):
                service = position.topic.removesuffix(OPERATIONS)
                self.evidence.answered.add((service, fields["partition"], fields["operation_id"]))

    # -- the provider ---------------------------------------------------------------------------------------------

    def take_bookings(self, bookings: Iterable[Booking]) -> None:
        """Add the payment provider's ledger."""
        for booking in bookings:
            self.tally.captures += booking.status == "captured"
            self.tally.refunds += booking.kind == "refund" and booking.amount != 0
            if self._orders is None or booking.order_id in self._orders:
                self._storage.add_booking(booking.order_id, booking.at, tuple(booking))


def _time_of(record: Any) -> int:
    """Return when the record was written, epoch milliseconds; 0 for a record in memory, which has no time."""
    stamp = getattr(record, "timestamp", None)
    return stamp()[1] if stamp else 0


def _raw(record: Any) -> Raw:
    return Raw(record.key(), record.value(), tuple(record.headers() or ()))


@lru_cache(maxsize=1_000)
def _writer(source: bytes | None) -> tuple[str, str]:
    """Return who wrote a record, as its header says, and which service that is, empty for the outside."""
    text = source.decode(errors="replace") if isinstance(source, bytes) else ""
    return text, text.removeprefix(SERVICE) if text.startswith(SERVICE) else ""


def _id(value: bytes | None) -> str:
    """Return an id as the services read it: in bounds, and as text whatever its bytes are."""
    return bounded_id(value) if value else ""
