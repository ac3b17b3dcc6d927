"""What the engine decides on long walks through a saga: answers early, late and refused, silence, operators, pauses.

`python -m tests.unit.saga.test_decisions > tests/unit/saga/decisions.txt` writes the file again, for an intended
change. A line is a trigger, what it has changed in the state, and the commands that leave.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from contracts import OrderState
from ensemble import IRREVERSIBLE, NO_EFFECT, Saga
from ensemble.messages import Message
from ensemble.policies.saga import SagaPolicies, StepPolicy
from ensemble.saga import Deadline, advance
from ensemble.saga.state import SagaProgress
from ensemble.saga.table import ENDED
from services.orchestrator.domain import note
from services.orchestrator.fulfilment import ORDER_FULFILMENT
from tests.support.kept import read_sections, write_sections
from tests.support.order_saga_driver import (
    CANCEL,
    COMPENSATE,
    DECLINED,
    NAMES,
    PAID,
    PAUSE,
    PLACED,
    PROBE,
    REFUNDED,
    REJECTED,
    RELEASED,
    RESERVED,
    RESUME,
    RETRY,
    SCHEDULED,
    UNSHIPPED,
    StubPauses,
    failed,
    retry,
    settle,
)

RECORDED: Final = Path(__file__).with_name("decisions.txt")
ANSWERS: Final = (PAID, DECLINED, REFUNDED, RESERVED, REJECTED, RELEASED, SCHEDULED, UNSHIPPED)
ODD: Final = (
    PLACED, CANCEL, COMPENSATE, PAUSE, RESUME, RESUME, PROBE, RETRY, *map(retry, NAMES), retry("payment", 1),
    settle("payment"), settle("shipment", "reservation"), *ANSWERS,
    *(failed(name, attempt) for name in ("ProcessPayment", "FulfilOrder", "CancelShipment") for attempt in (1, 2)),
    failed("ProcessPayment", 2, "pause"), failed("FulfilOrder", 1, "compensate"), failed("RefundPayment", 3, "pause"),
)  # fmt: skip
WIDE_PAUSES: Final = (("step", "reservation"), ("command", "RefundPayment"), ("service", "owner of CompleteOrder"))
STEPS: Final = 25


def policies(**step: Any) -> SagaPolicies:
    policy = StepPolicy(deadline_s=10, **step)
    return SagaPolicies(steps=dict.fromkeys(NAMES, policy), undos=dict.fromkeys(NAMES, policy))


def table(**changes: Any) -> Saga[Any, Any]:
    """Return the order's table, its steps changed by name."""
    steps = (replace(step, **changes.pop(step.name, {})) for step in ORDER_FULFILMENT.steps)
    return replace(ORDER_FULFILMENT, steps=tuple(steps), **changes)


CASES: Final = {
    "once more": (ORDER_FULFILMENT, policies(resends=1)),
    "never again": (ORDER_FULFILMENT, policies(resends=0)),
    "an operator decides": (ORDER_FULFILMENT, policies(resends=2, on_exhaustion="pause")),
    "an operator decides at once": (ORDER_FULFILMENT, policies(resends=0, on_exhaustion="pause")),
    "no way back": (table(reservation={"undo": IRREVERSIBLE}, payment={"undo": NO_EFFECT}), policies(resends=1)),
    "no operator": (table(operated_by=None, exhausted_on=None), policies(resends=1)),
}


@dataclass
class Walk:
    """One saga, and what comes to it by chance: half of it is what it waits for."""

    saga: Saga[Any, Any]
    policies: SagaPolicies
    chance: Random
    state: OrderState = field(default_factory=lambda: OrderState(order_id="o-1"))
    now: int = 1_000_000
    pauses: StubPauses = field(default_factory=StubPauses)

    def lines(self) -> Iterator[str]:
        came_late = 0
        for number in range(STEPS):
            came_late += self.state.status in ENDED
            if came_late > 3:
                return
            self.now += 1 + int(self.chance.random() * 3_000)
            trigger = PLACED if number == 0 and self.chance.random() < 0.8 else self.next_trigger()
            if self.chance.random() < 0.07:
                yield self.pause_for_all()
            before, noted = self.state, note(self.state, trigger, "m-0")
            decision = advance(self.saga, noted, trigger, now=self.now, policies=self.policies, pauses=self.pauses)
            self.state = decision.state
            commands = " ".join(
                f"> {type(command).__name__}({self.words_of(command)})" for command in decision.commands
            )
            yield f"{self.name_of(trigger)}: {self.changes(before)} {commands}".rstrip()

    def next_trigger(self) -> Message | Deadline:
        due_at, draw = self.state.due_at, self.chance.random()
        awaited = [answer for answer in ANSWERS if type(answer).__name__ in self.state.expected]
        if due_at is not None and draw < 0.3:
            self.now = max(self.now, due_at)
            return Deadline(due_at if draw > 0.05 else due_at - 1)
        candidates = awaited if awaited and draw < 0.7 else ODD
        return candidates[int(self.chance.random() * len(candidates))]

    def pause_for_all(self) -> str:
        """Begin or end a pause that is wider than the order."""
        place: Any = WIDE_PAUSES[int(self.chance.random() * len(WIDE_PAUSES))]
        if self.pauses.paused.pop(place, None) is None:
            self.pauses.paused[place] = "strike"
        return f"paused: {', '.join(' '.join(each) for each in sorted(self.pauses.paused))}"

    def changes(self, before: OrderState) -> str:
        """Say what of the engine's fields is other than before; times from now on."""
        values = {name: getattr(self.state, name) for name in SagaProgress.model_fields}
        changed = {name: value for name, value in values.items() if value != getattr(before, name)}
        return ", ".join(f"{name}={self.value_of(value)}" for name, value in changed.items()) or "nothing"

    def value_of(self, value: Any) -> str:
        is_time = type(value) is int and value > 100_000
        return f"{value - self.now:+}" if is_time else "/".join(value) if isinstance(value, tuple) else str(value)

    def words_of(self, command: Message) -> str:
        names = {"attempt", "expires_at", "reason"} & type(command).model_fields.keys()
        return " ".join(f"{name}={self.value_of(getattr(command, name))}" for name in sorted(names))

    def name_of(self, trigger: Message | Deadline) -> str:
        fields = {} if isinstance(trigger, Deadline) else trigger.model_dump(exclude_defaults=True)
        told = ("step", "steps", "after_attempt", "command", "command_attempt", "disposition", "past_pause")
        return " ".join([type(trigger).__name__, *(str(fields[name]) for name in told if name in fields)])


def lines_of(case: str) -> Iterator[str]:
    saga, case_policies = CASES[case]
    for number in range(18):
        yield f"-- {number}"
        yield from Walk(saga, case_policies, Random(f"{case} {number}")).lines()


@pytest.mark.parametrize("case", CASES)
def test_the_same_walk_leads_to_the_same_decisions(case: str) -> None:
    assert list(lines_of(case)) == read_sections(RECORDED)[case]


def test_nothing_else_is_kept() -> None:
    assert list(read_sections(RECORDED)) == list(CASES)


if __name__ == "__main__":
    write_sections(CASES, lines_of)
