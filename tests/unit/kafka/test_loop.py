"""What a loop makes of the broker's answers: every input takes effect once, and the next process goes on from there."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Self

import pytest
from confluent_kafka import KafkaError
from structlog.testing import capture_logs

from ensemble import RetryableError
from ensemble.clock import ManualClock
from ensemble.engine.compiled import compile_service
from ensemble.errors import FatalError, LostState, SchemasUnavailable
from ensemble.interceptors import InterceptedCommit, InterceptedInput, Interceptor, NotCommitted
from ensemble.kafka.worker.loop import Loop, _give_up
from ensemble.kafka.worker.pace import Pace
from ensemble.kafka.worker.progress import BatchProgress, Culprit, FailedBatch
from ensemble.messages import Message
from ensemble.messages.codec import decoders_for, encoder_for
from ensemble.messages.schema_set import DirectorySourceSelector, SchemaSourceSelector, SchemaVersion
from ensemble.observability.logs import add_record
from ensemble.observability.metrics import LoopMetrics
from ensemble.partitioning import partition_of
from ensemble.settings import RuntimeSettings
from ensemble.system_messages.operations import Operation, PauseWork, ResumeWork
from ensemble.testing.operations import control_outputs
from tests.support.assigned_consumer import Polled
from tests.support.call_counts import counts_of
from tests.support.memory_broker import MemoryBroker
from tests.support.scripted_service.controlled_service import Controls, controlled_service, later, limits, quick, slow
from tests.support.scripted_service.messages import Told
from tests.support.steady_clock import SteadyClock

KEYS = ("a", "d")
"""Of two partitions."""
ABORTED = {"txn_requires_abort": True}
TURN_CALLS = 130
"""Of Python's functions and of C's, with two partitions of three inputs."""
BATCH_CALLS = 615
"""The same, of a turn with one message, its transaction included."""


class Shop:
    """A service in a loop over a broker in memory; each `run` is a process of its own."""

    def __init__(
        self,
        *interceptors: Interceptor,
        pace: Pace | None = None,
        sources: SchemaSourceSelector | None = None,
        batch_bytes: int = 1_000_000,
        batch_records: int = 500,
    ) -> None:
        self.world, self.clock, self.pace = Controls(), ManualClock(), pace
        self.batch_bytes, self.batch_records = batch_bytes, batch_records
        service = controlled_service(self.world)
        self.plan = compile_service(service, self.clock, limits(), interceptors=interceptors, sources=sources)
        self.broker = MemoryBroker(self.plan.inputs)
        self.sent = 0
        self.loop = self._loop()

    def send(self, *messages: Message) -> None:
        for message in messages:
            topic = self.plan.service.catalogue.homes(type(message))[0].name
            key = str(getattr(message, "account_id", "")).encode()
            headers = [("ce_id", b"%d" % self.sent)]
            self.broker.append((topic, partition_of(key, 2)), key, encoder_for(type(message))(message), headers)
            self.sent += 1

    def run(self, on_poll: Callable[[], None] = lambda: None) -> Loop:
        """Run a process until nothing comes any more."""
        self.loop = self._loop() if self.loop.draining else self.loop
        self.broker.on_idle, self.broker.on_poll = self.loop.stop, on_poll
        self.loop.run()
        return self.loop

    def _loop(self) -> Loop:
        settings = RuntimeSettings(poll_s=0.01, commit_timeout_s=1, call_wait_s=0.01, batch_records=self.batch_records)
        return Loop(
            plan=self.plan,
            settings=settings,
            clients=self.broker.clients,
            metrics=LoopMetrics("shop"),
            pace=self.pace,
            batch_bytes=self.batch_bytes,
        )

    @property
    def told(self) -> list[str]:
        reader = decoders_for(Told)
        values = [record.value() or b"" for record in self.broker.records("shop.events")]
        return [reader[value[:5]](value).text for value in values if value[:5] in reader]

    def committed(self, key: str, topic: str = "shop.commands") -> int:
        """Return the offset up to which the group has handled this key's partition of a topic."""
        place = self.broker.offsets.get((topic, partition_of(key.encode(), 2)))
        return place.offset if place else 0

    def metric(self, name: str) -> float | None:
        return self.loop.metrics.registry.get_sample_value(f"ensemble_{name}", {"service": "shop"})


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_an_input_its_outputs_and_its_offset_are_committed_as_one(shop: Shop) -> None:
    shop.send(quick("a", "a1"))
    shop.run()
    assert shop.told == ["a1"]
    assert shop.committed("a") == 1
    assert ["shop.events", "shop.account-changelog", "shop.seen-changelog"] in [
        sorted(batch, key=lambda topic: ("events" not in topic, topic)) for batch in shop.broker.committed_batches
    ]
    assert shop.broker.member.is_closed
    assert shop.metric("outputs_total") == 1


