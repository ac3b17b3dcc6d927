"""Lays down records in the storage, one by one as they are read, and counts them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from ensemble.errors import EnsembleError
from ensemble.messages import GenericDecoder, bounded_id
from verifier.evidence import Evidence
from verifier.facts import Booking, Message, Parked, Place, Position, Violation
from verifier.flow import (
    EXTERNAL_TOPICS,
    FIELDS_OF,
    LEDGER,
    MESSAGE_TOPICS,
    ORDER_CHANGELOG,
    ORDER_STATE,
    SHIPMENT_CHANGELOG,
    TYPES_OF,
    WAREHOUSE_CHANGELOG,
)
from verifier.placement import describe_wrong_partition
from verifier.report import Findings
from verifier.runtime_formats import CONTROL, DEAD_LETTER, PARKED, SERVICE, read_dead_letter, read_parked_key
from verifier.storage import BOOKING, KEPT, NO_ORDER, PARKING, STATE, Storage

Content = tuple[str, Mapping[str, Any], str]
"""Type and fields of a record, and why it cannot be read, empty if it can."""


class Loader:
    """Takes every record of the topics that the check reads; dead letters and stock snapshots first."""

    def __init__(
        self, decoder: GenericDecoder, storage: Storage, evidence: Evidence, orders: frozenset[str] | None
    ) -> None:
        self._decoder, self._storage, self._orders = decoder, storage, orders
        self.evidence, self.findings = evidence, Findings()
        self._parked: dict[tuple[str, tuple[int, str, int]], str] = {}
        """Whose record waits at each place of a queue."""
        self._first_offsets: dict[Place, int] = {}
        self._takers: dict[str, Callable[[Any, Position], None]] = {
            ORDER_STATE: self._take_state,
            ORDER_CHANGELOG: self._take_state,
            SHIPMENT_CHANGELOG: self._take_state,
            WAREHOUSE_CHANGELOG: self._take_level,
            **dict.fromkeys(MESSAGE_TOPICS, self._take_message),
        }
        self._takers_of_runtimes = {
            DEAD_LETTER: self._take_letter, PARKED: self._take_parked, CONTROL: self._take_request,
        }  # fmt: skip

    def take(self, record: Any) -> None:
        """Add a record of any topic that the check reads."""
        topic = record.topic()
        taker = self._takers.get(topic) or self._takers_of_runtimes[f".{topic.rpartition('.')[2]}"]
        taker(record, Position(topic, record.partition(), record.offset()))

    def finish(self) -> None:
        """Count what can be counted once everything was read, and have the rest written."""
        self._storage.flush()
        self.findings.counted["warehouses"] = sum(bool(each.sequence) for each in self.evidence.warehouses.values())
        self.findings.counted["records parked"] = len(self._parked)

    def _is_meant(self, order_id: str) -> bool:
        return self._orders is None or order_id in self._orders

    # -- messages -------------------------------------------------------------------------------------------------

    def _take_message(self, record: Any, position: Position) -> None:
        topic, partition, offset = position
        time, key, headers = _time_of(record), record.key(), dict(record.headers() or ())
        if self.evidence.firsts.get((topic, partition)):
            self.evidence.first_times.setdefault((topic, partition), time)
        kind, fields, fault = self._content(record.value(), topic)
        order_id = fields.get("order_id", "")
        if not self._is_meant(order_id):
            return
        if not fault:
            fault = "" if key else "it has no key"
            if key and topic in EXTERNAL_TOPICS:
                fault = describe_wrong_partition(key, partition, self.evidence.partitions[topic])
        own_id = headers.get("ce_id")
        message_id = bounded_id(own_id) if own_id else position.as_id
        message = (
            *(topic, partition, offset, time, key, kind, message_id, *_writer(headers.get("ce_source"))),
            *(_id(headers.get("ce_causationid")), order_id, fault),
            {name: fields.get(name) for name in FIELDS_OF.get(kind, ())} if fields else {},
        )
        self.findings.messages[topic] += 1
        self.findings.types[kind] += 1
        if topic == LEDGER and not fault and self._orders is None:
            warehouse = self.evidence.warehouses[fields["warehouse_id"]]
            self.findings.violations += warehouse.take(Message._make(message), fields)
        is_about_order = order_id and not fault
        self._storage.add(order_id if is_about_order else NO_ORDER + fields.get("receipt_id", message_id), message)

    def _content(self, value: bytes | None, topic: str) -> Content:
        """Return what a message holds; nothing but its type where that does not belong on the topic."""
        if value is None:
            return "", {}, "it is a tombstone, on a topic that holds messages"
        kind, fields, fault = self._decode(value)
        if not fault and kind not in TYPES_OF[topic]:
            return kind, {}, f"{kind} does not belong on {topic}"
        return kind, fields, fault

    def _decode(self, value: bytes) -> Content:
        """Return what a value holds; of a broken one the type that it claims, if its schema is known."""
        try:
            name, _, _, fields = self._decoder.decode(value)
        except EnsembleError as error:
            return self._claimed(value), {}, str(error)
        return _short(name), fields, ""

    def _claimed(self, value: bytes) -> str:
        try:
            return _short(self._decoder.name_of(value))
        except EnsembleError:
            return ""

    # -- what services keep ---------------------------------------------------------------------------------------

    def _take_state(self, record: Any, position: Position) -> None:
        """Keep the bytes of a state, which are decoded if a rule asks for it."""
        key, value, is_order_state = record.key(), record.value(), position.topic == ORDER_STATE
        is_known = self.evidence.in_cut(position) if is_order_state else value is not None
        if key is None or not is_known:
            return
        if value is not None and not self._claimed(value):
            self._report(position, self._decode(value)[2])
        elif self._is_meant(subject := key.decode(errors="replace")):
            self._storage.add(subject, (STATE if is_order_state else KEPT, *position, _time_of(record), value))

    def _report(self, position: Position, fault: str) -> None:
        self.findings.violations.append(Violation("records", str(position), f"state that cannot be read: {fault}"))

    def _kept(self, record: Any, position: Position) -> tuple[str, Mapping[str, Any]]:
        """Return short type name and fields; none of a tombstone or an unreadable record, which is reported."""
        kind, fields, fault = self._decode(record.value()) if record.value() is not None else ("", {}, "")
        if fault:
            self._report(position, fault)
        return ("", {}) if fault else (kind, fields)

    def _take_level(self, record: Any, position: Position) -> None:
        match self._kept(record, position):
            case ("StockLevel", fields):
                level = fields["on_hand"], fields["reserved"], fields["dispatched"]
                self.evidence.warehouses[fields["warehouse_id"]].claimed_levels[fields["sku"]] = level
            case ("LedgerPosition", fields):
                self.evidence.warehouses[record.key().decode(errors="replace")].claimed_sequence = fields["sequence"]

    # -- what runtimes keep ---------------------------------------------------------------------------------------

    def _take_letter(self, record: Any, position: Position) -> None:
        self.evidence.add_letter(read_dead_letter(position, tuple(record.headers() or ())))

    def _take_parked(self, record: Any, position: Position) -> None:
        if not self.evidence.in_cut(position):
            return
        service, key = position.topic.removesuffix(PARKED), read_parked_key(record.key() or b"")
        kind, fields = self._kept(record, position)
        if self._first_offsets.setdefault(position[:2], position.offset):
            self.evidence.cleaned.add(service)
        if key is None or (not kind and record.value() is not None):
            return
        if key.sort == "record":
            number = position.partition, key.key, key.number
            self._take_parked_record(Parked(service, number, None), position, fields)
        elif key.source is not None and fields:
            self.evidence.resolved[service, key.source, key.number] = fields["how"]

    def _take_parked_record(self, parked: Parked, at: Position, fields: Mapping[str, Any]) -> None:
        """Note what waits at a place of a queue now, or that it was emptied, with whom it is about."""
        place = parked.service, parked.number
        subject = self._parked.pop(place, parked.number[1])
        if fields:
            subject = self._parked[place] = self._subject_of(fields, parked.number[1])
            source = fields["topic"], fields["partition"], fields["offset"]
            parked = parked._replace(source=source, message_id=fields["message_id"])
        self._storage.add(subject, (PARKING, *at, 0, tuple(parked)))

    def _subject_of(self, parked: Mapping[str, Any], key: str) -> str:
        """Return whose a parked record is: its order's, or its own where it is about none."""
        content = self._content(parked["value"], parked["topic"])[1] if parked["topic"] in TYPES_OF else {}
        own = NO_ORDER + str(parked["message_id"]) if content else key
        return content.get("order_id") or own

    def _take_request(self, record: Any, position: Position) -> None:
        if not self.evidence.in_cut(position):
            return
        match self._kept(record, position):
            case ("PauseWork", {"scope": "command", "name": name}):
                self.evidence.paused_commands.add((position.topic.removesuffix(CONTROL), name))

    # -- the provider ---------------------------------------------------------------------------------------------

    def take_bookings(self, bookings: Iterable[Booking]) -> None:
        """Add the payment provider's ledger."""
        for number, booking in enumerate(bookings):
            self.findings.counted["captures"] += booking.status == "captured"
            self.findings.counted["refunds"] += booking.kind == "refund" and booking.amount != 0
            if self._is_meant(booking.order_id):
                self._storage.add(booking.order_id, (BOOKING, "", 0, number, booking.at, tuple(booking)))


def _time_of(record: Any) -> int:
    """Return when the record was written, epoch milliseconds; 0 for a record in memory, which has no time."""
    stamp = getattr(record, "timestamp", None)
    return stamp()[1] if stamp else 0


@lru_cache(maxsize=1_000)
def _short(name: str) -> str:
    return name.rpartition(".")[2]


@lru_cache(maxsize=1_000)
def _writer(source: bytes | None) -> tuple[str, str]:
    """Return who wrote a record, as its header says, and which service that is, empty for the outside."""
    text = source.decode(errors="replace") if isinstance(source, bytes) else ""
    return text, text.removeprefix(SERVICE) if text.startswith(SERVICE) else ""


def _id(value: bytes | None) -> str:
    """Return an id as the services read it: in bounds, and as text whatever its bytes are."""
    return bounded_id(value) if value else ""
