"""Partitions in memory that a view reads: parts of any size, compaction, and topics that are made anew."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from ensemble.kafka.client import TopicPlace
from ensemble.messages.records import StoredRecord

BEGAN = 1_750_000_000_000


@dataclass(frozen=True)
class WrittenRecord(StoredRecord):
    """A record as the client has it; its time is a second later than that of the record before it."""

    def timestamp(self) -> tuple[int, int]:
        return 1, BEGAN + 1_000 * self.at_offset


class TopicsToView:
    """A cluster, as far as a view needs one. A reader's fetches return `part` records at most."""

    def __init__(self, partitions: Mapping[str, int], part: int = 100) -> None:
        self.partitions, self.part, self.cluster = dict(partitions), part, "cluster-1"
        self.logs: dict[TopicPlace, list[WrittenRecord | None]] = {}
        self.ids = {topic: f"{topic}-1" for topic in partitions}
        self.removed: dict[TopicPlace, int] = {}
        self.fetched: list[tuple[str, int, int]] = []
        self.is_silent = False

    def append(self, topic: str, partition: int, key: bytes | None, value: bytes | None, **headers: str) -> None:
        log = self.logs.setdefault((topic, partition), [])
        pairs = [(name, text.encode()) for name, text in headers.items()]
        log.append(WrittenRecord(topic, partition, len(log), key, value, pairs))

    def compact(self, topic: str) -> None:
        """Remove all but the last record of each key, as brokers may at any time."""
        for (name, _), log in self.logs.items():
            if name == topic:
                last = {record.raw_key: record.at_offset for record in log if record}
                log[:] = [record if record and last[record.raw_key] == record.at_offset else None for record in log]

    # -- a Source -------------------------------------------------------------------------------------------------

    def cluster_id(self) -> str:
        return self.cluster

    def topics(self) -> dict[str, int]:
        return dict(self.partitions)

    def topic_ids(self, topics: Collection[str]) -> dict[str, str]:
        return {topic: self.ids[topic] for topic in topics}

    def starts(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]:
        return {place: self.removed.get(place, 0) for place in places}

    def ends(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]:
        return {place: len(self.logs.get(place, ())) for place in places}

    high_watermarks = ends

    def offsets_at(self, places: Collection[TopicPlace], at: int) -> dict[TopicPlace, int]:
        ends = self.ends(places)
        return {place: min(max(-(-(at - BEGAN) // 1_000), 0), end) for place, end in ends.items()}

    def reader(self) -> ReaderOfTopics:
        return ReaderOfTopics(self)


class ReaderOfTopics:
    """Hands out the records of one partition after the other, a part at a time."""

    def __init__(self, topics: TopicsToView) -> None:
        self._topics, self.positions = topics, dict[TopicPlace, int]()

    def start(self, offsets: Mapping[TopicPlace, int]) -> None:
        self.positions = dict(offsets)

    def behind(self, ends: Mapping[TopicPlace, int]) -> list[TopicPlace]:
        return [place for place, end in ends.items() if end > self.positions[place]]

    def fetch(self, _: float) -> list[WrittenRecord]:
        if self._topics.is_silent:
            return []
        place = next(iter(self.behind(self._topics.ends(self.positions))), None)
        if place is None:
            return []
        log, begin = self._topics.logs[place], self.positions[place]
        end = min(begin + self._topics.part, len(log))
        self.positions[place] = end
        records = [record for record in log[begin:end] if record is not None]
        self._topics.fetched += [(*place, record.at_offset) for record in records]
        return records

    def close(self) -> None: ...


def fill(topics: TopicsToView, records: Iterable[tuple[str, int, bytes, bytes | None]]) -> None:
    """Append all of these."""
    for record in records:
        topics.append(*record)
