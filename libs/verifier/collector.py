"""Turns records, one by one as they are read, into the facts of a snapshot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from ensemble.errors import EnsembleError
from ensemble.messages import GenericDecoder, bounded_id, trace_in
from verifier.facts import DeadLetter, Level, Message, Place, Position, Raw, Seen, StateRecord, StockSnapshot
from verifier.flow import (
    CONTROL,
    DEAD_LETTER,
    EXTERNAL_TOPICS,
    MESSAGE_TOPICS,
    OPERATIONS,
    ORDER_CHANGELOG,
    ORDER_STATE,
    PARKED,
    SHIPMENT_CHANGELOG,
    TYPES_OF,
    WAREHOUSE_CHANGELOG,
)
from verifier.parked import Parked
from verifier.placement import partition_of

RUNTIMES_OWN: Final = (PARKED, CONTROL, OPERATIONS)
_NO_FIELDS: Final[Mapping[str, Any]] = {}
_UNUSED: Final = ("customer_id", "lines", "payment_token", "expires_at")
"""Fields of commands that no check looks at; an order's terms are compared where it is placed."""


class Gathering:
    """What has been read so far."""

    def __init__(self, decoder: GenericDecoder, partitions: Mapping[str, int], cut: Mapping[Place, int]) -> None:
        self._decoder, self._partitions, self._cut = decoder, partitions, cut
        self._pool: dict[Any, Any] = {}
        self.messages: dict[Place, list[Message]] = {
            (topic, partition): [] for topic in MESSAGE_TOPICS for partition in range(partitions.get(topic, 0))
        }
        self.states: dict[str, list[StateRecord]] = {}
        self.noted: dict[str, dict[str, Seen]] = {}
        self.kept: dict[str, dict[str, Mapping[str, Any]]] = {ORDER_CHANGELOG: {}, SHIPMENT_CHANGELOG: {}}
        self.dead_letters: list[DeadLetter] = []
        self.originals: dict[Position, Raw] = {}
        self.unreadable: list[str] = []
        """Records of changelogs that cannot be read, in words."""
        self.parked = Parked()
        self._wanted: frozenset[Position] = frozenset()
        self._sequences: dict[str, int] = {}
        self._levels: dict[str, dict[str, Level]] = {}

    def stock(self) -> Mapping[str, StockSnapshot]:
        """Return inventory's own snapshots, the latest of each warehouse."""
        return {name: StockSnapshot(number, self._levels.get(name, {})) for name, number in self._sequences.items()}

    def want_originals(self) -> None:
        """Keep from now on the bytes of the records that the dead letters name; call it after reading these."""
        self._wanted = frozenset(letter.source for letter in self.dead_letters if letter.source is not None)

    def take(self, record: Any) -> None:
        """Add a record of any topic that the check reads."""
        topic, position = record.topic(), Position(record.topic(), record.partition(), record.offset())
        if self._wanted and position in self._wanted:
            self.originals[position] = _raw(record)
        if topic.endswith(DEAD_LETTER):
            self.dead_letters.append(_dead_letter(position, _raw(record)))
        elif (take := self._taker(topic)) is not None:
            take(record, position)
        elif (place := (topic, position.partition)) in self.messages:
            self.messages[place].append(self._message(record, position))

    def _taker(self, topic: str) -> Callable[[Any, Position], None] | None:
        """Return the method for records of a topic without messages."""
        if topic.endswith(RUNTIMES_OWN):
            return self._take_runtimes_own
        if topic in self.kept:
            return self._keep
        return {ORDER_STATE: self._take_state, WAREHOUSE_CHANGELOG: self._take_level}.get(topic)

    def _is_known(self, position: Position) -> bool:
        """Return whether the position is before the cut, so that the rest of its transaction is known."""
        return position.offset < self._cut.get((position.topic, position.partition), 0)

    # -- messages -----------------------------------------------------------------------------------------------------

    def _message(self, record: Any, position: Position) -> Message:
        headers = dict(record.headers() or ())
        kind, fields, fault = self._content(record.value(), position.topic)
        return Message(
            *position,
            record.key(),
            kind,
            fields,
            self._id(headers, "ce_id") or position.as_id,
            self._text(headers, "ce_source"),
            self._id(headers, "ce_correlationid"),
            self._id(headers, "ce_causationid"),
            self._shared(trace_in(headers)),
            fault or self._fault_of_key(record.key(), position),
        )

    def _content(self, value: bytes | None, topic: str) -> tuple[str, Mapping[str, Any], str]:
        """Return type, fields, and what is wrong."""
        if value is None:
            return "", _NO_FIELDS, "it is a tombstone, on a topic that holds messages"
        try:
            decoded = self._decoder.decode(value)
        except EnsembleError as error:
            return self._claimed(value), _NO_FIELDS, str(error)
        kind = self._shared(decoded.name.rpartition(".")[2])
        if kind not in TYPES_OF[topic]:
            return kind, _NO_FIELDS, f"{kind} does not belong on {topic}"
        return kind, self._fields(kind, decoded.fields), ""

    def _claimed(self, value: bytes) -> str:
        """Return the type that a broken record claims, if its schema is known."""
        try:
            return self._decoder.describe(value).rpartition(" ")[0].rpartition(".")[2]
        except EnsembleError:
            return ""

    def _fields(self, kind: str, fields: dict[str, Any]) -> Mapping[str, Any]:
        if kind not in {"OrderPlaced", "PlaceOrder"}:
            for name in _UNUSED:
                fields.pop(name, None)
        for name, value in fields.items():
            if type(value) is str:
                fields[name] = self._shared(value)
        return fields

    def _fault_of_key(self, key: bytes | None, position: Position) -> str:
        if not key:
            return "it has no key"
        right = partition_of(key, self._partitions[position.topic])
        if right != position.partition and position.topic in EXTERNAL_TOPICS:
            return f"its key belongs to partition {right}"
        return ""

    def _text(self, headers: Mapping[str, Any], name: str) -> str:
        value = headers.get(name)
        return self._shared(value.decode(errors="replace")) if isinstance(value, bytes) else ""

    def _id(self, headers: Mapping[str, Any], name: str) -> str:
        """Return an id as the services read it: in bounds, and as text whatever its bytes are."""
        value = headers.get(name)
        return self._shared(bounded_id(value)) if value else ""

    def _shared(self, value: Any) -> Any:
        """Return one object for equal values, since ids appear many times."""
        return self._pool.setdefault(value, value)

    # -- what the runtime keeps ---------------------------------------------------------------------------------------

    def _take_runtimes_own(self, record: Any, position: Position) -> None:
        """Add a record of the runtime before the cut, so that the rest of its transaction is known."""
        if not self._is_known(position):
            return
        content = self._decoded(record, position)
        if content is not None or record.value() is None:
            self.parked.take(position, record.key() or b"", *(content or ("", _NO_FIELDS)))

    # -- state --------------------------------------------------------------------------------------------------------

    def _decoded(self, record: Any, position: Position) -> tuple[str, Mapping[str, Any]] | None:
        """Return short type name and fields; None for a tombstone or an unreadable record, which is reported."""
        if record.value() is None:
            return None
        try:
            decoded = self._decoder.decode(record.value())
        except EnsembleError as error:
            self.unreadable.append(f"{position}: {error}")
            return None
        return decoded.name.rpartition(".")[2], decoded.fields

    def _take_state(self, record: Any, position: Position) -> None:
        if not self._is_known(position):
            return
        key, content = record.key(), self._decoded(record, position)
        if key is None or (content is None and record.value() is not None):
            return
        order_id, fields = key.decode(errors="replace"), content[1] if content else {}
        self.states.setdefault(order_id, []).append(self._state(fields, position))
        noted = self.noted.setdefault(order_id, {})
        for seen in fields.get("seen", ()):
            if seen["message_id"] not in noted:
                message_id = self._shared(seen["message_id"])
                at = Position(self._shared(seen["topic"]), seen["partition"], seen["offset"])
                decided = self._shared(tuple(seen.get("decided", ())))
                noted[message_id] = Seen(self._shared(seen["type"]), message_id, at, decided)

    def _state(self, fields: Mapping[str, Any], position: Position) -> StateRecord:
        def names(field: str) -> tuple[str, ...]:
            values: tuple[str, ...] = self._shared(tuple(fields.get(field, ())))
            return values

        return StateRecord(
            position.partition,
            position.offset,
            self._shared(fields.get("status", "")),
            self._shared(fields.get("step")),
            fields.get("attempt", 0),
            names("begun"),
            names("done"),
            names("failed"),
            names("undone"),
            names("settled"),
            names("owed"),
            names("expected"),
            fields.get("due_at"),
            self._shared(_pause(fields)),
            len(fields.get("seen", ())) >= MOST_SEEN,
        )

    def _keep(self, record: Any, position: Position) -> None:
        content = self._decoded(record, position)
        if content is not None and record.key() is not None:
            self.kept[position.topic][record.key().decode(errors="replace")] = content[1]

    def _take_level(self, record: Any, position: Position) -> None:
        match self._decoded(record, position):
            case ("StockLevel", fields):
                level = Level(fields["on_hand"], fields["reserved"], fields["dispatched"])
                self._levels.setdefault(fields["warehouse_id"], {})[fields["sku"]] = level
            case ("LedgerPosition", fields):
                self._sequences[record.key().decode(errors="replace")] = fields["sequence"]


