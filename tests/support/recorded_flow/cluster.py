"""A `RecordedFlow` as a source of the check."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.support.recorded_flow.records import PARTITIONS, TOPICS
from verifier.facts import Place
from verifier.source import Take

if TYPE_CHECKING:
    from tests.support.recorded_flow.flow import RecordedFlow

READ_AT = 1_000_000_000


@dataclass(frozen=True)
class RecordedCluster:
    """Answers from the flow."""

    flow: RecordedFlow
    topics: Iterable[str] = TOPICS
    uncommitted: Mapping[Place, int] = field(default_factory=dict)
    """So many records at the end of each place belong to open transactions."""
    kept_from: Mapping[Place, int] = field(default_factory=dict)
    """Retention has removed what lies before these offsets."""
    read_at: int = READ_AT
    reads: list[list[str]] = field(default_factory=list)
    """The topics of each reading."""

    def now(self) -> int:
        return self.read_at

    def partitions(self) -> dict[str, int]:
        return dict.fromkeys(self.topics, PARTITIONS)

    def committed(self, groups: Iterable[str]) -> dict[str, dict[Place, int]]:
        return {group: {**self.flow.ends, **self.flow.committed.get(group, {})} for group in groups}

    def committed_ends(self, places: Iterable[Place]) -> dict[Place, int]:
        return {place: end - self.uncommitted.get(place, 0) for place, end in self.ends(places).items()}

    def ends(self, places: Iterable[Place]) -> dict[Place, int]:
        return {place: self.flow.ends.get(place, 0) for place in places}

    def firsts(self, places: Iterable[Place]) -> dict[Place, int]:
        return {place: self.kept_from.get(place, 0) for place in places}

    def offsets_at(self, places: Iterable[Place], at: int) -> dict[Place, int]:
        ends = self.ends(places)
        return {
            place: min((r.offset() for r in self.flow.records if r.at[:2] == place and r.time >= at), default=end)
            for place, end in ends.items()
        }

    def read(self, firsts: Mapping[Place, int], ends: Mapping[Place, int], take: Take) -> None:
        self.reads.append(sorted({topic for topic, _ in ends}))
        for record in sorted(self.flow.records, key=lambda record: record.at):
            if firsts.get(record.at[:2], 0) <= record.offset() < ends.get(record.at[:2], 0):
                take(record)
