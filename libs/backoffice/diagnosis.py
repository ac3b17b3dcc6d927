"""Why an order does not go on, in one sentence, and what un-sticks it: facts in, an answer out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from backoffice.order_actions import ORDER_ACTIONS
from backoffice.order_history import expected_events, owner_of
from backoffice.orders import OrderSummary, summary_of
from ensemble.clock import clock_seconds, duration, epoch_ms, rfc3339
from ensemble.operations import (
    Audit,
    DeadLetterFilter,
    DeadLetterSummary,
    Failures,
    Incident,
    ParkedKeySummary,
    PartitionLag,
    WorkPause,
)
from ensemble.operations.view import View
from ensemble.quantities import quantity

Condition = Literal["ended", "moving", "waiting", "stuck"]
Verb = Literal[
    "resume",
    "retry",
    "cancel",
    "settle",
    "redrive",
    "discard",
    "retry_parked",
    "end_pause",
    "look",
    "look_at_outage",
    "start",
]

_GIVEN_UP: Final = "dead_lettered"
_POLICY: Final = "policy"
"""What a key waits for that its service's policy has paused: no pause that could be ended."""

_HALF_DAY_MS: Final = 12 * 3600 * 1000
_LETTERS: Final = 50
"""So many dead letters of an order are looked at, the newest."""


@dataclass(frozen=True)
class Action:
    """Something that an operator can do about it. `subject` is what it is done to: an order, a place, a pause."""

    verb: Verb
    label: str
    subject: str
    command: str = ""
    """The same on the command line, without the program's name; empty: there is none."""


@dataclass(frozen=True)
class Diagnosis:
    """How an order stands, and what would change that; the action that is best tried first comes first."""

    condition: Condition
    sentence: str
    actions: tuple[Action, ...] = ()
    moments: Mapping[str, int] = field(default_factory=dict)
    """The times that the sentence may name, in epoch milliseconds, each by its text there."""


@dataclass(frozen=True)
class Evidence:
    """What is known about an order and about those who work on it."""

    order_id: str
    state: Mapping[str, Any]
    """Its decoded OrderState; empty: the orchestrator does not know it."""
    now: int
    parked: Sequence[ParkedKeySummary] = ()
    """Keys that records of the order wait under."""
    dead_letters: Sequence[DeadLetterSummary] = ()
    """Dead letters of the order, the newest first."""
    pauses: Sequence[WorkPause] = ()
    incidents: Sequence[Incident] = ()
    lags: Sequence[PartitionLag] = ()
    stopped: frozenset[str] = field(default_factory=frozenset)
    """Services of which no process runs."""


def evidence_in(view: View, order_id: str, state: Mapping[str, Any], now: int) -> Evidence:
    """Return what a view has about an order; how far services are behind, and whether they run, only brokers know."""
    failures, audit = Failures(view), Audit(view)
    return Evidence(
        order_id,
        state,
        now,
        parked=failures.parked(key=order_id),
        dead_letters=failures.list(DeadLetterFilter(key=order_id, open_only=False), _LETTERS),
        pauses=audit.pauses(),
        incidents=audit.incidents(open_only=True),
    )


def diagnose(evidence: Evidence) -> Diagnosis:
    """Say why the order does not go on: the first answer that applies, from the surest to the vaguest."""
    answers = (
        _ended, _gave_up_undo, _paused, _dead_lettered, _held, _retrying, _refused, _unknown, _overdue, _awaiting,
    )  # fmt: skip
    for answer in answers:
        if (diagnosis := answer(evidence)) is not None:
            possible = tuple(_possible(diagnosis.actions, evidence))
            return replace(diagnosis, actions=possible, moments=_moments(evidence))
    return Diagnosis("moving", f"It is {evidence.state.get('status', 'unknown')}, and nothing holds it back.")


