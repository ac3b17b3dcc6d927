"""Topics in memory: what the test drivers read and write instead of Kafka."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from ensemble.engine.compiled import CompiledService
from ensemble.engine.task import PartitionTask
from ensemble.errors import ConfigurationError
from ensemble.messages.records import StoredRecord
from ensemble.partitioning import partition_of
from ensemble.service.service import Service
from ensemble.state.restore_phases import PHASES
from ensemble.state.unit_of_work import Output

Place = tuple[str, int]
"""Topic and partition."""
Entry = tuple[int, StoredRecord]
"""A record behind its number in the log of all topics."""


def require_services(services: object) -> tuple[Service, ...]:
    """Return the services. Raises ConfigurationError for what is none, such as the function that makes one."""
    candidates = tuple(services) if isinstance(services, Iterable) else (services,)
    for one in candidates:
        if not isinstance(one, Service):
            raise ConfigurationError(f"{one!r} is no service" + ("; call it, and pass what it returns" * callable(one)))
    return candidates


class MemoryTopics:
    """The topics of some services, and the offsets of their groups. Each read and each write takes constant time."""

    def __init__(self, services: Iterable[Service]) -> None:
        self.partitions: dict[str, int] = {
            topic.name: topic.partitions
            for service in services
            for topic in (*service.catalogue.topics, *service.own_topics)
        }
        """The partition count of each topic."""
        self.log: list[StoredRecord] = []
        """Every committed record of any topic, in the order of the commits."""
        self.offsets: dict[str, dict[Place, int]] = {}
        """The next offset that each group reads, as of its last commit."""
        self.lagging: set[str] = set()
        """Topics that no service reads for now."""
        self._entries: dict[Place, list[Entry | None]] = {}
        self._by_topic: dict[str, list[StoredRecord]] = {}
        self._digests: dict[Place, int] = {}

    def append(self, output: Output) -> StoredRecord:
        """Write one record, and return it."""
        topic, value, key, headers, _ = output
        partition = self._partition_for(output)
        entries = self._entries.setdefault((topic, partition), [])
        record = StoredRecord(topic, partition, len(entries), key, value, headers)
        entries.append((len(self.log), record))
        self.log.append(record)
        self._by_topic.setdefault(topic, []).append(record)
        self._digests[topic, partition] = hash((self._digests.get((topic, partition)), key, value))
        return record

    def copy(self, record: StoredRecord) -> StoredRecord:
        """Write a record once more, to the end of its partition, and return what was written."""
        value, key, headers = record.raw_value, record.raw_key, record.raw_headers
        return self.append((record.at_topic, value, key, headers, record.at_partition))

    def abort(self, outputs: Iterable[Output]) -> None:
        """Use up the offsets of records whose transaction was aborted; no reader sees the records."""
        for output in outputs:
            self._entries.setdefault((output[0], self._partition_for(output)), []).append(None)

    def reverse_from(self, place: Place, offset: int) -> None:
        """Put the records from `offset` on in reverse order, under the same offsets."""
        entries = self._entries.get(place, [])
        fresh = [entry for entry in entries[offset:] if entry is not None]
        for (number, record), (_, other) in zip(fresh, reversed(fresh), strict=True):
            self._replace(number, StoredRecord(*place, record.at_offset, other.key(), other.value(), other.raw_headers))

    def restore(self, task: PartitionTask, plan: CompiledService) -> None:
        """Rebuild a task's stores from its changelogs and ledgers."""
        for find_sources in PHASES:
            for source in find_sources(task.stores, plan):
                for _, record in self.read((source.topic, task.partition), source.start):
                    source.restore(record)
        task.finish_restore()

    def read(self, place: Place, offset: int, limit: int | None = None) -> Iterator[Entry]:
        """Yield the records of a partition from `offset` on, `limit` at most."""
        entries = self._entries.get(place, [])
        records = (entry for number in range(offset, len(entries)) if (entry := entries[number]) is not None)
        return islice(records, limit)

    def has_records(self, place: Place, offset: int) -> bool:
        """Return whether a partition has a record at `offset` or behind."""
        return next(self.read(place, offset), None) is not None

    def end(self, place: Place) -> int:
        """Return the offset that the next record of a partition will have."""
        return len(self._entries.get(place, ()))

    def records(self, topic: str) -> list[StoredRecord]:
        """Return the records of a topic, in the order of the commits. Raises like `count_partitions`."""
        self.count_partitions(topic)
        return list(self._by_topic.get(topic, ()))

    def commit_offsets(self, group: str, offsets: Mapping[Place, int]) -> None:
        """Note the offsets that a group has committed."""
        self.offsets.setdefault(group, {}).update(offsets)

    def digest(self) -> int:
        """Return a number that is equal for equal contents, within one Python process."""
        offsets = {(group, place, offset) for group, ends in self.offsets.items() for place, offset in ends.items()}
        return hash((frozenset(self._digests.items()), frozenset(offsets)))

    def count_partitions(self, topic: str) -> int:
        """Return the partition count of a topic. Raises ConfigurationError if no service under test lists it."""
        if topic not in self.partitions:
            raise ConfigurationError(f"no topic {topic!r} here: no catalogue of the services under test lists it")
        return self.partitions[topic]

    def _partition_for(self, output: Output) -> int:
        topic, _, key, _, partition = output
        return partition if partition >= 0 else partition_of(key or b"", self.count_partitions(topic))

    def _replace(self, number: int, record: StoredRecord) -> None:
        before = self.log[number]
        self.log[number] = record
        self._entries[before.at_topic, before.at_partition][before.at_offset] = (number, record)
        of_topic = self._by_topic[before.at_topic]
        of_topic[next(index for index, one in enumerate(of_topic) if one is before)] = record
