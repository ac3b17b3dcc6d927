"""Orders that have not ended, what they wait for, and how far behind the groups are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final, NamedTuple

from verifier.facts import Message, StateRecord, Waiting
from verifier.flow import READERS_OF
from verifier.snapshot import NONE, Snapshot

_CLOSING: Final = ("CompleteOrder", "CancelOrder")


class OpenOrder(NamedTuple):
    """An accepted order that has neither ended nor been given up."""

    order_id: str
    status: str
    step: str | None
    waits_for: str
    due_at: int | None
    """Epoch milliseconds; None: nothing is due."""
    paused: str = ""
    """Who or what pauses it, and why; empty: it is not paused."""


def open_orders(snapshot: Snapshot) -> tuple[OpenOrder, ...]:
    """Return accepted orders without an end, and orders that are not accepted yet."""
    ended = snapshot.completed.keys() | snapshot.cancelled.keys() | owing_orders(snapshot).keys()
    begun = [
        _open(snapshot, order_id)
        for order_id in snapshot.accepted
        if order_id not in ended and not _ended_long_ago(snapshot, order_id)
    ]
    return (*begun, *_waiting(snapshot))


def owing_orders(snapshot: Snapshot) -> Mapping[str, tuple[str, ...]]:
    """Return orders whose compensation has failed, with the owed steps."""
    states = {order_id: snapshot.state_of(order_id) for order_id in snapshot.states}
    return {
        order_id: state.owed
        for order_id, state in states.items()
        if state is not None and state.status == "compensation_failed"
    }


def lags(snapshot: Snapshot) -> Mapping[str, Mapping[str, int]]:
    """Return for each group and topic the number of records before the cut that it has not read."""
    by_group: dict[str, Counter[str]] = {}
    for topic, readers in READERS_OF.items():
        for group in readers:
            behind = sum(1 for m in snapshot.on(topic) if snapshot.in_cut(m) and not snapshot.was_read(group, m))
            by_group.setdefault(group, Counter())[topic] = behind
    return by_group


def _open(snapshot: Snapshot, order_id: str) -> OpenOrder:
    state = snapshot.state_of(order_id)
    if state is None:
        return OpenOrder(order_id, "placed", None, _unread(snapshot, "orchestrator", snapshot.accepted[order_id]), None)
    if state.status in {"completed", "cancelled"}:
        return OpenOrder(order_id, state.status, None, "the order service, which has yet to close it", None)
    parked = snapshot.parked_heads.get(order_id, [])
    return OpenOrder(order_id, state.status, state.step, _awaited(state, parked), state.due_at, state.paused)


def _ended_long_ago(snapshot: Snapshot, order_id: str) -> bool:
    """Return whether only the state tells of the end: retention has removed the rest, and an OrderPlaced came again."""
    state, by_type = snapshot.state_of(order_id), snapshot.orders.get(order_id, NONE)
    has_ended = state is not None and state.status in {"completed", "cancelled"}
    return has_ended and not snapshot.is_whole and not any(by_type.get(name) for name in _CLOSING)


def _awaited(state: StateRecord, parked: list[Waiting]) -> str:
    awaited = " or ".join(state.expected) or "nothing"
    for head in parked:
        awaited += f"; {head.service} has {head.type} parked ({head.status})"
    return f"{awaited} (paused by {state.paused})" if state.paused else awaited


def _waiting(snapshot: Snapshot) -> list[OpenOrder]:
    """Return PlaceOrder commands that have not been handled."""
    commands = {
        message.order_id: OpenOrder(message.order_id, "requested", None, _unread(snapshot, "order", message), None)
        for message in snapshot.on("orders.commands")
        if message.type == "PlaceOrder" and not message.fault and not snapshot.was_read("order", message)
    }
    return [order for order_id, order in commands.items() if order_id not in snapshot.accepted]


def _unread(snapshot: Snapshot, group: str, message: Message) -> str:
    if snapshot.was_read(group, message):
        return f"nothing known: {group} has read {message}"
    return f"{group} to read {message}"
