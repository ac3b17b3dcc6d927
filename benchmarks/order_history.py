"""A history of the order flow on real topics: stories that the services have played in memory, copied with ids anew.

Each batch plays one order of each kind at its own time, and writes many orders of the same course. Every id, place and
sequence number in them is right, as if the services had written them.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from confluent_kafka import Producer

from contracts import OrderLine, OrderState, PauseOrder, PlaceOrder, ReceiveStock
from contracts.catalogue import CATALOGUE, INVENTORY_COMMANDS, INVENTORY_LEDGER, ORDER_STATE
from ensemble.messages import Message, StoredRecord, decoders_for, encoder_for
from ensemble.partitioning import partition_of
from ensemble.system_messages import DeadLetter
from ensemble.testing import FlowTestDriver, ManualClock
from services.inventory.service import inventory_service
from services.orchestrator.policies import DEFAULT_POLICIES
from services.orchestrator.service import orchestrator
from services.order.service import order_service
from services.payment.service import payment_service
from services.payment.testing import InMemoryPaymentGateway
from services.shipping.domain import shipment_id_of
from services.shipping.service import shipping_service

ORDERS_PER_BATCH: Final = 2_000
WAREHOUSES: Final = 4
_PARTITIONS: Final = 4
_STOCK: Final = 1_000_000
_ENDED: Final[Mapping[str, int]] = {"completed": 1_610, "express": 205, "declined": 125, "sold out": 60}
"""How many orders of a batch take which course."""
_OPEN: Final = ("awaited", "paused")
"""The latest orders are under way: inventory has not read what is asked of it."""
_ONE_OPEN_IN: Final = 100
_TOPICS: Final = frozenset(
    {topic.name for topic in CATALOGUE.topics}
    | {"order.dead-letter", "order.order-changelog", "shipping.shipment-changelog"}
)
_ID: Final = re.compile(rb"[0-9a-f]{32}")
_MARK: Final = 1 << 40
"""What stands for a number that is not known yet: it takes six bytes in Avro, and nothing else looks like it."""

M = TypeVar("M", bound=Message)
Offsets = dict[tuple[str, int], int]
Slots = dict[bytes, bytes]
"""What stands in a copy for each token of the story."""


def zigzag(number: int) -> bytes:
    """Return a number as Avro writes it."""
    rest, digits = number << 1 if number >= 0 else (-number << 1) - 1, bytearray()
    while rest > 127:
        digits.append(rest & 127 | 128)
        rest >>= 7
    digits.append(rest)
    return bytes(digits)


class Field:
    """Bytes of a record with tokens in them, of which each copy has its own."""

    def __init__(self, raw: bytes | None, tokens: re.Pattern[bytes]) -> None:
        self._parts = [raw] if raw is None else tokens.split(raw)
        self._is_constant = len(self._parts) == 1

    def filled(self, slots: Slots) -> bytes | None:
        parts: list[Any] = self._parts
        if self._is_constant:
            return parts[0]  # type: ignore[no-any-return]  # None, or the bytes
        parts = parts.copy()
        parts[1::2] = [slots[token] for token in parts[1::2]]
        return b"".join(parts)


@dataclass(frozen=True)
class Line:
    """One record of a story, and what stands for its offset, in Avro and as text, and its sequence number."""

    topic: str
    partition: int
    key: Field
    value: Field
    headers: tuple[tuple[str, Field], ...]
    offset: bytes
    offset_text: bytes
    sequence: bytes | None


@dataclass(frozen=True)
class OrderCourse:
    """The story of one order in memory, to be copied for orders of the same partition."""

    order_id: str
    partition: int
    lines: tuple[Line, ...]
    ids: tuple[bytes, ...]


class Batch:
    """One order of each kind, played by the services at one time."""

    def __init__(self, number: int, at: int, *, has_stock: bool) -> None:
        self.at, self.warehouse = at, f"w-{number % WAREHOUSES}"
        gateway = InMemoryPaymentGateway()
        services = [
            order_service(), payment_service(gateway), inventory_service(), shipping_service(),
            orchestrator(DEFAULT_POLICIES),
        ]  # fmt: skip
        self._flow = FlowTestDriver(services, ManualClock(at))
        self._flow.publish(ReceiveStock(warehouse_id=self.warehouse, sku="bolt", quantity=_STOCK))
        self._flow.run()
        self.stock = [self._course("", self._flow.log)] if has_stock else []
        self.courses = {
            kind: self._play(f"order-T{number:05d}{i:03d}", kind) for i, kind in enumerate((*_ENDED, *_OPEN))
        }

    def _play(self, order_id: str, kind: str) -> OrderCourse:
        begin = len(self._flow.log)
        if kind in _OPEN:
            self._flow.stop("inventory")
        self._flow.publish(_place_order(order_id, kind, self.warehouse))
        self._flow.run()
        if kind == "paused":
            self._flow.publish(PauseOrder(order_id=order_id, operation_id="op", requested_by="ann", reason="audit"))
        if kind == "declined":  # and placed again on other terms, which is a dead letter
            self._flow.publish(_place_order(order_id, "other terms", self.warehouse))
        self._flow.run()
        return self._course(order_id, self._flow.log[begin:])

    def _course(self, order_id: str, log: Sequence[StoredRecord]) -> OrderCourse:
        records = [record for record in log if record.at_topic in _TOPICS]
        places = {(r.at_topic, r.at_partition, r.at_offset): number for number, r in enumerate(records)}
        marked = [_marked(number, record, places) for number, record in enumerate(records)]
        ids = {found for record in marked for raw in _raws(record) for found in _ID.findall(raw)}
        words = [*ids, *(zigzag(_MARK + number) for number in range(2 * len(records)))]
        if order_id:
            words += [order_id.encode(), shipment_id_of(order_id).encode()]
        tokens = re.compile(b"(" + b"|".join(map(re.escape, words)) + b"|<[0-9]+>)")
        lines = tuple(_line(number, record, len(records), tokens) for number, record in enumerate(marked))
        return OrderCourse(order_id, partition_of(order_id.encode(), _PARTITIONS), lines, tuple(ids))


class History:
    """Writes batches of orders; it knows the next offset of each partition and each warehouse's next fact."""

    def __init__(self, producer: Producer, seed: int = 7) -> None:
        self._producer, self._chance = producer, random.Random(seed)
        self.offsets: Offsets = defaultdict(int)
        """The end of each partition."""
        self._sequences: defaultdict[str, int] = defaultdict(int)
        self._unused: dict[int, deque[str]] = {partition: deque() for partition in range(_PARTITIONS)}
        self._count = self._copies = 0
        self._some: list[str] = []
        self.records = 0
        self.unread: Offsets = {}
        """Where inventory reads on; every other group has read everything."""

    def write(self, orders: int, begin: int, end: int) -> list[str]:
        """Write so many orders between two times (epoch milliseconds), and return the ids of some completed ones."""
        open_orders = orders // _ONE_OPEN_IN
        ended = orders - open_orders
        batches = max(1, -(-ended // ORDERS_PER_BATCH))
        batch = Batch(0, begin, has_stock=True)
        for number in range(batches):
            if number:
                batch = Batch(number, begin + (end - begin) * number // batches, has_stock=number < WAREHOUSES)
            for course in batch.stock:
                self._copy(batch, course, "")
            kinds = [kind for kind, count in _ENDED.items() for _ in range(count)]
            self._chance.shuffle(kinds)
            self._write(batch, kinds[: ended - number * ORDERS_PER_BATCH])
        self.unread = {place: offset for place, offset in self.offsets.items() if place[0] == INVENTORY_COMMANDS.name}
        self._write(batch, [_OPEN[number % len(_OPEN)] for number in range(open_orders)])
        self._producer.flush()
        return self._some

    def _write(self, batch: Batch, kinds: Sequence[str]) -> None:
        for place, kind in enumerate(kinds):
            order_id = self._new_id(batch.courses[kind].partition)
            self._copy(batch, batch.courses[kind], order_id)
            if place == 0:
                self._some.append(order_id)

    def _new_id(self, partition: int) -> str:
        """Return an id that no order has yet and that lies in this partition."""
        while not self._unused[partition]:
            order_id = f"order-{self._count:09d}"
            self._unused[partition_of(order_id.encode(), _PARTITIONS)].append(order_id)
            self._count += 1
        return self._unused[partition].popleft()

    def _copy(self, batch: Batch, course: OrderCourse, order_id: str) -> None:
        self._copies += 1
        prefix = b"%08x" % self._copies
        slots = {own: prefix + own[8:] for own in course.ids}
        if order_id:
            slots[course.order_id.encode()] = order_id.encode()
            slots[shipment_id_of(course.order_id).encode()] = shipment_id_of(order_id).encode()
        for line in course.lines:
            offset = self.offsets[line.topic, line.partition]
            self.offsets[line.topic, line.partition] = offset + 1
            slots[line.offset], slots[line.offset_text] = zigzag(offset), b"%d" % offset
            if line.sequence:
                self._sequences[batch.warehouse] += 1
                slots[line.sequence] = zigzag(self._sequences[batch.warehouse])
            self._produce(line, slots, batch.at)

    def _produce(self, line: Line, slots: Slots, at: int) -> None:
        headers: Any = [(name, field.filled(slots)) for name, field in line.headers]
        record = line.topic, line.value.filled(slots), line.key.filled(slots), line.partition
        self.records += 1
        while True:
            try:
                self._producer.produce(*record, timestamp=at, headers=headers)
            except BufferError:
                self._producer.poll(0.1)
            else:
                break
        if self.records % 1000 == 0:
            self._producer.poll(0)


def _place_order(order_id: str, kind: str, warehouse: str) -> PlaceOrder:
    return PlaceOrder(
        order_id=order_id,
        customer_id=f"customer-{order_id[-8:]}",
        lines=(OrderLine(sku="nut" if kind == "sold out" else "bolt", quantity=2, unit_price=250),),
        currency="USD" if kind == "other terms" else "EUR",
        payment_token="tok_declined" if kind == "declined" else "tok_approve",
        warehouse_id=warehouse,
        shipping_speed="express" if kind == "express" else "standard",
    )


def _marked(number: int, record: StoredRecord, places: Mapping[tuple[str, int, int], int]) -> StoredRecord:
    """Return the record with marks in place of the numbers that each copy has its own of."""
    value, headers = record.raw_value, record.raw_headers
    if record.at_topic == ORDER_STATE.name:
        value = _with_marked_places(_decoded(record, OrderState), places)
    elif record.at_topic == INVENTORY_LEDGER.name:
        fact = _decoded(record, *INVENTORY_LEDGER.messages)
        value = encoder_for(type(fact))(fact.model_copy(update={"sequence": _MARK + len(places) + number}))
    elif record.at_topic.endswith(".dead-letter"):
        at = record.at_topic, record.at_partition, record.at_offset
        origin = DeadLetter(at, record.raw_key, value, tuple(record.headers())).origin
        headers = [
            (name, b"<%d>" % places[origin] if name.endswith(".errors.offset") else raw)
            for name, raw in record.headers()
        ]
    place = record.at_topic, record.at_partition, record.at_offset
    return StoredRecord(*place, record.raw_key, value, headers)


def _with_marked_places(state: OrderState, places: Mapping[tuple[str, int, int], int]) -> bytes:
    seen = tuple(
        entry.model_copy(update={"offset": _MARK + places[entry.topic, entry.partition, entry.offset]})
        if entry.offset >= 0
        else entry
        for entry in state.seen
    )
    return encoder_for(OrderState)(state.model_copy(update={"seen": seen}))


def _decoded(record: StoredRecord, *kinds: type[M]) -> M:
    assert record.raw_value is not None, "the history holds no tombstones"
    decoders = {prefix: decode for kind in kinds for prefix, decode in decoders_for(kind).items()}
    return decoders[record.raw_value[:5]](record.raw_value)


def _raws(record: StoredRecord) -> Iterator[bytes]:
    yield record.raw_key or b""
    yield record.raw_value or b""
    yield from (raw or b"" for _, raw in record.headers())


def _line(number: int, record: StoredRecord, count: int, tokens: re.Pattern[bytes]) -> Line:
    is_fact = record.at_topic == INVENTORY_LEDGER.name
    return Line(
        record.at_topic,
        record.at_partition,
        Field(record.raw_key, tokens),
        Field(record.raw_value, tokens),
        tuple((name, Field(raw, tokens)) for name, raw in record.headers()),
        zigzag(_MARK + number),
        b"<%d>" % number,
        zigzag(_MARK + count + number) if is_fact else None,
    )