MOST_SEEN: Final = 32
"""An order's state remembers the first 16 and the latest 16 messages."""


def _pause(fields: Mapping[str, Any]) -> str:
    """Return by whom and why the order is paused, empty if it is not."""
    if fields.get("paused_since") is None:
        return ""
    return f"{fields.get('paused_by') or 'nobody known'}: {fields.get('paused_reason') or 'no reason given'}"


def _raw(record: Any) -> Raw:
    return Raw(record.key(), record.value(), tuple(record.headers() or ()))


def _dead_letter(position: Position, raw: Raw) -> DeadLetter:
    headers = dict(raw.headers)
    generation = sum(name == "ensemble.redriven-from" for name, _ in raw.headers)
    disposition = (headers.get("ensemble.disposition") or b"skip").decode(errors="replace")
    service, source = position.topic.removesuffix(DEAD_LETTER), _source(headers)
    own_id = headers.get("ce_id")
    message_id = bounded_id(own_id) if own_id else (source.as_id if source else "")
    return DeadLetter(position, service, source, raw, generation, message_id, disposition)


def _source(headers: Mapping[str, bytes | None]) -> Position | None:
    """Return the origin of a dead letter, from the headers that Kafka Streams uses as well."""
    names = ("topic", "partition", "offset")
    try:
        topic, partition, offset = ((headers[f"__streams.errors.{name}"] or b"").decode() for name in names)
        return Position(topic, int(partition), int(offset))
    except (KeyError, ValueError):
        return None
