"""All checks over all that was read, order by order, and how the orders stand."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from verifier.case import Case
from verifier.checks.fates import check_inputs
from verifier.checks.money import check_money
from verifier.checks.orders import check_endings, check_state, check_transitions
from verifier.checks.records import check_records
from verifier.checks.stock import check_stock
from verifier.facts import Finding, OpenOrder, State, Violation
from verifier.report import Findings
from verifier.runtime_formats import describe_pause

_CHECKS: Final[Mapping[str, tuple[Callable[[Case], Iterable[Finding]], str]]] = {
    "money": (check_money, "amount held equals amount due; no double charge"),
    "stock": (check_stock, "received = on hand + reserved + dispatched, never negative, no gap"),
    "endings": (check_endings, "every order ends once"),
    "inputs": (check_inputs, "every input has an effect, waits parked, or is a dead letter"),
    "order state": (check_state, "the order state agrees with the topics"),
    "transitions": (check_transitions, "orders only move forward"),
    "records": (check_records, "each record can be read, where its key belongs"),
}
"""Records come last: the others have found out which states cannot be read."""
CHECKS: Final[Mapping[str, str]] = {name: promise for name, (_, promise) in _CHECKS.items()}
"""What each check asks, for people."""
_TELL_EVERY_S: Final = 2.0


def judge(
    cases: Iterable[Case],
    tell: Callable[[str], None],
    *,
    has_provider: bool,
    now: Callable[[], float] = time.monotonic,
) -> Findings:
    """Judge orders one by one."""
    findings, last_report = Findings(), now()
    checks = {name: check for name, (check, _) in _CHECKS.items() if has_provider or name != "money"}
    for number, case in enumerate(cases):
        for name, check in checks.items():
            findings.violations += as_violations(name, case.order_id, check(case))
        if case.order_id:
            _count(findings, case)
        if number % 1000 == 0 and now() - last_report > _TELL_EVERY_S:
            last_report = now()
            tell(f"verify: {findings.counted['orders']} orders judged")
    return findings


def as_violations(check: str, order_id: str, findings: Iterable[Finding]) -> Iterator[Violation]:
    """Yield what a check has found as violations, of the order where nothing else is named."""
    for finding in findings:
        subject, words = (order_id, finding) if isinstance(finding, str) else finding
        yield Violation(check, str(subject), words)


def check_expected(findings: Findings, expected: int) -> Iterator[Violation]:
    """Report if fewer orders were accepted than expected, or if some have neither ended nor been paused."""
    accepted, ended = findings.counted["orders"], findings.counted["ended"]
    if accepted != expected:
        yield Violation("endings", "all orders", f"{expected} orders were expected, {accepted} are accepted")
    if ended != accepted:
        yield Violation("endings", "all orders", f"{accepted - ended} of {accepted} orders have not ended")


def _count(findings: Findings, case: Case) -> None:
    state, counted = case.state, findings.counted
    if state is not None and state.status == "compensation_failed":
        findings.owing[case.order_id] = state.names("owed")
    counted["incomplete"] += bool(case.by_type) and not case.is_whole
    findings.open_orders += _open_order(case)
    if case.placed is not None:
        is_paused = state is not None and describe_pause(state.fields)
        counted["orders"] += 1
        counted["completed"] += case.completed is not None
        counted["cancelled"] += case.cancelled is not None
        counted["ended"] += bool(case.completed or case.cancelled or is_paused)


def _open_order(case: Case) -> Iterator[OpenOrder]:
    """Return the order if it is under way: accepted without an end, or not accepted yet."""
    state, order_id = case.state, case.order_id
    if case.placed is None:
        for command in case.of_type("PlaceOrder")[-1:]:
            if not case.evidence.was_read("order", command):
                yield OpenOrder(order_id, "requested", None, f"order to read {command}", None)
    elif case.completed or case.cancelled or (state is not None and state.status == "compensation_failed"):
        return
    elif state is None:
        has_read = case.evidence.was_read("orchestrator", case.placed)
        waits_for = f"nothing known: orchestrator has read {case.placed}" if has_read else ""
        yield OpenOrder(order_id, "placed", None, waits_for or f"orchestrator to read {case.placed}", None)
    elif state.status not in {"completed", "cancelled"}:
        yield _under_way(case, state)
    elif case.is_whole or case.of_type("CompleteOrder") or case.of_type("CancelOrder"):
        yield OpenOrder(order_id, state.status, None, "the order service, which has yet to close it", None)


def _under_way(case: Case, state: State) -> OpenOrder:
    paused, waits_for = describe_pause(state.fields), " or ".join(state.names("expected")) or "nothing"
    waits_for += "".join(f"; something of it is parked at {service}" for service in case.parked_at)
    waits_for += f" (paused by {paused})" if paused else ""
    return OpenOrder(case.order_id, state.status, state.fields["step"], waits_for, state.fields["due_at"], paused)
