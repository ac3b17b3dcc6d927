"""Orders in a view: one row each, with what is filtered, sorted and counted, and where its state lies."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from sqlite3 import Connection
from typing import Any, Final, Literal

from backoffice.order_filter import OrderFilter
from contracts import SCHEMAS, OrderPlaced, OrderState
from contracts.catalogue import ORDER_STATE, ORDERS_EVENTS
from ensemble.clock import moment_of
from ensemble.errors import UndecodableRecord
from ensemble.kafka.client import TopicPlace
from ensemble.messages import GenericDecoder, SchemaSourceSelector, schema_name
from ensemble.operations import Invalid, Money, NotFound, Position, Result
from ensemble.operations.view import FROM_ITS_BEGINNING, SQLITE_LIMIT, Change, FoldRecord, RecordsByTopic, View

UNREADABLE: Final = "unreadable"
"""The status of an order whose state this release cannot read."""
Dimension = Literal["status", "step", "paused_by", "owed"]
_STATE, _PLACED = schema_name(OrderState), schema_name(OrderPlaced)
_SEPARATOR: Final = ","
_CURSOR: Final = re.compile(r"(-?[0-9]{1,18})-([0-9]{1,18})")
_LOOKUP: Final = 500
_COLUMNS: Final = (
    "status", "step", "reason", "expected", "due_at", "paused_since", "paused_by", "paused_reason", "remaining_ms",
    "owed", "changed_at", "state_partition", "state_offset",
)  # fmt: skip
"""What the latest state says; a tombstone empties them."""
_TERMS: Final = ("customer_id", "amount", "currency", "warehouse_id", "shipping_speed", "placed_at")
"""What was agreed on: by the first OrderPlaced on the topic, and until that is read by the state."""


class OrderPause(Result):
    """Since when, by whom and why an order is paused. Its deadline goes on with `remaining_ms` when it is resumed."""

    since: datetime | None
    by: str | None
    reason: str | None
    remaining_ms: int | None


class Expectation(Result):
    """The events that one of is waited for, and until when."""

    events: tuple[str, ...]
    due_at: datetime | None


class OrderSummary(Result):
    """One order as lists show it. `owed` names the steps whose undo was given up; `position` is that of its state."""

    order_id: str
    status: str
    step: str | None
    reason: str | None
    customer_id: str | None
    total: Money | None
    warehouse_id: str | None
    shipping_speed: str | None
    placed_at: datetime | None
    changed_at: datetime | None
    paused: OrderPause | None
    owed: tuple[str, ...]
    expects: Expectation | None
    position: Position


class OrderPage(Result):
    """Some orders, and what the next page is asked for with; nothing if there is none."""

    orders: tuple[OrderSummary, ...]
    next: str | None


class OrdersProjection:
    """Folds the orchestrator's states, and the terms that orders were placed on."""

    name = "orders"
    version = 1
    tables: Sequence[str] = ("orders", "order_counts")
    max_age_s = 20 * 3600.0
    schema = """
        CREATE TABLE orders (
            order_id TEXT NOT NULL UNIQUE, status TEXT, step TEXT, reason TEXT, expected TEXT, due_at INTEGER,
            paused_since INTEGER, paused_by TEXT, paused_reason TEXT, remaining_ms INTEGER, owed TEXT,
            changed_at INTEGER, state_partition INTEGER, state_offset INTEGER,
            customer_id TEXT, amount INTEGER, currency TEXT, warehouse_id TEXT, shipping_speed TEXT, placed_at INTEGER,
            is_placed INTEGER NOT NULL DEFAULT 0
        );
        CREATE TABLE order_counts (
            status TEXT NOT NULL, step TEXT NOT NULL, paused_by TEXT NOT NULL, owed TEXT NOT NULL, count INTEGER,
            PRIMARY KEY (status, step, paused_by, owed)
        ) WITHOUT ROWID
    """
    indexes = """
        CREATE INDEX IF NOT EXISTS orders_changed ON orders (changed_at);
        CREATE INDEX IF NOT EXISTS orders_status ON orders (status, changed_at);
        CREATE INDEX IF NOT EXISTS orders_customer ON orders (customer_id, changed_at);
        CREATE INDEX IF NOT EXISTS orders_paused ON orders (changed_at) WHERE paused_since IS NOT NULL;
        CREATE INDEX IF NOT EXISTS orders_owed ON orders (changed_at) WHERE owed IS NOT NULL;
        CREATE INDEX IF NOT EXISTS orders_due ON orders (due_at) WHERE due_at IS NOT NULL
    """

    def __init__(self, sources: SchemaSourceSelector) -> None:
        """Take the sources of schema ids that are not in the files."""
        self._decoder = GenericDecoder([SCHEMAS, sources], {_STATE: "seen"})

    def topics(self, existing: Collection[str]) -> Iterable[str]:
        return [name for name in (ORDER_STATE.name, ORDERS_EVENTS.name) if name in existing]

    def begin(self, topic: str, now: int) -> int | None:  # noqa: ARG002  all topics alike
        return FROM_ITS_BEGINNING

    def fold(self, db: Connection, records: RecordsByTopic) -> Iterable[Change]:
        """Take the last state and the first terms of each order; only those are decoded."""
        states = {record.key(): record for record in records.get(ORDER_STATE.name, ())}
        rows = [self._state_row(key, record) for key, record in states.items() if key is not None]
        ids = [row[0] for row in rows]
        counts: Counter[tuple[Any, ...]] = Counter(
            (row[1], row[2] or "", row[7] or "", row[10] or "") for row in rows if row[1] is not None
        )
        counts.subtract(_count(db, ids))
        terms = list(filter(None, map(self._terms_row, self._first_placed(records.get(ORDERS_EVENTS.name, ())))))
        db.executemany(_PUT_TERMS, terms)
        db.executemany(_PUT_STATE, rows)
        db.executemany(_REMOVE, ((row[0],) for row in rows if row[1] is None))
        db.executemany(_ADD_COUNT, ((*group, count) for group, count in counts.items() if count))
        return (Change(self.name, order_id) for order_id in dict.fromkeys([*ids, *(row[0] for row in terms)]))

    def remove_expired(self, db: Connection, starts: Mapping[TopicPlace, int]) -> None:
        """Keep all rows: an order outlives the message that placed it."""

    def _first_placed(self, records: Sequence[FoldRecord]) -> Iterable[FoldRecord]:
        first: dict[Any, FoldRecord] = {}
        for record in records:
            if record.key() not in first and self._is_placed(record.value()):
                first[record.key()] = record
        return first.values()

    def _is_placed(self, value: bytes | None) -> bool:
        try:
            return value is not None and self._decoder.name_of(value) == _PLACED
        except UndecodableRecord:
            return False

    def _terms_row(self, record: FoldRecord) -> tuple[Any, ...] | None:
        try:
            return record.key().decode(errors="replace"), *_terms_of(self._decoder.decode(record.value()).fields)
        except (UndecodableRecord, AttributeError):  # no key: it is no order's
            return None

    def _state_row(self, key: bytes, record: FoldRecord) -> tuple[Any, ...]:
        order_id, value, pointer = key.decode(errors="replace"), record.value(), (record.partition(), record.offset())
        if value is None:
            return order_id, *([None] * (len(_COLUMNS) + len(_TERMS)))
        try:
            decoded = self._decoder.decode(value)
        except UndecodableRecord as error:
            return order_id, UNREADABLE, None, str(error), *_nothing(7), record.timestamp()[1], *pointer, *_nothing(6)
        return order_id, *_columns_of(decoded.fields, record.timestamp()[1], pointer)


