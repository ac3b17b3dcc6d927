"""How long readers have been kept from records that are there."""

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

from confluent_kafka import IsolationLevel, KafkaError, TopicPartition
from structlog.testing import capture_logs

from ensemble.kafka.worker.open_transactions import EVERY_S, OpenTransactions
from tests.support.client_answers import refuse

PLACE = ("payments.events", 0)


class Ends:
    """An admin client that knows one partition's two ends, and a clock."""

    def __init__(self) -> None:
        self.now, self.stable, self.high, self.is_silent = 1_000.0, 5, 5, False
        self.pending: Future[Any] | None = None
        """Answers the question for the committed end."""

    def list_offsets(self, offset_specs: Any, isolation_level: IsolationLevel, request_timeout: float) -> Any:
        end = self.stable if isolation_level is IsolationLevel.READ_COMMITTED else self.high
        if self.pending is not None and isolation_level is IsolationLevel.READ_COMMITTED:
            return {TopicPartition(*PLACE): self.pending}
        answer: Future[Any] = refuse(KafkaError._ALL_BROKERS_DOWN) if self.is_silent else Future()
        if not self.is_silent:
            answer.set_result(SimpleNamespace(offset=end))
        return {TopicPartition(*PLACE): answer}


def looked(ends: Ends, watch: OpenTransactions, seconds: float) -> float:
    ends.now += seconds
    for _ in range(2):  # one look asks, the next one takes the answer
        watch.sample([PLACE])
    return watch.longest_s()


def test_an_open_transaction_is_seen_and_its_age_grows_until_it_ends() -> None:
    ends = Ends()
    watch = OpenTransactions(ends, lambda: ends.now)  # type: ignore[arg-type]  # all that is called
    assert looked(ends, watch, 0) == 0
    ends.high = 8
    assert (looked(ends, watch, EVERY_S), watch.records) == (0, {PLACE: 3})
    assert looked(ends, watch, 3 * EVERY_S) == 3 * EVERY_S
    assert watch.describe() == "", "it may end like that of any service that was killed"
    assert looked(ends, watch, 1) == 3 * EVERY_S + 1
    assert watch.describe() == (
        "payments.events[0] is hidden from offset 5 on by a transaction that somebody has left open for 16 s"
    )
    ends.stable = 9
    ends.high = 9
    assert (looked(ends, watch, EVERY_S), watch.records, watch.describe()) == (0, {}, "")


def test_transactions_that_follow_each_other_are_no_hanging_one() -> None:
    ends = Ends()
    watch = OpenTransactions(ends, lambda: ends.now)  # type: ignore[arg-type]  # all that is called
    for number in range(5):
        ends.stable, ends.high = 5 + number, 8 + number
        assert looked(ends, watch, EVERY_S) == 0


def test_a_broker_that_does_not_answer_ends_no_transaction() -> None:
    ends = Ends()
    watch = OpenTransactions(ends, lambda: ends.now)  # type: ignore[arg-type]  # all that is called
    ends.high = 8
    looked(ends, watch, 0)
    ends.is_silent = True
    assert (looked(ends, watch, EVERY_S), watch.records) == (EVERY_S, {PLACE: 3})
    ends.is_silent = False
    assert looked(ends, watch, EVERY_S) == 2 * EVERY_S


def test_one_that_lasts_is_told_of_for_a_moment_and_not_for_ever() -> None:
    ends = Ends()
    watch = OpenTransactions(ends, lambda: ends.now)  # type: ignore[arg-type]  # all that is called
    ends.high = 8
    with capture_logs() as logs:
        for _ in range(10):
            looked(ends, watch, EVERY_S)
    assert [(line["event"], line["topic"], line["partition"], line["offset"], line["seconds"]) for line in logs] == [
        ("transaction.stalled", *PLACE, 5, 20.0)
    ]


def test_a_partition_whose_first_record_is_not_seen_yet_is_behind_as_well() -> None:
    ends = Ends()
    watch = OpenTransactions(ends, lambda: ends.now)  # type: ignore[arg-type]  # all that is called
    ends.stable = 0
    looked(ends, watch, 0)
    assert (looked(ends, watch, EVERY_S), watch.records) == (EVERY_S, {PLACE: 5})


def test_an_answer_that_takes_its_time_counts_when_it_comes() -> None:
    ends = Ends()
    watch = OpenTransactions(ends, lambda: ends.now)  # type: ignore[arg-type]  # all that is called
    ends.high, ends.pending = 8, Future()
    for _ in range(3):
        assert looked(ends, watch, EVERY_S) == 0
    ends.pending.set_result(SimpleNamespace(offset=5))
    watch.sample([PLACE])
    assert watch.records == {PLACE: 3}
