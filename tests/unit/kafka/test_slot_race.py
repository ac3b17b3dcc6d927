"""Two processes start in one slot while the group still lists one that is dead: whatever the order, one goes on."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from hypothesis import example, given
from hypothesis import strategies as st

from ensemble.errors import Fenced
from ensemble.kafka.worker.fencing import GroupRivals
from ensemble.kafka.worker.transaction import Outcome, Transactions, Work
from tests.support.client_answers import answer

SLOT, DEAD = "shop-0", "dead"
COMMITS = 5
LIMIT_S = 30.0


class Broker:
    """The group's members, and the epoch of the slot; each call waits until it is its process's turn."""

    def __init__(self, *members: str) -> None:
        self.members, self.epoch = list(members), 0

    def list_topics(self, timeout: float) -> None:
        """Answer."""

    def describe_consumer_groups(self, names: list[str], request_timeout: float) -> dict[str, Any]:
        PROCESS.current.await_turn()
        members = [SimpleNamespace(member_id=name, client_id=SLOT, host=f"/{name}") for name in self.members]
        return {"shop": answer(members=members)}


class Producer:
    """A producer whose epoch ends with the next one's beginning."""

    def __init__(self, broker: Broker) -> None:
        self._broker, self._epoch = broker, -1

    def init_transactions(self, _: float) -> None:
        PROCESS.current.await_turn()
        self._broker.epoch += 1
        self._epoch = self._broker.epoch

    def flush(self, _: float) -> int:
        PROCESS.current.await_turn()
        if self._epoch != self._broker.epoch:
            raise KafkaException(KafkaError(KafkaError._FENCED, "fenced", fatal=True))
        return 0

    def __getattr__(self, _: str) -> Any:
        return lambda *_, **__: None


class Process(threading.Thread):
    """A service's process: it takes the slot, joins the group and commits, until it has done so often or is fenced."""

    def __init__(self, name: str, broker: Broker) -> None:
        super().__init__(name=name, daemon=True)
        self._broker, self._turn, self._paused = broker, threading.Semaphore(0), threading.Semaphore(0)
        self.commits, self.is_fenced, self.is_over = 0, False, False

    def step(self) -> None:
        """Let the process go on to its next call."""
        if not self.is_over:
            self._turn.release()
            assert self._paused.acquire(timeout=LIMIT_S)

    def await_turn(self) -> None:
        self._paused.release()
        assert self._turn.acquire(timeout=LIMIT_S)

    def run(self) -> None:
        PROCESS.current = self
        assert self._turn.acquire(timeout=LIMIT_S)
        try:
            self._work()
        except Fenced:
            self.is_fenced = True
        self.await_turn()
        self._broker.members.remove(self.name)
        self.is_over = True
        self._paused.release()

    def _work(self) -> None:
        rivals: Any = self._broker
        transactions = Transactions(
            config={"transactional.id": SLOT, "transaction.timeout.ms": 10_000},
            timeout_s=LIMIT_S,
            rivals=GroupRivals(rivals, lambda: rivals, group="shop", slot=SLOT, own_ids=lambda: [self.name]),
            make_producer=lambda _: Producer(self._broker),  # type: ignore[arg-type, return-value]  # as much as is used
            now=lambda: 0.0,
        )
        transactions.open(lambda: False, LIMIT_S)
        self.await_turn()
        self._broker.members.append(self.name)
        while self.commits < COMMITS:
            if transactions.commit(Work([], [], [TopicPartition("t", 0, 1)], None)) is Outcome.COMMITTED:
                self.commits += 1
            else:
                transactions.reopen(lambda: False)
        transactions.close()


class Current(threading.local):
    current: Process


PROCESS = Current()


def race(turns: str, *, has_dead_member: bool) -> list[Process]:
    """Start two processes and give them turns as told, then in rounds until both are over."""
    broker = Broker(*([DEAD] if has_dead_member else []))
    processes = {name: Process(name, broker) for name in "ab"}
    for process in processes.values():
        process.start()
    for name in turns + "ab" * 60:
        if name == "-" and DEAD in broker.members:
            broker.members.remove(DEAD)
        elif name in processes:
            processes[name].step()
    assert all(process.is_over for process in processes.values())
    return list(processes.values())


TURNS = st.lists(st.tuples(st.sampled_from("aaabbb-"), st.integers(1, 4)), max_size=8).map(
    lambda runs: "".join(name * count for name, count in runs)
)
"""Some turns of one process, then some of another; "-": the group forgets the dead member."""


@pytest.mark.parametrize("has_dead_member", [True, False])
@given(turns=TURNS)
@example(turns="baaabbaaaabb")  # a takes the slot again while b, which fenced it, is about to join
def test_one_of_two_processes_that_start_at_once_goes_on(has_dead_member: bool, turns: str) -> None:
    """Who took the slot last is fenced by nobody, and who would take it once more looks for the other one before."""
    processes = race(turns, has_dead_member=has_dead_member)
    assert COMMITS in [process.commits for process in processes if not process.is_fenced]
