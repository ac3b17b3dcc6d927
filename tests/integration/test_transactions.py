"""One commit holds a batch's outputs, state and offsets, or none of them."""

import json
import time
from collections import Counter
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # unmarked re-exports
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from ensemble.kafka import client_config
from ensemble.kafka.worker.fencing import Rivals
from ensemble.kafka.worker.transaction import Outcome, Transactions, Work
from ensemble.settings import RuntimeSettings
from ensemble.state.unit_of_work import Output
from ensemble.testing.clusters import Cluster
from ensemble.testing.on_kafka import ServiceThread, paused, wait_for
from tests.integration.conftest import Shop
from tests.support.scripted_service.drivers import script
from tests.support.scripted_service.messages import Announced

ADD = "add 1; jot x"
"""Steps of an event: on its topic no window of ids would drop a second run."""


def limit_record_size(admin: AdminClient, topic: str, size: int) -> None:
    entry = ConfigEntry("max.message.bytes", str(size), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(30)


def count(thread: ServiceThread, shop: Shop, metric: str) -> float:
    return thread.loop.metrics.registry.get_sample_value(metric, {"service": shop.name}) or 0.0


def test_an_aborted_batch_leaves_nothing_behind_and_is_done_again(shop: Shop) -> None:
    """Rule 7: after an abort the batch is dropped and read again from the committed offsets."""
    limit_record_size(shop.outsider.admin, shop.outsider.topic("events"), 1000)
    with shop.thread() as thread:
        shop.outsider.send(Announced(account_id="a", text="add 1; forward once; tell " + "x" * 2000))
        wait_for(lambda: count(thread, shop, "ensemble_transaction_aborts_total"), "an abort")
        assert shop.outsider.texts_of("a") == []
        assert shop.outsider.records("outbox") == []
        assert shop.outsider.records("account-changelog") == []

        limit_record_size(shop.outsider.admin, shop.outsider.topic("events"), 1_000_000)
        shop.outsider.until_done()

        shop.outsider.await_texts("a", "1", "x" * 2000)
        assert len(shop.outsider.records("outbox")) == 1


class Forgetful:
    """The real transactions, but the first commit with outputs ends without an answer: done, or not."""

    def __init__(self, real: Any, *, commits: bool) -> None:
        self._real, self._commits, self.forgot = real, commits, False

    def commit(self, work: Work) -> Outcome:
        outputs = list(work.outputs)
        if self.forgot or not outputs:
            return self._real.commit(Work(outputs, work.changes, work.offsets, work.group))  # type: ignore[no-any-return]
        self.forgot = True
        if self._commits:
            assert self._real.commit(Work(outputs, work.changes, work.offsets, work.group)) is Outcome.COMMITTED
        return Outcome.UNKNOWN

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def test_a_commit_without_an_answer_that_took_effect_is_not_done_again(shop: Shop) -> None:
    """Rule 7: a new producer settles what was open, and the group's offsets tell that it was the commit."""
    thread = shop.thread()
    thread.loop._transactions = Forgetful(thread.loop._transactions, commits=True)  # type: ignore[assignment]
    with thread:
        shop.outsider.send(Announced(account_id="a", text=ADD))
        shop.outsider.until_done()
        shop.outsider.send(Announced(account_id="a", text=ADD))
        shop.outsider.await_texts("a", "1", "2")


def test_a_commit_without_an_answer_that_did_not_take_effect_is_done_again(shop: Shop) -> None:
    """Rule 7: offsets that differ mean that it did not happen; state is restored and the batch read again."""
    thread = shop.thread()
    thread.loop._transactions = Forgetful(thread.loop._transactions, commits=False)  # type: ignore[assignment]
    with thread:
        shop.outsider.send(*(Announced(account_id=key, text=ADD) for key in ("a", "b")))
        shop.outsider.until_done()
        shop.outsider.send(script("a", "add 1"))
        shop.outsider.await_texts("a", "1", "2")
        shop.outsider.await_texts("b", "1")


def test_timers_whose_commit_has_no_answer_fire_once(shop: Shop) -> None:
    """Rule 7: a batch of timers moves no offset, so nothing tells whether it was committed: state is restored."""
    thread = shop.thread()
    with thread:
        shop.outsider.send(script("a", "remind alarm 0.5 tell once; add 1"))
        shop.outsider.until_done()
        thread.loop._transactions = Forgetful(thread.loop._transactions, commits=True)  # type: ignore[assignment]
        shop.outsider.await_texts("a", "once", "1")
        shop.outsider.send(script("a", "add 1"))
        shop.outsider.await_texts("a", "once", "1", "2")


def test_a_broker_that_is_silent_for_a_while_costs_nothing(shop: Shop, kafka: Cluster) -> None:
    """Rule 7: a commit that times out is settled by a new producer, whatever had become of it."""
    broker = kafka.broker
    with shop.thread(commit_timeout_s=1) as thread:
        shop.outsider.send(Announced(account_id="a", text="add 1; wait here"))
        wait_for((shop.flags / "here.reached").exists, "the handler to start")
        first = thread.loop._transactions._producer
        with paused(broker):
            (shop.flags / "here.go").touch()
            wait_for(lambda: thread.loop._transactions._producer is not first, "the producer to be thrown away")
        shop.outsider.until_done()
        shop.outsider.await_texts("a", "1")


def test_a_fatal_error_commits_nothing_of_the_record_that_met_it(shop: Shop) -> None:
    """Rule 7: leaving the group must not commit the offset of a record whose effects were never written."""
    outsider = shop.outsider
    dying = shop.thread()
    with_error = dying.__enter__()
    outsider.send(script("a", "tell before"))
    outsider.await_texts("a", "before")
    outsider.send(script("a", "die-once", "tell after"))
    with_error.join()
    assert "told to die" in str(dying.error)

    with shop.thread():
        outsider.await_texts("a", "before", "after")


def test_a_batch_that_takes_too_long_commits_what_it_has_and_goes_on(shop: Shop) -> None:
    """Many slow records must not cost the partitions."""
    outsider = shop.outsider
    outsider.send(script("a", "add 1"), *(script("a", "idle 0.3") for _ in range(6)), script("a", "add 1"))
    with shop.thread(batch_s=0.5) as thread:
        outsider.until_done()
        batches = count(thread, shop, "ensemble_batch_seconds_count")
    outsider.await_texts("a", "1", "2")
    assert batches >= 3, "six records of 0.3 s each do not fit into half a second"


class NoRivals:
    """Knows no other process with the slot."""

    def note_older(self) -> None: ...

    def find(self, _limit_s: float) -> Rivals:
        return Rivals("", "")

    def newer_host_if_reachable(self) -> str:
        return ""


class CountedRequests:
    """A transactional producer of the shop that counts what its client asks of the brokers."""

    def __init__(self, shop: Shop) -> None:
        counting = {"statistics.interval.ms": 50, "stats_cb": self._note}
        config = client_config.transactional_producer(shop.outsider.shared, shop.name, RuntimeSettings())
        self.producer = Producer({**config, **counting})
        self.transactions = Transactions(
            config=config, timeout_s=30, rivals=NoRivals(), make_producer=lambda _: self.producer
        )
        self._counts, self._noted_at = Counter[str](), 0.0

    def count(self) -> Counter[str]:
        """Return the requests so far, by type."""
        asked_at = time.monotonic()
        while self._noted_at < asked_at + 0.1:
            self.producer.poll(0.05)
        return self._counts

    def _note(self, statistics: str) -> None:
        brokers = json.loads(statistics)["brokers"].values()
        self._counts, self._noted_at = sum((Counter(broker["req"]) for broker in brokers), Counter()), time.monotonic()


def test_a_transaction_right_behind_another_asks_for_each_thing_once(shop: Shop) -> None:
    """Only the registration of the first partition may meet the broker while it still ends the one before."""
    # given
    counted = CountedRequests(shop)
    group = Consumer({**shop.outsider.shared, "group.id": shop.name}).consumer_group_metadata()
    outputs: list[Output] = [(shop.outsider.topic("outbox"), b"value", b"key", [], 0)]
    assert counted.transactions.open(lambda: False, 30)

    def commit(number: int) -> Outcome:
        offsets = [TopicPartition(shop.outsider.topic("events"), 0, number)]
        return counted.transactions.commit(Work(outputs, [], offsets, group))

    assert commit(0) is Outcome.COMMITTED
    before = counted.count()

    # when
    outcomes = {commit(number) for number in range(1, 41)}

    # then
    requests = counted.count() - before
    assert outcomes == {Outcome.COMMITTED}
    assert {name: requests[name] for name in ("Produce", "AddOffsetsToTxn", "TxnOffsetCommit", "EndTxn")} == {
        "Produce": 40,
        "AddOffsetsToTxn": 40,
        "TxnOffsetCommit": 40,
        "EndTxn": 40,
    }
    counted.transactions.close()
