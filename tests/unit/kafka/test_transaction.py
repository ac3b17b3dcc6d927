"""How a transaction ends, with a producer that fails as it is told to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from ensemble.errors import FatalError, Fenced
from ensemble.kafka.worker.fencing import Rivals
from ensemble.kafka.worker.transaction import Outcome, Transactions, Work, describe, is_outage, is_unacceptable
from ensemble.state.unit_of_work import Output

LIMIT_S = 10.0
OFFSETS = [TopicPartition("shop.commands", 0, 7)]
WHOLE = ["begin_transaction", "produce", "flush", "send_offsets_to_transaction", "commit_transaction"]


def error(code: int, **flags: bool) -> KafkaException:
    return KafkaException(KafkaError(code, "told to", **flags))


def within_a_log_line(cause: KafkaException) -> SystemError:
    """What the client raises when it fails while it calls a logger."""
    failure = SystemError("<method 'flush'> returned a result with an exception set")
    failure.__cause__ = cause
    return failure


FATAL = error(KafkaError._FATAL)
FENCED = error(KafkaError._FENCED, fatal=True)
TIMED_OUT = error(KafkaError._TIMED_OUT)
REQUIRES_ABORT = error(KafkaError._MSG_TIMED_OUT, txn_requires_abort=True)
TOO_LARGE = error(KafkaError.MSG_SIZE_TOO_LARGE)


class ScriptedProducer:
    """Raises what the script has for each call of a method, and succeeds where it has nothing more."""

    def __init__(self, script: dict[str, list[Exception | None]], calls: list[str]) -> None:
        self._script, self._calls = script, calls

    def __getattr__(self, method: str) -> Callable[..., int]:
        def call(*_: Any, **__: Any) -> int:
            self._calls.append(method)
            failure = self._script[method].pop(0) if self._script[method] else None
            if failure is not None:
                raise failure
            return 0

        return call


class Slot:
    """Transactions over scripted producers, and the processes that share their slot."""

    def __init__(
        self,
        newer: str | KafkaException = "",
        older: str = "",
        timeout_s: float = 5.0,
        **script: list[Exception | None],
    ) -> None:
        self.calls, self.now, self.newer, self.older = list[str](), 1_000.0, newer, older
        self._script = defaultdict(list, script)
        self.transactions = Transactions(
            config={"transactional.id": "shop-0", "transaction.timeout.ms": 10_000},
            timeout_s=timeout_s,
            rivals=self,
            make_producer=self._make_producer,
            now=lambda: self.now,
        )
        assert self.transactions.open(lambda: False, LIMIT_S)
        self.calls.clear()

    def fail(self, method: str, failure: Exception) -> None:
        """Have the next call of a method fail."""
        self._script[method].append(failure)

    def note_older(self) -> None:
        self.calls.append("note older")

    def find(self, limit_s: float) -> Rivals:
        if isinstance(self.newer, KafkaException):
            raise self.newer
        return Rivals(self.newer, self.older)

    def newer_host_if_reachable(self) -> str:
        self.calls.append("is there a newer one?")
        return "" if isinstance(self.newer, KafkaException) else self.newer

    def commit(self, after_s: float = 0.0) -> Outcome:
        """Commit a transaction in which `after_s` pass."""

        def outputs() -> Any:
            self.now += after_s
            yield "shop.events", b"value", b"key", [], 0

        return self.transactions.commit(Work(outputs(), [], OFFSETS, group=None))

    def _make_producer(self, _: dict[str, Any]) -> Any:
        self.calls.append("new producer")
        return ScriptedProducer(self._script, self.calls)


def test_a_transaction_is_written_flushed_and_committed_in_this_order() -> None:
    slot = Slot()
    assert slot.commit() is Outcome.COMMITTED
    assert slot.calls == WHOLE


@pytest.mark.parametrize("method", ["produce", "flush", "send_offsets_to_transaction", "commit_transaction"])
def test_a_client_that_failed_for_good_is_asked_why_before_anything_else(method: str) -> None:
    """A new producer under the same id would take the slot back from the newer process."""
    slot = Slot(begin_transaction=[None, FENCED])
    slot.fail(method, FATAL)
    with pytest.raises(Fenced, match="another process runs as 'shop-0'"):
        slot.commit()
    assert "new producer" not in slot.calls


def test_a_client_that_failed_for_good_and_never_says_why_ends_the_process() -> None:
    slot = Slot(timeout_s=0.2, produce=[FATAL], begin_transaction=[None, *[FATAL] * 1000])
    with pytest.raises(FatalError, match="does not say why"):
        slot.commit()
    assert "new producer" not in slot.calls


def test_a_client_that_failed_for_good_for_another_reason_is_replaced() -> None:
    reason = error(KafkaError.UNKNOWN_PRODUCER_ID, fatal=True)
    slot = Slot(produce=[FATAL], begin_transaction=[None, FATAL, reason])
    assert slot.commit() is Outcome.UNKNOWN
    assert not slot.transactions.is_open


@pytest.mark.parametrize("method", ["flush", "commit_transaction", "abort_transaction"])
def test_fencing_that_is_met_within_a_log_line_is_told_as_fencing(method: str) -> None:
    """Seen under load: the client calls the logger with its exception set, which comes as a SystemError."""
    slot = Slot(send_offsets_to_transaction=[REQUIRES_ABORT] if method == "abort_transaction" else [])
    slot.fail(method, within_a_log_line(FENCED))
    with pytest.raises(Fenced, match="another process runs as 'shop-0'"):
        slot.commit()


def test_a_system_error_that_is_not_the_clients_stays_what_it_is() -> None:
    with pytest.raises(SystemError, match="broken"):
        Slot(flush=[SystemError("broken")]).commit()


def test_a_transaction_that_the_broker_ended_for_its_length_is_settled_by_a_new_producer() -> None:
    """The broker has the same words for a rival; but no other process has the slot."""
    slot = Slot(flush=[FENCED])
    assert slot.commit(after_s=11) is Outcome.UNKNOWN
    words = "the broker ended it after 11 s, ENSEMBLE_TRANSACTION_TIMEOUT_S is 10"
    assert describe(slot.transactions.problem) == words, "the client speaks of a newer instance, which there is none"
    assert slot.transactions.reopen(lambda: False)


def test_who_stood_still_for_longer_than_a_transaction_leaves_the_slot_to_the_newer_process() -> None:
    slot = Slot(newer="10.0.0.7", flush=[FENCED])
    with pytest.raises(Fenced, match=r"another process on 10\.0\.0\.7 runs as 'shop-0'.*stood still for 11 s"):
        slot.commit(after_s=11)


def test_who_cannot_tell_a_rival_from_a_time_out_leaves_the_slot_alone() -> None:
    slot = Slot(newer=TIMED_OUT, flush=[FENCED])
    with pytest.raises(Fenced, match="does not say which"):
        slot.commit(after_s=11)
    assert "new producer" not in slot.calls


def test_a_newer_process_takes_the_slot_again_from_an_older_one_that_took_it_back() -> None:
    """The older one was beyond its time in a transaction and saw nobody newer: this one had not joined the group."""
    slot = Slot(older="10.0.0.7", flush=[FENCED])
    assert slot.commit(after_s=1) is Outcome.UNKNOWN
    assert slot.transactions.reopen(lambda: False)
    assert slot.commit() is Outcome.COMMITTED


@pytest.mark.parametrize("newer", ["10.0.0.9", TIMED_OUT])
def test_who_may_have_been_fenced_by_a_newer_process_leaves_it_the_slot(newer: str | KafkaException) -> None:
    slot = Slot(newer=newer, older="10.0.0.7", flush=[FENCED])
    with pytest.raises(Fenced, match=r"another process.* runs as 'shop-0'"):
        slot.commit(after_s=1)
    assert "new producer" not in slot.calls


def test_an_error_that_demands_an_abort_is_not_tried_again() -> None:
    retriable = error(KafkaError.COORDINATOR_LOAD_IN_PROGRESS, retriable=True, txn_requires_abort=True)
    slot = Slot(send_offsets_to_transaction=[retriable])
    assert slot.commit() is Outcome.ABORTED
    assert slot.calls.count("send_offsets_to_transaction") == 1


def test_a_passing_error_is_tried_again() -> None:
    loading = error(KafkaError.COORDINATOR_LOAD_IN_PROGRESS, retriable=True)
    slot = Slot(send_offsets_to_transaction=[loading, loading], commit_transaction=[loading])
    assert slot.commit() is Outcome.COMMITTED


def test_a_record_that_the_client_itself_refuses_aborts_its_transaction() -> None:
    """Nothing was lost in between: no new producer and no restore is needed."""
    slot = Slot(produce=[TOO_LARGE])
    assert slot.commit() is Outcome.ABORTED
    assert slot.calls == ["begin_transaction", "produce", "abort_transaction"]


def test_a_record_that_the_client_does_not_take_is_named_by_its_topic() -> None:
    slot = Slot(produce=[error(KafkaError._UNKNOWN_TOPIC)])
    assert slot.commit() is Outcome.ABORTED
    assert describe(slot.transactions.problem).startswith("shop.events: told to (`ensemble topics apply`")


def test_a_commit_without_an_answer_has_an_unclear_end() -> None:
    slot = Slot(commit_transaction=[TIMED_OUT])
    assert slot.commit() is Outcome.UNKNOWN
    assert "abort_transaction" not in slot.calls


def test_a_commit_that_demands_an_abort_is_aborted() -> None:
    slot = Slot(commit_transaction=[REQUIRES_ABORT])
    assert slot.commit() is Outcome.ABORTED


def test_the_start_goes_on_with_the_same_producer_while_the_broker_is_slow() -> None:
    slot = Slot(init_transactions=[None, TIMED_OUT, TIMED_OUT])
    assert slot.transactions.reopen(lambda: False)
    assert slot.calls.count("new producer") == 1


def test_the_start_ends_at_once_when_the_process_is_stopped() -> None:
    slot = Slot(init_transactions=[None, *[TIMED_OUT] * 1000])
    assert not slot.transactions.reopen(lambda: True)


def test_brokers_that_are_away_for_long_are_waited_for_in_words() -> None:
    """What is in doubt stays in doubt until they are back; the process's end would settle nothing."""
    # given an outage of an hour, in which the newest producer gets no answer
    slot = Slot(init_transactions=[None, *[TIMED_OUT] * 3])
    words = list[str]()

    def note_words() -> bool:
        slot.now += 1_200
        words.append(slot.transactions.why_delayed)
        return False

    # when
    assert slot.transactions.reopen(note_words)

    # then
    assert words == [f"no transaction can begin for {seconds} s" for seconds in (1200, 2400, 3600, 4800)]
    assert slot.transactions.why_delayed == ""
    assert slot.commit() is Outcome.COMMITTED


