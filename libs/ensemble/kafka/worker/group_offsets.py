"""Reads the offsets that the group has committed, as patiently as an open transaction of a dead process demands."""

from __future__ import annotations

from typing import Final

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from ensemble.clock import until
from ensemble.kafka.errors import PASSING
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

    def read(self, consumer: Consumer, places: list[TopicPartition]) -> list[TopicPartition]:
        """Return the offsets of these places. Raises KafkaException if they stay hidden, or are refused."""
        if not places:
            return []
        problem: KafkaException | None = None
        with self._heartbeat.during("waiting for the group's offsets", _ATTEMPT_S):
            for _ in until(self.limit_s, _PAUSE_S):
                self._heartbeat.beat()
                try:
                    return consumer.committed(places, timeout=_ATTEMPT_S)
                except KafkaException as error:
                    if error.args[0].code() not in PASSING:
                        raise
                    self._note(problem, error.args[0])
                    problem = error
        assert problem is not None, "each attempt returns or fails"
        raise KafkaException(
            KafkaError(
                problem.args[0].code(),
                f"the group's offsets could not be read for {self.limit_s:g} s: {problem.args[0].str()}; an open "
                "transaction hides them, or the group has no coordinator",
            )
        )

    def _note(self, before: KafkaException | None, error: KafkaError) -> None:
        if before is None:
            log.warning(
                "offsets.delayed",
                reason=f"{error.str()}; records wait until the group's offsets are known, {self.limit_s:g} s at most",
            )
