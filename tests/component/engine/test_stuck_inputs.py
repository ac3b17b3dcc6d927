"""A record that no batch comes to its end with is given up without its handlers; a batch is bounded in bytes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from math import inf
from pathlib import Path

import pytest

from ensemble.clock import ManualClock
from ensemble.engine import BatchCycle
from ensemble.engine.cycle import Interruption
from ensemble.engine.task import PartitionTask
from ensemble.errors import StuckInput
from ensemble.messages.codec import encoder_for
from ensemble.messages.records import ConsumedRecord, StoredRecord
from ensemble.partitioning import partition_of
from ensemble.testing.driver import ServiceTestDriver
from tests.support.scripted_service.drivers import script
from tests.support.scripted_service.messages import Script
from tests.support.scripted_service.service import scripted_service

STUCK = StuckInput("no batch with this record comes to its end")


@pytest.fixture
def task(tmp_path: Path) -> PartitionTask:
    return ServiceTestDriver(scripted_service("shop", tmp_path), ManualClock(0)).process.task_of("a")


def record(task: PartitionTask, offset: int, *steps: str) -> StoredRecord:
    return StoredRecord("shop.commands", task.partition, offset, b"a", encoder_for(Script)(script("a", *steps)))


def dead_letters(task: PartitionTask) -> list[bytes | None]:
    return [output[1] for output in task.outputs if output[0] == "shop.dead-letter"]


def run(task: PartitionTask, records: list[StoredRecord], take_bytes: float) -> tuple[BatchCycle, list[ConsumedRecord]]:
    """Run one batch. Return its cycle and the records that were left for the next."""
    left: list[ConsumedRecord] = []

    def leave(interruption: Interruption) -> list[ConsumedRecord]:
        left.extend(interruption.records)
        return []

    cycle = BatchCycle(ManualClock(0), asyncio.run, due_until=lambda *_: None, take_bytes=take_bytes)
    cycle.run({task.partition: task}, records, leave)
    return cycle, left


@pytest.mark.parametrize("offset", [0, 4])
def test_a_record_is_given_up_without_its_handlers(task: PartitionTask, offset: int) -> None:
    stuck = record(task, offset, "tell never")
    task.begin_batch(0)
    task.give_up(stuck, STUCK)
    assert dead_letters(task) == [stuck.value()]
    assert task.positions["shop.commands"] == offset + 1
    assert task.stores.parking.keys, "its key waits for an operator, as the policy says"


def test_behind_a_parked_key_it_waits_like_any_other(task: PartitionTask) -> None:
    task.begin_batch(0)
    task.take(record(task, 3, "fail"))
    task.give_up(record(task, 4, "tell later"), STUCK)
    assert len(dead_letters(task)) == 1
    assert task.stores.parking.record_count == 2


def test_a_batch_takes_no_more_records_than_fit_into_its_bytes(task: PartitionTask) -> None:
    """Outputs count as well: what takes longer to write than a transaction may take is never committed."""
    records = [record(task, offset, "tell " + "x" * 1000) for offset in range(10)]
    _, left = run(task, records, take_bytes=5000)
    assert [later.offset() for later in left] == list(range(3, 10)), "three records of 1 kB and three outputs of 1 kB"


def test_a_task_is_due_with_its_first_timer_or_retry(task: PartitionTask) -> None:
    def tried(key: bytes, offset: int, step: str) -> int | None:
        value = encoder_for(Script)(script(key.decode(), step))
        run(task, [StoredRecord("shop.commands", task.partition, offset, key, value)], take_bytes=inf)
        task.commit()
        return task.next_due()

    beside = [key for key in (b"b", b"c", b"d", b"e", b"f", b"g", b"h") if partition_of(key, 2) == task.partition]
    assert task.next_due() is None
    assert tried(b"a", 0, "remind alarm 900 tell x") == 900_000
    retry = tried(beside[0], 1, "flaky 9")
    assert retry is not None
    assert 0 < retry < 60_000
    assert tried(beside[1], 2, f"remind alarm {(retry - 1) / 1000} tell x") == retry - 1


def test_a_batch_that_has_just_its_bytes_takes_one_record_more(task: PartitionTask) -> None:
    cycle, _ = run(task, [record(task, 0, "add 1")], take_bytes=inf)
    _, left = run(task, [record(task, offset, "add 1") for offset in (1, 2, 3)], take_bytes=cycle._bytes)
    assert [later.offset() for later in left] == [3]


def test_a_task_holds_state_if_one_of_its_stores_does(task: PartitionTask) -> None:
    assert not task.holds_state
    run(task, [record(task, 0, "add 1")], take_bytes=inf)
    task.commit()
    assert task.holds_state


@pytest.mark.parametrize(("step", "left"), [("fail", 7), ("add 1", 0)])
def test_headers_that_are_written_again_count_among_the_bytes_of_a_batch(
    task: PartitionTask, step: str, left: int
) -> None:
    """A record may be all headers. They are written again where it is parked or dead-lettered, and only there."""
    plain = [record(task, offset, step) for offset in range(10)]
    records = [replace(each, raw_headers=[("x-trail", b"h" * 1000)]) for each in plain]
    _, later = run(task, records, take_bytes=2900)
    assert len(later) == left


def test_a_batch_tells_which_of_its_records_took_longest(task: PartitionTask) -> None:
    records = [record(task, 0, "add 1"), record(task, 1, "idle 0.02"), record(task, 2, "add 1")]
    cycle, _ = run(task, records, take_bytes=1_000_000)
    assert cycle.slowest is records[1]
    assert cycle.slowest_s >= 0.02
