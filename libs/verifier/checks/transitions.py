"""Each order moves forward only: in its state, and in the events that each topic tells of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

from verifier.facts import Message, StateRecord, Violation
from verifier.flow import FIRST, FOLLOWERS, NEXT_STATUSES
from verifier.snapshot import Snapshot

CHECK = "transitions"
_GROWING = ("begun", "done", "failed", "undone", "settled")


def check_transitions(snapshot: Snapshot) -> list[Violation]:
    """Report transitions that no order can make, in the history of its state and on the topics."""
    states = [
        Violation(CHECK, order_id, reason)
        for order_id, history in snapshot.states.items()
        for before, after in pairwise(history)
        for reason in _between(before, after)
    ]
    events = [
        Violation(CHECK, order_id, reason)
        for topic, followers in FOLLOWERS.items()
        for order_id, reason in _illegal_successions(snapshot, topic, followers)
    ]
    return states + events


def _between(before: StateRecord, after: StateRecord) -> Iterator[str]:
    if not before.status:
        return
    if after.status not in NEXT_STATUSES.get(before.status, {after.status}):
        yield f"went from {before.status} to {after.status or 'nothing'} at offset {after.offset}"
    if after.status:
        for name in _GROWING:
            lost = [step for step in getattr(before, name) if step not in getattr(after, name)]
            if lost:
                yield f"{', '.join(lost)} is no longer {name} at offset {after.offset}"


def _illegal_successions(
    snapshot: Snapshot, topic: str, followers: Mapping[str, frozenset[str]]
) -> Iterator[tuple[str, str]]:
    last: dict[str, Message] = {}
    for message in snapshot.on(topic):
        if message.fault or message.type not in followers or not message.order_id:
            continue
        reason = _follows(snapshot, message, last.get(message.order_id), followers)
        if reason:
            yield message.order_id, reason
        last[message.order_id] = message


def _follows(
    snapshot: Snapshot, message: Message, before: Message | None, followers: Mapping[str, frozenset[str]]
) -> str:
    if before is None:
        firsts = FIRST.get(message.topic)
        is_wrong = firsts is not None and message.type not in firsts and snapshot.is_whole
        return f"{message} comes first, which no order begins with" if is_wrong else ""
    return "" if message.type in followers[before.type] else f"{message} follows {before}"
