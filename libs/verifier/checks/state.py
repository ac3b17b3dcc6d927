"""What `orchestrator.order-state` says of an order agrees with the commands and events on the topics."""

from __future__ import annotations

from collections.abc import Iterator

from verifier.facts import Seen, StateRecord, Violation
from verifier.flow import EXTERNAL_TOPICS, STEPS
from verifier.snapshot import NONE, Snapshot

CHECK = "order state"


def check_state(snapshot: Snapshot) -> list[Violation]:
    """Report orders whose latest state claims messages that do not exist, or omits some that do."""
    states = {order_id: snapshot.state_of(order_id) for order_id in snapshot.states}
    claims = [
        Violation(CHECK, order_id, reason)
        for order_id, state in states.items()
        if state is not None
        for reason in (*_judge(snapshot, order_id, state), *_noted(snapshot, order_id))
    ]
    return claims + [Violation(CHECK, order_id, reason) for order_id, reason in _ends(snapshot)]


def _judge(snapshot: Snapshot, order_id: str, state: StateRecord) -> Iterator[str]:
    types = frozenset(snapshot.orders.get(order_id, NONE))
    if snapshot.is_whole:
        yield from _steps(state, types)
        if state.status == "completed" and "DispatchStock" not in types:
            yield "is completed, but DispatchStock was not sent"
        yield from _settled(snapshot, order_id, state)
    match state.status:
        case "completed":
            yield from _of_completed(state)
        case "cancelled":
            yield from _of_cancelled(state, types)
        case "compensation_failed" if not state.owed:
            yield "its compensation has failed, but nothing is owed"
    closing = {name for name in ("CompleteOrder", "CancelOrder") if _was_sent(snapshot, order_id, name)}
    final_types = {"completed": {"CompleteOrder"}, "cancelled": {"CancelOrder"}}.get(state.status, set())
    for name in sorted(closing ^ final_types):
        if name in closing or snapshot.is_whole:
            yield f"is {state.status}, but {name} was {'' if name in closing else 'not '}sent"


def _was_sent(snapshot: Snapshot, order_id: str, kind: str) -> bool:
    """Return whether the orchestrator sent it before the cut, so that the state of that moment is known."""
    sent = snapshot.of_order(order_id, kind)
    return any(command.service == "orchestrator" and snapshot.in_cut(command) for command in sent)


def _steps(state: StateRecord, types: frozenset[str]) -> Iterator[str]:
    """Report finished steps without their event, and steps under way without their command."""
    for name, step in STEPS.items():
        claims = ((state.done, step.succeeded), (state.failed, step.failed), (state.undone, step.undone))
        for names, event in claims:
            if name in names and event not in types:
                yield f"says that step {name} left {event}, which is on no topic"
        command = step.undo if state.status == "compensating" else step.command
        if state.step == name and command and command not in types:
            yield f"is {state.status} at step {name}, but {command} was never sent"


def _settled(snapshot: Snapshot, order_id: str, state: StateRecord) -> Iterator[str]:
    """Report debts that ended without a settlement."""
    steps = {name for command in snapshot.of_order(order_id, "SettleOrder") for name in command.fields["steps"]}
    for name in state.settled:
        if name not in steps:
            yield f"says that step {name} was settled by hand, but no SettleOrder names it"


def _of_completed(state: StateRecord) -> Iterator[str]:
    if missing := sorted(STEPS.keys() - set(state.done)):
        yield f"is completed without {', '.join(missing)}"
    if state.undone:
        yield f"is completed, although {', '.join(state.undone)} was undone"


def _of_cancelled(state: StateRecord, types: frozenset[str]) -> Iterator[str]:
    for name in state.begun:
        was_refused = name in state.failed and name not in state.done
        if not was_refused and name not in (*state.undone, *state.settled):
            yield f"is cancelled, but step {name} was begun and never undone"
    if state.owed:
        yield f"is cancelled, although {', '.join(state.owed)} is owed"
    if "DispatchStock" in types:
        yield "is cancelled, but DispatchStock was sent"


def _noted(snapshot: Snapshot, order_id: str) -> Iterator[str]:
    """Report messages that the state claims to have received and that are not at their place."""
    for seen in snapshot.noted.get(order_id, {}).values():
        if seen.position.offset >= snapshot.firsts.get((seen.position.topic, seen.position.partition), 0):
            yield from _received(snapshot, order_id, seen)


def _received(snapshot: Snapshot, order_id: str, seen: Seen) -> Iterator[str]:
    messages = snapshot.by_id.get(seen.message_id, [])
    message = next((each for each in messages if (each.type, each.order_id) == (seen.type, order_id)), None)
    message = message or next(iter(messages), None)
    if message is None:
        yield f"has seen {seen.type} {seen.message_id}, which is on no topic"
    elif (message.type, message.order_id) != (seen.type, order_id):
        yield f"has seen {seen.type} {seen.message_id}, which is {message} of {message.order_id or 'no order'}"
    elif message.position != seen.position and message.topic not in EXTERNAL_TOPICS:
        yield f"has seen {seen.type} at {seen.position}, but it lies at {message.position}"


def _ends(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    for status, ended in (("completed", snapshot.completed), ("cancelled", snapshot.cancelled)):
        for order_id, event in ended.items():
            history = snapshot.states.get(order_id)
            if not history:
                if snapshot.is_whole and order_id in snapshot.accepted:
                    yield order_id, f"{event} says that it is {status}; the order state knows nothing of it"
            elif history[-1].status not in {status, ""}:
                yield order_id, f"{event} says that it is {status}, its state says {history[-1].status}"
