"""A partition's state is what its changelogs and ledgers say, read to an end that no open transaction hides."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
from confluent_kafka import KafkaError, KafkaException
from structlog.testing import capture_logs

from ensemble.clock import ManualClock
from ensemble.engine.compiled import compile_service
from ensemble.engine.task import PartitionTask
from ensemble.errors import FatalError, LostState, SchemasUnavailable
from ensemble.kafka.client import ClusterClient
from ensemble.kafka.worker.partition_copy import copy_partition
from ensemble.kafka.worker.restore import Restoration
from ensemble.messages.records import StoredRecord
from ensemble.testing.driver import ServiceTestDriver
from tests.support.assigned_consumer import AssignedConsumer, Polled
from tests.support.client_answers import answer
from tests.support.scripted_service.controlled_service import Controls, controlled_service, later, quick
from tests.support.scripted_service.messages import Account, Line, Script
from tests.support.scripted_service.scripted_role import Purse
from tests.support.scripted_service.service import scripted_service
from tests.support.steady_clock import SteadyClock

ACCOUNTS = "shop.account-changelog"


def polled(record: StoredRecord) -> Polled:
    return Polled((record.at_topic, record.at_partition, record.at_offset), (record.raw_key, record.raw_value))


@pytest.fixture
def driver() -> ServiceTestDriver:
    """A service that has counted to two for `a`, and has a timer for it."""
    driver = ServiceTestDriver(controlled_service(Controls()))
    driver.receive(quick("a", "a1"), quick("a", "a2"), later("a", "a3", 60))
    return driver


@pytest.fixture
def consumer(driver: ServiceTestDriver) -> AssignedConsumer:
    return AssignedConsumer(map(polled, driver.log))


def begin(consumer: Any, now: Callable[[], float] = time.monotonic) -> tuple[Restoration, list[PartitionTask]]:
    plan = compile_service(controlled_service(Controls()), ManualClock())
    tasks = [PartitionTask(plan, partition) for partition in range(2)]
    return Restoration(plan, tasks, {}, consumer, make_consumer=lambda _: consumer, now=now), tasks


def finish(restoration: Restoration, stall_s: float = 60) -> None:
    for _ in range(20):
        if restoration.advance(0, stall_s):
            return
    raise AssertionError("it has no end")


def accounts_of(tasks: list[PartitionTask]) -> list[Account]:
    states = (task.stores.by_subject[Account].get(b"a") for task in tasks)
    return [state for state in states if isinstance(state, Account)]


def test_the_state_is_there_when_it_is_done_and_not_before(consumer: AssignedConsumer) -> None:
    restoration, tasks = begin(consumer)
    assert not restoration.advance(0, 60)
    finish(restoration)
    assert accounts_of(tasks) == [Account(value=2, text="a2")]
    assert restoration.records == sum("changelog" in record.at[0] for record in consumer.log)
    restoration.close()
    assert consumer.is_closed


def test_nothing_is_read_where_nothing_is() -> None:
    consumer = AssignedConsumer()
    restoration, tasks = begin(consumer)
    assert restoration.advance(0, 60)
    assert (restoration.records, accounts_of(tasks), consumer.assigned) == (0, [], [])


def test_an_end_before_the_high_watermark_is_not_the_end(consumer: AssignedConsumer) -> None:
    """A transaction is open before it: the last owner's commit may still be under way."""
    # given a changelog whose last record only the high watermark counts
    restoration, tasks = begin(consumer)
    last = [record for record in consumer.log if record.at[0] == ACCOUNTS][-1]
    early = (last.at[0], last.at[1], last.at[2])
    restoration._begin_phase()
    consumer.coming.remove(last)
    eof = next(each for each in consumer.coming if each.at[0] == ACCOUNTS and each.error())
    eof.at = early

    # when the reader is told of an end before that one
    assert not any(restoration.advance(0, 60) for _ in range(5))

    # then it waits until the record is there
    consumer.coming += [last, Polled((*early[:2], early[2] + 1), problem=KafkaError(KafkaError._PARTITION_EOF))]
    finish(restoration)
    assert accounts_of(tasks) == [Account(value=2, text="a2")]


def test_a_changelog_that_has_lost_records_to_compaction_is_read_from_its_first(consumer: AssignedConsumer) -> None:
    last = [record for record in consumer.log if record.at[0] == ACCOUNTS][-1]
    consumer.log = [record for record in consumer.log if record is last or record.at[0] != ACCOUNTS]
    restoration, tasks = begin(consumer)
    finish(restoration)
    assert accounts_of(tasks) == [Account(value=2, text="a2")]


def test_removed_records_of_a_topic_that_is_kept_for_ever_are_lost_state(consumer: AssignedConsumer) -> None:
    place = next(record.at[:2] for record in consumer.log if record.at[0] == ACCOUNTS)
    consumer.removed[place] = 1
    with pytest.raises(LostState, match=rf"shop\.account-changelog\[{place[1]}\]: offsets 0 to 0\."):
        begin(consumer)[0].advance(0, 60)


