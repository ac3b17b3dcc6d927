"""What a task knows when it starts: all that was ever committed for its partition, and nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from confluent_kafka import Producer

from ensemble.clock import SystemClock
from ensemble.engine.compiled import compile_service
from ensemble.engine.task import PartitionTask
from ensemble.errors import FatalError, UnreadableState
from ensemble.kafka import client_config as clients
from ensemble.kafka.worker.restore import Restoration
from ensemble.messages.codec import encoder_for
from ensemble.partitioning import partition_of
from ensemble.testing.on_kafka import LIMIT_S, ServiceThread, wait_for
from tests.integration.conftest import Shop
from tests.support.scripted_service.drivers import script
from tests.support.scripted_service.messages import Account, Booked, Told
from tests.support.scripted_service.service import PARTITIONS

AT = partition_of(b"a", PARTITIONS)
FIVE = encoder_for(Account)(Account(value=5, text=""))


@contextmanager
def restoration(shop: Shop) -> Iterator[tuple[Restoration, PartitionTask]]:
    """Yield a restore of the partition of key `a`, which runs beside the service."""
    plan = compile_service(shop.service, SystemClock())
    task = PartitionTask(plan, AT)
    reader = clients.assigned_reader(shop.outsider.shared, "restore")
    restoring = Restoration(plan, [task], reader, shop.outsider.admin)
    yield restoring, task
    restoring.close()


def finished(restoring: Restoration, task: PartitionTask) -> PartitionTask:
    wait_for(lambda: restoring.advance(0.05, LIMIT_S), "the restore")
    task.finish_restore()
    return task


@contextmanager
def open_transaction(shop: Shop) -> Iterator[Producer]:
    """Begin a transaction of a predecessor and do not end it."""
    producer = Producer({"bootstrap.servers": shop.bootstrap, "transactional.id": f"{shop.name}-other"})
    producer.init_transactions(LIMIT_S)
    producer.begin_transaction()
    yield producer
    del producer


def test_a_snapshot_is_taken_and_shortens_the_restore(shop: Shop) -> None:
    """Rule 11: the ledger is read from the snapshot's offset, and what the snapshot holds is not folded again."""
    outsider = shop.outsider
    with shop.thread():
        for number in range(12):
            outsider.send(script("a", f"book x {number}"))
            outsider.until_done()
    with restoration(shop) as (restoring, task):
        finished(restoring, task)
        store = next(store for store in task.stores.by_subject.values() if hasattr(store, "aggregate"))
        purse = store.aggregate(b"a", store)
    snapshots = len(outsider.records("purse-changelog"))
    facts = len(outsider.messages("ledger", Booked))
    assert facts == 12
    assert 0 < snapshots <= 6, "twelve facts, one line and one position at every fifth of them"
    assert restoring.records < len(outsider.records("seen-changelog")) + snapshots + facts
    assert (purse.sequence, purse.lines["x"].amount) == (12, sum(range(12)))


def test_what_an_open_transaction_wrote_is_waited_for(shop: Shop) -> None:
    """Rule 8: to the read-uncommitted end; a predecessor's commit marker may still be under way."""
    with open_transaction(shop) as predecessor:
        predecessor.produce(shop.outsider.topic("account-changelog"), FIVE, b"a", AT)
        predecessor.flush()
        with restoration(shop) as (restoring, task):
            for _ in range(20):
                assert not restoring.advance(0.02, LIMIT_S), "restored without what the predecessor is about to commit"
            predecessor.commit_transaction(LIMIT_S)
            finished(restoring, task)
            assert task.stores.by_subject[Account].get(b"a") == Account(value=5, text="")


def test_what_an_aborted_transaction_wrote_never_was(shop: Shop) -> None:
    with open_transaction(shop) as predecessor:
        predecessor.produce(shop.outsider.topic("account-changelog"), FIVE, b"a", AT)
        predecessor.flush()
        predecessor.abort_transaction(LIMIT_S)
        with restoration(shop) as (restoring, task):
            finished(restoring, task)
            assert task.stores.by_subject[Account].get(b"a") is None


def test_a_transaction_that_never_ends_stops_the_restore_with_words(shop: Shop) -> None:
    with open_transaction(shop) as predecessor:
        predecessor.produce(shop.outsider.topic("account-changelog"), FIVE, b"a", AT)
        predecessor.flush()
        with restoration(shop) as (restoring, _), pytest.raises(FatalError, match="an open transaction hangs"):
            wait_for(lambda: restoring.advance(0.05, 0.5), "the end")


def write(shop: Shop, suffix: str, value: bytes) -> None:
    shop.outsider.producer.produce(shop.outsider.topic(suffix), value, b"a", AT)
    shop.outsider.flush()


def failure_of(thread: ServiceThread) -> BaseException:
    error: Any = wait_for(lambda: thread.error, "the service to stop")
    thread.join()
    return error  # type: ignore[no-any-return]


def test_state_that_cannot_be_read_stops_the_service_and_costs_no_message(shop: Shop) -> None:
    """Rule 12: an undecodable changelog record stops its partition with words; the record that met it is kept."""
    shop.outsider.send(script("b", "get"))
    with shop.thread():
        shop.outsider.until_done()
    write(shop, "account-changelog", b"\0\0\0\0\x07not ours")
    thread = shop.thread()
    thread.__enter__()
    shop.outsider.send(script("a", "get"))
    error = failure_of(thread)
    assert isinstance(error, UnreadableState)
    assert f"changelog {shop.outsider.topic('account-changelog')}, key 'a'" in str(error)

    write(shop, "account-changelog", FIVE)
    with shop.thread():
        shop.outsider.await_texts("a", "5")
    assert shop.outsider.letters() == []


def test_a_ledger_that_cannot_be_read_stops_the_service_with_words(shop: Shop) -> None:
    write(shop, "ledger", encoder_for(Told)(Told(account_id="a", text="no fact")))
    thread = shop.thread()
    thread.start()
    error = failure_of(thread)
    assert isinstance(error, UnreadableState)
    assert f"ledger {shop.outsider.topic('ledger')}, offset 0" in str(error)


def test_a_ledger_with_a_gap_stops_the_service_with_words(shop: Shop) -> None:
    write(shop, "ledger", encoder_for(Booked)(Booked(account_id="a", sequence=2, label="x", amount=1)))
    thread = shop.thread()
    thread.start()
    assert "sequence 2, expected 1" in str(failure_of(thread))
