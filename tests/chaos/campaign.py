"""One run from the first order to the verdict: orders flow, harm is done, all is healed, and everything is judged."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from operator import attrgetter
from typing import Any, Final

from cli.verify import as_document
from cli.verify.facts import Violation
from tests.chaos.amounts import Amounts
from tests.chaos.crowd import ANY, Garbage, Order, crowd, stock
from tests.chaos.harm import Act, Harm
from tests.chaos.held import Held
from tests.chaos.judgement import Finding, judge
from tests.chaos.operator import Operator
from tests.end_to_end.system import READY_S, System, verified

HEAL_LIMIT_S: Final = 180.0
"""How long after the last harm all of them must have ended, and a tenth of a second more for each order."""
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
_ENDED_BY_ITSELF: Final = 1
_SIGKILL: Final = -9
_SIGSEGV: Final = -11
"""The client's library may crash when its broker restarts: see tests/end_to_end/reading.py."""

Tell = Callable[[str], None]


@dataclass
class Campaign:
    """Runs once."""

    system: System
    amounts: Amounts
    tell: Tell
    ends_as_kinds: bool = True
    """Every order ends as its kind says; one that is given up may end otherwise."""
    findings: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        dice = random.Random(self.amounts.seed + 1)
        self.orders = crowd(self.amounts.seed, self.amounts.orders, self.amounts.per_second)
        self._ids = [order.order_id for order in self.orders]
        self._held = Held(self.system.access)
        self.operator = Operator(self.system, self._held, random.Random(self.amounts.seed + 2))
        self._harm = Harm(self.system, self.operator, self.amounts, dice)
        self._began = time.monotonic()
        self._told = 0.0

    def run(self) -> dict[str, Any]:
        """The report: what was done, what was found; `clean` says whether nothing was."""
        self._place_and_harm()
        self._heal()
        open_orders = self._await_ends()
        return self._report(open_orders)

    # -- harm -----------------------------------------------------------------------------------------------------

    def _place_and_harm(self) -> None:
        for receipt in stock():
            self.system.publish_soon(receipt)
        self.system.flush()
        self._began = time.monotonic()
        acts = [*self._publishing(), *self._harm.plan(self._ids)]
        for act in sorted(acts, key=attrgetter("at_s")):
            while (left := self._began + act.at_s - time.monotonic()) > 0:
                time.sleep(min(left, _STEP_S))
                self._watch()
            act.do()
        self.system.flush()

    def _publishing(self) -> Iterator[Act]:
        for order in self.orders:
            for each in order.publications:
                yield Act(each.at_s, partial(self.system.publish_soon, each.message, each.headers))
            for bad in order.garbage:
                yield Act(bad.at_s, partial(self._put, bad, order.order_id.encode()))

    def _put(self, bad: Garbage, key: bytes) -> None:
        self.system.outsider.produce(bad.topic, bad.value, key)

    def _watch(self) -> None:
        """Who has ended is started again, as by a supervisor; whoever had no reason to end is a finding."""
        fleet = self.system.fleet
        for name in fleet.members:
            code = fleet.exit_code(name)
            if code is not None:
                self._note_end(name, code)
                fleet.restart(name)
        self._progress()

    def _note_end(self, name: str, code: int) -> None:
        point = self._harm.crashing.pop(name, "")
        if point and code == _SIGKILL:
            self.operator.did[f"died at {point}"] += 1
        elif name in self._harm.may_fall and code == _SIGSEGV:
            self.operator.did["crashed in the client's library"] += 1
        elif name in self._harm.may_fall and code == _ENDED_BY_ITSELF and (words := self._last_words(name)):
            self.operator.did["fenced, and said so" if "fenced" in words else "ended itself, and said why"] += 1
        else:
            lines = " | ".join(fallen_lines(self.system, name))
            self.findings.append(Finding("members", name, f"ended with {code}, for no reason known here: {lines}"))

    def _last_words(self, name: str) -> str:
        return next((line for line in reversed(fallen_lines(self.system, name)) if "service.failed" in line), "")

    def _progress(self) -> None:
        now = time.monotonic()
        if now - self._told > _TELL_EVERY_S:
            self._told = now
            ended = sum(1 for order_id in self._ids if self.system.ending(order_id))
            self.tell(f"{now - self._began:5.0f} s: {ended} of {len(self._ids)} orders ended; {self.did}")

    @property
    def did(self) -> str:
        return ", ".join(f"{what} {count}" for what, count in sorted(self.operator.did.items()))

    # -- healing --------------------------------------------------------------------------------------------------

    def _heal(self) -> None:
        """Everybody runs, the provider is up, nothing is paused as work any more."""
        self.tell("healing: everybody runs, nothing is paused")
        for name in list(self._harm.frozen):
            self._harm.thaw(name)
        for name in list(self._harm.crashing):
            self._harm.kill(name)
        self._harm.order_provider({"mode": "up"})
        limit = time.monotonic() + READY_S
        while any(self.system.fleet.state_of(name) for name in self.system.fleet.members):
            self._watch()
            if time.monotonic() > limit:
                self.findings.append(Finding("members", "all", f"not ready {READY_S:g} s after the last harm"))
                break
            time.sleep(_STEP_S)
        for pause in self.operator.pauses:
            self.operator.resume_work(pause)

    def _await_ends(self) -> list[Order]:
        """Resume, redrive or discard until every order has ended; returns those that have not in time."""
        limit, left = time.monotonic() + HEAL_LIMIT_S + len(self.orders) / 10, list(self.orders)
        poisoned = [order.order_id for order in self.orders if order.is_poisoned]
        for order_id in poisoned:
            self.operator.turn_back(order_id)
        while (left := [order for order in left if not self.system.ending(order.order_id)]) or self._is_held():
            if time.monotonic() > limit:
                break
            self.operator.resume_paused([order.order_id for order in left])
            self._free(set(poisoned))
            self._rest(_TEND_EVERY_S)
        return left

    def _rest(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._watch()
            time.sleep(_STEP_S)

    def _is_held(self) -> bool:
        self._held.look()
        return any(True for _ in self._held.parked())

    def _free(self, poisoned: set[str]) -> None:
        """What was given up is redriven once more; what can never succeed is discarded."""
        self._held.look()
        for parked in self._held.parked():
            if parked.entry.status == "dead_lettered":
                (self.operator.discard if parked.name in poisoned else self.operator.redrive)(parked)
        self.system.flush()

    # -- the verdict ----------------------------------------------------------------------------------------------

    def _report(self, open_orders: list[Order]) -> dict[str, Any]:
        self.tell("judging")
        report = verified(self.system, expect_orders=self.amounts.orders)
        self._held.look()
        orders = self.orders if self.ends_as_kinds else [replace(order, kind=ANY) for order in self.orders]
        findings = [*self.findings, *judge(self.system, self.operator, self._held, orders)]
        document = as_document(report)
        self._held.close()
        return {
            "clean": document["clean"] and not findings and not open_orders,
            "asked": str(self.amounts),
            "seconds": round(time.monotonic() - self._began),
            "did": dict(sorted(self.operator.did.items())),
            "findings": [finding._asdict() for finding in findings],
            "still_open": [order.order_id for order in open_orders],
            "verify": document,
            "evidence": self._evidence([*findings, *report.violations]),
        }

    def _evidence(self, found: Sequence[Finding | Violation]) -> dict[str, Any]:
        """Everything about the first orders of which something was found: the cluster is gone afterwards."""
        watcher = self.system.watcher
        named = (each.subject.rpartition(" ")[2] for each in found[:_EVIDENCE])
        orders = dict.fromkeys(watcher.order_at(_as_place(name)) or name for name in named)
        return {order_id: [entry.document() for entry in watcher.everything(order_id)] for order_id in orders}


def _as_place(position: str) -> str:
    """`topic[1]@2` as `topic/1/2`."""
    return position.replace("[", "/").replace("]@", "/")


def fallen_lines(system: System, name: str) -> list[str]:
    """The last lines of its log."""
    return system.fleet.log(name).read_text(errors="replace").splitlines()[-8:]
