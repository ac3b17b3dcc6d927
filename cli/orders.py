"""Orders as the orchestrator's state and the topics tell them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from backoffice import order_history
from backoffice.currencies import money
from backoffice.debts import debts_of
from backoffice.effect_text import describe_debt
from backoffice.order_filter import OrderFilter
from backoffice.order_history import OrderHistory, waits_for
from backoffice.orders import Dimension, Orders, OrdersProjection, OrderSummary
from cli.debts import document
from ensemble.clock import epoch_ms
from ensemble.command_line.connection import entry_of, session_on, sources
from ensemble.command_line.errors import UnknownName
from ensemble.command_line.rows import time_text
from ensemble.command_line.selection import control_flow
from ensemble.command_line.view import synced_view
from ensemble.operations import NotFound, now, read_positions
from ensemble.program import command

if TYPE_CHECKING:
    from ensemble.kafka.client import ClusterClient
    from ensemble.operations.view import View


def state_of(access: ClusterClient, order_id: str) -> dict[str, Any]:
    """Return the newest state of one order, empty if the orchestrator does not know it."""
    return order_history.state_of(session_on(access), order_id)


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
    """Return everything about one order. Raises UnknownName if there is nothing.

    Of an order that is unknown, or has lived on for long, only a part of the topics is read unless `is_complete`.
    """
    try:
        return order_history.read_history(session_on(access), control_flow(), order_id, is_complete=is_complete)
    except NotFound as error:
        raise UnknownName(f"ORDER_ID: {error}; see `{command('orders list')}`, and --full for older records") from None


def document_of(history: OrderHistory) -> dict[str, Any]:
    """Return everything about one order, for JSON."""
    return {
        "order_id": history.order_id,
        "state": dict(history.state) or None,
        "waits_for": waits_for(history.state, now()) or None,
        "owed": [document(debt) for debt in debts_of(history.state)],
        "messages": [line.document() for line in history.lines],
        "dead_letters": [entry.document() for entry in history.dead],
        "unread": history.unread,
    }


def _debts_of(access: ClusterClient, orders: Sequence[OrderSummary]) -> dict[str, str]:
    """Return what these orders owe, in words: their states have it, at their places."""
    records = read_positions(session_on(access), [order.position for order in orders])
    states = [entry_of(record) for record in records]
    return {entry.key: "; ".join(map(describe_debt, debts_of(entry.fields))) for entry in states}


def _row(order: OrderSummary, owed: str | None) -> dict[str, Any]:
    return {
        "order": order.order_id,
        "status": order.status,
        "step": order.step,
        "customer": order.customer_id,
        "total": money(order.total.amount, order.total.currency) if order.total else None,
        "speed": order.shipping_speed,
        "changed": time_text(order.changed_at),
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