class Orders:
    """Answers questions about the orders of a view."""

    def __init__(self, view: View) -> None:
        """Take a view that has the orders' projection; whoever asks has it synced before."""
        self._view = view

    def matching(self, order_filter: OrderFilter, now: int) -> Iterator[OrderSummary]:
        """Yield all orders that match at `now` (epoch milliseconds), the oldest change first."""
        where, parameters = order_filter.sql(now)
        with self._view.read() as db:
            rows = db.execute(f"{_SELECT} WHERE {where} ORDER BY changed_at, rowid", parameters).fetchall()
        yield from map(_summary, rows)

    def of(self, order_ids: Sequence[str]) -> dict[str, OrderSummary]:
        """Return those of these orders that there are, by id."""
        return {order.order_id: order for order in self.find(order_ids)}

    def list(self, order_filter: OrderFilter, now: int, limit: int, offset: int = 0) -> tuple[OrderSummary, ...]:
        """Return the orders that match at `now` (epoch milliseconds), the latest change first."""
        where, parameters = order_filter.sql(now)
        query = f"{_SELECT} WHERE {where} ORDER BY changed_at DESC, rowid DESC LIMIT ? OFFSET ?"
        with self._view.read() as db:
            return tuple(map(_summary, db.execute(query, [*parameters, limit, offset])))

    def page(self, order_filter: OrderFilter, now: int, limit: int, after: str | None = None) -> OrderPage:
        """Return the orders that match like `list`, from behind those of the page whose `next` is `after`.

        No order is missed or shown twice, unless it changes meanwhile. Raises Invalid if `after` is no page's `next`.
        """
        changed_at, number = (SQLITE_LIMIT - 1, 0) if after is None else _parse_cursor(after)
        where, parameters = order_filter.sql(now)
        query = (
            f"SELECT rowid, {', '.join(_ALL)} FROM orders WHERE {where} AND (changed_at, rowid) < (?, ?) "
            "ORDER BY changed_at DESC, rowid DESC LIMIT ?"
        )
        with self._view.read() as db:
            rows = db.execute(query, [*parameters, changed_at, number, limit + 1]).fetchall()
        orders = tuple(_summary(row[1:]) for row in rows[:limit])
        last = rows[limit - 1] if len(rows) > limit else None
        return OrderPage(orders=orders, next=last and f"{last[1 + _ALL.index('changed_at')]}-{last[0]}")

    def get(self, order_id: str) -> OrderSummary:
        """Return one order. Raises NotFound."""
        with self._view.read() as db:
            row = db.execute(f"{_SELECT} WHERE order_id = ? AND status IS NOT NULL", (order_id,)).fetchone()
        if row is None:
            raise NotFound(f"no order {order_id!r}", subject=order_id)
        return _summary(row)

    def find(self, order_ids: Sequence[str]) -> tuple[OrderSummary, ...]:
        """Return those of these orders that there are, in any order."""
        with self._view.read() as db:
            return tuple(_summary(row) for part in _parts(order_ids) for row in _rows_of(db, part))

    def count(self, by: Dimension, order_filter: OrderFilter, now: int) -> dict[str, int]:
        """Return the number of matching orders for each value, the largest first; `` for orders without one."""
        return self.count_by_each((by,), order_filter, now)[by]

    def count_by_each(
        self, dimensions: Sequence[Dimension], order_filter: OrderFilter, now: int
    ) -> dict[Dimension, dict[str, int]]:
        """Return what `count` returns for each of the dimensions, from one look at the orders."""
        where, parameters = order_filter.sql(now)
        is_kept = all(
            condition.name in {"status", "step", "paused_by", "owed"} for condition in order_filter.conditions
        )
        columns = ", ".join(dimensions)
        query = (
            f"SELECT SUM(count), {columns} FROM {_COUNTS} WHERE {where} GROUP BY {columns} HAVING SUM(count) > 0"
            if is_kept
            else f"SELECT COUNT(*), {columns} FROM orders WHERE {where} GROUP BY {columns}"
        )
        with self._view.read() as db:
            rows = db.execute(query, parameters).fetchall()
        return {by: _sum_up((row[column], row[0]) for row in rows) for column, by in enumerate(dimensions, start=1)}


