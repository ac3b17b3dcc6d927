"""A year of the flow: quiet weeks, holidays, restarts, and orders all through; nothing is lost or done twice."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from contracts import OrderLine, PauseOrder, ResumeOrder
from ensemble.clock import SystemClock, rfc3339
from ensemble.embedded import EmbeddedKafka, on_stderr
from ensemble.operations.entries import Entry
from ensemble.testing.clusters import Cluster
from launcher import SERVICES
from tests.end_to_end import time_lapse
from tests.end_to_end.system import QUICK, READY_S, System, running_system, verified, wait_until
from tests.support.command_line import CommandLine
from tests.support.order_messages import order_placed

MONTHS = 12
HOLIDAY = 7
"""In this month all services stand still for longer than the broker keeps their offsets."""
FREE = (OrderLine(sku="bolt", quantity=1, unit_price=0),)
KINDS: dict[str, tuple[dict[str, object], str]] = {
    "plain": ({}, "completed"),
    "express": ({"shipping_speed": "express"}, "completed"),
    "declined": ({"payment_token": "tok_declined"}, "cancelled"),
    "free": ({"lines": FREE}, "completed"),
    "late-declined": ({"shipping_speed": "express", "payment_token": "tok_declined"}, "cancelled"),
}
OPERATOR = {"requested_by": "a test", "reason": "the customer is away"}

pytestmark = pytest.mark.timeout(1800)


@dataclass
class Year:
    """The flow on a broker whose weeks are short, and what has happened to it."""

    system: System
    data: Path
    ensemble: CommandLine
    did: Counter[str] = field(default_factory=Counter)
    placed: dict[str, str] = field(default_factory=dict)
    """How each order has to end."""

    def _note(self, text: str) -> None:
        with (self.data.parent / "year.log").open("a") as file:
            file.write(f"{rfc3339(SystemClock().now())} {text} {dict(self.did)}\n")

    # -- work ---------------------------------------------------------------------------------------------------------

    def work(self, month: int) -> None:
        """Place orders of all kinds while one service is restarted; return when all have ended and are read."""
        self._note(f"month {month}")
        orders = {f"order-{month}-{kind}": terms for kind, terms in KINDS.items()}
        for number, (order_id, (changes, ending)) in enumerate(orders.items()):
            self.placed[order_id] = ending
            self.place(order_id, changes, from_outside=number % 2 == 0)
            if number == 1:
                self._restart(SERVICES[month % len(SERVICES)], is_killed=month % 3 == 0)
        for order_id in orders:
            assert self.system.await_end(order_id, READY_S) == self.placed[order_id], order_id
        self.await_calm()

    def place(self, order_id: str, changes: dict[str, object], *, from_outside: bool) -> None:
        publish = self.system.publish_from_outside if from_outside else self.system.publish
        publish(order_placed(order_id=order_id, **changes))

    def _restart(self, name: str, *, is_killed: bool) -> None:
        if is_killed:
            self.system.fleet.kill(name)
        self.system.fleet.restart(name)
        self.did["service killed" if is_killed else "service restarted"] += 1

    def pause_order(self, order_id: str) -> None:
        """Place an order and pause it while its payment is under way."""
        self.placed[order_id] = "completed"
        with self.system.without("payment"):
            self.system.publish(order_placed(order_id=order_id))
            self.system.await_message(order_id, "ProcessPayment")
            self.system.publish(PauseOrder(order_id=order_id, **OPERATOR))
            self.system.await_message(order_id, "OrderPaused")
        self.system.await_message(order_id, "PaymentConfirmed")

    def resume_order(self, order_id: str) -> None:
        self.system.publish(ResumeOrder(order_id=order_id, **OPERATOR))
        assert self.system.await_end(order_id) == "completed"

    def await_calm(self) -> None:
        """Wait until every group has read and committed everything, markers included."""
        self._note("calm")
        self.system.fleet.await_ready(READY_S)
        wait_until(lambda: not any(self._lags().values()), "no group has a lag", READY_S)

    def _lags(self) -> dict[str, object]:
        return {name: time_lapse.lag(self.system.access, name) for name in SERVICES}

    # -- time ---------------------------------------------------------------------------------------------------------

    def pass_quiet_weeks(self, *, ids_expire: bool) -> None:
        """Leave all services running, without a word for longer than records are kept, or anything is."""
        self._let_weeks_pass(ids_expire=ids_expire)
        self.did["idle"] += 1

    def pass_holiday(self) -> None:
        """Stop all services for longer than any topic keeps its records."""
        self._stop_services()
        self._let_weeks_pass()
        for name in SERVICES:
            self.system.fleet.restart(name)
        self.system.fleet.await_ready(READY_S)
        self.did["stopped"] += 1

    def pass_long_holiday(self) -> None:
        """Stop all services until the broker has forgotten where they were, and do what they say then."""
        self._stop_services()
        self._let_weeks_pass()
        time_lapse.await_expiry_of_offsets(self.system.access, SERVICES)
        self.did["offsets expired"] += 1
        for name in SERVICES:
            for command in self._commands_after_loss(name):
                done = self.ensemble(*shlex.split(command), "--yes", "--reason", "a long holiday")
                assert done.code == 0, done.err
            self.system.fleet.restart(name)
        self.system.fleet.await_ready(READY_S)

    def _commands_after_loss(self, name: str) -> list[str]:
        """Return the commands that the service names when it ends since its offsets are gone."""
        self.system.fleet.restart(name)
        wait_until(lambda: self.system.fleet.exit_code(name) is not None, f"{name} says what it misses", READY_S)
        [loss] = [line["reason"] for line in self.log_of(name) if line.get("error") == "LostState"]
        assert re.search(rf"{name} last wrote its state at 20\d\d-", loss), loss
        commands = re.findall(rf"ensemble (consumers set-offsets {name} --topic \S+ --to \w+)", loss)
        assert commands, loss
        return [str(command) for command in commands]

    def _stop_services(self) -> None:
        for name in SERVICES:
            assert self.system.fleet.stop_one(name) == 0

    def _let_weeks_pass(self, *, ids_expire: bool = False) -> None:
        access = self.system.access
        before = access.starts(access.places(time_lapse.retentions()))
        rolled = {topic: time_lapse.segments(self.data, topic) for topic in time_lapse.retentions()}
        time_lapse.let_weeks_pass(access, ids_expire=ids_expire)
        after = access.starts(list(before))
        assert any(after[place] > start for place, start in before.items()), "retention has removed nothing"
        assert any(time_lapse.segments(self.data, topic) - earlier for topic, earlier in rolled.items())

    def restart_broker(self, *, is_killed: bool) -> None:
        with self.system.disconnected():
            if is_killed:
                self.system.broker.kill()
            self.system.broker.restart()
        self.system.fleet.await_ready(READY_S)
        self.did["broker killed" if is_killed else "broker restarted"] += 1

    # -- what is left -------------------------------------------------------------------------------------------------

    def log_of(self, name: str) -> list[dict[str, str]]:
        lines = self.system.fleet.log(name).read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def failures(self) -> Counter[str]:
        """Count why processes have ended by themselves."""
        lines = (line for name in SERVICES for line in self.log_of(name))
        return Counter(line["error"] for line in lines if line["event"] == "service.failed")

    def count_payments(self, order_id: str) -> int:
        """Count how often the order's payment was asked for; a slow machine has it asked for again."""
        return self.system.watcher.counts(order_id)["ProcessPayment"]

    def count_forgotten_ids(self) -> int:
        """Count the transactions that were done again since the broker had forgotten the transactional id."""
        aborts = (line for name in SERVICES for line in self.log_of(name) if line["event"] == "transaction.aborted")
        return sum("not currently assigned to its transactional id" in line["reason"] for line in aborts)

    def count_compacted_away(self, topic: str) -> int:
        """Count the records of a compacted topic that a later one of their key has replaced."""
        places = self.system.access.places([topic])
        left = Counter(record.key or b"" for record in self.system.access.read(places))
        written = Counter(entry.key.encode() for key in self.placed for entry in self._states(key))
        return (written - left).total()

    def _states(self, order_id: str) -> list[Entry]:
        return [entry for entry in self.system.watcher.everything(order_id) if entry.type == "OrderState"]


