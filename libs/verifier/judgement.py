"""All checks over all that was read, order by order, and what was counted."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from verifier.case import ENDED, Case, Decoders
from verifier.checks.dead_letters import check_copies, check_failures, check_letters
from verifier.checks.endings import check_endings
from verifier.checks.inputs import check_inputs
from verifier.checks.money import check_money
from verifier.checks.operations import check_operations
from verifier.checks.pauses import check_pauses
from verifier.checks.records import check_ids, check_records
from verifier.checks.sequence import check_sequence
from verifier.checks.state import check_state
from verifier.checks.stock import check_stock
from verifier.checks.traces import check_traces
from verifier.checks.transitions import check_transitions
from verifier.evidence import Evidence
from verifier.facts import Finding, Message, OpenOrder, StateRecord, Violation
from verifier.storage import Archive

CHECKS: Final[Mapping[str, str]] = {
    "money": "amount held equals amount due; no double charge",
    "stock": "received = on hand + reserved + dispatched, never negative, no gap",
    "endings": "every order ends once",
    "inputs": "every input has an effect, waits parked, or is a dead letter",
    "order state": "the order state agrees with the topics",
    "transitions": "orders only move forward",
    "pauses": "no command leaves a paused order",
    "traces": "one trace from the first message to the last",
    "records": "each record can be read, where its key belongs, once",
    "dead letters": "dead letters are the untouched originals, and their senders know",
    "order per key": "no message overtakes a failed one of the same key",
    "operations": "operators' commands are carried out",
}
"""What each check asks, for people."""
_TELL_EVERY_S: Final = 2.0

Check = Callable[[Case], Iterable[Finding]]
Tell = Callable[[str], None]


@dataclass
class Judgement:
    """What all checks have found, and how the orders stand."""

    violations: list[Violation] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    """Orders: `accepted`, `completed`, `cancelled`, `ended` or paused, and `incomplete` ones that began too early."""
    open_orders: list[OpenOrder] = field(default_factory=list)
    owing: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Orders whose compensation has failed, with the steps still owed."""

    def merge(self, other: Judgement) -> None:
        """Add what was found of other orders."""
        self.violations += other.violations
        self.counts.update(other.counts)
        self.open_orders += other.open_orders
        self.owing.update(other.owing)


def judge(evidence: Evidence, archive: Archive, decoders: Decoders, tell: Tell, *, has_provider: bool) -> Judgement:
    """Judge the archive's own buckets order by order, then their ids."""
    judgement, checks = Judgement(), _checks(archive, has_provider=has_provider)
    last_report = time.monotonic()
    for number, rows in enumerate(archive.cases()):
        _judge_case(judgement, checks, Case(evidence, decoders, rows))
        if number % 1000 == 0 and time.monotonic() - last_report > _TELL_EVERY_S:
            last_report = time.monotonic()
            tell(f"verify: {judgement.counts['accepted']} orders judged")
    judgement.violations += _violations("records", "", check_ids(archive))
    return judgement


def judge_failures(evidence: Evidence) -> list[Violation]:
    """Judge what concerns no single order: dead letters, and what operators have asked for."""
    letters, operations = check_letters(evidence), check_operations(evidence)
    return [*_violations("dead letters", "", letters), *_violations("operations", "", operations)]


def _violations(check: str, order_id: str, findings: Iterable[Finding]) -> Iterator[Violation]:
    for finding in findings:
        subject, words = (order_id, finding) if isinstance(finding, str) else finding
        yield Violation(check, str(subject), words)


def _checks(archive: Archive, *, has_provider: bool) -> list[tuple[str, Check]]:
    """Return the checks of one case. Records come last: the others have found out which states cannot be read."""
    checks: list[tuple[str, Check]] = [
        ("stock", check_stock), ("endings", check_endings), ("inputs", check_inputs),
        ("order state", partial(check_state, archive=archive)), ("transitions", check_transitions),
        ("pauses", check_pauses), ("traces", partial(check_traces, archive=archive)), ("dead letters", check_copies),
        ("dead letters", check_failures), ("order per key", check_sequence), ("records", check_records),
    ]  # fmt: skip
    return [("money", check_money), *checks] if has_provider else checks


def _judge_case(judgement: Judgement, checks: list[tuple[str, Check]], case: Case) -> None:
    for name, check in checks:
        judgement.violations += _violations(name, case.order_id, check(case))
    if not case.order_id:
        return
    state, counts = case.state, judgement.counts
    if state is not None and state.status == "compensation_failed":
        judgement.owing[case.order_id] = state.owed
    counts["incomplete"] += bool(case.by_type) and not case.is_whole
    judgement.open_orders += _open_order(case)
    if case.placed is not None:
        has_ended = case.completed or case.cancelled
        counts["accepted"] += 1
        counts["completed"] += case.completed is not None
        counts["cancelled"] += case.cancelled is not None
        counts["ended"] += bool(has_ended or (state is not None and state.paused))


def check_expected(judgement: Judgement, expected: int) -> Iterator[Violation]:
    """Report if fewer orders were accepted than expected, or if some have neither ended nor been paused."""
    accepted, ended = judgement.counts["accepted"], judgement.counts["ended"]
    if accepted != expected:
        yield Violation("endings", "all orders", f"{expected} orders were expected, {accepted} are accepted")
    if ended != accepted:
        yield Violation("endings", "all orders", f"{accepted - ended} of {accepted} orders have not ended")


# -- open orders ------------------------------------------------------------------------------------------------------


def _open_order(case: Case) -> Iterator[OpenOrder]:
    """Return the order if it is under way: accepted without an end, or not accepted yet."""
    state, order_id = case.state, case.order_id
    if case.placed is None:
        yield from _requested(case)
    elif case.completed or case.cancelled or (state is not None and state.status == "compensation_failed"):
        return
    elif state is None:
        yield OpenOrder(order_id, "placed", None, _unread(case, "orchestrator", case.placed), None)
    elif state.status not in ENDED:
        yield OpenOrder(order_id, state.status, state.step, _awaited(case, state), state.due_at, state.paused)
    elif case.is_whole or case.of_type("CompleteOrder") or case.of_type("CancelOrder"):
        yield OpenOrder(order_id, state.status, None, "the order service, which has yet to close it", None)


def _awaited(case: Case, state: StateRecord) -> str:
    awaited = " or ".join(state.expected) or "nothing"
    for service, kind, status in case.evidence.heads.get(case.order_id, ()):
        awaited += f"; {service} has {kind} parked ({status})"
    return f"{awaited} (paused by {state.paused})" if state.paused else awaited


def _requested(case: Case) -> Iterator[OpenOrder]:
    """Return the latest PlaceOrder command that has not been handled."""
    unread = [each for each in case.of_type("PlaceOrder") if not case.evidence.was_read("order", each)]
    if unread:
        yield OpenOrder(case.order_id, "requested", None, _unread(case, "order", unread[-1]), None)


def _unread(case: Case, group: str, message: Message) -> str:
    if case.evidence.was_read(group, message):
        return f"nothing known: {group} has read {message}"
    return f"{group} to read {message}"
