"""Watches what a consumer cannot read, and topics that are gone.

Passing trouble is waited out with a message, what stays ends the process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final

import structlog
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from ensemble.errors import FatalError
from ensemble.kafka.errors import PASSING, UNKNOWN_TOPIC, explain
from ensemble.kafka.records import TopicPlace
from ensemble.program import command

log = structlog.get_logger()

STUCK_LIMIT_S: Final = 30.0
"""For so long one offset is asked for again and again before the process ends."""
MISSING_LIMIT_S: Final = 60.0
"""For so long a topic may be unknown to a broker: one that restarts denies topics that it has."""
_FORGET_S: Final = 10.0
"""The client tells of a fetch that fails at least this often."""
_LOOK_EVERY_S: Final = 5.0
_LOOK_TIMEOUT_S: Final = 2.0


@dataclass
class _StuckFetch:
    offset: int
    reason: str
    since: float
    seen_at: float


class FetchProblems:
    """Notes errors of a consumer, and raises FatalError for those that have lasted for too long."""

    def __init__(
        self, find: Callable[[Collection[str]], Collection[str] | None], now: Callable[[], float] = time.monotonic
    ) -> None:
        """Note nothing yet. `find` asks the brokers which of some topics they know; None says that none answers."""
        self._find, self._now = find, now
        self._stuck: dict[TopicPlace, _StuckFetch] = {}
        self._missing: dict[str, float] = {}
        self._next_look_at = 0.0
        self._group: tuple[str, float] = "", 0.0
        """Why the group does not let this process in, and when it said so."""

    @property
    def has_any(self) -> bool:
        """Whether anything cannot be read now."""
        return bool(self._stuck or self._missing)

    def note(self, place: TopicPlace, offset: int | None, error: KafkaError) -> None:
        """Note an error that the consumer met at a place."""
        if error.code() in UNKNOWN_TOPIC:
            self.miss([place[0]])
        elif offset is None or offset < 0 or error.code() in PASSING:
            reason = explain(error)
            log.warning("consumer.failed", reason=reason)
            if not place[0]:
                self._group = reason, self._now()
        else:
            self._note_stuck(place, offset, error.str())

    def miss(self, topics: Iterable[str]) -> None:
        """Note topics of the service, read or written, that a broker has just said not to know."""
        for topic in topics:
            if topic not in self._missing:
                self._missing[topic] = self._now()
                reason = f"no broker knows it; waiting, {MISSING_LIMIT_S:g} s"
                log.warning("topic.missing", topic=topic, reason=reason)

    def _note_stuck(self, place: TopicPlace, offset: int, reason: str) -> None:
        now, stuck = self._now(), self._stuck.get(place)
        if stuck is None or stuck.offset != offset:
            self._stuck[place] = stuck = _StuckFetch(offset, reason, now, now)
            log.warning("consumer.stuck", topic=place[0], partition=place[1], offset=offset, reason=reason)
        stuck.seen_at = now

    def clear(self, place: TopicPlace) -> None:
        """Note that the consumer reads on at a place."""
        self._stuck.pop(place, None)
        self._missing.pop(place[0], None)

    def describe(self) -> str:
        """Return what cannot be read and for how long, or an empty text."""
        for place, stuck in self._stuck.items():
            return f"{self._at(place, stuck)} for {self._now() - stuck.since:.0f} s: {stuck.reason}"
        for topic, since in self._missing.items():
            return f"no broker knows topic {topic} for {self._now() - since:.0f} s"
        return ""

    def why_not_joined(self) -> str:
        """Return why the group did not let this process in just now, or an empty text."""
        reason, at = self._group
        return reason if self._now() - at < _FORGET_S else ""

    @property
    def longest_s(self) -> float:
        """How long the longest of them has lasted."""
        begins = [*(stuck.since for stuck in list(self._stuck.values())), *self._missing.values()]
        return self._now() - min(begins, default=self._now())

    def check(self) -> None:
        """Raise FatalError if something could not be read for too long."""
        now = self._now()
        self._stuck = {place: stuck for place, stuck in self._stuck.items() if now - stuck.seen_at < _FORGET_S}
        for place, stuck in self._stuck.items():
            if stuck.seen_at - stuck.since >= STUCK_LIMIT_S:
                raise FatalError(
                    f"{self._at(place, stuck)} for {STUCK_LIMIT_S:g} s: {stuck.reason}. The record there is damaged, "
                    "or becomes too large when it is decompressed; only skipping it goes past it: "
                    f"`{command('records skip')}`, topic {place[0]}, partition {place[1]}, offset {stuck.offset}"
                )
        if self._missing and now >= self._next_look_at:
            self._next_look_at = now + _LOOK_EVERY_S
            self._look_for_topics()

    def _look_for_topics(self) -> None:
        present = self._find(self._missing)
        if present is None:  # brokers that are away for long deny nothing
            self._missing = dict.fromkeys(self._missing, self._now())
            return
        for topic, since in list(self._missing.items()):
            if topic in present:
                log.info("topic.found", topic=topic)
                del self._missing[topic]
            elif self._now() - since >= MISSING_LIMIT_S:
                raise FatalError(
                    f"no broker has known topic {topic} for {MISSING_LIMIT_S:g} s. If it was deleted, its records are "
                    f"gone; `{command('topics apply')}` creates it again"
                )

    def _at(self, place: TopicPlace, stuck: _StuckFetch) -> str:
        return f"{place[0]}[{place[1]}] cannot be read at offset {stuck.offset}"


def find_topics(admin: AdminClient, topics: Collection[str]) -> set[str] | None:
    """Return which of these topics the brokers know, or None if they do not answer."""
    try:
        entries = admin.list_topics(timeout=_LOOK_TIMEOUT_S).topics
    except KafkaException:
        return None
    return {name for name in topics if name in entries and entries[name].error is None}
