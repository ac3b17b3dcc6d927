"""Reads the offsets that the group has committed, as patiently as an open transaction of a dead process demands."""

from __future__ import annotations

from functools import partial
from typing import Final

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from ensemble.kafka.errors import PASSING, retry
from ensemble.kafka.worker.heartbeat import Heartbeat

log = structlog.get_logger()

_GRACE_S: Final = 30.0
"""The broker looks for transactions that are over their time every 10 s, and may be busy."""
_ATTEMPT_S: Final = 2.0
_PAUSE_S: Final = 0.1


class GroupOffsets:
    """Reads committed offsets. A predecessor's open transaction hides them until the broker has aborted it."""

    def __init__(self, transaction_timeout_s: float, heartbeat: Heartbeat) -> None:
        self.limit_s, self._heartbeat = transaction_timeout_s + _GRACE_S, heartbeat
        self._is_noted = False

    def read(self, consumer: Consumer, places: list[TopicPartition]) -> list[TopicPartition]:
        """Return the offsets of these places. Raises KafkaException if they stay hidden, or are refused."""
        if not places:
            return []
        self._is_noted = False
        with self._heartbeat.during("waiting for the group's offsets", _ATTEMPT_S):
            try:
                return retry(
                    partial(self._attempt, consumer, places),
                    self.limit_s,
                    _PAUSE_S,
                    may_pass=_may_pass,
                    on_failure=self._note,
                )
            except KafkaException as error:
                raise (self._hidden(error.args[0]) if _may_pass(error.args[0]) else error) from None

    def _attempt(self, consumer: Consumer, places: list[TopicPartition]) -> list[TopicPartition]:
        self._heartbeat.beat()
        return consumer.committed(places, timeout=_ATTEMPT_S)

    def _hidden(self, problem: KafkaError) -> KafkaException:
        return KafkaException(
            KafkaError(
                problem.code(),
                f"the group's offsets could not be read for {self.limit_s:g} s: {problem.str()}; an open transaction "
                "hides them, or the group has no coordinator",
            )
        )

    def _note(self, error: KafkaError) -> None:
        if not self._is_noted:
            self._is_noted = True
            log.warning(
                "offsets.delayed",
                reason=f"{error.str()}; records wait until the group's offsets are known, {self.limit_s:g} s at most",
            )


def _may_pass(error: KafkaError) -> bool:
    return error.code() in PASSING
