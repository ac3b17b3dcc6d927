"""The commit. One Kafka transaction holds a batch's outputs, changelog records and offsets, or none of them.

Errors are checked in the order that the client's documentation demands: must abort, may retry, anything else. After an
unclear end of a commit or abort the producer is discarded: `init_transactions` on a new one settles the transaction,
and only then the group's offsets tell whether it was committed (see docs/adr/0006-unclear-commits.md).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from math import inf
from typing import Any, Final, NamedTuple

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from ensemble.clock import until
from ensemble.errors import FatalError, Fenced
from ensemble.kafka.authorization import REFUSALS
from ensemble.kafka.errors import PASSING, UNKNOWN_TOPIC, UNWRITABLE, client_error, explain, retry
from ensemble.kafka.worker.bounded_calls import BoundedCalls
from ensemble.kafka.worker.crash_points import Reached, nothing_happens
from ensemble.kafka.worker.fencing import SlotRivals
from ensemble.state.store import Change
from ensemble.state.unit_of_work import Output
from ensemble.waiting import Reminder

log = structlog.get_logger()

_FENCED: Final = frozenset({KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED})
_UNACCEPTABLE: Final = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_RECORD,
        KafkaError.POLICY_VIOLATION,
        KafkaError._INVALID_ARG,
    }
)
"""Errors of a record that will be refused however often it is written."""
_OUTAGE: Final = PASSING - UNKNOWN_TOPIC | UNWRITABLE
_FORGOTTEN: Final = KafkaError.INVALID_PRODUCER_ID_MAPPING
"""The broker no longer knows the transactional id, which had no transaction for days."""
_UNDELIVERED: Final = KafkaError._INCONSISTENT
"""The client counts the records that were not delivered, and does not say which, or why."""
_RETRY_PAUSE_S: Final = 0.05
_INIT_S: Final = 1.0
"""`init_transactions` is called for so long at once: it goes on where it was when it is called again."""
_GRACE_S: Final = 1.0
"""A call is abandoned so long after its own timeout."""


class Outcome(Enum):
    """How a transaction ended."""

    COMMITTED = "committed"
    ABORTED = "aborted"
    UNKNOWN = "unknown"
    """A new producer settles the transaction: the group's offsets tell whether it was committed."""


def describe(problem: KafkaError | None) -> str:
    """Return why a transaction did not commit."""
    return explain(problem) if problem is not None else "its outcome was not known"


def _reason_of(problem: KafkaError) -> str:
    """Return why no producer starts. The client's words for silence are advice to its caller."""
    return "the brokers do not answer" if problem.code() == KafkaError._TIMED_OUT else problem.str()


def _may_pass(problem: KafkaError) -> bool:
    return problem.retriable() and not problem.txn_requires_abort()


def _refused(topic: str, problem: KafkaError) -> KafkaError:
    """Return the error of a record that was not written, with its topic. Its transaction can be aborted."""
    return KafkaError(problem.code(), f"{topic}: {problem.str()}", fatal=problem.fatal(), txn_requires_abort=True)


def is_unacceptable(problem: KafkaError | None) -> bool:
    """Return whether a transaction failed because of what it held, and would fail again."""
    return problem is not None and problem.code() in _UNACCEPTABLE


def is_outage(problem: KafkaError | None) -> bool:
    """Return whether a transaction failed because of brokers that are away: none succeeds before they are back."""
    return problem is not None and problem.code() in _OUTAGE


Report = Callable[[KafkaError | None, Message], None]
"""Is called with what became of a record, and the record."""


class _Reports(NamedTuple):
    """What hears of a transaction's records: of facts, of the first change, of copied changes, and of all others."""

    ledger: Report | None
    state: Report | None
    copied: Report | None
    other: Report | None = None


Changes = tuple[str, int, Sequence[Change]]
"""Changelog records of one partition: topic, partition, records."""


@dataclass(frozen=True)
class Work:
    """Everything that one transaction holds."""

    outputs: Iterable[Output]
    changes: Iterable[Changes]
    offsets: list[TopicPartition]
    group: Any
    """The group metadata captured at the batch's poll."""


