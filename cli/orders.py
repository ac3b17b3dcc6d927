"""Orders as the orchestrator's state and the topics tell them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backoffice import OrderRecords, find_dead_letters, find_records, places_of
from backoffice.order_filter import OrderFilter
from backoffice.orders import Dimension, Orders, OrdersProjection, OrderSummary
from cli.currencies import money
from cli.debts import debts_of, document, in_words
from cli.story import Line, Story, in_order, order_of
from contracts.catalogue import CATALOGUE, ORDER_STATE
from ensemble.clock import epoch_ms, rfc3339
from ensemble.command_line.connection import entry_of, sources
from ensemble.command_line.errors import Mistake
from ensemble.command_line.formatting import clock, clock_seconds, duration
from ensemble.command_line.view import synced_view
from ensemble.operations import Entry, now
from ensemble.program import command

if TYPE_CHECKING:
    from ensemble.kafka.client import ClusterClient, TopicPlace
    from ensemble.operations.view import View


@dataclass(frozen=True)
class OrderHistory:
    """One order: its state, if the orchestrator knows it, its messages, and those that were given up."""

    order_id: str
    state: Mapping[str, Any]
    lines: list[Line]
    dead: list[Entry]
    unread: int = 0
    """How many records that may be the order's were not read, because it lived on for so long."""

    def document(self) -> dict[str, Any]:
        """Return everything, for JSON."""
        return {
            "order_id": self.order_id,
            "state": dict(self.state) or None,
            "waits_for": waits_for(self.state, now()) or None,
            "owed": [document(debt) for debt in debts_of(self.state)],
            "messages": [line.document() for line in self.lines],
            "dead_letters": [entry.document() for entry in self.dead],
            "unread": self.unread,
        }


def state_of(access: ClusterClient, order_id: str) -> dict[str, Any]:
    """Return the newest state of one order, empty if the orchestrator does not know it."""
    [place] = places_of(access, [ORDER_STATE.name], order_id)
    record = access.last_of(place, order_id.encode())
    return {} if record is None else dict(entry_of(record).fields)


def list_orders(
    access: ClusterClient, order_filter: OrderFilter, limit: int, *, use_file: bool = True
) -> list[dict[str, Any]]:
    """Return one row for each order, latest change first."""
    with _view(access, use_file=use_file) as view:
        orders = Orders(view).list(order_filter, now(), limit)
    debts = _debts_of(access, [order for order in orders if order.owed])
    return [_row(order, debts.get(order.order_id)) for order in orders]


def count_orders(
    access: ClusterClient, order_filter: OrderFilter, by: Dimension, *, use_file: bool = True
) -> list[dict[str, Any]]:
    """Return one row for each value, with the number of orders, the largest first."""
    with _view(access, use_file=use_file) as view:
        counts = Orders(view).count(by, order_filter, now())
    return [{by: value or None, "orders": count} for value, count in counts.items()]


def _view(access: ClusterClient, *, use_file: bool) -> AbstractContextManager[View]:
    return synced_view(access, [OrdersProjection(sources())], "orders", use_file=use_file)


def read_history(access: ClusterClient, order_id: str, *, is_complete: bool = False) -> OrderHistory:
    """Return everything about one order. Raises Mistake if there is nothing.

    Of an order that is unknown, or has lived on for long, only a part of the topics is read unless `is_complete`.
    """
    state = state_of(access, order_id)
    records = find_records(access, order_id, state, is_complete=is_complete)
    entries = _entries(access, records)
    dead = _entries(access, find_dead_letters(access, order_id, state, dead_letter_topics(access)))
    if not entries and not state and not dead:
        older = "; --full also looks at older records" if records.unread else ""
        raise Mistake(
            f"ORDER_ID: no order {order_id!r} on {access.bootstrap_servers}; see `{command('orders list')}`{older}"
        )
    story = Story()
    lines = [story.tell(entry) for entry in in_order(entries)]
    return OrderHistory(order_id, state, lines, in_order(dead), records.unread)


