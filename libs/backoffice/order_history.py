"""Everything that is known of one order: its state, its messages, those that were given up, and what comes next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from backoffice.order_records import OrderRecords, find_dead_letters, find_records
from backoffice.order_states import find_state
from backoffice.order_story import Line, Story, in_order, order_of
from contracts.catalogue import CATALOGUE
from ensemble.clock import clock_seconds, duration
from ensemble.operations import DEAD_LETTER, ControlFlow, Entry, NotFound, Session


@dataclass(frozen=True)
class OrderHistory:
    """One order: its state, if the orchestrator knows it, its messages, and those that were given up."""

    order_id: str
    state: Mapping[str, Any]
    lines: list[Line]
    dead: list[Entry]
    unread: int = 0
    """How many records that may be the order's were not read, because it lived on for so long."""


def state_of(session: Session, order_id: str) -> dict[str, Any]:
    """Return the newest state of one order, empty if the orchestrator does not know it."""
    record = find_state(session, order_id)
    return {} if record is None else dict(session.decode(record).fields)


def read_history(
    session: Session, control_flow: ControlFlow, order_id: str, *, is_complete: bool = False
) -> OrderHistory:
    """Return everything about one order. Raises NotFound if there is nothing.

    Of an order that is unknown, or has lived on for long, only a part of the topics is read unless `is_complete`.
    """
    state = state_of(session, order_id)
    records = find_records(session.client, order_id, state, is_complete=is_complete)
    entries = _entries(session, records)
    dead = _entries(session, find_dead_letters(session.client, order_id, state, dead_letter_topics(session)))
    if not entries and not state and not dead:
        older = "; older records were not looked at" if records.unread else ""
        raise NotFound(f"no order {order_id!r} on {session.client.bootstrap_servers}{older}", subject=order_id)
    story = Story(control_flow)
    lines = [story.tell(entry) for entry in in_order(entries)]
    return OrderHistory(order_id, state, lines, in_order(dead), records.unread)


def dead_letter_topics(session: Session) -> list[str]:
    """Return the dead letter topics of the cluster."""
    return sorted(name for name in session.client.topics() if name.endswith(DEAD_LETTER))


def waits_for(state: Mapping[str, Any], at: int) -> str:
    """Return the expected event, its sender and deadline, or how long ago the order was paused; empty if none."""
    expected = expected_events(state.get("expected") or ())
    if state.get("paused_since") is not None:
        return "; ".join(filter(None, (_pause(state, at), expected and f"then it waits for {expected}")))
    return _by(expected, state.get("due_at"), at)


def expected_events(events: Iterable[str]) -> str:
    """Return `A or B from payment`: the events with the services that own them."""
    by_owner: dict[str, list[str]] = {}
    for event in events:
        by_owner.setdefault(owner_of(event), []).append(event)
    return " or ".join(f"{' or '.join(names)} from {owner}" for owner, names in by_owner.items())


def owner_of(message: str) -> str:
    """Return the service that owns a type of message; one of another release has none here."""
    homes = [topic.owner for topic in CATALOGUE.topics if message in {kind.__name__ for kind in topic.messages}]
    return homes[0] if homes else "nobody here"


def _by(expected: str, due: int | None, at: int) -> str:
    if not expected or due is None:
        return expected
    remaining = due - at
    when = f"in {duration(remaining)}" if remaining >= 0 else f"overdue by {duration(remaining)}"
    return f"{expected} by {clock_seconds(due)} ({when})"


def _pause(state: Mapping[str, Any], at: int) -> str:
    by = f" by {state['paused_by']}" if state.get("paused_by") else ""
    remaining = state.get("remaining_ms")
    then = f"its deadline resumes with {duration(remaining)} left" if remaining is not None else "it sends when resumed"
    return f"paused {duration(at - state['paused_since'])} ago{by} ({state['paused_reason']}); {then}"


def _entries(session: Session, records: OrderRecords) -> list[Entry]:
    """Return the decoded records that are about the order or keyed by it."""
    entries = map(session.decode, records.read(session.client))
    return [entry for entry in entries if records.order_id in {order_of(entry), entry.key}]