def _possible(actions: Sequence[Action], evidence: Evidence) -> Iterator[Action]:
    """Yield the actions that would change something: what is done to the order itself may be refused."""
    for action in actions:
        of_order = ORDER_ACTIONS.get(action.verb)
        if of_order is None or of_order().why_not(_summary(evidence)) is None:
            yield action


def _summary(evidence: Evidence) -> OrderSummary:
    return summary_of(evidence.order_id, evidence.state, evidence.now, (0, 0))


def _ended(evidence: Evidence) -> Diagnosis | None:
    match evidence.state.get("status"):
        case "completed":
            return Diagnosis("ended", "It is completed.")
        case "cancelled":
            return Diagnosis("ended", f"It is cancelled{_because(evidence.state.get('reason'))}.")
    return None


def _gave_up_undo(evidence: Evidence) -> Diagnosis | None:
    owed = ", ".join(evidence.state.get("owed") or ())
    if not owed or evidence.state.get("status") != "compensation_failed":
        return None
    order, hindrance = evidence.order_id, _hindrance(evidence)
    sentence = (
        f"Its compensation failed: the undo of {owed} was given up, so that is still owed"
        f"{_because(evidence.state.get('reason'))}."
    )
    retry = Action("retry", f"Undo {owed} once more", order, f"orders retry {order}")
    settle = Action("settle", "Settle what was given back by hand", order, f"orders settle {order}")
    if hindrance is None:
        return Diagnosis("stuck", sentence, (retry, settle))
    return Diagnosis("stuck", f"{sentence} {hindrance.sentence}", (*hindrance.actions, retry, settle))


def _hindrance(evidence: Evidence) -> Diagnosis | None:
    """Return what would let another attempt fail like the last one, and what ends it."""
    if evidence.stopped:
        names = sorted(evidence.stopped)
        start = tuple(Action("start", f"Start {name}", name, f"run {name}") for name in names)
        return Diagnosis("stuck", f"No process of {' and '.join(names)} runs.", start)
    return _held(evidence) or _dead_lettered(evidence)


def _paused(evidence: Evidence) -> Diagnosis | None:
    state, order = evidence.state, evidence.order_id
    if state.get("paused_since") is None:
        return None
    by, reason = str(state.get("paused_by") or ""), _because(state.get("paused_reason"))
    since = f"since {_moment(state['paused_since'], evidence.now)}"
    scope, _, name = by.partition(" ")
    resume = Action("resume", "Resume this order", order, f"orders resume {order}")
    if by == "policy":
        cancel = Action("cancel", "Cancel the order", order, f"orders cancel {order}")
        letter = _open_letter(evidence)
        if letter is None:
            return Diagnosis("stuck", f"Its policy paused it {since}{reason}.", (resume, cancel))
        place = str(letter.position)
        redrive = Action("redrive", "Redrive it first, edited or as it is", place, f"dead-letters redrive {place}")
        behind = f"{letter.type} is a dead letter of {letter.service}: {letter.error}: {letter.message}"
        return Diagnosis("stuck", f"Its policy paused it {since}{reason}. {behind}.", (redrive, resume, cancel))
    if scope not in {"step", "command", "service"}:
        who = name if scope == "operator" else by or "an operator"
        return Diagnosis("stuck", f"Operator {who} paused it {since}{reason}.", (resume,))
    is_on = any((pause.scope, pause.name) == (scope, name) for pause in evidence.pauses)
    end = _end_pause(scope, name)
    sentence = (
        f"The {scope} {name} is paused {since}{reason}" if is_on else f"It met the pause of {scope} {name}{reason}"
    )
    tail = "; orders that met it go on when they are resumed" if is_on else ", which has ended: it waits to be resumed"
    return Diagnosis("stuck", f"{sentence}{tail}.", (end, resume) if is_on else (resume,))


def _dead_lettered(evidence: Evidence) -> Diagnosis | None:
    for key in evidence.parked:
        if key.status == _GIVEN_UP:
            letter = _open_letter(evidence)
            return Diagnosis("stuck", _given_up(key), tuple(_actions_on_letter(key, letter)))
    return None


