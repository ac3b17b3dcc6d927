"""A broker in memory for one process: its group has one member, and a transaction is there at once, or never.

It shows what a loop makes of the clients' answers. What a real broker answers, the integration tests show.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import takewhile
from typing import Any

from confluent_kafka import OFFSET_INVALID, KafkaError, KafkaException, TopicPartition

from ensemble.kafka.client_config import Clients
from tests.support.assigned_consumer import AssignedConsumer, Polled
from tests.support.client_answers import answer

Place = tuple[str, int]
IDLE_POLLS = 8
WRITTEN_AT = 1_750_000_000_000


class MemoryBroker:
    """The logs, the group's offsets, and what the next calls of a producer fail with."""

    def __init__(self, inputs: Iterable[str], partitions: int = 2) -> None:
        self.inputs = [(topic, partition) for topic in inputs for partition in range(partitions)]
        self.logs: defaultdict[Place, list[Polled]] = defaultdict(list)
        self.offsets: dict[Place, TopicPartition] = {}
        self.failures: list[tuple[str, KafkaException]] = []
        self.calls: list[str] = []
        self.committed_batches: list[list[str]] = []
        self.on_poll: Callable[[], None] = lambda: None
        self.on_init: Callable[[], None] = lambda: None
        self.on_idle: Callable[[], None] = lambda: None
        self.member: Any = None

    def append(self, place: Place, key: bytes | None, value: bytes | None, headers: Any = ()) -> None:
        log = self.logs[place]
        log.append(Polled((*place, len(log)), (key, value), pairs=list(headers)))

    def records(self, topic: str) -> list[Polled]:
        return [record for (name, _), log in sorted(self.logs.items()) for record in log if name == topic]

    def fail(self, call: str, code: int, **flags: bool) -> None:
        """Have the next such call of a producer fail, or the next `committed` of the member."""
        self.failures.append((call, KafkaException(KafkaError(code, "told to", **flags))))

    def fail_as_told(self, call: str) -> None:
        """Note the call, and raise what it was told to fail with, if it is the next one to fail."""
        self.calls.append(call)
        if self.failures and self.failures[0][0] == call:
            raise self.failures.pop(0)[1]

    def make_consumer(self, config: dict[str, Any]) -> Any:
        if "group.id" not in config:
            return AssignedConsumer(record for log in self.logs.values() for record in log)
        self.member = MemberConsumer(self)
        return self.member

    def make_producer(self, _: dict[str, Any]) -> Any:
        return TransactionalProducer(self)

    @property
    def clients(self) -> Clients:
        """The clients of a process of service `shop`, all of which reach this broker."""
        broker: Any = self
        return Clients(
            {"group.id": "shop"},
            {"transactional.id": "shop-0", "transaction.timeout.ms": 10_000},
            {},
            broker,
            make_consumer=broker.make_consumer,
            make_producer=broker.make_producer,
        )

    # -- as an admin client ---------------------------------------------------------------------------------------

    def list_offsets(self, specs: dict[TopicPartition, Any], **_: Any) -> dict[TopicPartition, Any]:
        kinds = {place: type(spec).__name__ for place, spec in specs.items()}
        ends = {place: len(self.logs[place.topic, place.partition]) for place in specs}
        return {
            place: answer(
                offset=ends[place] if kind == "LatestSpec" else 0, timestamp=WRITTEN_AT if ends[place] else -1
            )
            for place, kind in kinds.items()
        }

    def list_topics(self, timeout: float) -> None:
        """Answer: a broker is there."""

    def describe_topics(self, names: Any, **_: Any) -> dict[str, Any]:
        return {}

    def describe_consumer_groups(self, names: list[str], **_: Any) -> dict[str, Any]:
        return {name: answer(members=[]) for name in names}