def test_the_start_says_what_it_waits_for() -> None:
    slot = Slot(init_transactions=[None, *[error(KafkaError.COORDINATOR_LOAD_IN_PROGRESS, retriable=True)] * 2])

    def pass_time() -> bool:
        slot.now += 3
        return False

    with structlog.testing.capture_logs() as logs:
        assert slot.transactions.reopen(pass_time)
    assert [(entry["event"], entry["reason"]) for entry in logs] == [
        ("transactions.delayed", "no transaction can begin for 3 s: told to")
    ]


def test_a_process_that_took_the_slot_in_an_outage_keeps_it() -> None:
    """It was not to be seen when the outage began."""
    slot = Slot(newer=TIMED_OUT, init_transactions=[None, error(KafkaError._TRANSPORT, retriable=True)])

    def come_up() -> bool:
        slot.newer = "10.0.0.7"
        return False

    with pytest.raises(Fenced, match=r"on 10\.0\.0\.7 runs as 'shop-0'"):
        slot.transactions.reopen(come_up)
    assert slot.calls.count("init_transactions") == 1


def test_the_start_is_made_again_with_another_producer_after_an_error_that_passes() -> None:
    slot = Slot(init_transactions=[None, error(KafkaError.COORDINATOR_LOAD_IN_PROGRESS, retriable=True)])
    assert slot.transactions.reopen(lambda: False)
    assert slot.calls.count("new producer") == 2
    assert slot.commit() is Outcome.COMMITTED


