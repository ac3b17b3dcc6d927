"""Hands records to a producer, from any thread, and promises each one's place."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from ensemble.clock import until
from ensemble.errors import Unavailable
from ensemble.kafka.authorization import REFUSALS, principal, refusal
from ensemble.kafka.errors import ClusterError
from ensemble.kafka.records import TopicPlace, topic_place_of
from ensemble.program import command
from ensemble.state.unit_of_work import Output

Promise = Future[tuple[TopicPlace, int]]
"""Becomes the place and offset of a record, or the Unavailable or ClusterError of one that is not written."""

_POLL_S: Final = 0.1
_FULL_S: Final = 0.01
_GRACE_S: Final = 1.0


class Outbox:
    """Owns a producer, and a thread that hears what became of its records."""

    def __init__(
        self,
        config: Mapping[str, Any],
        limit_s: float,
        *,
        make_producer: Callable[[dict[str, Any]], Producer] = Producer,
    ) -> None:
        """Open the producer; a record that is not acknowledged within `limit_s` has failed."""
        self._producer = make_producer({**config, "message.timeout.ms": round(limit_s * 1000)})
        self._user, self.limit_s = principal(config), limit_s
        self._is_closed, self._refuses = threading.Event(), False
        self._thread = threading.Thread(target=self._hear, name="delivery-reports", daemon=True)
        self._thread.start()

    def put(self, records: Sequence[Output]) -> list[Promise]:
        """Hand all records over, in order within each partition, and return their promises in this order.

        Raises ClusterError if there is no room in the producer's buffer for too long: what stands before it in
        `records` may be written.
        """
        if self._refuses:
            raise ClusterError("the client is closed; nothing was written")
        return [self._produce(record) for record in records]

    def refuse(self) -> None:
        """Take no more records."""
        self._refuses = True

    def close(self) -> None:
        """Wait for what is on its way, fail what is not written by then, and close the producer.

        A producer that is dropped with records in it is never destroyed: it goes on trying to connect.
        """
        self.refuse()
        if self._producer.flush(self.limit_s):
            self._producer.purge()
            self._producer.flush(_GRACE_S)
        self._is_closed.set()
        self._thread.join()

    def _produce(self, record: Output) -> Promise:
        topic, promise = record[0], Promise()
        promise.set_running_or_notify_cancel()  # a caller that goes away does not take the record back

        def report(problem: KafkaError | None, written: Message) -> None:
            if problem is not None:
                promise.set_exception(failure(problem, topic, self._user))
            else:
                promise.set_result((topic_place_of(written), written.offset() or 0))

        for _ in until(self.limit_s, _FULL_S):
            with suppress(BufferError):
                hand_over(self._producer, record, report)
                return promise
        raise ClusterError(f"{topic}: the producer's buffer was full for {self.limit_s:g} s; Kafka takes no records")

    def _hear(self) -> None:
        while not self._is_closed.is_set():
            self._producer.poll(_POLL_S)


def hand_over(producer: Producer, record: Output, report: Callable[[KafkaError | None, Message], None]) -> None:
    """Give a record to the producer, which calls `report` once it knows what became of it.

    Raises BufferError if the producer's buffer is full, and ClusterError if the client refuses the record.
    """
    topic, value, key, headers, partition = record
    try:
        producer.produce(topic, value, key, partition, report, None, 0, headers)
    except KafkaException as error:
        raise ClusterError(f"{topic}: {error.args[0].str()}") from None


def failure(error: KafkaError, topic: str, user: str) -> Unavailable | ClusterError:
    """Return the error for a record that was not written."""
    if error.code() in REFUSALS:
        return Unavailable(refusal(user, f"WRITE topic {topic}"))
    if error.code() == KafkaError._UNKNOWN_TOPIC:
        return Unavailable(f"no topic {topic}; `{command('topics apply')}` makes what is missing")
    return ClusterError(f"{topic}: {error.str()}")