class MemberConsumer:
    """The group's member: all inputs are its own from the first poll on."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker, self._callbacks = broker, dict[str, Any]()
        self.positions: dict[Place, int] = {}
        self.paused: set[Place] = set()
        self._at_end: set[Place] = set()
        self._idle = 0
        self.is_closed = False

    def subscribe(self, topics: list[str], **callbacks: Any) -> None:
        self._callbacks = callbacks
        self._is_assigned = False

    def rebalance(self, callback: str) -> None:
        """Have the group take all partitions away: `on_revoke` or `on_lost`."""
        self._callbacks[callback](self, [TopicPartition(*place) for place in self._broker.inputs])

    def poll(self, _: float) -> Any:
        self._broker.on_poll()
        if not self._is_assigned:
            self._is_assigned = True
            self._callbacks["on_assign"](self, [TopicPartition(*place) for place in self._broker.inputs])
            return None
        event = self._next()
        self._idle = 0 if event is not None or self.paused == set(self._broker.inputs) else self._idle + 1
        if self._idle > IDLE_POLLS:
            self._broker.on_idle()
        return event

    def consume(self, limit: int, _: float) -> list[Any]:
        events = (self._next() for _ in range(limit))
        return list(takewhile(lambda event: event is not None, events))

    def _next(self) -> Any:
        for place in sorted(self.positions.keys() - self.paused):
            log, position = self._broker.logs[place], self.positions[place]
            if position < len(log):
                self.positions[place] += 1
                self._at_end.discard(place)
                return log[position]
            if place not in self._at_end:
                self._at_end.add(place)
                return Polled((*place, position), problem=KafkaError(KafkaError._PARTITION_EOF))
        return None

    def assign(self, places: list[TopicPartition]) -> None:
        self.positions |= {(p.topic, p.partition): p.offset for p in places}

    def unassign(self) -> None:
        self.positions, self.paused = {}, set()

    def seek(self, place: TopicPartition) -> None:
        self.positions[place.topic, place.partition] = place.offset
        self._at_end.discard((place.topic, place.partition))

    def pause(self, places: list[TopicPartition]) -> None:
        self.paused |= {(p.topic, p.partition) for p in places}

    def resume(self, places: list[TopicPartition]) -> None:
        self.paused -= {(p.topic, p.partition) for p in places}

    def committed(self, places: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        self._broker.fail_as_told("committed")
        offsets = self._broker.offsets
        return [
            offsets.get((p.topic, p.partition)) or TopicPartition(p.topic, p.partition, OFFSET_INVALID) for p in places
        ]

    def consumer_group_metadata(self) -> str:
        return "generation 1"

    def offsets_for_times(self, places: list[TopicPartition], _: float) -> list[TopicPartition]:
        return places

    def memberid(self) -> str:
        return "me"

    def close(self) -> None:
        self.is_closed = True


class TransactionalProducer:
    """Writes when a transaction commits: a commit that fails has taken effect after, and not before, its records."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._begin()

    def _begin(self) -> None:
        self._records: list[tuple[Any, ...]] = []
        self._offsets: list[TopicPartition] = []

    def init_transactions(self, _: float) -> None:
        self._broker.on_init()
        self._broker.fail_as_told("init")

    def begin_transaction(self) -> None:
        self._begin()

    def produce(self, topic: str, value: Any, *more: Any) -> None:
        self._records.append((topic, value, *more))

    def flush(self, _: float) -> int:
        self._broker.fail_as_told("flush")
        ends: defaultdict[Place, int] = defaultdict(int)
        for topic, value, key, partition, *more in self._records:
            offset = len(self._broker.logs[topic, partition]) + ends[topic, partition]
            ends[topic, partition] += 1
            if more and more[0] is not None:
                more[0](None, Polled((topic, partition, offset), (key, value)))
        return 0

    def send_offsets_to_transaction(self, offsets: list[TopicPartition], _: Any, __: float) -> None:
        self._broker.fail_as_told("offsets")
        self._offsets = offsets

    def commit_transaction(self, _: float) -> None:
        self._broker.fail_as_told("commit before")
        for topic, value, key, partition, *more in self._records:
            self._broker.append((topic, partition), key, value, more[3] if len(more) > 3 else ())
        self._broker.offsets |= {(p.topic, p.partition): p for p in self._offsets}
        self._broker.committed_batches.append([record[0] for record in self._records])
        self._broker.fail_as_told("commit after")

    def abort_transaction(self, _: float) -> None:
        self._broker.fail_as_told("abort")

    def purge(self, **_: Any) -> None:
        self._broker.calls.append("purge")

    def poll(self, _: float) -> int:
        return 0
