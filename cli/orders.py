"""Orders as the orchestrator's state and the topics tell them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cli.connection import progress
from cli.currencies import money
from cli.debts import debts_of, document, in_words
from cli.entries import Entry, entry_of
from cli.errors import Mistake
from cli.formatting import clock, clock_seconds, duration, total
from cli.order_filter import OrderFilter
from cli.publishing import now
from cli.story import Line, Story, in_order
from contracts.catalogue import CATALOGUE, ORDER_STATE, ORDERS_EVENTS
from ensemble.clock import rfc3339
from ensemble.partitioning import partition_of

if TYPE_CHECKING:
    from ensemble.kafka.client import ClusterClient, TopicPlace

ENDED: Final = frozenset({"completed", "cancelled"})


@dataclass(frozen=True)
class OrderHistory:
    """One order: its state, if the orchestrator knows it, its messages, and those that were given up."""

    order_id: str
    state: Mapping[str, Any]
    lines: list[Line]
    dead: list[Entry]

    def document(self) -> dict[str, Any]:
        """Return everything, for JSON."""
        return {
            "order_id": self.order_id,
            "state": dict(self.state) or None,
            "waits_for": waits_for(self.state, now()) or None,
            "owed": [document(debt) for debt in debts_of(self.state)],
            "messages": [line.document() for line in self.lines],
            "dead_letters": [entry.document() for entry in self.dead],
        }


def all_states(access: ClusterClient) -> dict[str, dict[str, Any]]:
    """Return the newest state of each order, oldest change first."""
    states: dict[str, dict[str, Any]] = {}
    for record in access.read(access.places([ORDER_STATE.name]), progress("orders")):
        entry = entry_of(record)
        states.pop(entry.key, None)
        if entry.type == "OrderState":
            states[entry.key] = dict(entry.fields)
    return dict(sorted(states.items(), key=lambda item: int(item[1]["updated_at"])))


def state_of(access: ClusterClient, order_id: str) -> dict[str, Any]:
    """Return the newest state of one order, empty if the orchestrator does not know it."""
    state: dict[str, Any] = {}
    for record in access.read(_own(access, [ORDER_STATE.name], order_id)):
        if record.key == order_id.encode():
            state = dict(entry_of(record).fields)
    return state


def list_orders(access: ClusterClient, order_filter: OrderFilter, limit: int) -> list[dict[str, Any]]:
    """Return one row for each order, latest change first. Terms come from OrderPlaced if the state has none."""
    at = now()
    states = {key: state for key, state in all_states(access).items() if order_filter.takes(state, at)}
    shown = dict(list(states.items())[: -limit - 1 : -1])
    terms = _terms(access, shown)
    return [_row(order_id, state, terms.get(order_id, {})) for order_id, state in shown.items()]


def read_history(access: ClusterClient, order_id: str) -> OrderHistory:
    """Return everything about one order. Raises Mistake if there is nothing."""
    names = [topic.name for topic in CATALOGUE.topics if topic.cleanup == "delete"]
    entries = _entries(access, places_of(access, names, order_id), order_id)
    dead = _entries(access, access.places(dead_letter_topics(access)), order_id)
    state = state_of(access, order_id)
    if not entries and not state and not dead:
        raise Mistake(f"ORDER_ID: no order {order_id!r} on {access.bootstrap_servers}; see `ensemble orders list`")
    story = Story()
    return OrderHistory(order_id, state, [story.tell(entry) for entry in in_order(entries)], in_order(dead))


def places_of(access: ClusterClient, topics: Iterable[str], order_id: str) -> list[TopicPlace]:
    """Return the partitions that can hold the order: its own if the topic is keyed by order, else all."""
    by_order = {topic.name for topic in CATALOGUE.topics if topic.key == "order_id"}
    names = list(topics)
    others = [name for name in names if name not in by_order]
    return [*_own(access, [name for name in names if name in by_order], order_id), *access.places(others)]


def dead_letter_topics(access: ClusterClient) -> list[str]:
    """Return the dead letter topics of the cluster."""
    return sorted(name for name in access.topics() if name.endswith(".dead-letter"))


def waits_for(state: Mapping[str, Any], at: int) -> str:
    """Return the expected event, its sender and deadline, or since when the order is paused; empty if none."""
    expected = _expected(state.get("expected") or ())
    if state.get("paused_since") is not None:
        return f"{expected or 'its resume'}; {_pause(state)}"
    due = state.get("due_at")
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


def _own(access: ClusterClient, topics: list[str], order_id: str) -> list[TopicPlace]:
    counts: dict[str, int] = {}
    for topic, _ in access.places(topics):
        counts[topic] = counts.get(topic, 0) + 1
    return [(topic, partition_of(order_id.encode(), count)) for topic, count in counts.items()]


def _entries(access: ClusterClient, places: list[TopicPlace], order_id: str) -> list[Entry]:
    """Return the decoded records that are about the order or keyed by it."""
    order, entries = order_id.encode(), []
    for record in access.read(places, progress(f"the story of {order_id}")):
        if record.key == order or (record.value is not None and order in record.value):
            entry = entry_of(record)
            if order_id in {entry.order_id, entry.key}:
                entries.append(entry)
    return entries


def _terms(access: ClusterClient, states: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    terms = {order_id: dict(state["order"]) for order_id, state in states.items() if state.get("order")}
    missing = {order_id.encode() for order_id in states.keys() - terms.keys()}
    if missing:
        for record in access.read(access.places([ORDERS_EVENTS.name]), progress("orders")):
            if record.key in missing and (entry := entry_of(record)).type == "OrderPlaced":
                terms.setdefault(entry.key, dict(entry.fields))
    return terms


def _row(order_id: str, state: Mapping[str, Any], terms: Mapping[str, Any]) -> dict[str, Any]:
    lines = terms.get("lines") or []
    return {
        "order": order_id,
        "status": state["status"],
        "step": state.get("step"),
        "customer": terms.get("customer_id"),
        "total": money(total(lines), terms["currency"]) if lines else None,
        "speed": terms.get("shipping_speed"),
        "changed": rfc3339(state["updated_at"]),
        "waits_for": waits_for(state, now()) or None,
        "reason": state.get("reason"),
        "paused_by": state.get("paused_by"),
        "owed": "; ".join(map(in_words, debts_of(state))) or None,
    }