class Broken(Polled):
    """A record whose headers end the process at the second look."""

    def headers(self) -> Any:
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no text")


@pytest.mark.parametrize("batch_records", [1, 500], ids=["alone", "beside others"])
def test_a_record_whose_headers_cannot_be_read_is_handled_without_them(batch_records: int) -> None:
    shop = Shop(batch_records=batch_records)
    message, place = quick("a", "a1"), ("shop.commands", partition_of(b"a", 2))
    shop.broker.logs[place].append(Broken((*place, 0), (b"a", encoder_for(type(message))(message))))
    shop.run()
    assert (shop.told, shop.committed("a")) == (["a1"], 1)


def test_records_that_wait_share_a_transaction_and_those_of_a_key_a_record_of_its_state(shop: Shop) -> None:
    """A transaction costs the broker about the same however much it holds: that is what makes load cheap."""
    shop.send(*(quick(f"key-{number % 50}", f"text-{number}") for number in range(1_000)))
    shop.run()
    topics = Counter(topic for batch in shop.broker.committed_batches for topic in batch)
    assert len(shop.broker.committed_batches) <= 4
    assert topics["shop.events"] == topics["shop.seen-changelog"] == 1_000
    assert topics["shop.account-changelog"] <= 100
    assert topics.total() <= 2_102


def test_a_turn_in_which_nothing_comes_costs_little(shop: Shop) -> None:
    """Under little load most turns only learn that a partition has been read to its end."""
    # given a process that has started and handled something
    shop.send(quick("a", "a1"), quick("b", "b1"))
    costs = list[int]()

    # when
    def take_turns() -> None:
        shop.broker.on_idle = shop.loop.stop
        costs.extend(count["calls"] for count in counts_of(shop.loop._turn, times=10))

    shop.broker.on_idle = take_turns
    shop.loop.run()

    # then
    assert min(costs) <= 1.03 * TURN_CALLS, "once a second a turn takes samples, and costs more"


def test_a_batch_of_one_message_costs_little(shop: Shop) -> None:
    """Under little load each message has a batch of its own, and what a batch costs is what an order costs."""
    # given a process that has started and handled something
    shop.send(quick("a", "a1"), quick("b", "b1"))
    costs = list[int]()

    # when
    def take_turns() -> None:
        shop.broker.on_idle = shop.loop.stop
        counts = counts_of(shop.loop._turn, times=6)  # collects garbage once: when that took a second, samples were due
        for number in range(6):
            shop.send(quick("a", f"a{number + 2}"))
            costs.append(next(counts)["calls"])
        counts.close()

    shop.broker.on_idle = take_turns
    shop.loop.run()

    # then
    assert len(shop.told) == 8
    assert min(costs) <= 1.03 * BATCH_CALLS


def test_under_load_a_thousand_messages_take_half_as_many_transactions() -> None:
    """One every 2 ms, where a transaction takes 8: a service that begins the next one at once pays for each few."""
    at_once, paced = Load(every_ms=2, may_wait=False).run(), Load(every_ms=2).run()
    assert 200 <= at_once.transactions <= 300
    assert paced.transactions <= 0.6 * at_once.transactions


def test_under_little_load_nothing_waits_for_other_messages() -> None:
    load = Load(every_ms=20).run()
    assert load.waits == 0
    assert load.transactions >= 1_000