_ALL: Final = ("order_id", *_COLUMNS, *_TERMS)
_COUNTS: Final = (
    "(SELECT status, nullif(step, '') AS step, nullif(paused_by, '') AS paused_by, nullif(owed, '') AS owed, count "
    "FROM order_counts)"
)
_SELECT: Final = f"SELECT {', '.join(_ALL)} FROM orders"
_SELECT_COUNTED: Final = (
    "SELECT status, coalesce(step, ''), coalesce(paused_by, ''), coalesce(owed, '') "
    "FROM orders WHERE status IS NOT NULL"
)
_PUT_STATE: Final = (
    f"INSERT INTO orders ({', '.join(_ALL)}) VALUES ({', '.join('?' * len(_ALL))}) ON CONFLICT (order_id) DO UPDATE "
    f"SET {', '.join(f'{name} = excluded.{name}' for name in _COLUMNS)}, "
    + ", ".join(f"{name} = CASE is_placed WHEN 1 THEN {name} ELSE excluded.{name} END" for name in _TERMS)
)
_PUT_TERMS: Final = (
    f"INSERT INTO orders (order_id, {', '.join(_TERMS)}, is_placed) VALUES (?, {', '.join('?' * len(_TERMS))}, 1) "
    f"ON CONFLICT (order_id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _TERMS)}, is_placed = 1 "
    "WHERE NOT is_placed"
)
_REMOVE: Final = "DELETE FROM orders WHERE order_id = ? AND status IS NULL AND NOT is_placed"
_ADD_COUNT: Final = (
    "INSERT INTO order_counts VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count"
)


