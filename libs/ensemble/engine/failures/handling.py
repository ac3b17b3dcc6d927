"""What becomes of an input that could not be handled: parked, tried again later, or given up.

An input that fails parks its key, so nothing of the key overtakes it and no other key waits for it. All of it is staged
in the batch: the parked record, why it is parked, dead letter and offset are one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Final

import structlog

from ensemble.engine.batch import Batch
from ensemble.engine.compiled import CompiledService
from ensemble.engine.failures.attempt_gate import POLICY, outage_of
from ensemble.engine.failures.circuit_breaker import CircuitBreakers, Failure, OpenCircuit, cause_of, key_text
from ensemble.engine.failures.dead_letters import REASON_LIMIT, DeadLetters, Exhaustion
from ensemble.engine.items import Item, Outcome, RecordItem
from ensemble.engine.routes import source_of
from ensemble.errors import (
    FatalError,
    MisconfiguredAdapter,
    MisplacedRecord,
    OutOfScope,
    OversizedInput,
    RejectedInput,
    UnencodableMessage,
    UnknownSaga,
)
from ensemble.messages.records import message_id, why_oversized
from ensemble.policies.retry import OnExhaustion, asked_delay
from ensemble.state.parking import ParkingStore, parked_record
from ensemble.state.unit_of_work import RecordLayer
from ensemble.system_messages.dead_letters import text_of
from ensemble.system_messages.operations import IncidentClosed, IncidentOpened
from ensemble.system_messages.state import AttemptFailure, ParkedKey

log = structlog.get_logger()

_SEED_BYTES: Final = 8


@dataclass(frozen=True)
class FailedInput:
    """An input, what went wrong with it, and why its key is parked already."""

    item: Item
    error: Exception
    layer: RecordLayer
    entry: ParkedKey | None

    @property
    def attempts(self) -> int:
        """How often the input was tried, this time included."""
        return (self.entry.attempts if self.entry else 0) + 1

    @property
    def is_rejected(self) -> bool:
        """Whether the input itself is wrong, so that it says nothing of its handler."""
        return isinstance(self.error, RejectedInput) or not self.item.key


class Failures:
    """Decides, by the policies, what follows from a failure in one partition, and stages it in the batch."""

    def __init__(
        self,
        compiled: CompiledService,
        partition: int,
        batch: Batch,
        *,
        parking: ParkingStore,
        breakers: CircuitBreakers,
    ) -> None:
        self._service, self._policies = compiled.service.name, compiled.limits.policies
        self._batch, self._parking, self._breakers = batch, parking, breakers
        self._dead_letters = DeadLetters(compiled, partition)
        self._incidents: list[IncidentOpened | IncidentClosed] = []
        """The incidents of this batch, and of batches before it that were aborted."""

    def settle(self, item: Item, error: Exception, layer: RecordLayer) -> Outcome:
        """Park, dead-letter or skip a failed input. Raises `error` again if it is a FatalError."""
        layer.discard()
        self._batch.counts.failures += 1
        if isinstance(error, FatalError):
            raise error
        failed = FailedInput(item, self._sender_mistake(item, error), layer, self._parking.entry(item.key))
        if failed.is_rejected:
            self.forget(item)
            return self._skip(failed)
        is_terminal, was_open = item.rule.policy.is_terminal(failed.error), self._breakers.is_open(item.rule.handler)
        if is_terminal or isinstance(failed.error, UnknownSaga):  # this key's state, not its handler, is what fails
            self.forget(item)
        else:
            self._count(failed)
        if failed.entry is None and (reason := why_oversized(item.record, item.key)):
            return self._skip(_oversized(failed, reason))
        if is_terminal:
            return self._exhausted(failed)
        if was_open and isinstance(failed.error, MisconfiguredAdapter):
            return self._park_until_closed(failed)
        return self._by_policy(failed)

    def succeeded(self, item: Item, outcome: Outcome) -> None:
        """Note that `item` was handled, which ends a streak of failures, and an outage. A duplicate proves nothing."""
        if outcome is Outcome.DUPLICATE:
            self.forget(item)
        elif (circuit := self._breakers.succeeded(item.rule.handler, self._batch.now)) is not None:
            self._emit_closed(circuit)

    def forget(self, item: Item) -> None:
        """Note that an attempt ended without a result: another record may be the probe."""
        self._breakers.forget(item.rule.handler, key_text(item.key))

    def _sender_mistake(self, item: Item, error: Exception) -> Exception:
        """Return what to blame: a message under another key than its own is its sender's mistake."""
        if not (isinstance(error, OutOfScope | UnencodableMessage) and isinstance(item, RecordItem)):
            return error
        message, key = item.message_if_readable, item.route.topic.key
        if message is None or item.record.key() == str(getattr(message, key)).encode():
            return error
        return MisplacedRecord(f"{error}; the record's key is not its {key}")

    # -- what the policy says -------------------------------------------------------------------------------------

    def _by_policy(self, failed: FailedInput) -> Outcome:
        rule, is_open = failed.item.rule, self._breakers.is_open(failed.item.rule.handler)
        spent_s = 0.0 if is_open else self._spent_s(failed)  # waiting for the handler uses up no budget
        delay = rule.policy.delay_after(failed.attempts, failed.error, spent_s, _random_fraction(failed))
        if delay is None:
            return self._exhausted(failed)
        if is_open:
            return self._park_until_closed(failed)
        return self._park(failed, self._failed_entry(failed).with_due_at(self._batch.now + round(delay * 1000)))

    def _park_until_closed(self, failed: FailedInput) -> Outcome:
        """Park the input until its handler's circuit closes, or it is the probe."""
        blocker = outage_of(failed.item.rule.handler)
        return self._park(failed, self._failed_entry(failed).with_blocker("outage", blocker))

    def _spent_s(self, failed: FailedInput) -> float:
        first = failed.entry.first_failed_at if failed.entry else None
        return 0.0 if first is None else (self._batch.now - first) / 1000

    def _exhausted(self, failed: FailedInput) -> Outcome:
        match failed.item.rule.policy.on_exhaustion:
            case OnExhaustion.SKIP:
                return self._skip(failed)
            case OnExhaustion.PAUSE:
                self._dead_letters.notify_sender(failed.item, failed.layer, _exhaustion(failed))
                outcome = self._park(failed, self._failed_entry(failed).with_blocker("paused", POLICY))
            case _:
                outcome = self._park(failed, self._failed_entry(failed).with_dead_letter())
                self._give_up(failed)
        failed.layer.merge(self._batch.outputs)
        return outcome

    def _skip(self, failed: FailedInput) -> Outcome:
        self._give_up(failed)
        failed.layer.merge(self._batch.outputs)
        return Outcome.SKIPPED

    def reject(self, item: Item, error: Exception, layer: RecordLayer) -> None:
        """Dead-letter an input that was not tried, and go on without it."""
        exhaustion = Exhaustion(type(error).__name__, text_of(error), 0, OnExhaustion.SKIP)
        self._dead_letter(item, error, layer, exhaustion)
        layer.merge(self._batch.outputs)

    def _give_up(self, failed: FailedInput) -> None:
        self._dead_letter(failed.item, failed.error, failed.layer, _exhaustion(failed))

    def _dead_letter(self, item: Item, error: Exception, layer: RecordLayer, exhaustion: Exhaustion) -> None:
        self._batch.counts.dead_lettered += 1
        self._dead_letters.stage(item, layer, exhaustion, error=error, now=self._batch.now)

    def notify_sender_again(self, item: RecordItem, layer: RecordLayer, entry: ParkedKey, head: str) -> None:
        """Stage CommandFailed once more for a command that came again, if its head is given up or paused by policy.

        `head` is the message type of that head, whose policy says what follows.
        """
        if entry.status == "dead_lettered" or entry.blocked_on == POLICY:
            disposition = self._policies.for_message(head).on_exhaustion
            exhaustion = Exhaustion(entry.error, entry.words, entry.attempts, disposition)
            self._dead_letters.notify_sender(item, layer, exhaustion)
            layer.merge(self._batch.outputs)

    # -- parking --------------------------------------------------------------------------------------------------

    def new_entry(self, item: Item) -> ParkedKey:
        """Return the entry of a key whose head is `item`."""
        now = self._batch.now
        return ParkedKey(status="retrying", first=0, next=1, since=now, handler=item.rule.handler)

    def park(self, item: Item, entry: ParkedKey) -> None:
        """Store why the key of `item` is parked; `item` is its head if the key was not parked before."""
        if item.key in self._parking.keys:
            self._parking.update(item.key, entry)
        else:
            head = parked_record(item.record, item.rule.name, message_id(item.record), self._batch.now)
            self._parking.park(item.key, entry, head)
            self._batch.counts.parked += 1

    def _park(self, failed: FailedInput, entry: ParkedKey) -> Outcome:
        self.park(failed.item, entry)
        return Outcome.WAITING

    def _failed_entry(self, failed: FailedInput) -> ParkedKey:
        rule, error = failed.item.rule, failed.error
        reason = text_of(error)[:REASON_LIMIT]
        failure = AttemptFailure(type(error).__qualname__, reason, rule.handler, rule.policy.origin, self._batch.now)
        return (failed.entry or self.new_entry(failed.item)).after_failure(failure)

    # -- outages --------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Emit the incidents of batches that were aborted."""
        for incident in self._incidents:
            self._batch.emit_operation_event(incident)

    def commit(self) -> None:
        """Forget the incidents: they are committed."""
        self._incidents.clear()

    def _count(self, failed: FailedInput) -> None:
        circuit = self._breakers.failed(failed.item.rule.handler, _failure(failed), self._batch.now)
        if circuit is not None:
            log.warning("incident.opened", handler=circuit.handler, cause=circuit.cause, failures=circuit.count)
            self._emit_opened(circuit)

    def _emit_opened(self, circuit: OpenCircuit) -> None:
        names = {"incident_id": _incident_id(self._service, circuit), "service": self._service}
        details = {"handler": circuit.handler, "cause": circuit.cause, "failures": circuit.count}
        self._emit(IncidentOpened(**names, **details, at=self._batch.now))

    def _emit_closed(self, circuit: OpenCircuit) -> None:
        log.info("incident.closed", handler=circuit.handler, cause=circuit.cause, failures=circuit.count)
        names = {"incident_id": _incident_id(self._service, circuit), "service": self._service}
        details = {"handler": circuit.handler, "cause": circuit.cause, "since": circuit.since}
        self._emit(IncidentClosed(**names, **details, at=self._batch.now))

    def _emit(self, incident: IncidentOpened | IncidentClosed) -> None:
        self._incidents.append(incident)
        self._batch.emit_operation_event(incident)