@pytest.mark.parametrize("code", [KafkaError._TRANSPORT, KafkaError.NOT_LEADER_FOR_PARTITION])
def test_what_passes_is_waited_out(consumer: AssignedConsumer, code: int) -> None:
    restoration, tasks = begin(consumer)
    consumer.coming.append(Polled((ACCOUNTS, 0, 0), problem=KafkaError(code)))
    finish(restoration)
    assert accounts_of(tasks) == [Account(value=2, text="a2")]


def test_what_does_not_pass_ends_the_restore(consumer: AssignedConsumer) -> None:
    restoration, _ = begin(consumer)
    consumer.coming.append(Polled((ACCOUNTS, 1, 0), problem=KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "no")))
    with pytest.raises(FatalError, match=r"cannot restore from shop\.account-changelog\[1\]: no"):
        finish(restoration)


def test_a_broker_that_does_not_answer_is_asked_again(consumer: AssignedConsumer) -> None:
    restoration, tasks = begin(consumer)
    answers, consumer.list_offsets = consumer.list_offsets, fail  # type: ignore[method-assign]  # while it is away
    assert not restoration.advance(0, 60)
    consumer.list_offsets = answers  # type: ignore[method-assign]  # it is back
    finish(restoration)
    assert accounts_of(tasks) == [Account(value=2, text="a2")]


def raising(error: Exception) -> Any:
    def fail(*_: object, **__: object) -> Any:
        raise error

    return fail


fail = raising(KafkaException(KafkaError(KafkaError.INVALID_REQUEST, "away")))


def test_a_restore_that_does_not_move_says_where_it_stands(consumer: AssignedConsumer) -> None:
    restoration, _ = begin(consumer)
    restoration._begin_phase()
    consumer.coming.clear()
    assert not restoration.advance(0, 60)
    with pytest.raises(FatalError, match=r"has not moved for 0 s in shop\.account-changelog\[[01]\].*: an open tr"):
        restoration.advance(0, 0)


def test_a_restore_that_moves_begins_to_wait_anew(consumer: AssignedConsumer) -> None:
    """A phase that begins, a record and an end are all steps; what delayed an earlier one explains no later one."""
    restoration, _ = begin(consumer)
    restoration._moved_at, restoration._delay, steps = float("-inf"), "away for a moment", 0
    while not restoration.advance(0, 60):
        assert (restoration._moved_at > float("-inf"), restoration._delay) == (True, "")
        restoration._moved_at, steps = float("-inf"), steps + 1
    assert steps


def test_a_restore_waits_for_brokers_that_are_away_however_long(consumer: AssignedConsumer) -> None:
    # given brokers that go away in the middle, and deny nothing
    now = SteadyClock()
    restoration, tasks = begin(consumer, now)
    restoration._begin_phase()
    records, consumer.coming = consumer.coming, type(consumer.coming)()
    answer_topics, consumer.list_topics = consumer.list_topics, fail  # type: ignore[method-assign]  # while away

    # when they are away for longer than a restore may stand still, and slow when they are back
    now.now += 61
    with structlog.testing.capture_logs() as logs:
        assert not restoration.advance(0, 60)
    consumer.list_topics = answer_topics  # type: ignore[method-assign]  # they are back
    now.now += 60
    assert not restoration.advance(0, 60)
    consumer.coming = records
    finish(restoration)

    # then
    assert [(entry["event"], entry["reason"]) for entry in logs] == [("restore.delayed", "away")]
    assert accounts_of(tasks) == [Account(value=2, text="a2")]


@pytest.mark.parametrize("code", [KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._TIMED_OUT])
def test_a_restore_has_its_whole_time_again_after_brokers_were_away(consumer: AssignedConsumer, code: int) -> None:
    """One whose brokers came back shortly before its time was over ended, for the whole outage counted."""
    # given an outage that the reader has met, and that is over at the check
    now = SteadyClock()
    restoration, _ = begin(consumer, now)
    restoration._begin_phase()
    consumer.coming.clear()
    consumer.coming.append(Polled((ACCOUNTS, 0, 0), problem=KafkaError(code, "away")))
    now.now += 61
    assert not restoration.advance(0, 60)

    # then it ends only if it does not move for as long again
    now.now += 60
    assert not restoration.advance(0, 60)
    now.now += 1
    with pytest.raises(FatalError, match=r"has not moved for 60 s in .*: away$"):
        restoration.advance(0, 60)