def dead_letter_topics(access: ClusterClient) -> list[str]:
    """Return the dead letter topics of the cluster."""
    return sorted(name for name in access.topics() if name.endswith(".dead-letter"))


def waits_for(state: Mapping[str, Any], at: int) -> str:
    """Return the expected event, its sender and deadline, or since when the order is paused; empty if none."""
    expected = _expected(state.get("expected") or ())
    if state.get("paused_since") is not None:
        return f"{expected or 'its resume'}; {_pause(state)}"
    return _by(expected, state.get("due_at"), at)


def _by(expected: str, due: int | None, at: int) -> str:
    if not expected or due is None:
        return expected
    remaining = due - at
    when = f"in {duration(remaining)}" if remaining >= 0 else f"overdue by {duration(remaining)}"
    return f"{expected} by {clock_seconds(due)} ({when})"


def _expected(events: Iterable[str]) -> str:
    """Return `A or B from payment`: the events with the services that own them."""
    by_owner: dict[str, list[str]] = {}
    for event in events:
        by_owner.setdefault(_owner_of(event), []).append(event)
    return " or ".join(f"{' or '.join(names)} from {owner}" for owner, names in by_owner.items())


def _owner_of(event: str) -> str:
    """Return the owner of an event; an event of another release has none here."""
    homes = [topic.owner for topic in CATALOGUE.topics if event in {message.__name__ for message in topic.messages}]
    return homes[0] if homes else "nobody here"


def _pause(state: Mapping[str, Any]) -> str:
    by = f" by {state['paused_by']}" if state.get("paused_by") else ""
    remaining = state.get("remaining_ms")
    then = (
        f"; {duration(remaining)} are left when it is resumed"
        if remaining is not None
        else "; it sends when it is resumed"
    )
    return f"paused since {clock(state['paused_since'])}{by}: {state['paused_reason']}{then}"


def _entries(access: ClusterClient, records: OrderRecords) -> list[Entry]:
    """Return the decoded records that are about the order or keyed by it."""
    entries = map(entry_of, records.read(access))
    return [entry for entry in entries if records.order_id in {order_of(entry), entry.key}]


def _debts_of(access: ClusterClient, orders: Sequence[OrderSummary]) -> dict[str, str]:
    """Return what these orders owe, in words: their states have it, at their places."""
    offsets: dict[TopicPlace, list[int]] = {}
    for order in orders:
        offsets.setdefault((order.position.topic, order.position.partition), []).append(order.position.offset)
    most = max(map(len, offsets.values()), default=0)
    rounds = [{place: range(n[i], n[i] + 1) for place, n in offsets.items() if i < len(n)} for i in range(most)]
    states = [entry_of(record) for record in access.read_spans(*rounds)]
    return {entry.key: "; ".join(map(in_words, debts_of(entry.fields))) for entry in states}


def _row(order: OrderSummary, owed: str | None) -> dict[str, Any]:
    return {
        "order": order.order_id,
        "status": order.status,
        "step": order.step,
        "customer": order.customer_id,
        "total": money(order.total.amount, order.total.currency) if order.total else None,
        "speed": order.shipping_speed,
        "changed": None if order.changed_at is None else rfc3339(epoch_ms(order.changed_at)),
        "waits_for": waits_for(_expectation(order), now()) or None,
        "reason": order.reason,
        "paused_by": order.paused.by if order.paused else None,
        "owed": owed or None,
    }


def _expectation(order: OrderSummary) -> dict[str, Any]:
    """Return what `waits_for` reads of a state."""
    pause, expects = order.paused, order.expects
    paused = {
        "paused_since": pause.since and epoch_ms(pause.since),
        "paused_by": pause.by,
        "paused_reason": pause.reason,
        "remaining_ms": pause.remaining_ms,
    } if pause else {}  # fmt: skip
    due_at = expects.due_at if expects else None
    return {"expected": expects.events if expects else (), "due_at": due_at and epoch_ms(due_at), **paused}