@pytest.mark.parametrize("code", [KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, KafkaError.INVALID_REQUEST])
def test_a_refusal_of_the_broker_ends_the_process(code: int) -> None:
    slot = Slot(init_transactions=[None, error(code)])
    with pytest.raises(FatalError, match="told to"):
        slot.transactions.reopen(lambda: False)
    assert slot.calls.count("init_transactions") == 1


def test_the_start_is_made_again_with_another_producer_after_one_that_got_no_answer_in_its_time() -> None:
    slot = Slot(timeout_s=0.0, init_transactions=[None, TIMED_OUT])
    assert slot.transactions.reopen(lambda: False)
    assert slot.calls.count("new producer") == 2


def test_a_refused_timestamp_is_told_as_a_clock_that_is_wrong() -> None:
    slot = Slot(flush=[error(KafkaError.INVALID_TIMESTAMP, txn_requires_abort=True)])
    assert slot.commit() is Outcome.ABORTED
    assert "this machine's clock and the broker's differ" in describe(slot.transactions.problem)
    assert not is_unacceptable(slot.transactions.problem), "no record is to blame"


@pytest.mark.parametrize(
    ("code", "is_waited_out"),
    [
        (KafkaError._MSG_TIMED_OUT, True),
        (KafkaError._TIMED_OUT, True),
        (KafkaError.NOT_ENOUGH_REPLICAS, True),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, False),
        (KafkaError._FENCED, False),
        (KafkaError.MSG_SIZE_TOO_LARGE, False),
    ],
)
def test_what_brokers_that_are_away_fail_is_told_apart(code: int, is_waited_out: bool) -> None:
    assert is_outage(KafkaError(code)) == is_waited_out
    assert not is_outage(None)


