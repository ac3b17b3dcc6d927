"""Asks what a consumer group looks like, without risk to the process that asks (librdkafka workaround).

The client aborts the process when a question about a group runs out of time while its coordinator is looked for, and
the coordinator is found at just that moment (https://github.com/confluentinc/librdkafka/issues/4605): at the end of an
outage. So the client gets as much time as it takes, and only the caller does not wait that long.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

_LONGEST_S: Final = 3600.0
"""The most that the client takes as the time for a question."""
_PATIENCE_S: Final = 20.0
"""A question that is older gets no answer any more: the client has lost it with its broker. Then it is asked anew."""


class GroupDescriptions:
    """Describes one group. In an outage one question is under way for some time, however often it is asked."""

    def __init__(self, admin: AdminClient, group: str, now: Callable[[], float] = time.monotonic) -> None:
        self._admin, self._group, self._now = admin, group, now
        self._under_way: Future[Any] | None = None
        self._asked_at = 0.0

    def describe(self, limit_s: float, **options: Any) -> Any:
        """Return the group as it is now. Raises KafkaException, `_TIMED_OUT` without an answer within `limit_s`."""
        answer = self._answer(options)
        try:
            return answer.result(limit_s)
        except TimeoutError:
            self._under_way = answer
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "no answer about the group")) from None

    def _answer(self, options: dict[str, Any]) -> Future[Any]:
        """Return the answer that is still to come; of a new question if the last one is answered, or lost."""
        before, self._under_way = self._under_way, None
        if before is not None and not before.done() and self._now() - self._asked_at < _PATIENCE_S:
            return before
        self._asked_at = self._now()
        answers: dict[str, Future[Any]] = self._admin.describe_consumer_groups(
            [self._group], request_timeout=_LONGEST_S, **options
        )
        return answers[self._group]
