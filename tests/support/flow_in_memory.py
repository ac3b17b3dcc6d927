"""The order flow in memory with the methods of a `ClusterClient`, for the command line to work on."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Self, TypeVar

from ensemble.clock import ManualClock
from ensemble.kafka.client import CommittedOffset, GroupMember, ReceivedRecord, TopicPlace
from ensemble.kafka.client.outbox import Promise
from ensemble.kafka.errors import ClusterError
from ensemble.messages import Headers
from ensemble.messages.records import StoredRecord
from ensemble.operations import now
from ensemble.service import NOTES
from ensemble.state import Output
from services.app import APP
from tests.support.order_flow import OrderFlow

T = TypeVar("T")


class FlowInMemory:
    """Whoever reads sees what the services have made of everything that was written before.

    Timestamps follow the order of the log, a millisecond apart at least, and the clock as far as a reader has seen it.
    """

    bootstrap_servers = "memory:9092"

    def __init__(self, ago_s: float = 0.0, bolts: int = 10) -> None:
        """Begin so many seconds ago, at a whole ten; then no record is later than the flow's own clock."""
        self.lock = threading.RLock()  # any thread may use a ClusterClient
        self._began, self._is_past = now() - round(1000 * ago_s), ago_s > 0
        self._began -= self._began % 10_000 if self._is_past else 0
        self._clock = ManualClock(self._began)
        self.flow = OrderFlow(stock={"bolt": bolts} if bolts else {}, clock=self._clock)
        self.flow.topics.partitions[NOTES.name] = NOTES.partitions
        self.gateway = self.flow.gateway
        self._stopped: set[str] = set()
        self._times: list[int] = []
        self.id = secrets.token_hex(8)
        self.records_read = self.records_searched = 0
        """How many records of spans were handed out, and how many could be the newest of a key."""

    @property
    def stopped(self) -> set[str]:
        """Services that are down; assign others to stop and start them."""
        return set(self._stopped)

    @stopped.setter
    def stopped(self, names: set[str]) -> None:
        for name in names - self._stopped:
            self.flow.stop(name)
        for name in self._stopped - names:
            self.flow.start(name)
        self._stopped = set(names)

    def wait_for(self, _: str, work: Callable[[float], T]) -> T:
        return work(OutboxInMemory.limit_s)

    def settle(self) -> None:
        with self.lock:
            self.flow.run()

    def advance(self, seconds: float) -> None:
        self.flow.advance(seconds)

    def catch_up(self) -> None:
        """Let the time pass that the flow's own clock is behind."""
        self.flow.advance(max((now() - self._clock.now()) / 1000, 0))

    # -- a ClusterClient --------------------------------------------------------------------------------------------

    def topics(self) -> dict[str, int]:
        return dict(self.flow.topics.partitions)

    def places(self, topics: Iterable[str], need: str = "READ") -> list[TopicPlace]:
        counts = self.topics()
        return [(topic, partition) for topic in topics for partition in range(counts[topic])]

    def read(self, places: Collection[TopicPlace], _: object = None) -> Iterator[ReceivedRecord]:
        yield from self.written_since(0, places)

    def written_since(self, number: int, places: Collection[TopicPlace]) -> list[ReceivedRecord]:
        """Return the records of these places from this number of the log on."""
        with self.lock:
            self.settle()
            self._stamp()
            fresh = enumerate(self.flow.log[number:], number)
            return [self._received(place, record) for place, record in fresh if _place_of(record) in places]

    def follow(self, places: Collection[TopicPlace], *, from_beginning: bool = False) -> FollowerInMemory:
        return FollowerInMemory(self, places, 0 if from_beginning else len(self.flow.log))

    def follow_from(self, offsets: Mapping[TopicPlace, int]) -> FollowerInMemory:
        return FollowerInMemory(self, offsets, 0, offsets)

    def cluster_id(self) -> str:
        return self.id

    def brokers(self) -> list[int]:
        return [0]

    def members_of(self, group: str) -> list[GroupMember]:
        return [] if group in self.stopped else [GroupMember(f"{group}-0", "127.0.0.1", tuple(self._inputs_of(group)))]

    def committed_by(self, group: str) -> dict[TopicPlace, CommittedOffset]:
        offsets = self.flow.topics.offsets.get(group, {})
        return {place: CommittedOffset(offsets.get(place, 0)) for place in self._inputs_of(group)}

    def _inputs_of(self, group: str) -> list[TopicPlace]:
        return self.places(topic.name for topic in APP.make_service(group).inputs)

    @property
    def admin(self) -> Any:
        raise ClusterError("topics in memory have no administrator")

    def replicas(self) -> Any:
        raise ClusterError("topics in memory have no replicas")

    def broker_settings(self) -> Any:
        raise ClusterError("topics in memory have no settings of brokers")

    def last_written(self, _: Collection[TopicPlace]) -> Any:
        raise ClusterError("nobody writes at a time of their own to topics in memory")

    def topic_ids(self, topics: Collection[str]) -> dict[str, str]:
        return {topic: f"{topic} of {self.id}" for topic in topics}

    def reader(self) -> ReaderInMemory:
        return ReaderInMemory(self)

    def high_watermarks(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]:
        return self.ends(places)

    def starts(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]:
        return dict.fromkeys(places, 0)

    def ends(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]:
        self.settle()
        return {place: self.flow.topics.end(place) for place in places}

    def offsets_at(self, places: Collection[TopicPlace], at: int) -> dict[TopicPlace, int]:
        later = [record for record in self.read(places) if record.timestamp >= at]
        firsts = {(record.topic, record.partition): record.offset for record in reversed(later)}
        return self.ends(places) | firsts

    def read_spans(
        self, *rounds: Mapping[TopicPlace, range], select: Any = None, on_read: Any = None
    ) -> Iterator[ReceivedRecord]:
        for spans in rounds:
            for record in self.read(spans):
                raw = StoredRecord(record.topic, record.partition, record.offset, record.key, record.value)
                if record.offset in spans[record.topic, record.partition] and (select is None or select(raw)):
                    self.records_read += 1
                    yield record

    def read_range(self, place: TopicPlace, start: int, end: int, _: float) -> Iterator[ReceivedRecord]:
        return self.read_spans({place: range(start, end)})

    def last_of(self, place: TopicPlace, key: bytes, since: int = 0) -> ReceivedRecord | None:
        records = [record for record in self.read([place]) if record.offset >= since]
        self.records_searched += len(records)
        return next((record for record in reversed(records) if record.key == key), None)

    def outbox(self, _: str) -> OutboxInMemory:
        return OutboxInMemory(self)

    def writer(self) -> WriterInMemory:
        return WriterInMemory(self)

    def publish(self, topic: str, key: bytes, value: bytes | None, headers: Headers) -> tuple[int, int]:
        (_, partition), offset = self.append((topic, value, key, headers, -1))
        return partition, offset

    def write_together(self, records: Sequence[Output]) -> None:
        for record in records:
            self.append(record)

    def write_and_commit(
        self, records: Sequence[Output], group: str, offsets: Mapping[TopicPlace, CommittedOffset]
    ) -> None:
        self.write_together(records)
        committed = self.flow.topics.offsets.setdefault(group, {})
        committed |= {place: of.offset for place, of in offsets.items()}

    def append(self, output: Output) -> tuple[TopicPlace, int]:
        with self.lock:
            self._stamp()
            record = self.flow.topics.append(output)
            self._stamp(self.flow.clock.now())
            return _place_of(record), record.at_offset

    def _stamp(self, at: int = 0) -> None:
        """Give the records that have no time yet one: `at`, or what they say themselves."""
        for record in self.flow.log[len(self._times) :]:
            after = self._times[-1] + 1 if self._times else self._began
            written_at = min(_written_at(record), self.flow.clock.now()) if self._is_past else _written_at(record)
            self._times.append(max(after, at, written_at))

    def _received(self, number: int, record: StoredRecord) -> ReceivedRecord:
        pairs = tuple(record.headers())
        headers = {name: value or b"" for name, value in pairs}
        place = record.at_topic, record.at_partition, record.at_offset
        return ReceivedRecord(*place, self._times[number], record.raw_key, record.raw_value, headers, pairs)