def test_a_service_goes_on_after_an_outage_in_which_nobody_answers_for_its_group() -> None:
    slot = Slot(newer=TIMED_OUT, flush=[TIMED_OUT])
    assert slot.commit() is Outcome.UNKNOWN
    assert slot.transactions.reopen(lambda: False)
    assert slot.commit() is Outcome.COMMITTED


@pytest.mark.parametrize("failure", [REQUIRES_ABORT, TOO_LARGE])
def test_who_stood_still_until_another_had_its_slot_ends_without_an_abort(failure: KafkaException) -> None:
    """The abort of a client that lost records fences the newer producer, if that has a transaction open."""
    slot = Slot(newer="10.0.0.7", flush=[failure])
    with pytest.raises(Fenced, match=r"on 10\.0\.0\.7 runs as 'shop-0'.* stood still for 12 s"):
        slot.commit(after_s=12)
    assert "abort_transaction" not in slot.calls


@pytest.mark.parametrize(("newer", "after_s"), [("", 12.0), (TIMED_OUT, 12.0), ("10.0.0.7", 5.0)])
def test_who_has_its_slot_still_aborts(newer: str | KafkaException, after_s: float) -> None:
    slot = Slot(newer=newer, flush=[REQUIRES_ABORT])
    assert slot.commit(after_s) is Outcome.ABORTED
    assert slot.calls[-1] == "abort_transaction"
    assert ("is there a newer one?" in slot.calls) == (after_s > 10)


def test_a_producer_whose_id_the_broker_has_forgotten_is_replaced() -> None:
    """An abort would leave the client with the same id, and the next transaction with the same answer."""
    slot = Slot(send_offsets_to_transaction=[error(KafkaError.INVALID_PRODUCER_ID_MAPPING, txn_requires_abort=True)])
    assert slot.commit() is Outcome.ABORTED
    assert not slot.transactions.is_open
    assert slot.transactions.reopen(lambda: False)
    assert slot.commit() is Outcome.COMMITTED


def test_who_lost_its_transaction_leaves_the_slot_to_the_newer_process() -> None:
    """A new producer would take it back; only brokers that answer nothing leave it open who is the newer one."""
    slot = Slot(newer="10.0.0.7", flush=[TIMED_OUT])
    assert slot.commit() is Outcome.UNKNOWN
    slot.calls.clear()
    with pytest.raises(Fenced, match=r"on 10\.0\.0\.7 runs as 'shop-0'"):
        slot.transactions.reopen(lambda: False)
    assert slot.calls == ["is there a newer one?"]


class Recorder(ScriptedProducer):
    """Keeps what is produced, and succeeds."""

    def __init__(self) -> None:
        super().__init__(defaultdict(list), [])
        self.produced: list[tuple[Any, ...]] = []

    def produce(self, *record: Any) -> None:
        self.produced.append(record)