class Load:
    """A thousand messages that come at a steady rate, on a clock that polls, transactions and waits move."""

    def __init__(self, every_ms: int, *, may_wait: bool = True) -> None:
        self.every_ms, self.may_wait = every_ms, may_wait
        self.clock, self.waits = SteadyClock(0.0), 0
        self.shop = Shop(SlowCommits(self.clock, 0.008), pace=Pace(self.clock, self._wait))

    def run(self) -> Self:
        self.shop.run(self._poll)
        assert len(self.shop.told) == 1_000
        return self

    @property
    def transactions(self) -> int:
        return len(self.shop.broker.committed_batches)

    def _poll(self) -> None:
        self.clock.now += 0.001 * min(4, self.every_ms / 2)
        while self.shop.sent < min(1_000, 1_000 * self.clock.now / self.every_ms):
            self.shop.send(quick(f"key-{self.shop.sent % 50}", f"text-{self.shop.sent}"))

    def _wait(self, seconds: float) -> None:
        self.waits += 1
        self.clock.now += seconds if self.may_wait else 0.0


class SlowCommits(Interceptor):
    """Commits that take their time."""

    def __init__(self, clock: SteadyClock, seconds: float) -> None:
        self._clock, self._seconds = clock, seconds

    @contextmanager
    def intercept_commit(self, commit: InterceptedCommit) -> Iterator[None]:
        yield
        self._clock.now += self._seconds


def test_the_next_process_goes_on_with_the_state_and_the_offsets(shop: Shop) -> None:
    shop.send(quick("a", "a1"), quick("b", "b1"))
    shop.run()
    shop.send(quick("a", "a2"))
    shop.run()
    assert sorted(shop.told) == ["a1", "a2", "b1"]
    assert shop.world.calls.count("a1") == 1


@pytest.mark.parametrize("step", ["flush", "offsets", "commit before"])
def test_what_was_aborted_is_done_again(shop: Shop, step: str) -> None:
    shop.send(quick("a", "a1"), quick("a", "a2"))
    shop.broker.fail(step, KafkaError._INCONSISTENT, **ABORTED)
    shop.run(fail_once_running(shop))
    assert shop.told == ["a1", "a2"]
    assert shop.metric("transaction_aborts_total") == 1
    assert "abort" in shop.broker.calls


@pytest.mark.parametrize("step", ["flush", "offsets", "commit before"])
def test_the_first_transaction_that_takes_effect_has_the_offsets_of_all_inputs(shop: Shop, step: str) -> None:
    """The next process would miss those that the aborted one had alone, the control topic's with the topics' ids."""
    shop.send(quick("a", "a1"))
    shop.broker.fail(step, KafkaError._INCONSISTENT, **ABORTED)
    shop.run()
    assert shop.told == ["a1"]
    assert set(shop.broker.offsets) == {(topic, partition_of(b"a", 2)) for topic in shop.plan.inputs}


def test_an_interceptor_meets_the_transaction_that_was_aborted_and_the_one_that_committed() -> None:
    class Outcomes(Interceptor):
        @contextmanager
        def intercept_commit(self, commit: InterceptedCommit) -> Iterator[None]:
            try:
                yield
            except NotCommitted:
                outcomes.append(("aborted", sum(commit.offsets.values())))
                raise
            outcomes.append(("committed", sum(commit.offsets.values())))

    outcomes: list[tuple[str, int]] = []
    shop = Shop(Outcomes())
    shop.send(quick("a", "a1"), quick("a", "a2"))
    shop.broker.fail("commit before", KafkaError._INCONSISTENT, **ABORTED)
    shop.run(fail_once_running(shop))
    assert (shop.told, outcomes) == (["a1", "a2"], [("aborted", 2), ("committed", 2)])


def fail_once_running(shop: Shop) -> Callable[[], None]:
    """Spare the transaction that proves the slot."""
    failures, shop.broker.failures = shop.broker.failures, []

    def arm() -> None:
        if shop.loop.is_ready and failures:
            shop.broker.failures = [*failures]
            failures.clear()

    return arm