class FollowerInMemory:
    """What `ClusterClient.follow` returns."""

    problem = ""

    def __init__(
        self,
        cluster: FlowInMemory,
        places: Collection[TopicPlace],
        start: int,
        offsets: Mapping[TopicPlace, int] = MappingProxyType({}),
    ) -> None:
        self._cluster, self._places, self._read, self._offsets = cluster, places, start, offsets

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def close(self) -> None: ...

    @property
    def has_caught_up(self) -> bool:
        return self._read == len(self._cluster.flow.log)

    def poll(self, _: float) -> list[ReceivedRecord]:
        with self._cluster.lock:
            records = self._cluster.written_since(self._read, self._places)
            self._read = len(self._cluster.flow.log)
        offsets = self._offsets
        return [record for record in records if record.offset >= offsets.get((record.topic, record.partition), 0)]

    def read_to_end(self, _: float = 0.0) -> list[ReceivedRecord]:
        return self.poll(0.0)


@dataclass(frozen=True)
class RecordInMemory(StoredRecord):
    """A record as the client has it."""

    at: int = 0

    def timestamp(self) -> tuple[int, int]:
        return 1, self.at


class ReaderInMemory:
    """What `ClusterClient.reader` returns."""

    def __init__(self, cluster: FlowInMemory) -> None:
        self._cluster, self.positions = cluster, dict[TopicPlace, int]()

    def start(self, offsets: Mapping[TopicPlace, int]) -> None:
        self.positions = dict(offsets)

    def behind(self, ends: Mapping[TopicPlace, int]) -> list[TopicPlace]:
        return [place for place, end in ends.items() if end > self.positions[place]]

    def fetch(self, _: float) -> list[RecordInMemory]:
        with self._cluster.lock:
            records = list(self._cluster.read(self.positions))
            before, self.positions = self.positions, self._cluster.ends(self.positions)
        records = [r for r in records if r.offset >= before[r.topic, r.partition]]
        return [RecordInMemory(r[0], r[1], r[2], r.key, r.value, list(r.pairs), at=r.timestamp) for r in records]

    def close(self) -> None: ...


class OutboxInMemory:
    """What `ClusterClient.outbox` returns: it keeps every promise at once."""

    limit_s = 1.0

    def __init__(self, cluster: FlowInMemory) -> None:
        self._cluster = cluster

    def put(self, records: Sequence[Output]) -> list[Promise]:
        return [self._written(record) for record in records]

    def refuse(self) -> None: ...

    def close(self) -> None: ...

    def _written(self, output: Output) -> Promise:
        promise = Promise()
        promise.set_result(self._cluster.append(output))
        return promise


class WriterInMemory:
    """What `ClusterClient.writer` returns."""

    def __init__(self, cluster: FlowInMemory) -> None:
        self._cluster = cluster

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def write(self, records: Sequence[Output]) -> list[tuple[TopicPlace, int]]:
        return [self._cluster.append(record) for record in records]


def _place_of(record: StoredRecord) -> TopicPlace:
    return record.at_topic, record.at_partition


def _written_at(record: StoredRecord) -> int:
    """Return what the record says of its time (epoch milliseconds), or 0."""
    time = dict(record.headers()).get("ce_time")
    return round(datetime.fromisoformat(time.decode()).timestamp() * 1000) if time else 0
