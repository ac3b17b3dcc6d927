"""A consumer of partitions in memory: what was assigned by hand is read to its end, and the end is told."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, TopicPartition

from tests.support.client_answers import answer


@dataclass
class Polled:
    """What a poll returns: a record, or an event that has an error."""

    at: tuple[str, int, int]
    raw: tuple[bytes | None, bytes | None] = (b"key", b"value")
    problem: KafkaError | None = None
    pairs: list[tuple[str, bytes | None]] = field(default_factory=list)

    def topic(self) -> str:
        return self.at[0]

    def partition(self) -> int:
        return self.at[1]

    def offset(self) -> int:
        return self.at[2]

    def key(self) -> bytes | None:
        return self.raw[0]

    def value(self) -> bytes | None:
        return self.raw[1]

    def error(self) -> KafkaError | None:
        return self.problem

    def headers(self) -> list[tuple[str, bytes | None]]:
        return self.pairs

    def timestamp(self) -> tuple[int, int]:
        return 1, 1_750_000_000_000 + self.at[2]


MOST_CALLS = 20_000


class AssignedConsumer:
    """Holds the log, and what comes of it; `removed` are the records that each partition has lost.

    Whoever asks it without end is stopped.
    """

    def __init__(self, log: Iterable[Polled] = ()) -> None:
        self.log = list(log)
        self.removed: dict[tuple[str, int], int] = {}
        self.coming: deque[Any] = deque()
        self.assigned: list[tuple[str, int, int]] = []
        self.is_closed = False
        self._remaining_calls = iter(range(MOST_CALLS))

    def end_of(self, topic: str, partition: int) -> int:
        return max((each.at[2] + 1 for each in self.log if each.at[:2] == (topic, partition)), default=0)

    # -- as a consumer --------------------------------------------------------------------------------------------

    def assign(self, places: list[TopicPartition]) -> None:
        self._count_call()
        self.assigned = [(place.topic, place.partition, place.offset) for place in places]
        for topic, partition, start in self.assigned:
            self.coming += [each for each in self.log if each.at[:2] == (topic, partition) and each.at[2] >= start]
            end = (topic, partition, self.end_of(topic, partition))
            self.coming.append(Polled(end, problem=KafkaError(KafkaError._PARTITION_EOF)))

    def incremental_unassign(self, places: list[TopicPartition]) -> None:
        left = {(place.topic, place.partition) for place in places}
        self.coming = deque(each for each in self.coming if each.at[:2] not in left)

    def poll(self, _: float) -> Any:
        self._count_call()
        return self.coming.popleft() if self.coming else None

    def consume(self, limit: int, _: float) -> list[Any]:
        return [self.coming.popleft() for _ in range(min(limit, len(self.coming)))]

    def close(self) -> None:
        self.is_closed = True

    def _count_call(self) -> None:
        assert next(self._remaining_calls, None) is not None, "it is asked without end"

    # -- as an admin client ---------------------------------------------------------------------------------------

    def list_offsets(self, specs: dict[TopicPartition, Any], **_: Any) -> dict[TopicPartition, Any]:
        return {place: answer(offset=self._offset(place.topic, place.partition, spec)) for place, spec in specs.items()}

    def list_topics(self, timeout: float) -> None:
        """Answer: a broker is there."""

    def _offset(self, topic: str, partition: int, spec: Any) -> int:
        is_end = type(spec).__name__ == "LatestSpec"
        return self.end_of(topic, partition) if is_end else self.removed.get((topic, partition), 0)
