"""The five services in memory, their outputs routed to each other, each on a machine with a clock of its own."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final, cast

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME

from contracts import OrderState
from contracts.catalogue import CATALOGUE
from ensemble import Service
from ensemble.clock import ManualClock
from ensemble.kafka.worker.broker_clock import BrokerClock
from ensemble.messages import Message, encoder_for
from ensemble.messages.records import StoredRecord
from ensemble.partitioning import partition_of
from ensemble.testing.driver import ServiceTestDriver
from services.inventory.service import inventory_service
from services.orchestrator.service import orchestrator
from services.order.service import order_service
from services.payment.service import payment_service
from services.payment.testing import InMemoryPaymentGateway
from services.shipping.service import shipping_service

PARTITIONS: Final = 4
_SMALLEST_STEP_S: Final = 0.05


class Machine:
    """One machine. `wrong_by_s` is set at any time, as an operator or a broken time server would."""

    def __init__(self, time: ManualClock) -> None:
        self._time = time
        self.wrong_by_s = 0.0
        self.clock = BrokerClock(self, steady=time.now)

    def now(self) -> int:
        """Return what this machine takes for the time."""
        return self._time.now() + round(self.wrong_by_s * 1000)

    def hear_from_broker(self) -> None:
        """Have a broker acknowledge a record of a changelog, as after each batch with an effect."""
        self.clock.note(("changelog", 0), (TIMESTAMP_LOG_APPEND_TIME, self._time.now()), self.clock.start_write())


class SkewedFlow:
    """The flow. Nothing happens but within `publish`, `advance` and `settle`."""

    def __init__(self, wrong_by_s: dict[str, float] | None = None) -> None:
        """Start all services; `wrong_by_s` are clocks that are wrong from the start."""
        self._time, self.gateway = ManualClock(), InMemoryPaymentGateway()
        services: list[Service] = [
            order_service(), orchestrator(), payment_service(self.gateway), inventory_service(), shipping_service()
        ]  # fmt: skip
        self.machines = {service.name: Machine(self._time) for service in services}
        for name, seconds in (wrong_by_s or {}).items():
            self.machines[name].wrong_by_s = seconds
        for machine in self.machines.values():
            machine.hear_from_broker()  # a process proves its slot by a transaction
        self.drivers = {s.name: ServiceTestDriver(s, cast("Any", self.machines[s.name].clock)) for s in services}
        self._log: list[StoredRecord] = []
        self._ends: dict[tuple[str, int], int] = defaultdict(int)
        self._taken, self._read = dict.fromkeys(self.drivers, 0), dict.fromkeys(self.drivers, 0)

    def publish(self, message: Message, message_id: str) -> None:
        """Publish as an outsider, and let all services handle what follows at once."""
        home = CATALOGUE.homes(type(message))[0]
        key = home.key_of(message)
        self._append(home.name, key, encoder_for(type(message))(message), [("ce_id", message_id.encode())])
        self.settle()

    def advance(self, seconds: float) -> None:
        """Let time pass, on each machine as it takes it, and let all services do what falls due on the way."""
        end = self._time.now() + round(seconds * 1000)
        while (left_ms := end - self._time.now()) > 0:
            waits = [left_ms, *self._waits()]
            self._time.advance(min(max(min(waits) / 1000, _SMALLEST_STEP_S), left_ms / 1000))
            for name, driver in self.drivers.items():
                driver.receive_records([])
                self.machines[name].hear_from_broker()
            self.settle()

    def _waits(self) -> list[int]:
        dues = {name: driver.process.next_due() for name, driver in self.drivers.items()}
        return [due - self.machines[name].clock.now() for name, due in dues.items() if due is not None]

    def settle(self) -> None:
        """Hand all records to who reads them until nothing comes any more."""
        while sum(map(self._hand_over, self.drivers)):
            pass

    def _hand_over(self, name: str) -> bool:
        driver = self.drivers[name]
        inputs = {topic.name for topic in driver.service.inputs}
        fresh = [record for record in self._log[self._taken[name] :] if record.at_topic in inputs]
        self._taken[name] = len(self._log)
        if fresh:
            driver.receive_records(fresh)
            self.machines[name].hear_from_broker()
        self._collect(name)
        return bool(fresh)

    def _collect(self, name: str) -> None:
        messages = {topic.name for topic in CATALOGUE.topics if topic.cleanup == "delete"}
        log = self.drivers[name].log
        for record in log[self._read[name] :]:
            if record.at_topic in messages:
                self._append(record.at_topic, record.raw_key or b"", record.raw_value, record.raw_headers)
        self._read[name] = len(log)

    def _append(self, topic: str, key: bytes, value: bytes | None, headers: Any) -> None:
        place = topic, partition_of(key, PARTITIONS)
        self._log.append(StoredRecord(*place, self._ends[place], key, value, headers))
        self._ends[place] += 1

    # -- what came of it ----------------------------------------------------------------------------------------------

    def status(self, order_id: str) -> str:
        """Return the order's status; empty if there is none."""
        state = self.drivers["orchestrator"].state(OrderState, order_id)
        return state.status if state else ""

    def count(self, topic: str) -> int:
        """Return how many records of a topic were written."""
        return sum(record.at_topic == topic for record in self._log)

    @property
    def dead_letters(self) -> list[StoredRecord]:
        return [letter for driver in self.drivers.values() for letter in driver.dead_letters]
