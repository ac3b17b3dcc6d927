"""What the orchestrator remembers of each message and deadline: where it lies, and what was decided on it. Pure.

Bounded: of many entries the first and the latest ones stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from contracts import OrderCompensationFailed, OrderPaused, OrderResumed, OrderState, SeenEvent
from ensemble.saga.engine import Decision, SagaPolicies

FIRST_SEEN: Final = 16
LAST_SEEN: Final = 16
"""How many entries are kept from an order's beginning, and how many of the latest."""
WHY_LIMIT: Final = 200
_ENDED: Final = frozenset({"completed", "cancelled"})


def has_seen(state: OrderState, message_id: str) -> bool:
    """Whether this very message is remembered."""
    return any(seen.message_id == message_id for seen in state.seen)


def with_seen(state: OrderState, seen: SeenEvent) -> OrderState:
    """The state that remembers one entry more."""
    kept = state.seen if len(state.seen) < FIRST_SEEN + LAST_SEEN else _without_the_middle(state.seen)
    return state.model_copy(update={"seen": (*kept, seen)})


def led_to(seen: SeenEvent, before: OrderState, decision: Decision[OrderState, Any], policy: str) -> SeenEvent:
    """The entry, with what was decided on it, and where the policy came from that ruled it."""
    after = decision.state
    paused, attempt = _was_paused(before, after), _attempt_begun(before, after)
    turns = [word for word, is_so in (("resume", _was_resumed(before, after)), ("pause", paused)) if is_so]
    found = {
        "decided": (*turns, *(type(command).__name__ for command in decision.commands)),
        "status": after.status if after.status != before.status else "",
        "step": (after.step or "") if attempt else "",
        "attempt": attempt,
        "policy": policy,
        "late": before.status in _ENDED,
        "why": seen.why or ((after.paused_reason or "")[:WHY_LIMIT] if paused else ""),
    }
    return seen.model_copy(update=found)


def announcements(
    before: OrderState, after: OrderState, seen: SeenEvent
) -> Iterator[OrderPaused | OrderResumed | OrderCompensationFailed]:
    """What others are told, for `seen` led from one state to the other."""
    order_id = after.order_id
    if _was_resumed(before, after):
        paused_ms = max(0, seen.at - (before.paused_since or seen.at))
        yield OrderResumed(order_id=order_id, resumed_by=f"operator {seen.by}", reason=seen.why, paused_ms=paused_ms)
    if _was_paused(before, after):
        by, reason = after.paused_by or "", after.paused_reason or ""
        yield OrderPaused(order_id=order_id, paused_by=by, reason=reason, step=after.step)
    if after.status == "compensation_failed" != before.status:
        yield OrderCompensationFailed(order_id=order_id, owed=after.owed, reason=after.reason or "")


def ruling(policies: SagaPolicies, before: OrderState, after: OrderState) -> str:
    """Where the policy came from that ruled the attempt begun, else the one that ended; empty: there is neither."""
    ruled = after if _attempt_begun(before, after) else before if _position(before) != _position(after) else None
    if ruled is None or ruled.step is None:
        return ""
    return policies.policy_for(ruled.step, undo=ruled.status == "compensating").origin


def _was_paused(before: OrderState, after: OrderState) -> bool:
    """A pause began between the two."""
    return after.paused_since is not None and _pause_of(before) != _pause_of(after)


def _was_resumed(before: OrderState, after: OrderState) -> bool:
    """A pause ended between the two, though another may have begun at once."""
    return before.paused_since is not None and _pause_of(before) != _pause_of(after)


def _attempt_begun(before: OrderState, after: OrderState) -> int:
    """The attempt under way since; 0: none that was not before."""
    return after.attempt if after.step is not None and _position(before) != _position(after) else 0


def _position(state: OrderState) -> tuple[bool, str | None, int]:
    return state.status == "compensating", state.step, state.attempt


def _pause_of(state: OrderState) -> tuple[int | None, str | None, str | None]:
    return state.paused_since, state.paused_by, state.paused_reason


def _without_the_middle(seen: tuple[SeenEvent, ...]) -> tuple[SeenEvent, ...]:
    return (*seen[:FIRST_SEEN], *seen[FIRST_SEEN + 1 :])