def _sum_up(counts: Iterable[tuple[str | None, int]]) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for value, count in counts:
        sums[value or ""] += count
    return dict(sorted(sums.items(), key=lambda each: (-each[1], each[0])))


def _parse_cursor(text: str) -> tuple[int, int]:
    match = _CURSOR.fullmatch(text)
    if match is None:
        raise Invalid(f"{text!r} is no place to go on from", hint="give the `next` of a page", field="cursor")
    return int(match[1]), int(match[2])


def _count(db: Connection, ids: Sequence[str]) -> Counter[tuple[Any, ...]]:
    """Count these orders by what is counted."""
    counts: Counter[tuple[Any, ...]] = Counter()
    for part in _parts(ids):
        counts.update(db.execute(f"{_SELECT_COUNTED} AND order_id IN ({','.join('?' * len(part))})", part).fetchall())
    return counts


def _parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the ids in parts of which SQLite takes each as parameters."""
    return (ids[begin : begin + _LOOKUP] for begin in range(0, len(ids), _LOOKUP))


def _rows_of(db: Connection, ids: Sequence[str]) -> Iterable[tuple[Any, ...]]:
    return db.execute(f"{_SELECT} WHERE status IS NOT NULL AND order_id IN ({','.join('?' * len(ids))})", ids)


def summary_of(order_id: str, state: Mapping[str, Any], changed_at: int, pointer: tuple[int, int]) -> OrderSummary:
    """Return an order as its decoded state alone has it: an ended one has no terms.

    The pointer is the partition and the offset of the state.
    """
    return _summary((order_id, *_columns_of(state, changed_at, pointer)))


def _columns_of(state: Mapping[str, Any], changed_at: int, pointer: tuple[int | None, int | None]) -> tuple[Any, ...]:
    field = state.get  # a record of an earlier release lacks some
    return (
        field("status"), field("step"), field("reason"), _joined(field("expected")), field("due_at"),
        field("paused_since"), field("paused_by"), field("paused_reason"), field("remaining_ms"),
        _joined(field("owed")), changed_at, *pointer,
        *(_terms_of(state["order"]) if field("order") else _nothing(6)),
    )  # fmt: skip


def _terms_of(fields: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the columns of the terms. An outsider may have written any numbers, also too large ones."""
    amount = sum(line["quantity"] * line["unit_price"] for line in fields.get("lines") or ())
    terms = fields.get("warehouse_id"), fields.get("shipping_speed"), fields.get("placed_at")
    return fields.get("customer_id"), amount if abs(amount) < SQLITE_LIMIT else None, fields.get("currency"), *terms


def _nothing(count: int) -> Iterator[None]:
    return (None for _ in range(count))


def _joined(names: Sequence[str] | None) -> str | None:
    return _SEPARATOR.join(names or ()) or None


def _summary(row: tuple[Any, ...]) -> OrderSummary:
    r = dict(zip(_ALL, row, strict=True))
    is_paused = r["paused_since"] is not None
    pause = OrderPause(
        since=moment_of(r["paused_since"]), by=r["paused_by"], reason=r["paused_reason"], remaining_ms=r["remaining_ms"]
    )
    events = tuple((r["expected"] or "").split(_SEPARATOR)) if r["expected"] else ()
    return OrderSummary(
        order_id=r["order_id"],
        status=r["status"],
        step=r["step"],
        reason=r["reason"],
        customer_id=r["customer_id"],
        total=None if r["amount"] is None else Money(amount=r["amount"], currency=r["currency"]),
        warehouse_id=r["warehouse_id"],
        shipping_speed=r["shipping_speed"],
        placed_at=moment_of(r["placed_at"]),
        changed_at=moment_of(r["changed_at"]),
        paused=pause if is_paused else None,
        owed=tuple((r["owed"] or "").split(_SEPARATOR)) if r["owed"] else (),
        expects=Expectation(events=events, due_at=moment_of(r["due_at"])) if events else None,
        position=Position(topic=ORDER_STATE.name, partition=r["state_partition"], offset=r["state_offset"]),
    )
