"""What becomes of an input that could not be handled: held back, tried again later, or given up.

One that fails parks its key, so nothing of the key overtakes it and nothing else waits for it. All of it is staged in
the batch: the parked record, why it is parked, dead letter and offset are one transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, Final

import structlog

from ensemble.engine.admission import Admission
from ensemble.engine.async_calls import AsyncCall
from ensemble.engine.batch import Batch
from ensemble.engine.failures.circuit_breaker import OpenCircuit, cause_of
from ensemble.engine.failures.dead_letters import DeadLetters, Failure
from ensemble.engine.routes import FailureRule, Route
from ensemble.errors import EnsembleError, FatalError, MisplacedRecord, OutOfScope, RejectedInput, TerminalError
from ensemble.messages.message import Message
from ensemble.messages.records import ConsumedRecord, message_id
from ensemble.policies.retry import OnExhaustion
from ensemble.state.parking import parked_record
from ensemble.state.unit_of_work import RecordLayer
from ensemble.system_messages.dead_letters import printable
from ensemble.system_messages.operations import IncidentClosed, IncidentOpened
from ensemble.system_messages.state import ParkedKey, ParkedStatus

log = structlog.get_logger()

OUTAGE: Final = "outage"
POLICY: Final = "policy"
_NEITHER_DUE_NOR_BLOCKED: Final = {"due_at": None, "blocked_on": ""}
_DICE_BYTES: Final = 8
_WORDS_LIMIT: Final = 1000


@dataclass(frozen=True)
class FailedInput:
    """An input, and what went wrong with it."""

    key: bytes
    """Its parking key; empty when it can have none."""
    record: ConsumedRecord
    rule: FailureRule
    error: Exception
    layer: RecordLayer
    read: Callable[[], Message | None]
    """The message, when it was readable: its sender is to be told."""
    stage: str = "handle"

    @classmethod
    def of(cls, call: AsyncCall, error: Exception) -> FailedInput:
        """Return the failed input of a call whose handlers raised `error`."""
        return cls(call.key, call.record, call.route.rule, error, call.layer, lambda: _decoded(call))


class Failures:
    """Decides, by the policies, what follows from a failure in one partition."""

    def __init__(self, batch: Batch, admission: Admission) -> None:
        self._batch, self._admission, self._parking = batch, admission, batch.stores.parking
        self._dead_letters = DeadLetters(batch.plan, batch.partition)
        self._outages = batch.breakers
        self._incidents: list[IncidentOpened | IncidentClosed] = []
        """Those of this batch, and of batches before it that were dropped."""

    def settle(self, failed: FailedInput) -> bool:
        """Park, dead-letter or skip a failed input. Return True if it was skipped, so that its key is free.

        Re-raises a FatalError.
        """
        failed.layer.drop()
        self._batch.counts.failures += 1
        if isinstance(failed.error, FatalError):
            raise failed.error
        if isinstance(failed.error, OutOfScope):
            failed = self._rightly_blamed(failed, failed.error)
        if isinstance(failed.error, RejectedInput) or not failed.key:
            self._outages.forget(failed.rule.handler, _text(failed.key))
            return self._skip(failed, self._attempts(failed))
        if failed.rule.policy.is_terminal(failed.error):
            self._outages.forget(failed.rule.handler, _text(failed.key))
            return self._exhausted(failed, self._attempts(failed))
        self._count(failed)
        if self._outages.is_open(failed.rule.handler):
            self._hold(failed, "outage", blocked_on=f"{OUTAGE}/{failed.rule.handler}")
            return False
        return self._by_policy(failed)

    def succeeded(self, handler: str) -> None:
        """End the handler's streak of failures, and its outage, after a success."""
        if (outage := self._outages.succeeded(handler, self._batch.now)) is not None:
            self._tell_closed(outage)

    def _rightly_blamed(self, failed: FailedInput, error: OutOfScope) -> FailedInput:
        """Blame the sender, not the handler, for a message under another key than its own."""
        input_topic, message = self._batch.plan.inputs.get(failed.record.topic() or ""), failed.read()
        if input_topic is None or message is None:
            return failed
        if failed.record.key() == str(getattr(message, input_topic.topic.key)).encode():
            return failed
        return replace(failed, error=MisplacedRecord(f"{error}; the record's key is not its {input_topic.topic.key}"))

    # -- what the policy says -------------------------------------------------------------------------------------

    def _by_policy(self, failed: FailedInput) -> bool:
        attempts, policy, now = self._attempts(failed), failed.rule.policy, self._batch.now
        entry = self._parking.entry(failed.key)
        first = entry.first_failed_at if entry and entry.first_failed_at is not None else now
        delay = policy.delay_after(attempts, failed.error, (now - first) / 1000, _dice(failed, attempts))
        if delay is not None:
            self._hold(failed, "retrying", due_at=now + round(delay * 1000))
            return False
        return self._exhausted(failed, attempts)

    def _exhausted(self, failed: FailedInput, attempts: int) -> bool:
        match failed.rule.policy.on_exhaustion:
            case OnExhaustion.SKIP:
                return self._skip(failed, attempts)
            case OnExhaustion.PAUSE:
                self._dead_letters.tell_sender(failed.record, failed.layer, self._failure(failed, attempts))
                self._hold(failed, "paused", blocked_on=POLICY)
            case _:
                self._give_up(failed, attempts)
                self._hold(failed, "dead_lettered", dead_letter=True)
        failed.layer.fold(self._batch.outputs)
        return False

    def _skip(self, failed: FailedInput, attempts: int) -> bool:
        self._give_up(failed, attempts)
        failed.layer.fold(self._batch.outputs)
        return True

    def _give_up(self, failed: FailedInput, attempts: int) -> None:
        self._batch.counts.dead_lettered += 1
        self._dead_letters.stage(failed.record, failed.layer, self._failure(failed, attempts), self._batch.now)

    def answer_again(self, record: ConsumedRecord, route: Route, entry: ParkedKey) -> None:
        """Answer the sender once more when a command comes again that was given up, or is paused by policy."""
        if entry.status != "dead_lettered" and entry.blocked_on != POLICY:
            return
        layer, error = RecordLayer(), type(entry.error, (TerminalError,), {})(entry.words)
        self._admission.identify(record, layer)
        failed = FailedInput.of(AsyncCall(record.key() or b"", record, route, layer=layer), error)
        self._dead_letters.tell_sender(record, layer, self._failure(failed, entry.attempts))
        layer.fold(self._batch.outputs)

    def _failure(self, failed: FailedInput, attempts: int) -> Failure:
        rejected = isinstance(failed.error, RejectedInput) or not failed.key
        disposition = OnExhaustion.SKIP if rejected else failed.rule.policy.on_exhaustion
        return Failure(failed.error, failed.stage, failed.rule, attempts, failed.read(), disposition, failed.key)

    # -- parking --------------------------------------------------------------------------------------------------

    def _attempts(self, failed: FailedInput) -> int:
        entry = self._parking.entry(failed.key)
        return (entry.attempts if entry else 0) + 1

    def _hold(self, failed: FailedInput, status: ParkedStatus, **changes: Any) -> None:
        """Park the record, or keep it parked, with what is known of its failures."""
        entry, now = self._parking.entry(failed.key), self._batch.now
        known = {
            "status": status,
            "attempts": self._attempts(failed),
            "first_failed_at": (entry and entry.first_failed_at) or now,
            "last_failed_at": now,
            "error": type(failed.error).__qualname__,
            "words": printable(str(failed.error))[:_WORDS_LIMIT],
            "handler": failed.rule.handler,
            "policy": failed.rule.policy.origin,
            **_NEITHER_DUE_NOR_BLOCKED,
            **changes,
        }
        if entry is not None:
            self._parking.update(failed.key, entry.model_copy(update=known))
        else:
            self.park(failed.key, failed.record, failed.rule, **known)

    def park(self, key: bytes, record: ConsumedRecord, rule: FailureRule, **known: Any) -> None:
        """Hold `key` back with `record` at its head."""
        held = parked_record(record, rule.name, message_id(record), self._batch.now)
        entry = ParkedKey(first=0, next=1, since=self._batch.now, **{"handler": rule.handler, **known})
        self._parking.open(key, entry, held)
        self._batch.counts.parked += 1

    # -- outages --------------------------------------------------------------------------------------------------

    def may_try(self, handler: str, key: bytes) -> bool:
        """Return True if an attempt may begin; while the handler is out, if it may be the probe."""
        return not self._outages.is_watching or self._outages.may_try(handler, _text(key), self._batch.now)

    def forget(self, handler: str, key: bytes) -> None:
        """Forget an attempt that ended without a result, so that another record may be the probe."""
        self._outages.forget(handler, _text(key))

    def begin(self) -> None:
        """Begin a batch with the incidents of batches that were dropped."""
        for incident in self._incidents:
            self._batch.tell(incident)

    def commit(self) -> None:
        """Forget the incidents, which the batch has committed."""
        self._incidents.clear()

    def _count(self, failed: FailedInput) -> None:
        cause = cause_of(failed.error)
        outage = self._outages.failed(failed.rule.handler, _text(failed.key), cause, self._batch.now)
        if outage is not None:
            log.warning("incident.opened", handler=outage.handler, cause=outage.cause, failures=outage.count)
            self._tell_opened(outage)

    def _tell_opened(self, outage: OpenCircuit) -> None:
        service, now = self._batch.plan.service.name, self._batch.now
        names = {"incident_id": _incident(service, outage), "service": service}
        what = {"handler": outage.handler, "cause": outage.cause, "failures": outage.count}
        self._tell(IncidentOpened(**names, **what, at=now))

    def _tell_closed(self, outage: OpenCircuit) -> None:
        service, now = self._batch.plan.service.name, self._batch.now
        log.info("incident.closed", handler=outage.handler, cause=outage.cause, failures=outage.count)
        names = {"incident_id": _incident(service, outage), "service": service}
        what = {"handler": outage.handler, "cause": outage.cause, "since": outage.since}
        self._tell(IncidentClosed(**names, **what, at=now))

    def _tell(self, incident: IncidentOpened | IncidentClosed) -> None:
        self._incidents.append(incident)
        self._batch.tell(incident)


def _decoded(call: AsyncCall) -> Message | None:
    """Return the message, or None if it is not readable."""
    try:
        return call.route.read(call.record.value())
    except EnsembleError:
        return None


def _incident(service: str, outage: OpenCircuit) -> str:
    return blake2b(f"{service}/{outage.handler}/{outage.since}".encode(), digest_size=8).hexdigest()


def _dice(failed: FailedInput, attempts: int) -> float:
    """Chance, but the same whenever this attempt is judged again after an abort."""
    raw = blake2b(f"{failed.layer.input_id}/{attempts}".encode(), digest_size=_DICE_BYTES).digest()
    return int.from_bytes(raw, "big") / float(1 << 8 * _DICE_BYTES)


def _text(key: bytes) -> str:
    return key.decode(errors="backslashreplace")