@pytest.fixture
def year(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Year]:
    broker = EmbeddedKafka(tmp_path / "kafka", settings=time_lapse.broker_settings())
    try:
        cluster = Cluster(broker.start(on_stderr).bootstrap_servers, broker)
        monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", cluster.bootstrap_servers)
        with running_system(cluster, tmp_path, {**QUICK, **time_lapse.service_settings()}) as system:
            time_lapse.compact_often(system.access)
            yield Year(system, tmp_path / "kafka" / "data", CommandLine(capsys))
    finally:
        broker.stop()


def test_a_year_passes_and_nothing_is_lost(year: Year) -> None:
    # given a broker on which a week takes two seconds
    # when a year of orders, quiet weeks, holidays and restarts passes
    for month in range(1, MONTHS + 1):
        year.work(month)
        if month == 2:
            year.pause_order("order-paused")
        if month == 10:
            year.resume_order("order-paused")
        if month % 4 == 1:
            year.restart_broker(is_killed=month == 5)
        year.await_calm()
        if month == HOLIDAY:
            year.pass_long_holiday()
        elif month % 4 == 0:
            year.pass_holiday()
        else:
            year.pass_quiet_weeks(ids_expire=month % 3 == 0)
    time_lapse.compact_no_more(year.system.access)  # no more weeks pass: `verify` sees this month as it was
    asked_for = year.count_payments("order-1-plain")
    year.place("order-1-plain", {}, from_outside=True)
    year.work(MONTHS + 1)

    # then all of that did happen
    assert year.did == {
        "service restarted": 9,
        "service killed": 4,
        "broker restarted": 2,
        "broker killed": 1,
        "idle": 8,
        "stopped": 3,
        "offsets expired": 1,
    }
    assert year.count_forgotten_ids() > 0
    assert year.count_compacted_away("orchestrator.order-state") > 0

    # and every order has ended as it should, once, and nothing is left
    system = year.system
    assert {order_id: system.ending(order_id) for order_id in year.placed} == year.placed
    assert year.count_payments("order-1-plain") == asked_for
    assert sum(system.held_by_provider(order_id) for order_id in ("order-1-plain", "order-paused")) == 1000
    assert not any(system.watcher.dead_letters(order_id) for order_id in year.placed)
    report = verified(system)
    violations = [each for each in report.violations if each.check != "operations"]  # answers keep a week of real days
    assert violations == []
    assert (report.problems, report.open_orders) == ((), ())
    assert (year.failures(), system.fleet.unexpected_exits()) == ({"LostState": len(SERVICES)}, [])
