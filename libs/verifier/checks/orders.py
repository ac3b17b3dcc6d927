"""Every order ends once, moves forward only, and its state in `orchestrator.order-state` agrees with the topics."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, pairwise
from operator import attrgetter

from verifier.case import Case
from verifier.facts import Message, State
from verifier.flow import FOLLOWERS, LEDGER, NEXT_STATUSES, STEPS

_GROWING = ("begun", "done", "failed", "undone", "settled")
_FIRST_FACTS = ("StockReserved", "ReservationClosed")
"""What an order may begin with in the ledger."""


def check_endings(case: Case) -> Iterator[str]:
    """Report an order with two ends, with one end reported twice, or with an end and no beginning."""
    completed, cancelled, placed = case.completed, case.cancelled, case.placed
    end = completed or cancelled
    if completed and cancelled:
        yield f"is both completed ({completed.position}) and cancelled ({cancelled.position})"
    if end and not placed and case.is_whole:
        yield f"{end} ends it, but nobody placed it"
    if end and placed and end.partition == placed.partition and end.offset < placed.offset:
        yield f"{end} comes before its {placed}"
    answers: dict[str, Message] = {}
    for event in (*case.of_type("OrderCompleted"), *case.of_type("OrderCancelled")) if end else ():
        first = answers.setdefault(event.causation_id, event)
        if first.message_id != event.message_id:  # a repeated command is answered again
            yield f"{event} has the same cause as {first}"


def check_state(case: Case) -> Iterator[str]:
    """Report a state that claims what is not on the topics, or that does not fit the order's end."""
    yield from _at_the_end(case)
    if case.state is not None:
        yield from _settled(case, case.state)
        yield from _closing(case, case.state)
        if case.is_whole:
            yield from _steps(case, case.state)
        match case.state.status:
            case "completed":
                yield from _of_completed(case, case.state)
            case "cancelled":
                yield from _of_cancelled(case, case.state)
            case "compensation_failed" if not case.state.names("owed"):
                yield "its compensation has failed, but nothing is owed"


def _at_the_end(case: Case) -> Iterator[str]:
    """Report an end that the state does not know of."""
    for status, event in (("completed", case.completed), ("cancelled", case.cancelled)):
        if event and case.states and case.states[-1].status not in {status, ""}:
            yield f"{event} says that it is {status}, its state says {case.states[-1].status}"
        if event and not case.states and case.is_whole and case.placed:
            yield f"{event} says that it is {status}; the order state knows nothing of it"


def _steps(case: Case, state: State) -> Iterator[str]:
    """Report finished steps without their event, and steps under way without their command."""
    for name, step in STEPS.items():
        for field, event in (("done", step.succeeded), ("failed", step.failed), ("undone", step.undone)):
            if name in state.names(field) and event not in case.by_type:
                yield f"says that step {name} left {event}, which is on no topic"
        command = step.undo if state.status == "compensating" else step.command
        if state.fields["step"] == name and command and command not in case.by_type:
            yield f"is {state.status} at step {name}, but {command} was never sent"


def _settled(case: Case, state: State) -> Iterator[str]:
    """Report debts that ended without a settlement."""
    steps = {name for command in case.of_type("SettleOrder") for name in command.fields["steps"]}
    for name in state.names("settled") if case.has_all_requests else ():
        if name not in steps:
            yield f"says that step {name} was settled by hand, but no SettleOrder names it"


def _of_completed(case: Case, state: State) -> Iterator[str]:
    if missing := sorted(STEPS.keys() - set(state.names("done"))):
        yield f"is completed without {', '.join(missing)}"
    if undone := state.names("undone"):
        yield f"is completed, although {', '.join(undone)} was undone"
    if case.is_whole and "DispatchStock" not in case.by_type:
        yield "is completed, but DispatchStock was not sent"


def _of_cancelled(case: Case, state: State) -> Iterator[str]:
    for name in state.names("begun"):
        was_refused = name in state.names("failed") and name not in state.names("done")
        if not was_refused and name not in (*state.names("undone"), *state.names("settled")):
            yield f"is cancelled, but step {name} was begun and never undone"
    if owed := state.names("owed"):
        yield f"is cancelled, although {', '.join(owed)} is owed"
    if "DispatchStock" in case.by_type:
        yield "is cancelled, but DispatchStock was sent"


def _closing(case: Case, state: State) -> Iterator[str]:
    """Report an order that is closed as something else than it is, or not at all."""
    for name, status in (("CancelOrder", "cancelled"), ("CompleteOrder", "completed")):
        # before the cut, so that the state of that moment is known
        was_sent = any(each.service == "orchestrator" and case.evidence.in_cut(each) for each in case.of_type(name))
        if was_sent and state.status != status:
            yield f"is {state.status}, but {name} was sent"
        if not was_sent and state.status == status and case.is_whole:
            yield f"is {state.status}, but {name} was not sent"


def check_transitions(case: Case) -> Iterator[str]:
    """Report transitions that no order can make, in the history of its state and on the topics."""
    for before, after in pairwise(case.states):
        if before.status:
            yield from _between(before, after)
    for topic, messages in groupby(case.messages if case.order_id else (), attrgetter("topic")):
        course = [each for each in messages if each.type in FOLLOWERS.get(topic, ())]
        if topic == LEDGER and course and course[0].type not in _FIRST_FACTS and case.is_whole:
            yield f"{course[0]} comes first, which no order begins with"
        for one, other in pairwise(course):
            if other.type not in FOLLOWERS[topic][one.type]:
                yield f"{other} follows {one}"


def _between(before: State, after: State) -> Iterator[str]:
    if after.status not in NEXT_STATUSES.get(before.status, {after.status}):
        yield f"went from {before.status} to {after.status or 'nothing'} at offset {after.offset}"
    for field in _GROWING if after.status else ():
        if lost := [step for step in before.names(field) if step not in after.names(field)]:
            yield f"{', '.join(lost)} is no longer {field} at offset {after.offset}"
