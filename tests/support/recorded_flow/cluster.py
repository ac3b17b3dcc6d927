"""A `RecordedFlow` as a source of the check."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tests.support.recorded_flow.flow import RecordedFlow
from tests.support.recorded_flow.records import PARTITIONS, TOPICS
from verifier.facts import Place
from verifier.source import Take


@dataclass(frozen=True)
class RecordedCluster:
    """Answers from the flow; `uncommitted` records at the end of each place belong to open transactions."""

    flow: RecordedFlow = field(default_factory=RecordedFlow)
    topics: Iterable[str] = TOPICS
    uncommitted: Mapping[Place, int] = field(default_factory=dict)
    reads: list[list[str]] = field(default_factory=list)
    """The topics of each reading."""

    def now(self) -> int:
        return 10_000

    def partitions(self) -> dict[str, int]:
        return dict.fromkeys(self.topics, PARTITIONS)

    def committed(self, groups: Iterable[str]) -> dict[str, dict[Place, int]]:
        return {group: {**self.flow.ends, **self.flow.committed.get(group, {})} for group in groups}

    def committed_ends(self, places: Iterable[Place]) -> dict[Place, int]:
        return {place: end - self.uncommitted.get(place, 0) for place, end in self.ends(places).items()}

    def ends(self, places: Iterable[Place]) -> dict[Place, int]:
        return {place: self.flow.ends.get(place, 0) for place in places}

    def firsts(self, places: Iterable[Place]) -> dict[Place, int]:
        return dict.fromkeys(places, 0)

    def read(self, firsts: Mapping[Place, int], ends: Mapping[Place, int], take: Take) -> None:
        self.reads.append(sorted({topic for topic, _ in ends}))
        for record in sorted(self.flow.records, key=lambda record: record.at):
            if firsts.get(record.at[:2], 0) <= record.offset() < ends.get(record.at[:2], 0):
                take(record)