def test_a_record_that_was_alone_once_is_not_blamed_for_what_fails_later(shop: Shop) -> None:
    """Whoever is blamed is waited for at its offset: one that is done already would be waited for without end."""
    turns: list[Callable[[], None]] = [
        lambda: fail_as_too_large(shop, 5, "a1"),  # so often that it is alone at last
        lambda: fail_as_too_large(shop, 1, "a2", "a3"),
    ]

    def act() -> None:
        turns_left.append(None)
        if len(turns_left) > 2_000:
            shop.loop.stop()
        if shop.loop.is_ready and turns and len(shop.told) == shop.sent:
            turns.pop(0)()

    turns_left: list[None] = []
    shop.run(act)
    assert shop.told == ["a1", "a2", "a3"]


def test_what_is_beside_a_record_that_is_to_blame_waits_for_its_turn_and_none_is_lost(shop: Shop) -> None:
    # given a record that was to blame for a batch, and others behind it and beside it
    shop.send(quick("a", "a1"), quick("a", "a2"), quick("d", "d1"))
    place = "shop.commands", partition_of(b"a", 2)
    shop.loop._progress.fail(FailedBatch({place: 0}, "too slow", Culprit(place, 0, "too slow")))

    # when
    shop.run()

    # then it came first and alone, and each of the others once
    assert shop.told[0] == "a1"
    assert sorted(shop.told) == ["a1", "a2", "d1"]
    assert (shop.committed("a"), shop.committed("d")) == (2, 1)


def fail_as_too_large(shop: Shop, times: int, *labels: str) -> None:
    shop.send(*(quick("a", label) for label in labels))
    for _ in range(times):
        shop.broker.fail("flush", KafkaError.MSG_SIZE_TOO_LARGE, **ABORTED)


@pytest.mark.parametrize(("step", "attempts"), [("commit before", 2), ("commit after", 1)])
def test_a_commit_of_unknown_end_is_settled_by_the_offsets(shop: Shop, step: str, attempts: int) -> None:
    shop.send(quick("a", "a1"))
    shop.broker.fail(step, KafkaError._TIMED_OUT)
    shop.run(fail_once_running(shop))
    assert shop.told == ["a1"]
    assert shop.world.calls.count("a1") == attempts
    assert shop.broker.calls.count("init") == 2


@pytest.mark.parametrize(("step", "attempts"), [("commit before", 2), ("commit after", 1)])
def test_a_commit_whose_offsets_nobody_tells_yet_is_settled_by_a_restore(shop: Shop, step: str, attempts: int) -> None:
    """Brokers that come back may have a coordinator for transactions before they have one for the group."""
    shop.send(quick("a", "a1"))
    shop.broker.fail(step, KafkaError._TIMED_OUT)
    shop.broker.fail("committed", KafkaError.COORDINATOR_NOT_AVAILABLE)
    shop.run(fail_once_running(shop))
    assert (shop.told, shop.world.calls.count("a1"), shop.broker.failures) == (["a1"], attempts, [])


def test_whoever_waits_for_a_producer_is_not_ready_and_says_so(shop: Shop) -> None:
    # given a commit of unknown end
    reasons = list[str]()
    shop.send(quick("a", "a1"))
    shop.broker.fail("commit before", KafkaError._TIMED_OUT)
    shop.broker.on_init = lambda: reasons.append(shop.loop.why_not_ready)

    # when
    shop.run(fail_once_running(shop))

    # then
    assert reasons[0] == "no partitions assigned yet: taking the slot"
    assert [re.sub(r"\d+", "N", reason) for reason in reasons[1:]] == ["no transaction can begin for N s"]


def test_a_commit_of_which_no_broker_tells_whether_it_was_made_is_restored(shop: Shop) -> None:
    shop.send(quick("a", "a1"))
    shop.broker.fail("commit after", KafkaError._TIMED_OUT)
    shop.broker.fail("committed", KafkaError._TRANSPORT)
    failures, shop.broker.failures = shop.broker.failures, []

    def arm() -> None:
        if shop.loop.is_ready and failures:
            shop.broker.failures = [failures.pop(0), failures.pop(0)]

    with capture_logs() as logs:
        shop.run(arm)
    assert [line["reason"] for line in logs if line["event"] == "commit.in_doubt"] == ["told to"]
    assert (shop.told, shop.world.calls.count("a1"), shop.committed("a")) == (["a1"], 1, 1)


