import threading
from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaError, KafkaException

from ensemble.kafka.worker.bounded_calls import BoundedCalls

LIMIT_S = 30.0


@pytest.fixture
def calls() -> Iterator[BoundedCalls]:
    calls = BoundedCalls()
    yield calls
    calls.close()


def test_a_call_that_ends_in_time_has_ended_when_it_returns(calls: BoundedCalls) -> None:
    # given two calls
    numbers: list[int] = []

    # when they are made
    for number in range(2):
        calls.make(lambda number=number: numbers.append(number), LIMIT_S)  # type: ignore[misc]  # bound on purpose

    # then they have run, in order
    assert numbers == [0, 1]


def test_what_a_call_raises_is_raised_where_it_was_asked_for(calls: BoundedCalls) -> None:
    # given a call that fails
    def fail() -> None:
        raise KafkaException(KafkaError(KafkaError._FENCED))

    # when it is made, then its error is ours, and the next call is made
    with pytest.raises(KafkaException) as caught:
        calls.make(fail, LIMIT_S)
    assert caught.value.args[0].code() == KafkaError._FENCED
    calls.make(lambda: None, LIMIT_S)


def test_a_call_that_outlives_its_limit_is_left_behind(calls: BoundedCalls) -> None:
    # given a call that does not end
    over, ended = threading.Event(), threading.Event()

    def hang() -> None:
        over.wait(LIMIT_S)
        ended.set()

    # when it is made
    with pytest.raises(KafkaException, match="no answer in time") as caught:
        calls.make(hang, 0.05)

    # then its outcome is unknown, other calls are made beside it, and its own end disturbs nobody
    assert caught.value.args[0].code() == KafkaError._TIMED_OUT
    calls.make(lambda: None, LIMIT_S)
    over.set()
    assert ended.wait(LIMIT_S)
    calls.make(lambda: None, LIMIT_S)
