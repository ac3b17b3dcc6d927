"""Asks what a consumer group looks like, without risk to the process that asks (librdkafka workaround).

The client aborts the process when a question about a group runs out of time while its coordinator is looked for, and
the coordinator is found at just that moment (https://github.com/confluentinc/librdkafka/issues/4605): at the end of an
outage. So the client gets as much time as it takes, and only the caller does not wait that long.

It also waits without end for a coordinator that it has known before its broker was restarted. Another client does not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

LONGEST_QUESTION_S: Final = 3600.0
"""The most that the client takes as the time for a question."""
_PATIENCE_S: Final = 5.0
"""After so long a question is asked anew, of another client, which has twice the time: brokers may be slow, ..."""
_MOST_PATIENCE_S: Final = 60.0
"""... up to that."""


def strangers_among(members: Iterable[Any], group: str) -> list[str]:
    """Return which members are no processes of the group's service, by client id and host.

    A service's client id is its name and its instance's; whoever calls itself so is not found by it.
    """
    others = [member for member in members if not str(member.client_id).startswith(f"{group}-")]
    return sorted(f"{member.client_id} on {str(member.host).lstrip('/')}" for member in others)


class GroupDescriptions:
    """Describes one group. In an outage one question is under way for some time, however often it is asked."""

    def __init__(
        self,
        admin: AdminClient,
        group: str,
        renew: Callable[[], AdminClient],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Ask `admin` at first, and a client that `renew` makes when it gives no answer."""
        self._admin, self._group, self._renew, self._now = admin, group, renew, now
        self._under_way: Future[Any] | None = None
        self._asked_at, self._patience_s = 0.0, _PATIENCE_S

    def describe(self, limit_s: float, **options: Any) -> Any:
        """Return the group as it is now. Raises KafkaException, `_TIMED_OUT` without an answer within `limit_s`."""
        answer = self._answer(options)
        try:
            description = answer.result(limit_s)
        except TimeoutError:
            self._under_way = answer
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "no answer about the group")) from None
        self._patience_s = _PATIENCE_S
        return description

    def _answer(self, options: dict[str, Any]) -> Future[Any]:
        """Return the answer that is still to come; of a new question if the last one is answered, or seems lost."""
        before, self._under_way = self._under_way, None
        now = self._now()
        if before is not None and not before.done():
            if now - self._asked_at < self._patience_s:
                return before
            self._admin, self._patience_s = self._renew(), min(2 * self._patience_s, _MOST_PATIENCE_S)
        self._asked_at = now
        answers: dict[str, Future[Any]] = self._admin.describe_consumer_groups(
            [self._group], request_timeout=LONGEST_QUESTION_S, **options
        )
        return answers[self._group]
