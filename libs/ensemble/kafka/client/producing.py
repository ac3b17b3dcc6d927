"""Writing operators' commands: each to the partition that it is for, one after the other or all as one."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import Any, Final, Self

from confluent_kafka import KafkaException, Producer

from ensemble.errors import ConfigurationError
from ensemble.kafka import client_config as clients
from ensemble.kafka.authorization import REFUSALS, principal, refusal
from ensemble.kafka.client.access import ClusterClient, ClusterError
from ensemble.state.unit_of_work import Output
from ensemble.system_messages.operations import OPERATORS_IDS

_LIMIT_S: Final = 15.0
_LARGEST: Final = 4_400_000
"""What control topics take: a dead letter, and its edited form."""
_BUFFERED: Final = 10_000


class Writer:
    """Writes records and returns when they are safe; use it in a `with`."""

    def __init__(self, access: ClusterClient) -> None:
        self._user = principal(access.shared)
        self._producer = Producer(_config(access))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._producer.flush(_LIMIT_S)

    def write(self, records: Sequence[Output]) -> None:
        """All of them, in order within each partition. ClusterError when one is not confirmed in time."""
        try:
            _produce(self._producer, records, self._user)
        except KafkaException as error:
            raise ClusterError(f"Kafka did not take it: {error.args[0].str()}") from None


def write_together(access: ClusterClient, records: Sequence[Output]) -> None:
    """All of them in one transaction, or none. ClusterError when it failed, or when nobody can say whether it did."""
    transactional_id = f"{OPERATORS_IDS}{secrets.token_hex(8)}"
    producer = Producer({**_config(access), "transactional.id": transactional_id, "retry.backoff.ms": 1})
    known = "nothing was written"
    try:
        producer.init_transactions(_LIMIT_S)
        producer.begin_transaction()
        _produce(producer, records, principal(access.shared))
        known = "it is not known whether it was written"
        producer.commit_transaction(_LIMIT_S)
    except KafkaException as error:
        reason = error.args[0]
        if reason.code() in REFUSALS:
            denied = f"WRITE transactional id {OPERATORS_IDS}* {reason.str()}"
            raise ConfigurationError(refusal(principal(access.shared), denied)) from None
        raise ClusterError(f"{known}: the transaction failed: {reason.str()}") from None


def _config(access: ClusterClient) -> dict[str, Any]:
    return {
        **clients.plain_producer(access.shared, "ensemble-cli"),
        "message.max.bytes": _LARGEST,
        "message.timeout.ms": round(_LIMIT_S * 1000),
    }


def _produce(producer: Producer, records: Sequence[Output], user: str) -> None:
    errors: list[Any] = []

    def on_delivery(error: Any, record: Any) -> None:
        if error is not None:
            errors.append((error, record.topic()))

    for topic, value, key, headers, partition in records:
        _wait_for_room(producer)
        producer.produce(topic, value, key, partition, on_delivery, None, 0, headers)
    left = producer.flush(_LIMIT_S)
    for error, topic in errors:
        if error.code() in REFUSALS:
            raise ConfigurationError(refusal(user, f"WRITE topic {topic}"))
        raise ClusterError(f"{topic}: {error.str()}")
    if left:
        raise ClusterError(f"Kafka did not confirm {left} records within {_LIMIT_S:g} s; they may yet be written")


def _wait_for_room(producer: Producer) -> None:
    """The client buffers a limited number of records, and refuses more."""
    deadline = time.monotonic() + _LIMIT_S
    while len(producer) > _BUFFERED and time.monotonic() < deadline:
        producer.poll(0.05)