def test_an_outage_that_is_met_where_a_phase_begins_counts_no_more_either(consumer: AssignedConsumer) -> None:
    now = SteadyClock()
    restoration, _ = begin(consumer, now)
    away = KafkaException(KafkaError(KafkaError._ALL_BROKERS_DOWN, "away"))
    consumer.list_offsets = raising(away)  # type: ignore[method-assign]  # it answers again at the check
    now.now += 61
    assert not restoration.advance(0, 60)


def test_a_restore_from_a_topic_that_is_gone_says_which(consumer: AssignedConsumer) -> None:
    """It said that a transaction hangs, or the broker, or the registry, and named no topic."""
    restoration, _ = begin(consumer)
    gone = KafkaException(KafkaError(KafkaError._UNKNOWN_TOPIC, f"{ACCOUNTS}[0]: gone"))
    consumer.list_offsets = raising(gone)  # type: ignore[method-assign]
    with pytest.raises(FatalError, match=rf"has not moved for 0 s: {ACCOUNTS}\[0\]: gone \(.*topics apply"):
        restoration.advance(0, 0)


def test_a_record_whose_schema_cannot_be_had_yet_comes_again(consumer: AssignedConsumer) -> None:
    # given a registry that is away for a moment
    restoration, tasks = begin(consumer)
    restoration._begin_phase()
    missing = iter([SchemasUnavailable("the registry is away")] * 2 + [SchemasUnavailable("it still reads")])
    restoration._sources = {place: once_without(source, missing) for place, source in restoration._sources.items()}

    # then each record is restored once, in its order, and each reason is told once
    with capture_logs() as logs:
        finish(restoration)
    delays = [line["reason"] for line in logs if line["event"] == "restore.delayed"]
    assert delays == ["the registry is away", "it still reads"]
    assert accounts_of(tasks) == [Account(value=2, text="a2")]
    assert restoration.records == sum("changelog" in record.at[0] for record in consumer.log)


def once_without(source: Any, missing: Any) -> Any:
    def restore(record: Any) -> None:
        if (error := next(missing, None)) is not None:
            raise error
        source.restore(record)

    return type(source)(source.topic, source.start, restore)


def test_facts_are_folded_once_whether_a_snapshot_holds_them_or_not(tmp_path: Path) -> None:
    # given seven facts of one key, of which a snapshot holds five
    driver = ServiceTestDriver(scripted_service("shop", tmp_path))
    for number in range(7):
        driver.receive(Script(account_id="a", steps=(f"book rent {number + 1}",)))
    consumer: Any = AssignedConsumer(map(polled, driver.log))

    # when a process restores them
    plan = compile_service(driver.service, ManualClock())
    tasks = [PartitionTask(plan, partition) for partition in range(2)]
    finish(Restoration(plan, tasks, {}, consumer, make_consumer=lambda _: consumer))

    # then it knows each fact, once
    stores: list[Any] = [task.stores.by_subject[Purse] for task in tasks]
    assert max(store.aggregate(b"a", store).sequence for store in stores) == driver.aggregate(Purse, "a").sequence
    assert {"rent": Line(amount=28)} in [dict(store.aggregate(b"a", store).lines) for store in stores]


class Cluster(AssignedConsumer):
    """A cluster with this log, of which a client knows the topics' ids."""

    def describe_topics(self, topics: Any, **_: Any) -> dict[str, Any]:
        return {name: answer(topic_id=f"id of {name}") for name in topics.topic_names}


def test_a_copy_of_a_partition_has_its_state_and_leaves_nothing_open(driver: ServiceTestDriver) -> None:
    cluster: Any = Cluster(map(polled, driver.log))
    access = ClusterClient({"bootstrap.servers": "nowhere:9092"}, cluster, make_consumer=lambda _: cluster)
    plan = compile_service(controlled_service(Controls()), ManualClock())
    tasks = [copy_partition(plan, partition, access) for partition in range(2)]
    assert accounts_of(tasks) == [Account(value=2, text="a2")]
    assert cluster.is_closed


def test_a_copy_that_does_not_come_to_its_end_is_given_up(driver: ServiceTestDriver) -> None:
    cluster: Any = Cluster(map(polled, driver.log))
    cluster.poll = lambda _: None
    access = ClusterClient({"bootstrap.servers": "nowhere:9092"}, cluster, make_consumer=lambda _: cluster)
    plan = compile_service(controlled_service(Controls()), ManualClock())
    partition = next(record.at[1] for record in cluster.log if record.at[0] == ACCOUNTS)
    with pytest.raises(FatalError, match=r"was not read to its end within 0\.05 s|has not moved for 0\.05 s"):
        copy_partition(plan, partition, access, 0.05)
    assert cluster.is_closed


def test_an_end_that_is_told_twice_is_one(consumer: AssignedConsumer) -> None:
    restoration, tasks = begin(consumer)
    restoration.advance(0, 60)
    consumer.coming += [each for each in consumer.coming if each.problem is not None]
    finish(restoration)
    assert accounts_of(tasks) == [Account(value=2, text="a2")]