class FullBuffer(Recorder):
    """Has room for one more record after each poll."""

    has_room = False

    def poll(self, _: float) -> int:
        self.has_room = True
        return 0

    def produce(self, *record: Any) -> None:
        if not self.has_room:
            raise BufferError
        self.has_room = False
        super().produce(*record)


def transactions_of(producer: Any, **more: Any) -> Transactions:
    return Transactions(
        config={"transactional.id": "shop-0", "transaction.timeout.ms": 10_000},
        timeout_s=0.2,
        rivals=Slot(),
        make_producer=lambda _: producer,
        on_state=lambda *_: None,
        stamp=lambda: 1_750_000_000_000,
        **more,
    )


@pytest.mark.parametrize("producer", [Recorder(), FullBuffer()], ids=["room for all", "room for one"])
def test_all_records_of_a_transaction_carry_the_brokers_time_and_the_first_of_the_state_is_reported(
    producer: Recorder,
) -> None:
    transactions = transactions_of(producer)
    transactions.open(lambda: False, LIMIT_S)
    changes = [("shop.changelog", 0, [(b"a", b"1"), (b"b", None)])]
    transactions.commit(Work([("shop.events", b"value", b"key", [], 0)], changes, OFFSETS, group=None))
    assert [record[6] for record in producer.produced] == [1_750_000_000_000] * 3
    assert [record[4] is not None for record in producer.produced] == [False, True, False]


def test_records_of_ledgers_and_of_state_that_is_copied_are_reported_each() -> None:
    # given
    producer, reports = Recorder(), {"ledger": object(), "copied": object()}
    transactions = transactions_of(
        producer,
        ledger_topics={"shop.ledger"},
        on_ledger=reports["ledger"],
        copied_topics={"shop.copied"},
        on_copied=reports["copied"],
    )
    transactions.open(lambda: False, LIMIT_S)

    # when
    outputs: list[Output] = [(f"shop.{name}", b"value", b"key", [], 0) for name in ("events", "ledger")]
    changes = [(f"shop.{name}", 0, [(b"a", b"1"), (b"b", b"2")]) for name in ("plain", "copied", "other")]
    transactions.commit(Work(outputs, changes, OFFSETS, group=None))

    # then
    names = {id(report): name for name, report in reports.items()}
    told = [(record[0].removeprefix("shop."), names.get(id(record[4]))) for record in producer.produced]
    assert told[:2] == [("events", None), ("ledger", "ledger")]
    assert told[4:] == [("copied", "copied"), ("copied", "copied"), ("other", None), ("other", None)]


class Losing(Recorder):
    """Reports each record of one topic as not delivered, and refuses to commit then, as the client does."""

    topic = ""

    def __init__(self) -> None:
        super().__init__()
        self.lost = 0

    def begin_transaction(self) -> None:
        self.lost = 0

    def produce(self, *record: Any) -> None:
        topic, report = record[0], record[4]
        self.lost += topic == self.topic
        if report is not None:
            problem = KafkaError(KafkaError._UNKNOWN_TOPIC) if topic == self.topic else None
            report(problem, SimpleNamespace(topic=lambda: topic))

    def commit_transaction(self, *_: Any) -> None:
        if self.lost:
            raise error(KafkaError._INCONSISTENT, txn_requires_abort=True)


@pytest.mark.parametrize("topic", ["shop.events", "shop.ledger", "shop.state", "shop.copied", "shop.other"])
def test_the_second_attempt_tells_which_record_is_not_delivered_and_why(topic: str) -> None:
    """The client only counts them: `12 message(s) failed delivery (see individual delivery reports)`."""
    # given
    producer, reports = Losing(), {"on_ledger": lambda *_: None, "on_copied": lambda *_: None}
    transactions = transactions_of(producer, ledger_topics={"shop.ledger"}, copied_topics={"shop.copied"}, **reports)
    transactions.open(lambda: False, LIMIT_S)
    outputs: list[Output] = [(f"shop.{name}", b"value", b"key", [], 0) for name in ("events", "ledger")]
    changes = [(f"shop.{name}", 0, [(b"a", b"1"), (b"b", b"2")]) for name in ("state", "copied", "other")]
    work = Work(outputs, changes, OFFSETS, group=None)

    # when the topic is gone, and is there again, and goes again
    producer.topic = topic
    ends = [transactions.commit(work), transactions.commit(work)]
    reason, producer.topic = describe(transactions.problem), ""
    ends += [transactions.commit(work)]

    # then
    assert ends == [Outcome.ABORTED, Outcome.ABORTED, Outcome.COMMITTED]
    assert reason.startswith(f"{topic}: Local: Unknown topic (`ensemble topics apply` creates a topic again")