def test_who_is_stopped_while_a_commit_is_settled_leaves_it_to_the_next_process(shop: Shop) -> None:
    # given
    shop.send(quick("a", "a1"))
    shop.broker.fail("commit before", KafkaError._TIMED_OUT)
    shop.broker.fail("init", KafkaError._TIMED_OUT)
    failures, shop.broker.failures, activities = shop.broker.failures, [], list[tuple[str, float]]()

    def arm() -> None:
        if shop.loop.is_ready and failures:
            shop.broker.failures = [failures.pop(0), failures.pop(0)]

    def stop_when_settling() -> None:
        activity = shop.loop.heartbeat.activity
        activities.append((activity.name, activity.limit_s))
        if activity.name == "settling an unclear commit":
            shop.loop.stop()

    # when
    shop.broker.on_init = stop_when_settling
    shop.run(arm)

    # then
    settings = RuntimeSettings()
    assert activities == [
        ("taking the slot", settings.startup_timeout_s),
        ("settling an unclear commit", settings.restore_timeout_s),
    ]
    assert (shop.told, shop.committed("a")) == ([], 0)
    shop.run()
    assert (shop.told, shop.committed("a")) == (["a1"], 1)


def test_a_partition_whose_offsets_are_hidden_at_first_is_worked_on_once_they_are_not(shop: Shop) -> None:
    key = next(key for key in KEYS if partition_of(key.encode(), 2) == 0)
    reasons = list[str]()
    shop.send(quick(key, "first"))
    shop.broker.fail("committed", KafkaError.UNSTABLE_OFFSET_COMMIT)
    shop.run(lambda: reasons.append(shop.loop.why_not_ready))
    assert any(reason.startswith("partitions 1 wait for the group's offsets for ") for reason in reasons), "0 was first"
    assert (shop.told, shop.committed(key)) == (["first"], 1)


def test_a_deadline_fires_once_its_inputs_are_read(shop: Shop) -> None:
    shop.send(later("a", "late", 60))
    shop.run()
    assert shop.told == []
    shop.clock.advance(61)
    shop.run()
    assert shop.told == ["late"]


def test_a_record_that_failed_waits_parked_and_is_tried_again_when_due(shop: Shop) -> None:
    shop.world.errors["a1"] = RetryableError("not now")
    shop.send(quick("a", "a1"), quick("b", "b1"))
    shop.run()
    assert shop.told == ["b1"]
    assert shop.broker.records("shop.parked-changelog")
    del shop.world.errors["a1"]
    shop.clock.advance(2)
    shop.run()
    assert sorted(shop.told) == ["a1", "b1"]


def test_a_slow_call_is_waited_for_between_batches(shop: Shop) -> None:
    # given a call that does not come back within its batch
    shop.world.hang("a1")
    shop.send(slow("a", "a1"), quick("b", "b1"))

    def let_go() -> None:
        if "b1" in shop.told and "a1" in shop.world.hanging:
            shop.world.let_go("a1")

    # when it comes back later
    shop.run(let_go)

    # then it takes effect, and nobody waited for it
    assert sorted(shop.told) == ["a1", "b1"]


def test_a_batch_that_is_full_leaves_its_other_records_to_the_next_ones() -> None:
    shop = Shop(batch_bytes=1)
    shop.send(*(quick("a", f"a{number}") for number in range(5)))
    shop.run()
    assert shop.told == [f"a{number}" for number in range(5)]
    assert [batch.count("shop.events") for batch in shop.broker.committed_batches if "shop.events" in batch] == [1] * 5


