"""Every order that was placed ends once: completed, or cancelled, never both. The others are listed as open."""

from __future__ import annotations

from collections.abc import Iterator

from verifier.facts import Message, Violation
from verifier.snapshot import Snapshot

CHECK = "endings"


def check_endings(snapshot: Snapshot) -> list[Violation]:
    """Report orders with two ends, with one end reported twice, or with an end and no beginning."""
    ended = snapshot.completed.keys() | snapshot.cancelled.keys()
    return [Violation(CHECK, order_id, reason) for order_id in ended for reason in _judge(snapshot, order_id)]


def _judge(snapshot: Snapshot, order_id: str) -> Iterator[str]:
    completed, cancelled = snapshot.completed.get(order_id), snapshot.cancelled.get(order_id)
    if completed and cancelled:
        yield f"is both completed ({completed.position}) and cancelled ({cancelled.position})"
    yield from _told_twice(snapshot, order_id)
    placed, first = snapshot.accepted.get(order_id), completed or cancelled
    if placed is None:
        if snapshot.is_whole:
            yield f"{first} ends it, but nobody placed it"
    elif first and first.partition == placed.partition and first.offset < placed.offset:
        yield f"{first} comes before its {placed}"


def _told_twice(snapshot: Snapshot, order_id: str) -> Iterator[str]:
    """Report ends that are reported twice for one cause; a repeated command is answered again."""
    answers: dict[str, Message] = {}
    for kind in ("OrderCompleted", "OrderCancelled"):
        for event in snapshot.of_order(order_id, kind):
            first = answers.setdefault(event.causation_id, event)
            if first.message_id != event.message_id:
                yield f"{event} has the same cause as {first}"


def _has_ended(snapshot: Snapshot, order_id: str) -> bool:
    """Return whether the order has ended or is paused; a paused order is listed as open, not as a failure."""
    state = snapshot.state_of(order_id)
    is_paused = state is not None and bool(state.paused)
    return is_paused or order_id in snapshot.completed or order_id in snapshot.cancelled


def check_expected(snapshot: Snapshot, expected: int) -> list[Violation]:
    """Report if fewer orders were accepted than expected, or if some have neither ended nor been paused."""
    accepted = snapshot.accepted.keys()
    ended = sum(1 for order_id in accepted if _has_ended(snapshot, order_id))
    violations = []
    if len(accepted) != expected:
        violations.append(
            Violation(CHECK, "all orders", f"{expected} orders were expected, {len(accepted)} are accepted")
        )
    if ended != len(accepted):
        violations.append(
            Violation(CHECK, "all orders", f"{len(accepted) - ended} of {len(accepted)} orders have not ended")
        )
    return violations