def _open_letter(evidence: Evidence) -> DeadLetterSummary | None:
    """Return the dead letter that nobody has redriven or discarded yet."""
    return next((letter for letter in evidence.dead_letters if letter.status == "parked"), None)


def _given_up(key: ParkedKeySummary) -> str:
    wait = "waits" if key.depth == 2 else "wait"  # noqa: PLR2004  the head itself, and one more
    behind = f" {quantity(key.depth - 1, 'record')} of {key.key} {wait} behind it." if key.depth > 1 else ""
    attempts = f" after {quantity(key.attempts, 'attempt')}" if key.attempts else ""
    return f"{key.service} gave up its {key.head or 'record'}{attempts}: {key.error}: {key.message}.{behind}"


def _actions_on_letter(key: ParkedKeySummary, letter: DeadLetterSummary | None) -> Iterator[Action]:
    if letter is not None:
        place = str(letter.position)
        yield Action("redrive", "Redrive it, edited or as it is", place, f"dead-letters redrive {place}")
        yield Action("discard", "Discard it", place, f"dead-letters discard {place}")
    yield Action("retry_parked", "Try the parked record again", key.key, f"parked redrive {key.key}")


def _held(evidence: Evidence) -> Diagnosis | None:
    """Answer for a key that waits for the end of a pause, or of an outage of its handler."""
    for key in evidence.parked:
        if key.status == "paused":
            return _held_by_policy(key) if key.blocked_on == _POLICY else _held_by_pause(key)
        if key.status == "outage":
            look = Action("look_at_outage", "Look at the outage", key.service, "incidents list")
            return Diagnosis("stuck", _outage(key, evidence), (look, _retry_parked(key)))
    return None


def _held_by_policy(key: ParkedKeySummary) -> Diagnosis:
    attempts = f" after {quantity(key.attempts, 'attempt')}" if key.attempts else ""
    because = _because(f"{key.error}: {key.message}" if key.error else "")
    sentence = f"The policy of {key.service} paused its {key.head or 'record'}{attempts}{because}."
    return Diagnosis("stuck", sentence, (_retry_parked(key),))


def _held_by_pause(key: ParkedKeySummary) -> Diagnosis:
    scope, _, name = (key.blocked_on or f"service/{key.service}").partition("/")
    sentence = f"Its {key.head or 'record'} waits at {key.service} for the end of the pause of {scope} {name}."
    return Diagnosis("stuck", sentence, (_end_pause(scope, name),))


def _end_pause(scope: str, name: str) -> Action:
    return Action("end_pause", f"End the pause of {scope} {name}", f"{scope} {name}", f"pauses end {scope} {name}")


def _outage(key: ParkedKeySummary, evidence: Evidence) -> str:
    incident = next(
        (each for each in evidence.incidents if each.service == key.service and each.closed_at is None), None
    )
    cause = incident.cause.replace("#", "…") if incident else f"{key.error}: {key.message}" if key.error else ""
    return (
        f"{key.service} does not call {key.handler or 'what it depends on'} any more, because it failed too often"
        f"{_because(cause)}. It probes by itself and goes on when a probe succeeds."
    )


def _retrying(evidence: Evidence) -> Diagnosis | None:
    for key in evidence.parked:
        if key.status in {"retrying", "in_flight"}:
            due = key.next_attempt_at
            when = f" at {_moment(epoch_ms(due), evidence.now)}" if due else ""
            tried = (
                f"failed {quantity(key.attempts, 'time')}: {key.error}: {key.message}" if key.error else "is under way"
            )
            again = f"; {key.service} tries again{when}" if key.status == "retrying" else ""
            return Diagnosis("waiting", f"Its {key.head or 'record'} {tried}{again}.", (_retry_parked(key),))
    return None