def test_an_operator_hears_of_a_clock_that_is_behind_the_records(shop: Shop) -> None:
    notes = list[str]()
    shop.send(quick("a", "a1"))
    shop.clock.advance(-5)
    shop.run(lambda: notes.append(shop.loop.note))
    assert list(dict.fromkeys(notes)) == [
        "",
        "this machine's clock is at least 5.0 s behind that of a sender to shop.commands, or that one is ahead",
    ]


def test_a_process_says_which_partitions_it_works_on(shop: Shop) -> None:
    partitions = list[list[int]]()
    shop.run(lambda: partitions.append(shop.loop.partitions))
    assert [each for number, each in enumerate(partitions) if each not in partitions[:number]] == [[], [0, 1]]


def test_a_wait_for_the_slot_is_no_standstill(shop: Shop) -> None:
    """However often it is asked for in vain: the process hears a stop, and its watchdog does not end it."""
    beats = list[float]()
    for _ in range(3):
        shop.broker.fail("init", KafkaError._TIMED_OUT)
    shop.broker.on_init = lambda: beats.append(shop.loop.heartbeat.beat_at)
    shop.run()
    assert len(set(beats)) == 4


def test_a_record_that_no_batch_ends_with_is_told_with_its_place_and_the_reason() -> None:
    given_up = list[tuple[str, str]]()
    task: Any = SimpleNamespace(give_up=lambda record, error: given_up.append((record.topic(), str(error))))
    record: Any = Polled(("shop.topic", 1, 6))
    with capture_logs() as logs:
        _give_up(task, record, reason="it is too large")
    reason = "no batch with this record comes to its end, not with it alone: it is too large"
    assert given_up == [("shop.topic", reason)]
    assert logs == [
        {
            "event": "record.stuck",
            "log_level": "error",
            "topic": "shop.topic",
            "partition": 1,
            "offset": 6,
            "reason": "it is too large",
        }
    ]


def test_ready_is_who_has_its_partitions_and_their_state(shop: Shop) -> None:
    reasons: list[str] = []
    shop.send(quick("a", "a1"))
    assert shop.loop.why_not_ready == "no partitions assigned yet"
    shop.run()
    shop.run(lambda: reasons.append(shop.loop.why_not_ready))
    assert list(dict.fromkeys(reasons)) == ["no partitions assigned yet", "restoring state", ""]
    assert (shop.loop.why_not_ready, shop.loop.is_ready) == ("draining", False)


def test_a_process_without_a_turn_in_the_group_says_what_it_waits_for(shop: Shop) -> None:
    with shop.loop.heartbeat.during("taking the slot", 30):
        assert shop.loop.why_not_ready == "no partitions assigned yet: taking the slot"
    shop.run()


def test_a_fatal_error_ends_the_process_and_commits_nothing_of_the_batch(shop: Shop) -> None:
    shop.world.errors["a2"] = FatalError("told to")
    shop.send(quick("a", "a1"), quick("a", "a2"))
    with pytest.raises(FatalError, match="told to"):
        shop.run()
    assert (shop.told, shop.broker.member.is_closed, shop.loop.draining) == ([], True, True)
    assert shop.committed("a") == 0


def test_a_paused_service_leaves_what_comes_unread_and_goes_on_when_it_is_resumed(shop: Shop) -> None:
    # given
    who: dict[str, Any] = {"requested_by": "ann", "reason": "release 7", "at": 1, "scope": "service", "name": "shop"}

    place, left = ("shop.news", partition_of(b"a", 2)), list[Any]()

    def resume_once_stopped() -> None:
        if shop.loop.is_ready and place in shop.broker.member.paused and not left:
            left.append((list(shop.told), shop.committed("a", "shop.news")))
            operate(shop, ResumeWork(operation_id="op-2", **who))

    # when it is paused, and resumed after it has met what lies behind the pause
    operate(shop, PauseWork(operation_id="op-1", **who))
    shop.send(later("a", "ding", 0))
    with capture_logs() as logs:
        shop.run(resume_once_stopped)

    # then
    assert left == [([], 0)]
    told = [(line["event"], line["partition"]) for line in logs if line["event"].startswith("partition.")]
    assert sorted(told) == [("partition.resumed", place[1]), ("partition.stopped", place[1])]
    assert (shop.told, shop.committed("a", "shop.news")) == (["ding"], 1)


