"""One run from the first order to the verdict: orders flow, faults are injected, all is healed and checked."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from operator import attrgetter
from typing import Any, Final

from tests.chaos.exits import Finding
from tests.chaos.faults import FaultInjector, PlannedAction
from tests.chaos.generated_orders import ANY, Garbage, Order, generate_order, generate_orders, stock_receipts
from tests.chaos.operator import Operator
from tests.chaos.outcome_checks import check_outcomes
from tests.chaos.parking_view import ParkingView
from tests.chaos.settings import ChaosSettings, omissions
from tests.end_to_end.system import READY_S, System, verified
from verifier import as_document
from verifier.facts import Violation

HEAL_LIMIT_S: Final = 180.0
"""How long after the last fault all of them must have ended, and a tenth of a second more for each order."""
POLICIES: Final = {
    "payment": """
[handlers.AttemptCharge]
strategy = "fixed"
initial_s = 0.5
attempts = 4

[handlers.RefundPayment]
strategy = "fixed"
initial_s = 0.5
attempts = 1000

[outage]
after = 15
probe_s = 1.0
"""
}
"""A charge is given up soon, so that there is something to redrive; a refund never."""
_EVIDENCE: Final = 40
"""Findings of which the report keeps what lies on the topics."""
_STEP_S: Final = 0.05
_TEND_EVERY_S: Final = 2.0
_TELL_EVERY_S: Final = 10.0
_POINTS_LIMIT_S: Final = 120.0
"""So long after the last planned fault every member must have met its crash points."""
_EXTRA_EVERY_S: Final = 0.15

Progress = Callable[[str], None]


@dataclass
class Campaign:
    """One run of the chaos test: places the orders, injects the faults, heals the system and reports the findings."""

    system: System
    settings: ChaosSettings
    tell: Progress
    ends_as_kinds: bool = True
    """Every order ends as its kind says; one that is given up may end otherwise."""
    findings: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        dice = random.Random(self.settings.seed + 1)
        self.orders = generate_orders(self.settings.seed, self.settings.orders, self.settings.per_second)
        self._ids = [order.order_id for order in self.orders]
        self._parking = ParkingView(self.system.access)
        self.operator = Operator(self.system, self._parking, random.Random(self.settings.seed + 2))
        self._faults = FaultInjector(self.system, self.operator, self.settings, dice)
        plan = self._faults.plan(self._ids)
        self.faults = sorted(plan, key=attrgetter("at_s"))
        self._began = time.monotonic()
        self._told_at = 0.0

    @property
    def plan(self) -> str:
        """Return the faults and their seconds, in words: the same seed gives the same."""
        return "; ".join(f"{fault.at_s:.1f} {fault.name}" for fault in self.faults if fault.name)

    def run(self) -> dict[str, Any]:
        """Run once and return the report: what was done, what was found; `clean` says whether nothing was."""
        try:
            self._place_orders_and_inject_faults()
            self._meet_points()
            self._heal()
            return self._report(self._await_order_ends())
        finally:
            self._faults.zombies.end_all()

    # -- faults ---------------------------------------------------------------------------------------------------

    def _place_orders_and_inject_faults(self) -> None:
        for receipt in stock_receipts():
            self.system.publish_soon(receipt)
        self.system.flush()
        self._began = time.monotonic()
        acts = [*self._publications(), *self.faults]
        for act in sorted(acts, key=attrgetter("at_s")):
            while (remaining_s := self._began + act.at_s - time.monotonic()) > 0:
                time.sleep(min(remaining_s, _STEP_S))
                self._watch()
            act.do()
        self.system.flush()

    def _publications(self) -> Iterator[PlannedAction]:
        for order in self.orders:
            for each in order.publications:
                yield PlannedAction(each.at_s, "", partial(self.system.publish_soon, each.message, each.headers))
            for bad in order.garbage:
                yield PlannedAction(bad.at_s, "", partial(self._put, bad, order.order_id.encode()))

    def _put(self, bad: Garbage, key: bytes) -> None:
        self.system.outsider.produce(bad.topic, bad.value, key)

    def _watch(self) -> None:
        """Start again each member that has ended, as a supervisor does; one that had no reason to end is a finding."""
        fleet = self.system.fleet
        for name in fleet.members:
            code = fleet.exit_code(name)
            if code is not None:
                self._record(self._faults.judge_exit(name, code, last_log_lines(self.system, name)))
                self._faults.start(name)
        for result in self._faults.watch_zombies():
            self._record(result)
        self._progress()

    def _record(self, result: str | Finding) -> None:
        if isinstance(result, Finding):
            self.findings.append(result)
        else:
            self.operator.did[result] += 1

    def _meet_points(self) -> None:
        """Place more orders until every member has met its points and no zombie is left, or the time is over."""
        limit, number = time.monotonic() + _POINTS_LIMIT_S, 0
        while self._faults.has_points_left or self._faults.zombies.are_left:
            if time.monotonic() > limit:
                break
            extra = generate_order(self.settings.seed, self.settings.orders + number)
            self.orders.append(extra)
            self._ids.append(extra.order_id)
            self.system.publish_soon(extra.publications[0].message)
            number += 1
            self._watch_for(_EXTRA_EVERY_S)
        self.system.flush()

    def _progress(self) -> None:
        now = time.monotonic()
        if now - self._told_at > _TELL_EVERY_S:
            self._told_at = now
            ended = sum(1 for order_id in self._ids if self.system.ending(order_id))
            self.tell(f"{now - self._began:5.0f} s: {ended} of {len(self._ids)} orders ended; {self.did}")

    @property
    def did(self) -> str:
        """Return what was done so far, in words; deaths at points are not told apart by service."""
        counts: Counter[str] = Counter()
        for what, count in self.operator.did.items():
            counts[what.partition(" (")[0]] += count
        return ", ".join(f"{what} {count}" for what, count in sorted(counts.items()))

    # -- healing --------------------------------------------------------------------------------------------------

    def _heal(self) -> None:
        """Start every member and the provider, and end every pause of work."""
        self.tell("healing: every member runs, nothing is paused")
        self._faults.end_all()
        limit = time.monotonic() + READY_S
        while any(self.system.fleet.state_of(name) for name in self.system.fleet.members):
            self._watch()
            if time.monotonic() > limit:
                self.findings.append(Finding("members", "all", f"not ready {READY_S:g} s after the last fault"))
                break
            time.sleep(_STEP_S)
        for pause in self.operator.pauses:
            self.operator.resume_work(pause)

    def _await_order_ends(self) -> list[Order]:
        """Resume, redrive or discard until every order has ended; return those that have not in time."""
        limit, open_orders = time.monotonic() + HEAL_LIMIT_S + len(self.orders) / 10, list(self.orders)
        poisoned = [order.order_id for order in self.orders if order.is_poisoned]
        for order_id in poisoned:
            self.operator.turn_back(order_id)
        while (open_orders := self._still_open(open_orders)) or self._has_parked_keys():
            if time.monotonic() > limit:
                break
            self.operator.resume_paused([order.order_id for order in open_orders])
            self._settle_parked_keys(set(poisoned))
            self._watch_for(_TEND_EVERY_S)
        return open_orders

    def _still_open(self, orders: Sequence[Order]) -> list[Order]:
        return [order for order in orders if not self.system.ending(order.order_id)]

    def _watch_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._watch()
            time.sleep(_STEP_S)

    def _has_parked_keys(self) -> bool:
        self._parking.read_on()
        return any(True for _ in self._parking.parked())

    def _settle_parked_keys(self, poisoned: set[str]) -> None:
        """Redrive once more what was given up, and discard what can never succeed."""
        self._parking.read_on()
        for parked in self._parking.parked():
            if parked.entry.status == "dead_lettered":
                (self.operator.discard if parked.name in poisoned else self.operator.redrive)(parked)
        self.system.flush()

    # -- the verdict ----------------------------------------------------------------------------------------------

    def _report(self, open_orders: list[Order]) -> dict[str, Any]:
        self.tell("judging")
        report = verified(self.system, expect_orders=len(self.orders))
        self._parking.read_on()
        orders = self.orders if self.ends_as_kinds else [replace(order, kind=ANY) for order in self.orders]
        findings = [*self.findings, *check_outcomes(self.system, self.operator, self._parking, orders)]
        document, omitted = as_document(report), list(omissions(self.settings, self.operator.did))
        self._parking.close()
        return {
            "clean": document["clean"] and not findings and not open_orders and not omitted,
            "asked": str(self.settings),
            "plan": self.plan,
            "seconds": round(time.monotonic() - self._began),
            "did": dict(sorted(self.operator.did.items())),
            "omitted": omitted,
            "findings": [finding._asdict() for finding in findings],
            "still_open": [order.order_id for order in open_orders],
            "verify": document,
            "evidence": self._evidence([*findings, *report.violations]),
        }

    def _evidence(self, findings: Sequence[Finding | Violation]) -> dict[str, Any]:
        """Return everything about the first orders with a finding: the cluster is gone afterwards."""
        watcher = self.system.watcher
        names = (each.subject.rpartition(" ")[2] for each in findings[:_EVIDENCE])
        orders = dict.fromkeys(watcher.order_at(_as_place(name)) or name for name in names)
        return {order_id: [entry.document() for entry in watcher.everything(order_id)] for order_id in orders}


def _as_place(position: str) -> str:
    """Return the position `topic[1]@2` as `topic/1/2`."""
    return position.replace("[", "/").replace("]@", "/")


def last_log_lines(system: System, name: str) -> list[str]:
    """Return the last lines of the member's log."""
    return system.fleet.log(name).read_text(errors="replace").splitlines()[-8:]