def test_reports_of_all_records_are_asked_for_until_a_commit_alone() -> None:
    producer = Recorder()
    producer._script["commit_transaction"] = [REQUIRES_ABORT]
    transactions = transactions_of(producer)
    transactions.open(lambda: False, LIMIT_S)
    work = Work([("shop.events", b"value", b"key", [], 0)], [], OFFSETS, group=None)
    assert [transactions.commit(work) for _ in range(3)] == [Outcome.ABORTED, Outcome.COMMITTED, Outcome.COMMITTED]
    assert [record[4] is not None for record in producer.produced] == [False, True, False]


class Silent(Recorder):
    """Never hears from a broker."""

    def init_transactions(self, _: float) -> None:
        raise TIMED_OUT


def test_brokers_that_stay_silent_are_told_in_words() -> None:
    """It said `Timed out waiting for operation to finish, retry call to resume`, after a broker that stood still."""
    with pytest.raises(FatalError, match=r"as 'shop-0': the brokers have not answered for 0\.1 s\. What was not com"):
        transactions_of(Silent()).open(lambda: False, 0.1)


class Listener(ScriptedProducer):
    """Keeps all that it is asked, and with what."""

    def __init__(self, **script: list[Exception | None]) -> None:
        super().__init__(defaultdict(list, script), [])
        self.asked: list[tuple[Any, ...]] = []

    def __getattr__(self, method: str) -> Callable[..., int]:
        answer = super().__getattr__(method)

        def call(*given: Any, **named: Any) -> int:
            self.asked.append((method, *given, *([named] if named else [])))
            return answer()

        return call


def test_the_client_is_asked_for_the_whole_transaction_and_within_its_time() -> None:
    # given
    listener, points, stamp = Listener(), list[str](), 1_750_000_000_000
    transactions = transactions_of(listener, reached=points.append)
    transactions.open(lambda: False, LIMIT_S)
    [(init, init_s)] = listener.asked
    assert (init, 0 < init_s <= 0.2) == ("init_transactions", True)
    listener.asked.clear()

    # when
    outputs: list[Output] = [("shop.events", b"value", b"key", [("ce_id", b"1")], 1)]
    work = Work(outputs, [("shop.state", 2, [(b"a", b"1"), (b"b", None)])], OFFSETS, group="generation 1")
    assert transactions.commit(work) is Outcome.COMMITTED
    assert transactions.commit(Work([], [], [], group=None)) is Outcome.COMMITTED
    transactions.close()

    # then
    (report,) = (each[5] for each in listener.asked if each[0] == "produce" and each[5] is not None)
    assert listener.asked == [
        ("begin_transaction",),
        ("produce", "shop.events", b"value", b"key", 1, None, None, stamp, [("ce_id", b"1")]),
        ("produce", "shop.state", b"1", b"a", 2, report, None, stamp),
        ("produce", "shop.state", None, b"b", 2, None, None, stamp),
        ("flush", 0.2),
        ("send_offsets_to_transaction", OFFSETS, "generation 1", 0.2),
        ("commit_transaction", 0.2),
        ("begin_transaction",),
        ("flush", 0.2),
        ("commit_transaction", 0.2),
        ("purge", {"in_flight": False, "blocking": False}),
    ]
    steps = ["after-produce", "after-flush", "after-offsets", "after-commit"]
    assert points == steps * 2


def test_a_transaction_is_aborted_within_its_time() -> None:
    listener = Listener(flush=[REQUIRES_ABORT])
    transactions = transactions_of(listener)
    transactions.open(lambda: False, LIMIT_S)
    assert transactions.commit(Work([], [], OFFSETS, group=None)) is Outcome.ABORTED
    assert listener.asked[-1] == ("abort_transaction", 0.2)
    assert transactions.is_open


def test_no_transaction_begins_before_there_is_a_producer() -> None:
    with pytest.raises(FatalError, match=r"^no producer: call open\(\) first$"):
        transactions_of(Listener()).commit(Work([], [], [], group=None))