def _refused(evidence: Evidence) -> Diagnosis | None:
    """Answer for an order that the orchestrator never heard of, because what placed it was given up."""
    if evidence.state or not evidence.dead_letters:
        return None
    letter = evidence.dead_letters[0]
    place = str(letter.position)
    actions = (Action("redrive", "Redrive it with an edit", place, f"dead-letters redrive {place}"),)
    return Diagnosis("stuck", f"{letter.service} refused its {letter.type}: {letter.error}: {letter.message}.", actions)


def _unknown(evidence: Evidence) -> Diagnosis | None:
    if evidence.state.get("status") == "placeholder":
        return Diagnosis("waiting", "Messages of it came, but it was not placed: OrderPlaced is missing.")
    if evidence.state:
        return None
    return Diagnosis("waiting", "The orchestrator has not heard of it; it hears of OrderPlaced.", ())


def _overdue(evidence: Evidence) -> Diagnosis | None:
    state, order = evidence.state, evidence.order_id
    expected = state.get("expected") or ()
    if not expected:
        return None
    owner = owner_of(expected[0])
    is_late = state.get("due_at") is not None and state["due_at"] < evidence.now
    cancel = Action("cancel", "Cancel the order", order, f"orders cancel {order}")
    awaited = expected_events(expected)
    if owner in evidence.stopped:
        start = Action("start", f"Start {owner}", owner, f"run {owner}")
        attempt = f" (attempt {state['attempt']})" if state.get("attempt", 0) > 1 else ""
        return Diagnosis("stuck", f"No process of {owner} runs, and it waits for {awaited}{attempt}.", (start, cancel))
    lag = _lag_of(evidence, owner)
    if lag is not None and (is_late or state.get("attempt", 0) > 1):
        look = Action("look", f"Look at {owner}'s lag", owner, "consumers lag")
        return Diagnosis("stuck", f"It waits for {awaited}; {owner} is {lag}.", (look, cancel))
    if not is_late:
        return None
    if (lag := _lag_of(evidence, "orchestrator")) is not None or "orchestrator" in evidence.stopped:
        how = lag or "not running"
        look = Action("look", "Look at the orchestrator", "orchestrator", "consumers lag")
        return Diagnosis("stuck", f"Its deadline has passed, and the orchestrator is {how}.", (look,))
    late = duration(evidence.now - state["due_at"])
    retry = Action("retry", "Ask again now", order, f"orders retry {order}")
    return Diagnosis("stuck", f"{awaited} is overdue by {late}.", (retry, cancel))


def _awaiting(evidence: Evidence) -> Diagnosis | None:
    expected, due_at = evidence.state.get("expected") or (), evidence.state.get("due_at")
    if not expected:
        return None
    attempt = evidence.state.get("attempt", 0)
    again = f", asked {attempt} times" if attempt > 1 else ""
    by = f" until {_moment(due_at, evidence.now)}" if due_at is not None else ""
    return Diagnosis("waiting" if attempt > 1 else "moving", f"It waits for {expected_events(expected)}{by}{again}.")


def _lag_of(evidence: Evidence, service: str) -> str | None:
    behind = sum(lag.behind for lag in evidence.lags if lag.group == service)
    return f"{quantity(behind, 'record')} behind its inputs" if behind else None


def _retry_parked(key: ParkedKeySummary) -> Action:
    return Action("retry_parked", "Try it now", key.key, f"parked redrive {key.key}")


def _moments(evidence: Evidence) -> dict[str, int]:
    times = [evidence.state.get("paused_since"), evidence.state.get("due_at")]
    times += [epoch_ms(key.next_attempt_at) for key in evidence.parked if key.next_attempt_at]
    return {_moment(at, evidence.now): at for at in times if at is not None}


def _moment(at: int, now: int) -> str:
    """Return the time of day, with its date where that is not clear."""
    return f"{clock_seconds(at) if abs(now - at) < _HALF_DAY_MS else rfc3339(at)[:19].replace('T', ' ')} UTC"


def _because(reason: Any) -> str:
    return f": {reason}" if reason else ""
