"""The configurations of Kafka clients. Every value that is not a default has its reason here."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

from ensemble.settings import KafkaSettings, RuntimeSettings

CLIENT_LOG: Final = logging.getLogger("librdkafka")
"""Takes the log lines of the client, which prints to stderr without a logger."""

NARROW: Final[Mapping[str, Any]] = {
    "queued.min.messages": 5_000,
    "queued.max.messages.kbytes": 16_384,
    "fetch.max.bytes": 8_388_608,
    "max.partition.fetch.bytes": 262_144,  # by default a megabyte of each partition is fetched for its last record
}
"""What a reader of few records sets: by default it holds over 100 MB ahead of who asks for one record."""

WIDE: Final[Mapping[str, Any]] = {"queued.max.messages.kbytes": 8_192, "fetch.max.bytes": 8_388_608}
"""What a reader of whole topics sets: it is no slower than with the defaults of 64 and 50 MB, which it would fill."""


class Clients:
    """The configurations that a loop makes its clients from, and what makes them."""

    def __init__(  # noqa: PLR0913  what makes a client is passed by keyword
        self,
        consumer: dict[str, Any],
        producer: dict[str, Any],
        reader: dict[str, Any],
        admin: AdminClient,
        *,
        make_consumer: Callable[[dict[str, Any]], Consumer] = Consumer,
        make_producer: Callable[[dict[str, Any]], Producer] = Producer,
        make_admin: Callable[[], AdminClient] | None = None,
    ) -> None:
        """Keep what is given; `make_admin` makes another client like `admin`."""
        self.consumer, self.producer, self.reader, self.admin = consumer, producer, reader, admin
        self.make_consumer, self.make_producer = make_consumer, make_producer
        self.make_admin = make_admin or (lambda: admin)


SHORT_LIVED: Final = {"reconnect.backoff.ms": 50}
"""The client counts its first connection to a broker as another one: half of the usual time is waited for it."""


def common(bootstrap: str, kafka: KafkaSettings, *, is_short_lived: bool = False) -> dict[str, Any]:
    """Return the settings that every client shares; a short-lived one connects at once, and is not away for long."""
    return {
        "bootstrap.servers": bootstrap,
        "logger": CLIENT_LOG,
        # a broker that is slow is not away: its first answer, and a login of four answers, may take 10 s each
        "api.version.request.timeout.ms": 30_000,
        "socket.connection.setup.timeout.ms": 60_000,
        "reconnect.backoff.ms": 500,  # with `rebootstrap` it never grows: 20 attempts a second, a log line each
        "reconnect.backoff.max.ms": 1000,  # a restarted broker is found again within a second
        # a broker that was fenced for a moment is missing in the metadata: with `none` a consumer waits without end
        "metadata.recovery.strategy": "rebootstrap",
        "topic.metadata.refresh.interval.ms": 30_000,  # a changed partition count is noticed
        "allow.auto.create.topics": False,
        **(SHORT_LIVED if is_short_lived else {}),
        **kafka.client_config(),
    }


def group_consumer(shared: dict[str, Any], service: str, settings: RuntimeSettings) -> dict[str, Any]:
    """Return the configuration of a member of the service's group."""
    classic = {
        "partition.assignment.strategy": "range",  # co-partitioned inputs land together
        "session.timeout.ms": round(settings.session_timeout_s * 1000),
        "heartbeat.interval.ms": round(settings.session_timeout_s * 1000 / 4),
    }
    protocol = {"group.remote.assignor": "range"} if settings.group_protocol == "consumer" else classic
    return {
        **shared,
        **protocol,
        "group.id": service,
        "group.protocol": settings.group_protocol,
        "client.id": f"{service}-{settings.instance_id}",
        "enable.auto.commit": False,  # offsets travel in the transaction only
        "auto.offset.reset": "error",  # lost offsets are an incident, not a replay
        "isolation.level": "read_committed",
        "enable.partition.eof": True,  # deadlines are judged only when the inputs are read to their end
        "max.poll.interval.ms": round(settings.max_poll_interval_s * 1000),
        "queued.min.messages": 10_000,
        "fetch.queue.backoff.ms": 10,  # the default of 1 s throttles a bounded queue
        "fetch.wait.max.ms": 100,  # other requests to the broker wait behind a fetch, half a second by default
    }


def transactional_producer(shared: dict[str, Any], service: str, settings: RuntimeSettings) -> dict[str, Any]:
    """Return the configuration of the process's one producer."""
    return {
        **shared,
        "transactional.id": f"{service}-{settings.instance_id}",
        # `rebootstrap` forgets the transactions' coordinator once all brokers are away: the next commit never returns.
        # With `none` it ends unclear, and a new producer takes over.
        "metadata.recovery.strategy": "none",
        "client.id": f"{service}-{settings.instance_id}",
        "partitioner": "murmur2_random",  # as Java's default, so that outsiders agree on every key's partition
        "transaction.timeout.ms": round(settings.transaction_timeout_s * 1000),
        "retry.backoff.ms": 1,  # with flush() first: 3 to 7 ms a transaction instead of 100
        "linger.ms": 0,  # a batch is produced in one go, waiting for more is waste
        "message.max.bytes": 2_200_000,  # a dead letter is a whole input and its headers
        "queue.buffering.max.messages": 500_000,
        "queue.buffering.max.kbytes": 1_000_000,
    }


def plain_producer(shared: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the configuration of an outsider's producer: the CLI's, a test's, a load generator's."""
    return {**shared, "client.id": name, "partitioner": "murmur2_random", "acks": "all", "enable.idempotence": True}


def assigned_reader(shared: dict[str, Any], name: str, group: str = "") -> dict[str, Any]:
    """Return the configuration of a reader that assigns its partitions by hand and never commits.

    The client looks up its group all the same, so the group must be one that the user may describe.
    """
    return {
        **shared,
        "client.id": name,
        "group.id": group or name,  # required by the client, never used: no subscribe, no commit
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
        "enable.partition.eof": True,
        "fetch.queue.backoff.ms": 10,
        "queued.min.messages": 200_000,
        "fetch.wait.max.ms": 20,  # an empty answer reports the end of a partition, 500 ms late by default
    }