class Transactions:
    """The process's one transactional producer, and its replacement once a transaction's outcome is unknown."""

    def __init__(  # noqa: PLR0913  all keyword-only
        self,
        *,
        config: dict[str, Any],
        timeout_s: float,
        rivals: SlotRivals,
        ledger_topics: Collection[str] = (),
        on_ledger: Report | None = None,
        on_state: Report | None = None,
        copied_topics: Collection[str] = (),
        on_copied: Report | None = None,
        stamp: Callable[[], int] = int,
        explain: Callable[[KafkaError], str] = KafkaError.str,
        reached: Reached = nothing_happens,
        make_producer: Callable[[dict[str, Any]], Producer] = Producer,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open no producer yet. `explain` words a refusal; `on_ledger` is called for each fact on `ledger_topics`.

        `on_state` is called for the first changelog record of each transaction, `on_copied` for each one, the first
        excepted, of a changelog among `copied_topics`. `stamp` returns the time to write on a
        transaction's records (epoch milliseconds), 0 for the client's.
        """
        self._config, self._timeout_s, self._rivals = config, timeout_s, rivals
        self._make_producer, self._now, self._began_at = make_producer, now, 0.0
        self._ledger_topics, self._copied_topics = frozenset(ledger_topics), frozenset(copied_topics)
        self._seldom = self._reports = _Reports(on_ledger, on_state, on_copied)
        self._always = _Reports(*map(self._noting, self._seldom))
        self._undelivered: KafkaError | None = None
        self._explain, self._reached, self._stamp = explain, reached, stamp
        self._slot = str(config["transactional.id"])
        self._longest_s = config["transaction.timeout.ms"] / 1000
        self._producer: Producer | None = None
        self._waits_since: float | None = None
        self._calls = BoundedCalls()
        self.problem: KafkaError | None = None
        """Why the last transaction did not commit."""

    def open(self, give_up: Callable[[], bool], limit_s: float) -> bool:
        """Start a producer and take the slot from any older process. Return False if `give_up` said so.

        Raises FatalError if that fails until `limit_s`.
        """
        self._rivals.note_older()
        return self._start(give_up, limit_s)

    def reopen(self, give_up: Callable[[], bool]) -> bool:
        """Start a new producer after one whose end is unclear. Waits for brokers that are away as long as they are.

        Returns False if `give_up` said so, and raises FatalError for what waiting does not mend. Raises Fenced if a
        newer process has the slot, as far as a broker that answers knows: a new producer would take the slot back.
        """
        return self._start(give_up, inf, self._require_slot)

    def _require_slot(self) -> None:
        if host := self._rivals.newer_host_if_reachable():
            raise Fenced(self._fenced_by(host))

    def _start(
        self, give_up: Callable[[], bool], limit_s: float, before_attempt: Callable[[], None] = lambda: None
    ) -> bool:
        problem: KafkaException | None = None
        reminder, self._waits_since = Reminder(self._tell_delay, self._now), self._now()
        for _ in until(limit_s, _RETRY_PAUSE_S):
            before_attempt()
            try:
                is_open = self._init_producer(give_up)
            except (KafkaException, SystemError) as error:
                problem = client_error(error)
                reason = self._judge(problem)
                self._discard()
                if not (reason.retriable() or reason.code() == KafkaError._TIMED_OUT):
                    break
                reminder.remind(_reason_of(reason))
            else:
                self._waits_since = None
                return is_open
        assert problem is not None, "each attempt returns or fails"
        raise self._cannot_start(problem.args[0], limit_s) from problem

    def _tell_delay(self, reason: str) -> None:
        log.warning("transactions.delayed", reason=f"{self.why_delayed}: {reason}", slot=self._slot)

    def _init_producer(self, give_up: Callable[[], bool]) -> bool:
        self._discard()
        self._producer, self._began_at = self._make_producer(self._config), self._now()
        problem: KafkaException | None = None
        for left_s in until(self._timeout_s):
            if give_up():
                return False
            try:
                self._producer.init_transactions(min(left_s, _INIT_S))
            except KafkaException as error:
                if error.args[0].code() != KafkaError._TIMED_OUT:
                    raise
                problem = error
            else:
                return True
        assert problem is not None, "each attempt returns or fails"
        raise problem

    def _cannot_start(self, problem: KafkaError, limit_s: float) -> FatalError:
        is_silent = problem.code() == KafkaError._TIMED_OUT
        reason = f"the brokers have not answered for {limit_s:g} s" if is_silent else problem.str()
        return FatalError(
            f"cannot start transactions as {self._slot!r}: {reason}. What was not committed is done by the next process"
        )

    def commit(self, work: Work) -> Outcome:
        """Write and commit, in steps 1 to 5.

        Their order makes the commit correct, and flushing before the offsets makes it fast.
        """
        producer = self._live()
        self._began_at, self._undelivered = self._now(), None
        try:
            producer.begin_transaction()  # 1
            self._produce(producer, work)  # 2
            self._reached("after-produce")
            self._flush(producer)  # 3
            self._reached("after-flush")
            if work.offsets:
                self._retrying(lambda: self._send_offsets(producer, work))  # 4
            self._reached("after-offsets")
        except (KafkaException, SystemError) as error:
            return self._abort(client_error(error))
        try:
            self._retrying(lambda: producer.commit_transaction(self._timeout_s))  # 5
        except (KafkaException, SystemError) as error:
            return self._unclear(client_error(error))
        self._reached("after-commit")
        self._reports = self._seldom
        return Outcome.COMMITTED

    @property
    def why_delayed(self) -> str:
        """Return for how long no transaction can begin, or an empty text if one can. May be asked by any thread."""
        since = self._waits_since
        return "" if since is None else f"no transaction can begin for {self._now() - since:.0f} s"

    @property
    def is_open(self) -> bool:
        """Whether there is a producer; without one, `reopen` makes a new one."""
        return self._producer is not None

    def close(self) -> None:
        """Discard the producer and stop the thread of bounded calls."""
        self._discard()
        self._calls.close()

    def _live(self) -> Producer:
        if self._producer is None:
            raise FatalError("no producer: call open() first")
        return self._producer

    def _produce(self, producer: Producer, work: Work) -> None:
        produce, ledgers, stamp = producer.produce, self._ledger_topics, self._stamp()
        on_ledger, on_state, on_copied, on_other = self._reports
        for topic, value, key, headers, partition in work.outputs:
            report = on_ledger if topic in ledgers else on_other
            try:
                produce(topic, value, key, partition, report, None, stamp, headers)
            except BufferError:
                self._produce_when_possible(producer, topic, value, key, partition, report, None, stamp, headers)
            except KafkaException as error:
                raise KafkaException(_refused(topic, error.args[0])) from error
        report, copied = on_state, self._copied_topics
        for topic, partition, changes in work.changes:
            report_others = on_copied if topic in copied else on_other
            report = report or report_others
            for key, value in changes:
                try:
                    produce(topic, value, key, partition, report, None, stamp)
                except BufferError:
                    self._produce_when_possible(producer, topic, value, key, partition, report, None, stamp)
                except KafkaException as error:
                    raise KafkaException(_refused(topic, error.args[0])) from error
                report = report_others
            report = None

    def _noting(self, report: Report | None) -> Report:
        """Return a report that notes the first record that is not delivered, besides what `report` does."""

        def note(error: KafkaError | None, record: Message) -> None:
            if error is not None and self._undelivered is None:
                self._undelivered = _refused(record.topic() or "", error)
            if report is not None:
                report(error, record)

        return note

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
        retry(call, self._timeout_s, _RETRY_PAUSE_S, may_pass=_may_pass)

    def _abort(self, error: KafkaException) -> Outcome:
        """Abort, or let a new producer's start abort: before the commit call nothing can have taken effect."""
        reason = self._judge(error)
        self._reports = self._always  # the next attempt tells which record it is, should it fail like this one
        log.warning("transaction.aborted", reason=describe(self.problem), slot=self._slot)
        if reason.code() == _FORGOTTEN:
            self._discard()  # the client keeps an id that the broker has forgotten, if only offsets were to be sent
            return Outcome.ABORTED
        if not (reason.txn_requires_abort() or is_unacceptable(reason)):
            self._discard()
            return Outcome.UNKNOWN
        self._end_if_replaced()
        try:
            self._retrying(lambda: self._live().abort_transaction(self._timeout_s))
        except (KafkaException, SystemError) as unclear:
            return self._unclear(client_error(unclear))
        return Outcome.ABORTED

    def _unclear(self, error: KafkaException) -> Outcome:
        reason = self._judge(error)
        if reason.txn_requires_abort():
            return self._abort(error)
        log.warning("transaction.outcome_unknown", reason=describe(self.problem), slot=self._slot)
        self._discard()
        return Outcome.UNKNOWN

    def _end_if_replaced(self) -> None:
        """Raise Fenced if this process stood still in the transaction until another one had its slot.

        An abort would do harm then: a client that has lost records asks for a new epoch, and the broker, before it
        refuses, ends the transaction that the newer producer has open, and fences that one.
        """
        open_s = self._now() - self._began_at
        if open_s >= self._longest_s and (host := self._rivals.newer_host_if_reachable()):
            raise self._replaced(host, open_s)

    # -- errors that end the process ------------------------------------------------------------------------------

    def _judge(self, error: KafkaException) -> KafkaError:
        """Return why a call failed. Raises FatalError for what another attempt would not mend, Fenced for a rival."""
        reason: KafkaError = error.args[0]
        if reason.code() == KafkaError._FATAL:
            reason = self._fatal_reason(reason)
        elif reason.code() == _UNDELIVERED and self._undelivered is not None:
            reason = self._undelivered
        self.problem = reason
        if reason.code() in REFUSALS:
            raise FatalError(self._explain(reason))
        if reason.code() in _FENCED:
            self._judge_fencing()
        return reason

    def _fatal_reason(self, problem: KafkaError) -> KafkaError:
        """Return the error that the client has failed with for good, which any next call tells.

        Until it is known no new producer may start: it could take the slot back from a newer process.
        """
        for _ in until(self._timeout_s, _RETRY_PAUSE_S):
            try:
                self._live().begin_transaction()
            except (KafkaException, SystemError) as error:
                reason: KafkaError = client_error(error).args[0]
                if reason.fatal() and reason.code() != KafkaError._FATAL:
                    return reason
        raise FatalError(f"the Kafka client of {self._slot!r} failed for good and does not say why: {problem.str()}")

    def _judge_fencing(self) -> None:
        """Raise Fenced if a newer process has the slot, or may have it. Otherwise a new producer may take the slot.

        The broker says the same of a transaction that it has ended itself, because it took too long; and an older
        process in such a transaction takes the slot back if this one has not joined the group yet.
        """
        open_s = self._now() - self._began_at
        try:
            rivals = self._rivals.find(self._timeout_s)
        except KafkaException as error:
            raise self._fenced_by_unknown(open_s, error) from error
        if open_s >= self._longest_s:
            if rivals.newer:
                raise self._replaced(rivals.newer, open_s)
            ended = f"the broker ended it after {open_s:.0f} s, ENSEMBLE_TRANSACTION_TIMEOUT_S is {self._longest_s:g}"
            log.warning("transaction.timed_out", reason=f"{ended}; no other process has the slot", slot=self._slot)
            self.problem = self._undelivered or KafkaError(KafkaError._FENCED, ended)  # the client speaks of a rival
            return
        if rivals.newer or not rivals.older:
            raise Fenced(self._fenced_by(rivals.newer))
        log.warning(
            "slot.taken_again",
            reason=f"an older process on {rivals.older} stood still when this one took the slot, and took it back",
            slot=self._slot,
        )

    def _fenced_by_unknown(self, open_s: float, error: KafkaException) -> Fenced:
        if open_s < self._longest_s:
            return Fenced(self._fenced_by())
        return Fenced(
            f"{self._slot!r} was fenced after {open_s:.0f} s in one transaction: the broker has ended it, or "
            f"another process has the slot. The broker does not say which ({error.args[0].str()})"
        )

    def _replaced(self, host: str, open_s: float) -> Fenced:
        return Fenced(f"{self._fenced_by(host)}; this process stood still for {open_s:.0f} s before")

    def _fenced_by(self, host: str = "") -> str:
        return (
            f"another process{f' on {host}' if host else ''} runs as {self._slot!r} and has fenced this one; give each "
            "instance its own ENSEMBLE_INSTANCE_ID"
        )

    def _discard(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.purge(in_flight=False, blocking=False)