def operate(shop: Shop, operation: Operation) -> None:
    for topic, value, key, _, partition in control_outputs(shop.plan.service, operation):
        shop.broker.append((topic, partition), key, value)


def test_whoever_asks_what_it_does_hears_which_record_is_in_hand() -> None:
    class Asking(Interceptor):
        @contextmanager
        def intercept_handling(self, record: InterceptedInput) -> Iterator[None]:
            heard.append(shop.loop.heartbeat.describe_in_hand())
            yield

    heard: list[str] = []
    shop = Shop(Asking())
    shop.send(quick("a", "a1"))
    shop.run()
    assert len(heard) == 1
    assert f"handling a batch (shop.commands[{partition_of(b'a', 2)}] offset 0)" in heard[0]


def test_state_without_offsets_is_lost_state(shop: Shop) -> None:
    shop.send(quick("a", "a1"))
    shop.run()
    shop.broker.offsets.clear()
    with pytest.raises(LostState, match=r"ensemble consumers set-offsets shop --topic shop\.commands --to st") as lost:
        shop.run()
    last_write = "shop last wrote its state at 2025-06-15T15:06:40.000Z (shop.account-changelog[0])."
    assert str(lost.value).endswith(f". {last_write}")


@pytest.mark.parametrize("callback", ["on_revoke", "on_lost"])
def test_partitions_that_went_are_worked_on_no_more(shop: Shop, callback: str) -> None:
    shop.send(quick("a", "a1"))

    def take_away() -> None:
        if shop.told and shop.broker.member.positions:
            shop.broker.member.rebalance(callback)
            shop.send(quick("a", "a2"))

    shop.run(take_away)
    assert shop.told == ["a1"]
    assert shop.broker.member.positions == {}


@dataclass(frozen=True)
class RegistryThatIsAway(DirectorySourceSelector):
    """Answers from the third question on: nobody knows the id."""

    refusals: list[str] = field(default_factory=lambda: ["the registry is away"] * 2)

    def find(self, schema_id: int) -> SchemaVersion | None:
        if self.refusals:
            raise SchemasUnavailable(self.refusals.pop())
        return super().find(schema_id)


def test_a_record_whose_schema_cannot_be_had_waits_with_its_partition_alone() -> None:
    # given a record under an id that came up lately, others behind it, and others elsewhere
    shop = Shop(sources=RegistryThatIsAway())
    behind, elsewhere = KEYS
    unknown, place = b"\0" + (99).to_bytes(4) + b"?", ("shop.commands", partition_of(behind.encode(), 2))
    shop.broker.append(place, behind.encode(), unknown, [("ce_id", b"new")])
    shop.send(quick(behind, "a1"), quick(elsewhere, "d1"))

    # when the registry is away at first
    with capture_logs() as logs:
        shop.run()

    # then it says so once, what lies elsewhere goes first, and all are handled in the end
    deferred = [line for line in logs if line["event"] == "record.deferred"]
    assert [(line["topic"], line["partition"], line["offset"], line["reason"]) for line in deferred] == [
        (*place, 0, "the registry is away")
    ]
    assert shop.broker.committed_batches[0] != shop.broker.committed_batches[-1]
    assert shop.told == ["d1", "a1"]
    assert shop.committed(behind) == 2


def test_the_line_of_a_record_that_waits_says_nothing_of_the_one_before_it() -> None:
    shop = Shop(sources=RegistryThatIsAway())
    place = ("shop.commands", partition_of(b"a", 2))
    shop.send(quick("a", "a1"))
    shop.broker.append(place, b"a", b"\0" + (99).to_bytes(4) + b"?", [("ce_id", b"new")])
    with capture_logs(processors=[add_record]) as logs:
        shop.run()
    deferred = [line for line in logs if line["event"] == "record.deferred"]
    assert [(line["topic"], line["offset"], line.get("key")) for line in deferred] == [("shop.commands", 1, None)]


