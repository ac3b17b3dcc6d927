"""The history in an order's state: an entry for each message and deadline, with the decision that followed. Pure.

Its size is limited: the first and the latest entries are kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from contracts import OrderCompensationFailed, OrderPaused, OrderResumed, OrderState, SeenEvent
from ensemble import Command, CurrentRecord, SagaPolicies
from ensemble.messages import Message
from ensemble.saga import Deadline, Decision
from services.orchestrator.domain import ENDED

FIRST_SEEN: Final = 16
LAST_SEEN: Final = 16
"""How many entries are kept from an order's beginning, and how many of the latest."""
BY_LIMIT: Final = 200
WHY_LIMIT: Final = 200


def has_seen(state: OrderState, message: Message, record: CurrentRecord) -> bool:
    """Return whether the message has an entry: one of its type, topic and id. Two outsiders may give the same id."""
    identity = (type(message).__name__, record.topic, record.message_id)
    return identity in [(seen.type, seen.topic, seen.message_id) for seen in state.seen]


def entry_of(
    trigger: Message | Deadline,
    record: CurrentRecord,
    now: int,
    *,
    before: OrderState,
    decision: Decision[OrderState, Any],
    policies: SagaPolicies,
) -> SeenEvent:
    """Return the entry of a trigger, with what was decided on it, and the origin of the policy that ruled it."""
    after = decision.state
    has_moved, pause_changes = _position(before) != _position(after), _pause_changes(before, after)
    attempt = after.attempt if has_moved and after.step is not None else 0
    # pydantic is slow to say that a field is none of its own, so events are not asked
    request = trigger if isinstance(trigger, Command) else None
    asked_why = getattr(request, "reason", "")
    return SeenEvent(
        type=type(trigger).__name__,
        message_id=record.message_id,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        at=now,
        by=getattr(request, "requested_by", "")[:BY_LIMIT],
        why=(asked_why or ("pause" in pause_changes and after.paused_reason) or "")[:WHY_LIMIT],
        decided=(*pause_changes, *[type(command).__name__ for command in decision.commands]),
        status=after.status if after.status != before.status else "",
        step=(after.step or "") if attempt else "",
        attempt=attempt,
        policy=_policy_origin(policies, after if attempt else before) if has_moved else "",
        late=before.status in ENDED,
    )


def add_entry(seen: tuple[SeenEvent, ...], entry: SeenEvent) -> tuple[SeenEvent, ...]:
    """Return the entries with one more, without the oldest of the middle if there is no room."""
    is_full = len(seen) >= FIRST_SEEN + LAST_SEEN
    return (*seen[:FIRST_SEEN], *seen[FIRST_SEEN + 1 :], entry) if is_full else (*seen, entry)


def announcements(
    before: OrderState, after: OrderState
) -> Iterator[OrderPaused | OrderResumed | OrderCompensationFailed]:
    """Return what other services are told of the change; its latest entry says who asked for it, when and why."""
    order_id, entry = after.order_id, after.seen[-1]
    if "resume" in entry.decided:
        paused_ms = max(0, entry.at - (before.paused_since or entry.at))
        yield OrderResumed(order_id=order_id, resumed_by=f"operator {entry.by}", reason=entry.why, paused_ms=paused_ms)
    if "pause" in entry.decided:
        by, reason = after.paused_by or "", after.paused_reason or ""
        yield OrderPaused(order_id=order_id, paused_by=by, reason=reason, step=after.step)
    if after.status == "compensation_failed" != before.status:
        yield OrderCompensationFailed(order_id=order_id, owed=after.owed, reason=after.reason or "")


def _policy_origin(policies: SagaPolicies, state: OrderState) -> str:
    """Return the origin of the policy that rules the attempt under way; empty: there is none."""
    return "" if state.step is None else policies.policy_for(state.step, undo=state.status == "compensating").origin


def _pause_changes(before: OrderState, after: OrderState) -> tuple[str, ...]:
    """Return `resume` if a pause ended between the two, and `pause` if one began; both if another began at once."""
    if _pause_of(before) == _pause_of(after):
        return ()
    return (*(("resume",) if before.is_paused else ()), *(("pause",) if after.is_paused else ()))


def _position(state: OrderState) -> tuple[bool, str | None, int]:
    return state.status == "compensating", state.step, state.attempt


def _pause_of(state: OrderState) -> tuple[int | None, str | None, str | None]:
    return state.paused_since, state.paused_by, state.paused_reason
