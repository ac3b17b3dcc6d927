"""The commit. One Kafka transaction holds a batch's outputs, changelog records and offsets, or none of them.

Errors are checked in the order that the client's documentation demands: must abort, may retry, anything else. After an
unclear end of a commit or abort the producer is discarded: `init_transactions` on a new one settles the transaction,
and only then the group's offsets tell whether it was committed (see docs/adr/0006-unclear-commits.md).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any, Final

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from ensemble.clock import until
from ensemble.errors import FatalError, Fenced
from ensemble.kafka.authorization import REFUSALS
from ensemble.kafka.worker.bounded_calls import BoundedCalls
from ensemble.kafka.worker.crash_points import Reached, nothing_happens
from ensemble.state.store import Change
from ensemble.state.unit_of_work import Output

log = structlog.get_logger()

_FENCED: Final = frozenset({KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED})
_RETRY_PAUSE_S: Final = 0.05
_GRACE_S: Final = 1.0
"""A call is abandoned so long after its own timeout."""
_NOW: Final = 0
"""The timestamp of a record that has the client take the time."""


class Outcome(Enum):
    """How a transaction ended."""

    COMMITTED = "committed"
    ABORTED = "aborted"
    UNKNOWN = "unknown"
    """A new producer settles the transaction: the group's offsets tell whether it was committed."""


@dataclass(frozen=True)
class Work:
    """Everything that one transaction holds."""

    outputs: Iterable[Output]
    changes: Iterable[tuple[str, int, Sequence[Change]]]
    """Changelog records, by topic and partition."""
    offsets: list[TopicPartition]
    group: Any
    """The group metadata captured at the batch's poll."""


class Transactions:
    """The process's one transactional producer, and its replacement once a transaction's outcome is unknown."""

    def __init__(
        self,
        *,
        config: dict[str, Any],
        timeout_s: float,
        ledger_topics: Collection[str] = (),
        on_ledger: Callable[[KafkaError | None, Message], None] | None = None,
        explain: Callable[[KafkaError], str] = KafkaError.str,
        reached: Reached = nothing_happens,
    ) -> None:
        """Open no producer yet. `explain` words a refusal; `on_ledger` is called for each fact on `ledger_topics`."""
        self._config, self._timeout_s = config, timeout_s
        self._ledger_topics, self._on_ledger = frozenset(ledger_topics), on_ledger
        self._explain, self._reached = explain, reached
        self._slot = str(config["transactional.id"])
        self._producer: Producer | None = None
        self._calls = BoundedCalls()

    def open(self, give_up: Callable[[], bool], limit_s: float) -> None:
        """Start a producer and take the slot. Raises FatalError if that fails until `limit_s` or `give_up` says so."""
        problem: KafkaException | None = None
        self._discard()
        for _ in until(limit_s, _RETRY_PAUSE_S):
            try:
                self._producer = Producer(self._config)
                self._producer.init_transactions(self._timeout_s)
                return
            except KafkaException as error:
                self._discard()
                problem, reason = error, error.args[0]
                self._check_final(reason)
                if give_up() or not (reason.retriable() or reason.code() == KafkaError._TIMED_OUT):
                    break
        reason = problem.args[0].str() if problem else ""
        raise FatalError(f"cannot start transactions as {self._slot!r}: {reason}") from problem

    def commit(self, work: Work) -> Outcome:
        """Write and commit, in steps 1 to 5.

        Their order makes the commit correct, and flushing before the offsets makes it fast.
        """
        producer = self._live()
        try:
            producer.begin_transaction()  # 1
            self._produce(producer, work)  # 2
            self._reached("after-produce")
            self._flush(producer)  # 3
            self._reached("after-flush")
            if work.offsets:
                self._retrying(lambda: self._send_offsets(producer, work))  # 4
            self._reached("after-offsets")
        except KafkaException as error:
            return self._abort(error)
        try:
            self._retrying(lambda: producer.commit_transaction(self._timeout_s))  # 5
        except KafkaException as error:
            return self._unclear(error)
        self._reached("after-commit")
        return Outcome.COMMITTED

    def close(self) -> None:
        """Discard the producer and stop the thread of bounded calls."""
        self._discard()
        self._calls.close()

    def _live(self) -> Producer:
        if self._producer is None:
            raise FatalError("no producer: call open() first")
        return self._producer

    def _produce(self, producer: Producer, work: Work) -> None:
        produce, ledgers = producer.produce, self._ledger_topics
        for topic, value, key, headers, partition in work.outputs:
            report = self._on_ledger if topic in ledgers else None
            try:
                produce(topic, value, key, partition, report, None, _NOW, headers)
            except BufferError:
                self._produce_when_possible(producer, topic, value, key, partition, report, None, _NOW, headers)
        for topic, partition, changes in work.changes:
            for key, value in changes:
                try:
                    produce(topic, value, key, partition)
                except BufferError:
                    self._produce_when_possible(producer, topic, value, key, partition)

    def _produce_when_possible(self, producer: Producer, *record: Any) -> None:
        """Write a record that the client's full buffer had no space for, once the broker has taken others."""
        for _ in until(self._timeout_s):
            producer.poll(_RETRY_PAUSE_S)
            try:
                producer.produce(*record)
            except BufferError:
                continue
            return
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "the broker takes no records"))

    def _flush(self, producer: Producer) -> None:
        if producer.flush(self._timeout_s):
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "records could not be delivered in time"))

    def _send_offsets(self, producer: Producer, work: Work) -> None:
        call = partial(producer.send_offsets_to_transaction, work.offsets, work.group, self._timeout_s)
        self._calls.make(call, self._timeout_s + _GRACE_S)

    def _retrying(self, call: Callable[[], None]) -> None:
        problem: KafkaException | None = None
        for _ in until(self._timeout_s, _RETRY_PAUSE_S):
            try:
                call()
                return
            except KafkaException as error:
                problem, reason = error, error.args[0]
                if reason.txn_requires_abort() or not reason.retriable():
                    break
        assert problem is not None, "each attempt returns or fails"
        raise problem

    def _abort(self, error: KafkaException) -> Outcome:
        """Abort, or let a new producer's start abort: before the commit call nothing can have taken effect."""
        reason = error.args[0]
        self._check_final(reason)
        log.warning("transaction.aborted", reason=reason.str(), slot=self._slot)
        if not reason.txn_requires_abort():
            self._discard()
            return Outcome.UNKNOWN
        try:
            self._retrying(lambda: self._live().abort_transaction(self._timeout_s))
        except KafkaException as unclear:
            return self._unclear(unclear)
        return Outcome.ABORTED

    def _unclear(self, error: KafkaException) -> Outcome:
        reason = error.args[0]
        self._check_final(reason)
        if reason.txn_requires_abort():
            return self._abort(error)
        log.warning("transaction.outcome_unknown", reason=reason.str(), slot=self._slot)
        self._discard()
        return Outcome.UNKNOWN

    def _check_final(self, reason: KafkaError) -> None:
        """Raise FatalError for an error that another attempt would not mend."""
        if reason.code() in REFUSALS:
            raise FatalError(self._explain(reason))
        if reason.code() in _FENCED:
            raise Fenced(
                f"another process runs as {self._slot!r} and has fenced this one; give each instance its own "
                "ENSEMBLE_INSTANCE_ID. (If there is none, this process stood still for longer than a transaction "
                "may take, and the broker has ended it.)"
            )

    def _discard(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.purge(in_flight=False, blocking=False)
