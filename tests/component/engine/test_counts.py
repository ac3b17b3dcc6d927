"""What a batch counts of each kind of input, for the metrics; and that the next batch begins at zero."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import pytest

from ensemble import RejectedInput, RetryableError, TerminalError
from ensemble.clock import ManualClock
from ensemble.engine.compiled import compile_service
from ensemble.engine.task import PartitionTask
from ensemble.messages import Message
from ensemble.messages.codec import encoder_for
from ensemble.messages.records import StoredRecord
from ensemble.partitioning import partition_of
from ensemble.policies.retry import OnExhaustion, RetryPolicy
from tests.support.scripted_service.controlled_service import Controls, controlled_service, later, limits, quick
from tests.support.scripted_service.messages import Forwarded, Told

NOW = 1_750_000_000_000


class Batch:
    """A task of key `a`'s partition, and a batch of it."""

    def __init__(self, retry: RetryPolicy | None = None) -> None:
        self.world = Controls(
            errors={"not now": RetryableError("x"), "never": TerminalError("x"), "wrong": RejectedInput()}
        )
        plan = compile_service(controlled_service(self.world), ManualClock(NOW), limits(retry or RetryPolicy()))
        self.task, self.sent = PartitionTask(plan, partition_of(b"a", 2)), 0
        self.task.begin_batch(NOW)

    def take(self, *messages: Message, topic: str = "shop.commands", message_id: str = "") -> None:
        for message in messages:
            self.sent += 1
            headers = [("ce_id", (message_id or str(self.sent)).encode())]
            value = encoder_for(type(message))(message)
            self.task.take(StoredRecord(topic, self.task.partition, self.sent, b"a", value, headers))

    def counts(self) -> dict[str, int]:
        """Return what was counted, without what was not."""
        return {name: count for name, count in asdict(self.task.counts).items() if count}


def take_twice(batch: Batch) -> None:
    for _ in range(2):
        batch.take(quick("a", "fine"), message_id="same")


def take_a_duplicate_behind_a_failure(batch: Batch) -> None:
    batch.take(quick("a", "not now"))
    for _ in range(2):
        batch.take(quick("a", "fine"), message_id="same")


def fire(batch: Batch, label: str) -> None:
    batch.take(later("a", label, 1), topic="shop.news")
    batch.task.commit()
    batch.task.begin_batch(NOW + 1_000)
    batch.task.fire_due(NOW + 1_000)


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (lambda batch: batch.take(quick("a", "one"), quick("a", "two")), {"handled": 2}),
        (take_twice, {"handled": 1, "duplicates": 1}),
        (lambda batch: batch.take(quick("a", "not now"), quick("a", "two")), {"failures": 1, "parked": 2}),
        (take_a_duplicate_behind_a_failure, {"failures": 1, "parked": 2, "duplicates": 1}),
        (lambda batch: batch.take(quick("a", "never")), {"failures": 1, "parked": 1, "dead_lettered": 1}),
        (lambda batch: batch.take(quick("a", "wrong")), {"failures": 1, "dead_lettered": 1}),
        (
            lambda batch: batch.take(Told(account_id="a", text="x"), topic="shop.news"),
            {"failures": 1, "dead_lettered": 1},
        ),
        (lambda batch: batch.take(Forwarded(account_id="a", text="x")), {"failures": 1, "dead_lettered": 1}),
        (lambda batch: fire(batch, "ding"), {"timers": 1}),
        (lambda batch: fire(batch, "not now"), {"failures": 1, "parked": 1}),
    ],
)
def test_a_batch_counts_what_it_did(act: Callable[[Batch], None], expected: dict[str, int]) -> None:
    batch = Batch()
    act(batch)
    assert batch.counts() == expected
    batch.task.commit()
    assert batch.counts() == {}


def test_what_is_skipped_by_policy_is_given_up_and_parks_nothing() -> None:
    batch = Batch(RetryPolicy(attempts=1, on_exhaustion=OnExhaustion.SKIP))
    batch.take(quick("a", "not now"), quick("a", "two"))
    assert batch.counts() == {"handled": 1, "failures": 1, "dead_lettered": 1}
    batch.task.abort()
    assert batch.counts() == {}
