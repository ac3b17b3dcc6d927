"""The one place that asks brokers for offsets of partitions."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from typing import Any, Final, NamedTuple

from confluent_kafka import OFFSET_INVALID, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]  # an unmarked re-export

from ensemble.kafka.errors import PASSING, retry
from ensemble.kafka.records import TopicPlace
from ensemble.messages.fields import MAX_INT64

Answers = Mapping[TopicPartition, Future[Any]]

_PAUSE_S: Final = 0.1
_ATTEMPT_S: Final = 2.0
_LONGEST_ATTEMPT_S: Final = 60.0
_RETRIED: Final = PASSING - {KafkaError._ALL_BROKERS_DOWN, KafkaError.COORDINATOR_NOT_AVAILABLE}
"""Without any broker, or a coordinator, the caller decides whether to wait."""


class _Question(NamedTuple):
    spec: OffsetSpec
    isolation: IsolationLevel


_HIGH: Final = _Question(OffsetSpec.latest(), IsolationLevel.READ_UNCOMMITTED)  # type: ignore[no-untyped-call]  # the client's
_STABLE: Final = _Question(OffsetSpec.latest(), IsolationLevel.READ_COMMITTED)  # type: ignore[no-untyped-call]  # the client's
_LOW: Final = _Question(OffsetSpec.earliest(), IsolationLevel.READ_UNCOMMITTED)  # type: ignore[no-untyped-call]  # the client's


def high_watermarks(admin: AdminClient, places: Iterable[TopicPlace], timeout_s: float) -> dict[TopicPlace, int]:
    """Return the end of each partition, records of open transactions included.

    Raises KafkaException if the broker does not answer in time.
    """
    return _ask(admin, list(places), _HIGH, timeout_s)


def stable_ends(admin: AdminClient, places: Iterable[TopicPlace], timeout_s: float) -> dict[TopicPlace, int]:
    """Return the end of what is committed, for each partition. Raises KafkaException like `high_watermarks`."""
    return _ask(admin, list(places), _STABLE, timeout_s)


def low_watermarks(admin: AdminClient, places: Iterable[TopicPlace], timeout_s: float) -> dict[TopicPlace, int]:
    """Return the first offset that each partition still has. Raises KafkaException like `high_watermarks`."""
    return _ask(admin, list(places), _LOW, timeout_s)


def offsets_at(admin: AdminClient, places: Iterable[TopicPlace], at: int, timeout_s: float) -> dict[TopicPlace, int]:
    """Return the first offset of each partition whose record is of `at` (epoch milliseconds) or later, or the end.

    Raises KafkaException like `high_watermarks`.
    """
    places = list(places)
    question = _Question(_spec_at(at), IsolationLevel.READ_UNCOMMITTED)
    ends, firsts = high_watermarks(admin, places, timeout_s), _ask(admin, places, question, timeout_s)
    return {place: offset if offset >= 0 else ends[place] for place, offset in firsts.items()}


def first_written(admin: AdminClient, places: Iterable[TopicPlace], timeout_s: float) -> dict[TopicPlace, int]:
    """Return when the first record of each partition was written (epoch milliseconds), as far as brokers tell it."""
    return _times(admin, places, OffsetSpec.for_timestamp(0), timeout_s)


def last_written(admin: AdminClient, places: Iterable[TopicPlace], timeout_s: float) -> dict[TopicPlace, int]:
    """Return when the youngest record of each partition was written, like `first_written`."""
    return _times(admin, places, OffsetSpec.max_timestamp(), timeout_s)  # type: ignore[no-untyped-call]  # the client's


def request_offsets_at(admin: AdminClient, times: Mapping[TopicPlace, int], timeout_s: float) -> Answers:
    """Ask for the first offset of a time (epoch milliseconds) or later, without waiting; -1 where there is none."""
    specs = {TopicPartition(*place): _spec_at(at) for place, at in times.items()}
    answers: Answers = admin.list_offsets(specs, isolation_level=_HIGH.isolation, request_timeout=timeout_s)
    return answers


def request_ends(admin: AdminClient, places: list[TopicPlace], timeout_s: float) -> tuple[Answers, Answers]:
    """Ask for the stable ends and the high watermarks without waiting for the answers."""
    return _request(admin, places, _STABLE, timeout_s), _request(admin, places, _HIGH, timeout_s)


def _spec_at(at: int) -> OffsetSpec:
    """Return the question for a time. One before 1970 is the beginning: a number below zero asks for something else."""
    spec: OffsetSpec = OffsetSpec.for_timestamp(min(max(at, 0), MAX_INT64))
    return spec


def collect(answers: Answers, timeout_s: float) -> dict[TopicPlace, int]:
    """Wait for the answers and return the offsets. Raises KafkaException if one fails or does not come in time."""
    offsets = {(p.topic, p.partition): _offset_in(p, future, timeout_s) for p, future in answers.items()}
    if OFFSET_INVALID in offsets.values():  # of a slow broker the client passes on what it began with
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "no answer about some of the offsets"))
    return offsets


def _offset_in(place: TopicPartition, answer: Future[Any], timeout_s: float) -> int:
    """Return the offset. The client does not say of which partition an error is."""
    try:
        return int(answer.result(timeout_s).offset)
    except TimeoutError:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "no answer about offsets")) from None
    except KafkaException as error:
        problem: KafkaError = error.args[0]
        reason = f"{place.topic}[{place.partition}]: {problem.str()}"
        raise KafkaException(KafkaError(problem.code(), reason)) from error


def _ask(admin: AdminClient, places: list[TopicPlace], question: _Question, timeout_s: float) -> dict[TopicPlace, int]:
    """Ask until the broker answers: a partition may be without a leader for a moment, or the broker be slow."""
    attempts = _attempts_s(timeout_s)

    def attempt() -> dict[TopicPlace, int]:
        attempt_s = next(attempts)
        return collect(_request(admin, places, question, attempt_s), attempt_s) if places else {}

    return retry(
        attempt,
        timeout_s,
        _PAUSE_S,
        may_pass=lambda error: error.code() in _RETRIED,
        on_failure=lambda _: _refresh_metadata(admin),
    )


def _attempts_s(timeout_s: float) -> Iterator[float]:
    """Yield how long each attempt may take: twice as long as the one before."""
    attempt_s = min(_ATTEMPT_S, timeout_s)
    while True:
        yield attempt_s
        attempt_s = min(2 * attempt_s, timeout_s, _LONGEST_ATTEMPT_S)


def _times(
    admin: AdminClient, places: Iterable[TopicPlace], spec: OffsetSpec, timeout_s: float
) -> dict[TopicPlace, int]:
    """Ask once, and leave out partitions without a record, or without an answer: they may be what is missing."""
    answers = _request(admin, places, _Question(spec, IsolationLevel.READ_UNCOMMITTED), timeout_s)
    times = {(place.topic, place.partition): _time_in(future, timeout_s) for place, future in answers.items()}
    return {place: at for place, at in times.items() if at >= 0}


def _time_in(answer: Future[Any], timeout_s: float) -> int:
    try:
        return int(answer.result(timeout_s).timestamp)
    except (KafkaException, TimeoutError):
        return -1


def _request(admin: AdminClient, places: Iterable[TopicPlace], question: _Question, timeout_s: float) -> Answers:
    partitions = {TopicPartition(*place): question.spec for place in places}
    answers: Answers = admin.list_offsets(partitions, isolation_level=question.isolation, request_timeout=timeout_s)
    return answers


def _refresh_metadata(admin: AdminClient) -> None:
    """Have the client look for leaders anew (librdkafka workaround).

    By itself it asks with the leader epoch that it remembers for a minute.
    """
    with contextlib.suppress(KafkaException):
        admin.list_topics(timeout=_ATTEMPT_S)
