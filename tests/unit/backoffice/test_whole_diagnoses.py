"""Every answer about an order, as a whole: states of orders, each beside what may be known of those who work on it.

`python -m tests.unit.backoffice.test_whole_diagnoses` keeps the answers anew, for an intended change.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from backoffice.diagnosis import Diagnosis, Evidence, diagnose
from ensemble.operations import Incident
from ensemble.operations.audit import WorkPause
from ensemble.operations.lag import PartitionLag
from tests.unit.backoffice.test_diagnosis import NOW, WAITING, letter, parked

KEPT: Final = Path(__file__).with_name("diagnoses.txt")
SOON: Final = datetime.fromtimestamp(NOW / 1000, UTC) + timedelta(minutes=1)
HALF_DAY_MS: Final = 12 * 3_600_000
PAUSED: Final = {**WAITING, "paused_since": NOW - HALF_DAY_MS + 1, "paused_reason": "strike"}

STATES: Final[dict[str, dict[str, Any]]] = {
    "unknown": {},
    "placeholder": {"status": "placeholder"},
    "completed": {"status": "completed"},
    "cancelled": {"status": "cancelled"},
    "cancelled, why": {"status": "cancelled", "reason": "no stock"},
    "owing": {"status": "compensation_failed", "owed": ("payment", "shipment"), "reason": "no answer"},
    "owing, paused": {"status": "compensation_failed", "owed": ("payment",), "paused_since": NOW},
    "failed, owing nothing": {"status": "compensation_failed", "owed": ()},
    "between steps": {"status": "fulfilled"},
    "in time": WAITING,
    "due now": {**WAITING, "due_at": NOW},
    "asked again": {**WAITING, "attempt": 2},
    "without a deadline": {**WAITING, "due_at": None},
    "late": {**WAITING, "due_at": NOW - 3_000},
    "late, asked again": {**WAITING, "due_at": NOW - 3_000, "attempt": 2},
    "late, compensating": {**WAITING, "due_at": NOW - 3_000, "status": "compensating"},
    "of another release": {**WAITING, "expected": ("Unheard",)},
    "paused by ann": {**PAUSED, "paused_by": "operator ann"},
    "paused by nobody": {**PAUSED, "paused_by": None, "paused_reason": None},
    "paused by somebody": {**PAUSED, "paused_by": "cli"},
    "paused by policy": {**PAUSED, "paused_by": "policy", "paused_since": NOW - HALF_DAY_MS},
    "paused at a step": {**PAUSED, "paused_by": "step payment"},
    "paused at a command": {**PAUSED, "paused_by": "command AttemptCharge"},
    "paused at a service": {**PAUSED, "paused_by": "service payment", "paused_since": NOW + HALF_DAY_MS},
}  # fmt: skip


def pause(scope: Any, name: str) -> WorkPause:
    return WorkPause(scope=scope, name=name, since=None, requested_by="ann", reason="audit", services=())


def lag(service: str, behind: int) -> PartitionLag:
    return PartitionLag(group=service, topic="t", partition=0, committed=0, end=behind, behind=behind)


def incident(service: str, closed_at: datetime | None = None) -> Incident:
    return Incident(
        incident_id="i", service=service, handler="h", cause=f"{service} answers #", failures=5, opened_at=None,
        closed_at=closed_at,
    )  # fmt: skip


EVIDENCE: Final[dict[str, dict[str, Any]]] = {
    "nothing": {},
    "a letter": {"dead_letters": [letter("redriven"), letter("parked"), letter("closed")]},
    "a settled letter": {"dead_letters": [letter("redriven")]},
    "given up": {"parked": [parked("dead_lettered", depth=1, attempts=1)], "dead_letters": [letter("parked")]},
    "given up, two": {"parked": [parked("dead_lettered", depth=2, attempts=0, head="")]},
    "given up, three": {"parked": [parked("retrying"), parked("dead_lettered")], "dead_letters": [letter("closed")]},
    "held by policy": {"parked": [parked("paused", blocked_on="policy", attempts=0, error="")]},
    "held by policy, why": {"parked": [parked("paused", blocked_on="policy", attempts=1, head="")]},
    "held by a step": {"parked": [parked("paused", blocked_on="step/payment")]},
    "held by its service": {"parked": [parked("paused", blocked_on="", head="")]},
    "an outage": {"parked": [parked("outage")]},
    "an outage of nothing": {"parked": [parked("outage", error="", handler="")]},
    "an incident": {"parked": [parked("outage")], "incidents": [incident("order"), incident("payment")]},
    "incidents of others": {"parked": [parked("outage")], "incidents": [incident("order"), incident("payment", SOON)]},
    "tried again": {"parked": [parked("retrying", next_attempt_at=SOON, attempts=1)]},
    "tried again, some time": {"parked": [parked("retrying", attempts=0, error="", head="")]},
    "under way": {"parked": [parked("in_flight")]},
    "under way, first": {"parked": [parked("in_flight", error="", next_attempt_at=SOON)]},
    "parked otherwise": {"parked": [parked("unknown")]},
    "pauses": {"pauses": [pause("step", "reservation"), pause("service", "payment"), pause("step", "payment")]},
    "other pauses": {"pauses": [pause("step", "shipment"), pause("command", "payment")]},
    "behind": {"lags": [lag("inventory", 1), lag("payment", 5)]},
    "far behind": {"lags": [lag("inventory", 1), lag("inventory", 4), lag("orchestrator", 2)]},
    "not behind": {"lags": [lag("inventory", 0), lag("orchestrator", 0)]},
    "the conductor behind": {"lags": [lag("orchestrator", 1)]},
    "stopped": {"stopped": frozenset({"payment", "inventory"}), "lags": [lag("inventory", 1)]},
    "the conductor stopped": {"stopped": frozenset({"orchestrator"})},
}


def in_words(diagnosis: Diagnosis) -> str:
    actions = "".join(f" [{each.verb} {each.subject!r}: {each.label}: {each.command}]" for each in diagnosis.actions)
    moments = "".join(f" ({text}: {at - NOW})" for text, at in diagnosis.moments.items())
    return f"{diagnosis.condition}: {diagnosis.sentence}{actions}{moments}"


def answers(name: str) -> Iterator[str]:
    """Yield what is said of a state, each answer once with all that leads to it."""
    reasons: dict[str, list[str]] = {}
    for evidence, facts in EVIDENCE.items():
        reasons.setdefault(in_words(diagnose(Evidence("o-1", STATES[name], NOW, **facts))), []).append(evidence)
    yield f"== {name}"
    for answer, causes in reasons.items():
        yield f"{'; '.join(causes)}\n    {answer}"


def read_blocks() -> list[str]:
    return KEPT.read_text(encoding="utf-8").split("\n\n")[:-1]


@pytest.mark.parametrize("name", STATES)
def test_an_order_is_told_of_as_before(name: str) -> None:
    assert "\n".join(answers(name)) in read_blocks()


def test_nothing_else_is_kept() -> None:
    assert [block.split("\n")[0] for block in read_blocks()] == [f"== {name}" for name in STATES]


if __name__ == "__main__":
    KEPT.write_text("\n\n".join("\n".join(answers(name)) for name in STATES) + "\n\n", encoding="utf-8")
