"""What `orchestrator.order-state` says of an order agrees with the commands and events on the topics."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from verifier.case import Case
from verifier.facts import Seen, StateRecord
from verifier.flow import EXTERNAL_TOPICS, STEPS
from verifier.storage import Archive


def check_state(case: Case, archive: Archive) -> Iterator[str]:
    """Report a state that claims messages that do not exist, or omits some that do."""
    yield from _ends(case)
    if case.state is not None:
        yield from _judge(case, case.state)
        yield from _noted(case, archive)


def _judge(case: Case, state: StateRecord) -> Iterator[str]:
    types = case.by_type.keys()
    if case.is_whole:
        yield from _steps(state, types)
        if state.status == "completed" and "DispatchStock" not in types:
            yield "is completed, but DispatchStock was not sent"
    if case.has_all_requests:
        yield from _settled(case, state)
    match state.status:
        case "completed":
            yield from _of_completed(state)
        case "cancelled":
            yield from _of_cancelled(state, types)
        case "compensation_failed" if not state.owed:
            yield "its compensation has failed, but nothing is owed"
    yield from _closing(case, state)


def _closing(case: Case, state: StateRecord) -> Iterator[str]:
    """Report an order that is closed as something else than it is, or not at all."""
    closing = {name for name in ("CompleteOrder", "CancelOrder") if _was_sent(case, name)}
    expected = {"completed": {"CompleteOrder"}, "cancelled": {"CancelOrder"}}.get(state.status, set())
    for name in sorted(closing ^ expected):
        if name in closing or case.is_whole:
            yield f"is {state.status}, but {name} was {'' if name in closing else 'not '}sent"


def _was_sent(case: Case, kind: str) -> bool:
    """Return whether the orchestrator sent it before the cut, so that the state of that moment is known."""
    return any(each.service == "orchestrator" and case.evidence.in_cut(each) for each in case.of_type(kind))


def _steps(state: StateRecord, types: AbstractSet[str]) -> Iterator[str]:
    """Report finished steps without their event, and steps under way without their command."""
    for name, step in STEPS.items():
        claims = ((state.done, step.succeeded), (state.failed, step.failed), (state.undone, step.undone))
        for names, event in claims:
            if name in names and event not in types:
                yield f"says that step {name} left {event}, which is on no topic"
        command = step.undo if state.status == "compensating" else step.command
        if state.step == name and command and command not in types:
            yield f"is {state.status} at step {name}, but {command} was never sent"


def _settled(case: Case, state: StateRecord) -> Iterator[str]:
    """Report debts that ended without a settlement."""
    steps = {name for command in case.of_type("SettleOrder") for name in command.fields["steps"]}
    for name in state.settled:
        if name not in steps:
            yield f"says that step {name} was settled by hand, but no SettleOrder names it"


def _of_completed(state: StateRecord) -> Iterator[str]:
    if missing := sorted(STEPS.keys() - set(state.done)):
        yield f"is completed without {', '.join(missing)}"
    if state.undone:
        yield f"is completed, although {', '.join(state.undone)} was undone"


def _of_cancelled(state: StateRecord, types: AbstractSet[str]) -> Iterator[str]:
    for name in state.begun:
        was_refused = name in state.failed and name not in state.done
        if not was_refused and name not in (*state.undone, *state.settled):
            yield f"is cancelled, but step {name} was begun and never undone"
    if state.owed:
        yield f"is cancelled, although {', '.join(state.owed)} is owed"
    if "DispatchStock" in types:
        yield "is cancelled, but DispatchStock was sent"


def _noted(case: Case, archive: Archive) -> Iterator[str]:
    """Report messages that the state claims to have received and that are not at their place."""
    firsts = case.evidence.firsts
    for seen in case.noted.values():
        if seen.position.offset >= firsts.get(seen.position[:2], 0):
            yield from _received(case, archive, seen)


def _received(case: Case, archive: Archive, seen: Seen) -> Iterator[str]:
    messages = case.by_id.get(seen.message_id) or archive.with_id(seen.message_id)
    of_order = (each for each in messages if (each.type, each.order_id) == (seen.type, case.order_id))
    message = next(of_order, None) or next(iter(messages), None)
    if message is None:
        yield f"has seen {seen.type} {seen.message_id}, which is on no topic"
    elif (message.type, message.order_id) != (seen.type, case.order_id):
        yield f"has seen {seen.type} {seen.message_id}, which is {message} of {message.order_id or 'no order'}"
    elif message.position != seen.position and message.topic not in EXTERNAL_TOPICS:
        yield f"has seen {seen.type} at {seen.position}, but it lies at {message.position}"


def _ends(case: Case) -> Iterator[str]:
    for status, event in (("completed", case.completed), ("cancelled", case.cancelled)):
        if event is None:
            continue
        if not case.states:
            if case.is_whole and case.placed:
                yield f"{event} says that it is {status}; the order state knows nothing of it"
        elif case.states[-1].status not in {status, ""}:
            yield f"{event} says that it is {status}, its state says {case.states[-1].status}"
