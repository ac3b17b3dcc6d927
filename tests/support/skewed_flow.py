"""The five services in memory, each on a machine with a clock of its own."""

from __future__ import annotations

from typing import Final

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME

from ensemble.clock import ManualClock
from ensemble.kafka.worker.broker_clock import BrokerClock
from tests.support.order_flow import OrderFlow

SERVICES: Final = ("order", "orchestrator", "payment", "inventory", "shipping")


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


class SkewedFlow(OrderFlow):
    """The flow; the brokers' time is that of its `clock`."""

    def __init__(self, wrong_by_s: dict[str, float] | None = None) -> None:
        """Start all services; `wrong_by_s` are clocks that are wrong from the start."""
        time = ManualClock()
        self.machines = {name: Machine(time) for name in SERVICES}
        for name, seconds in (wrong_by_s or {}).items():
            self.machines[name].wrong_by_s = seconds
        for machine in self.machines.values():
            machine.hear_from_broker()  # a process proves its slot by a transaction
        clocks = {name: machine.clock for name, machine in self.machines.items()}
        super().__init__(stock={}, clock=time, clocks=clocks)

    def step(self) -> str | None:
        """Run one batch of one service, which hears from the broker then."""
        name = super().step()
        if name is not None:
            self.machines[name].hear_from_broker()
        return name
