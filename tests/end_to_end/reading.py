"""Reading along with topics, by a client that can be put away while the broker is killed.

The client's library (2.16.0) reads beyond its memory when it learns, on an open connection, that a partition has no
leader for a moment, and may take its process with it (librdkafka issue 5280). Services are started again by whoever
supervises them; a test has nobody.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from confluent_kafka import KafkaException

from ensemble.kafka.client.access import ClusterClient, ClusterError
from ensemble.kafka.client.following import Follower
from ensemble.kafka.records import ReceivedRecord, TopicPlace

_LIMIT_S: Final = 120.0
_ASK_S: Final = 5.0
_PAUSE_S: Final = 0.2


class Reading:
    """All records of some topics, from the beginning on."""

    def __init__(self, access: ClusterClient, topics: Iterable[str]) -> None:
        self._access = access
        self._next: dict[TopicPlace, int] = access.starts(access.places(topics))
        self._in_use = threading.Lock()
        self._follower = access.follow_from(self._next)

    def poll(self, timeout_s: float) -> list[ReceivedRecord]:
        """Return the follower's next records; wait while the client is put away."""
        with self._in_use:
            records = self._follower.poll(timeout_s)
            self._next.update({(record.topic, record.partition): record.offset + 1 for record in records})
        return records

    def read_to_end(self) -> list[ReceivedRecord]:
        """Return all records up to the present end; wait for transactions that are open now."""
        with self._in_use:
            records = self._follower.read_to_end(_LIMIT_S)
            self._next.update({(record.topic, record.partition): record.offset + 1 for record in records})
        return records

    @contextmanager
    def put_away(self) -> Iterator[None]:
        """Keep no connection for the block."""
        with self._in_use:
            self._follower.close()
            yield
            self._follower = self._opened()

    def _opened(self) -> Follower:
        """Open a follower, again while the admin client asks with a leader epoch that the broker has forgotten."""
        limit = time.monotonic() + _LIMIT_S
        while True:
            try:
                starts = self._access.starts(self._next)  # behind the last record, retention may have taken a marker
                self._next = {place: max(offset, starts[place]) for place, offset in self._next.items()}
                return self._access.follow_from(self._next)
            except ClusterError:
                if time.monotonic() > limit:
                    raise
            with suppress(KafkaException):
                self._access.admin.list_topics(timeout=_ASK_S)
            time.sleep(_PAUSE_S)

    def close(self) -> None:
        self._follower.close()
