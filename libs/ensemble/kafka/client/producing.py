"""Writes records as an outsider: each to the partition that it is for, one after the other or all as one."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Self

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from ensemble.clock import until
from ensemble.errors import Unavailable
from ensemble.kafka import client_config as clients
from ensemble.kafka.authorization import REFUSALS, principal, refusal
from ensemble.kafka.client.outbox import failure, hand_over
from ensemble.kafka.errors import ClusterError
from ensemble.kafka.records import TopicPlace, topic_place_of
from ensemble.state.unit_of_work import Output
from ensemble.system_messages.operations import OPERATORS_IDS

_LIMIT_S: Final = 60.0
"""A new producer's first record takes four answers of the broker."""
_LARGEST: Final = 4_400_000
"""What control topics take: a dead letter, and its edited form."""
_LARGEST_ON_ANY_TOPIC: Final = 1_000_000
_BUFFERED: Final = 10_000
_POLL_S: Final = 0.05
_GRACE_S: Final = 2.0


class Writer:
    """Writes records and returns when they are safe; use it in a `with`."""

    def __init__(
        self,
        shared: Mapping[str, Any],
        options: Mapping[str, Any] | None = None,
        *,
        make_producer: Callable[[dict[str, Any]], Producer] = Producer,
    ) -> None:
        self._user = principal(shared)
        self._producer = make_producer({**_config(shared), **(options or {})})

    @classmethod
    def for_one_record(
        cls, shared: Mapping[str, Any], *, make_producer: Callable[[dict[str, Any]], Producer] = Producer
    ) -> Self:
        """Return a writer that starts at once: without idempotence, whose producer id costs half a second.

        If a retry writes a record twice, its message id tells.
        """
        options = {"enable.idempotence": False, "message.max.bytes": _LARGEST_ON_ANY_TOPIC}
        return cls(shared, options, make_producer=make_producer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._producer.flush(_LIMIT_S)

    def write(self, records: Sequence[Output]) -> list[tuple[TopicPlace, int]]:
        """Write all records, in order within each partition, and return their places, in the order of confirmation.

        Raises Unavailable if the user may not write or a topic does not exist, and ClusterError if a record
        is refused or not confirmed in time.
        """
        return _produce(self._producer, records, self._user)


class GroupOffsets(NamedTuple):
    """Offsets to commit for a group, and the group's metadata as a client has it."""

    partitions: list[TopicPartition]
    group: Any


def write_together(
    shared: Mapping[str, Any],
    records: Sequence[Output],
    offsets: GroupOffsets | None = None,
    *,
    make_producer: Callable[[dict[str, Any]], Producer] = Producer,
) -> None:
    """Write all records and offsets in one transaction, or none.

    Raises ClusterError if it failed or its outcome is unknown.
    """
    producer = make_producer(
        {**_config(shared), "transactional.id": f"{OPERATORS_IDS}{secrets.token_hex(8)}", "retry.backoff.ms": 1}
    )
    outcome = "nothing was written"
    try:
        producer.init_transactions(_LIMIT_S)
        producer.begin_transaction()
        _produce(producer, records, principal(shared))
        if offsets is not None:
            producer.send_offsets_to_transaction(offsets.partitions, offsets.group, _LIMIT_S)
        outcome = "it is not known whether it was written"
        producer.commit_transaction(_LIMIT_S)
    except KafkaException as error:
        reason = error.args[0]
        if reason.code() in REFUSALS:
            is_group = reason.code() == KafkaError.GROUP_AUTHORIZATION_FAILED
            denied = f"{'READ the group' if is_group else f'WRITE transactional id {OPERATORS_IDS}*'} {reason.str()}"
            raise Unavailable(refusal(principal(shared), denied)) from None
        raise ClusterError(f"{outcome}: the transaction failed: {reason.str()}") from None


def _config(shared: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **clients.plain_producer(dict(shared), "ensemble-cli"),
        "message.max.bytes": _LARGEST,
        "message.timeout.ms": round(_LIMIT_S * 1000),
    }


def _produce(producer: Producer, records: Sequence[Output], user: str) -> list[tuple[TopicPlace, int]]:
    reports: list[tuple[KafkaError | None, Message]] = []
    for record in records:
        _wait_for_buffer(producer)
        hand_over(producer, record, lambda *report: reports.append(report))
    unconfirmed = producer.flush(_LIMIT_S + _GRACE_S)
    for problem, written in reports:
        if problem is not None:
            raise failure(problem, written.topic() or "", user)
    if unconfirmed:
        raise ClusterError(
            f"Kafka did not confirm {unconfirmed} records within {_LIMIT_S:g} s; they may yet be written"
        )
    return [(topic_place_of(written), written.offset() or 0) for _, written in reports]


def _wait_for_buffer(producer: Producer) -> None:
    """Wait until the client has buffer space again: it refuses records beyond its limit."""
    for _ in until(_LIMIT_S):
        if len(producer) <= _BUFFERED:
            return
        producer.poll(_POLL_S)