@pytest.mark.parametrize(
    ("report", "reached"), [("_on_state", "changelog"), ("_on_copied", "changelog"), ("_on_ledger", "ledger")]
)
def test_what_the_broker_has_taken_is_noted_for_the_task_that_runs(shop: Shop, report: str, reached: str) -> None:
    """White box: only a copy on disk, or a snapshot, shows it otherwise."""
    task, taken, error = NotingTask(), Polled(("shop.topic", 1, 6)), KafkaError(KafkaError._MSG_TIMED_OUT)
    shop.loop._assignment.running[1] = task  # type: ignore[assignment]  # all that is asked of a task
    for problem, record in [(None, taken), (error, taken), (None, Polled(("shop.topic", 0, 9)))]:
        getattr(shop.loop, report)(problem, record)
    assert task.noted == [(reached, "shop.topic", 7)]
    shop.loop._assignment.running.clear()
    shop.run()  # a loop closes what it has opened when it ends


class NotingTask:
    """Notes how far topics go."""

    def __init__(self) -> None:
        self.noted: list[tuple[str, str, int]] = []

    def changelog_reached(self, topic: str, offset: int) -> None:
        self.noted.append(("changelog", topic, offset))

    def ledger_reached(self, topic: str, offset: int) -> None:
        self.noted.append(("ledger", topic, offset))


LIMIT_S = 120.0
TOO_SLOW = (
    "its handlers took 121 s, and after 120 s (ENSEMBLE_MAX_POLL_INTERVAL_S) the group gives the partition to others"
)


@pytest.mark.parametrize(
    ("slowest_s", "problem", "is_alone", "culprit"),
    [
        (LIMIT_S, None, False, None),
        (LIMIT_S + 1, None, False, Culprit(("shop.slow", 1), 6, TOO_SLOW)),
        (0.0, KafkaError.MSG_SIZE_TOO_LARGE, True, Culprit(("shop.alone", 0), 7, "why it failed")),
        (0.0, KafkaError.MSG_SIZE_TOO_LARGE, False, None),
        (0.0, KafkaError._TIMED_OUT, True, None),
        (0.0, None, True, None),
    ],
)
def test_a_record_is_to_blame_that_took_too_long_or_was_refused_alone(  # noqa: PLR0917  each matters
    shop: Shop, slowest_s: float, problem: int | None, is_alone: bool, culprit: Culprit | None
) -> None:
    """White box: a handler that takes longer than the group waits is nothing for a quick test."""
    loop: Any = shop.loop
    assert loop._settings.max_poll_interval_s == LIMIT_S
    loop._cycle.slowest, loop._cycle.slowest_s = Polled(("shop.slow", 1, 6)), slowest_s
    loop._alone = Polled(("shop.alone", 0, 7)) if is_alone else None
    loop._transactions.problem = None if problem is None else KafkaError(problem)
    loop._last_failure = "why it failed"
    assert loop._culprit() == culprit
    shop.run()  # a loop closes what it has opened when it ends


@pytest.mark.parametrize(("problem", "is_outage"), [(KafkaError._MSG_TIMED_OUT, True), (KafkaError._FENCED, False)])
def test_a_batch_that_brokers_failed_is_counted_as_theirs(shop: Shop, problem: int, is_outage: bool) -> None:
    """White box: what is counted shows after minutes."""
    loop: Any = shop.loop
    loop._transactions.problem, loop._progress = KafkaError(problem, "said"), NotingProgress()
    starts = {("shop.commands", 0): 7}
    loop._note_failure(starts, lambda: None)
    [failed] = loop._progress.failed
    assert (failed.starts, failed.culprit, failed.is_outage) == (starts, None, is_outage)
    assert failed.reason.startswith("said")
    loop._progress = BatchProgress(1)
    shop.run()  # a loop closes what it has opened when it ends


class NotingProgress:
    """Notes the batches that failed."""

    def __init__(self) -> None:
        self.failed: list[FailedBatch] = []

    def fail(self, batch: FailedBatch) -> None:
        self.failed.append(batch)

    def worst_count(self) -> int:
        return 1