def _failure(failed: FailedInput) -> Failure:
    error, budget_s = failed.error, failed.item.rule.policy.budget_s
    asked_s = min(asked_delay(error), budget_s)
    is_of_handler = isinstance(error, MisconfiguredAdapter)
    return Failure(key_text(failed.item.key), cause_of(error), is_of_handler, asked_s)


def _oversized(failed: FailedInput, reason: str) -> FailedInput:
    """Return the failure of an input that would have to be parked and is too large for that."""
    error = OversizedInput(f"{type(failed.error).__name__}: {text_of(failed.error)}; it cannot be parked: {reason}")
    error.__cause__ = failed.error
    return replace(failed, error=error)


def _exhaustion(failed: FailedInput) -> Exhaustion:
    error = failed.error
    disposition = OnExhaustion.SKIP if failed.is_rejected else failed.item.rule.policy.on_exhaustion
    return Exhaustion(type(error).__name__, text_of(error), failed.attempts, disposition)


def _incident_id(service: str, circuit: OpenCircuit) -> str:
    return blake2b(f"{service}/{circuit.handler}/{circuit.since}".encode(), digest_size=8).hexdigest()


def _random_fraction(failed: FailedInput) -> float:
    """Return a fraction by chance, but the same whenever this attempt is judged again after an abort."""
    layer = failed.layer  # the ids that services give are unique, those of others within topic, key and source alone
    origin = layer.message_id if layer.source.startswith(source_of("")) else f"{layer.topic}/{layer.origin}"
    raw = blake2b(f"{origin}/{failed.attempts}".encode(), digest_size=_SEED_BYTES).digest()
    return int.from_bytes(raw, "big") / float(1 << 8 * _SEED_BYTES)
