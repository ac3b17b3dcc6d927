"""Questions about offsets: asked again while the broker changes hands, and told when no answer comes."""

from collections.abc import Callable
from itertools import islice
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import OFFSET_INVALID, IsolationLevel, KafkaError, KafkaException, TopicPartition

from ensemble.kafka.offsets import (
    _attempts_s,
    collect,
    first_written,
    high_watermarks,
    last_written,
    low_watermarks,
    offsets_at,
    stable_ends,
)
from tests.support.client_answers import answer, refuse, stay_silent

PLACE, OTHER = ("shop.events", 0), ("shop.events", 1)


class Broker:
    """An admin client of partitions that hold records 2 to 9, of which 8 and 9 are of an open transaction."""

    def __init__(self, *codes: int) -> None:
        self.codes, self.questions, self.refreshed = list(codes), 0, 0

    def list_offsets(self, specs: dict[Any, Any], isolation_level: Any, request_timeout: float) -> dict[Any, Any]:
        self.questions += 1
        if self.codes:
            return dict.fromkeys(specs, refuse(self.codes.pop(0)))
        end = 8 if isolation_level is IsolationLevel.READ_COMMITTED else 10
        return {place: answer(offset=self._offset(spec, end)) for place, spec in specs.items()}

    def _offset(self, spec: Any, end: int) -> int:
        match type(spec).__name__:
            case "LatestSpec":
                return end
            case "EarliestSpec":
                return 2
        return spec.timestamp if spec.timestamp < end else -1

    def list_topics(self, timeout: float) -> None:
        self.refreshed += 1
        raise KafkaException(KafkaError(KafkaError._TRANSPORT))


@pytest.mark.parametrize(
    ("question", "offset"),
    [(high_watermarks, 10), (stable_ends, 8), (low_watermarks, 2)],
    ids=["end", "stable end", "first"],
)
def test_each_question_has_its_answer(question: Callable[..., Any], offset: int) -> None:
    assert question(Broker(), [PLACE, OTHER], 5) == {PLACE: offset, OTHER: offset}
    broker = Broker()
    assert question(broker, [], 5) == {}
    assert broker.questions == 0


def test_a_time_after_all_records_means_the_end() -> None:
    broker: Any = Broker()
    assert [offsets_at(broker, iter([PLACE]), at, 5)[PLACE] for at in (0, 5, 30)] == [0, 5, 10]


@pytest.mark.parametrize("at", [-1, -2, -60_000, -(10**18)])
def test_a_time_before_1970_means_the_beginning(at: int) -> None:
    """Outsiders say when an order was placed, and a minute before that is looked at; Kafka takes -1 for the end."""
    broker: Any = Broker()
    assert offsets_at(broker, [PLACE], at, 5) == {PLACE: 0}


def test_a_time_beyond_all_numbers_means_the_end() -> None:
    broker: Any = Broker()
    assert offsets_at(broker, [PLACE], 10**30, 5) == {PLACE: 10}


def test_a_partition_without_a_leader_is_asked_about_again_with_new_metadata() -> None:
    broker: Any = Broker(KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE)
    assert high_watermarks(broker, [PLACE], 5) == {PLACE: 10}
    assert (broker.questions, broker.refreshed) == (3, 2)


def test_an_offset_that_the_client_made_up_is_no_answer_and_asked_for_again() -> None:
    """A service started to read at -1001 on an overloaded machine, and ended with LostState."""

    class Overloaded(Broker):
        def _offset(self, spec: Any, end: int) -> int:
            return OFFSET_INVALID if self.questions == 1 else super()._offset(spec, end)

    broker: Any = Overloaded()
    assert low_watermarks(broker, [PLACE, OTHER], 5) == {PLACE: 2, OTHER: 2}
    assert broker.questions == 2


@pytest.mark.parametrize("code", [KafkaError._ALL_BROKERS_DOWN, KafkaError.TOPIC_AUTHORIZATION_FAILED])
def test_what_the_caller_has_to_know_is_not_waited_out(code: int) -> None:
    broker: Any = Broker(code)
    with pytest.raises(KafkaException):
        high_watermarks(broker, [PLACE], 5)
    assert broker.questions == 1


def test_no_answer_in_time_is_an_error_of_the_client() -> None:
    with pytest.raises(KafkaException) as failed:
        collect({TopicPartition(*PLACE): stay_silent()}, 1)
    assert failed.value.args[0].code() == KafkaError._TIMED_OUT
    done: Any = SimpleNamespace(result=lambda limit_s: SimpleNamespace(offset=limit_s))
    assert collect({TopicPartition(*PLACE): done}, 3) == {PLACE: 3}


class Written(Broker):
    """Tells of one partition when its first and its youngest record were written; another one has no records."""

    def list_offsets(self, specs: dict[Any, Any], isolation_level: Any, request_timeout: float) -> dict[Any, Any]:
        return {place: self._time(place, spec) for place, spec in specs.items()}

    def _time(self, place: TopicPartition, spec: Any) -> Any:
        if place.topic == "gone":
            return refuse(KafkaError.UNKNOWN_TOPIC_OR_PART)
        written_at = 1_000 if type(spec).__name__ == "TimestampSpec" else 9_000
        return answer(timestamp=written_at if place.partition == 0 else -1)


def test_when_records_were_written_is_told_of_partitions_that_have_some() -> None:
    broker: Any = Written()
    assert first_written(broker, [PLACE, OTHER, ("gone", 0)], 5) == {PLACE: 1_000}
    assert last_written(broker, [PLACE, OTHER, ("gone", 0)], 5) == {PLACE: 9_000}


@pytest.mark.parametrize(
    ("limit_s", "attempts"), [(200.0, [2, 4, 8, 16, 32, 60, 60]), (5.0, [2, 4, 5, 5]), (1.0, [1, 1])]
)
def test_each_attempt_may_take_twice_as_long_as_the_one_before_up_to_the_limit(
    limit_s: float, attempts: list[float]
) -> None:
    assert list(islice(_attempts_s(limit_s), len(attempts))) == attempts
