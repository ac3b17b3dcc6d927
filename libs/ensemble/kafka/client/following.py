"""Follows what is committed to some partitions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Self

from confluent_kafka import Consumer, KafkaError
from confluent_kafka.admin import AdminClient

from ensemble.clock import until
from ensemble.kafka.errors import ClusterError, as_cluster_errors
from ensemble.kafka.offsets import high_watermarks, stable_ends
from ensemble.kafka.reading import Reader
from ensemble.kafka.records import ReceivedRecord, TopicPlace

_POLL_S: Final = 0.2


class Follower:
    """Reads the committed records of some partitions from given offsets on, without an end; use it in a `with`."""

    def __init__(
        self,
        admin: AdminClient,
        config: Mapping[str, Any],
        offsets: Mapping[TopicPlace, int],
        limit_s: float,
        *,
        make_consumer: Callable[[dict[str, Any]], Consumer] = Consumer,
    ) -> None:
        """Ask for the present ends, `limit_s` at most. Raises KafkaException without an answer."""
        self._admin, self._ends = admin, stable_ends(admin, offsets, limit_s)
        self.problem = ""
        """Why the cluster cannot be reached just now; empty while records come."""
        self._reader = Reader(config, self._on_error, make_consumer=make_consumer)
        self._reader.start(offsets)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the consumer."""
        self._reader.close()

    @property
    def has_caught_up(self) -> bool:
        """Whether everything that was committed when the following began has been read."""
        return not self._reader.behind(self._ends)

    def poll(self, timeout_s: float) -> list[ReceivedRecord]:
        """Return the next records; none if none came in time. Raises ClusterError if reading fails."""
        if records := self._reader.receive(timeout_s):
            self.problem = ""
        return records

    def read_to_end(self, limit_s: float = 30.0) -> list[ReceivedRecord]:
        """Return all records up to the present end, and wait for the end of transactions that are open now.

        So what one transaction wrote to several partitions is returned as a whole once any part of it has been.
        Raises ClusterError if the cluster does not answer, or it takes longer than `limit_s`.
        """
        with as_cluster_errors():
            ends = high_watermarks(self._admin, self._reader.positions, limit_s)
        records: list[ReceivedRecord] = []
        for _ in until(limit_s):
            if not self._reader.behind(ends):
                return records
            records += self.poll(_POLL_S)
        if not (behind := self._reader.behind(ends)):
            return records
        topic, partition = behind[0]
        raise ClusterError(
            f"{topic}[{partition}] could not be read to its end within {limit_s:g} s: is a transaction open?"
        )

    def _on_error(self, error: KafkaError) -> None:
        self.problem = error.str()
