"""What has to end before an input may be tried: an operator's pause of its type, or an open circuit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from ensemble.engine.batch import Batch
from ensemble.engine.compiled import CompiledService
from ensemble.engine.failures.circuit_breaker import CircuitBreakers, key_text
from ensemble.engine.items import Item
from ensemble.state.parking import ParkingStore
from ensemble.system_messages.state import ParkedStatus

OUTAGE: Final = "outage"
POLICY: Final = "policy"
"""What a key waits for that its policy has paused: only an operator ends that."""


@dataclass(frozen=True, order=True)
class ProbeCandidate:
    """A key that waits for a handler's circuit to close. The lowest candidate of a process is probed next."""

    has_failed: bool
    """Whether its head was tried: a record that was never tried proves more."""
    since: int
    """When its head failed last, or was parked."""
    partition: int
    key: bytes
    handler: str


class AttemptGate:
    """Answers what an input of one partition has to wait for. A parked key names it in `blocked_on`."""

    def __init__(
        self,
        compiled: CompiledService,
        partition: int,
        batch: Batch,
        *,
        parking: ParkingStore,
        breakers: CircuitBreakers,
    ) -> None:
        self._partition, self._batch = partition, batch
        self._parking, self._breakers = parking, breakers
        self._service = ("service", compiled.service.name)
        self._asks_for_pauses = compiled.asks_for_pauses

    @property
    def service_is_paused(self) -> bool:
        """Whether the whole service is paused. A conductor goes on recording answers; it asks before it sends."""
        paused = self._parking.pauses
        return bool(paused) and self._service in paused and not self._asks_for_pauses

    @property
    def may_block(self) -> bool:
        """Whether anything is paused, or any handler fails."""
        return bool(self._parking.pauses or self._breakers.watched)

    def blocker(self, item: Item) -> str:
        """Return what `item` has to wait for, or "" if it may be tried. That attempt may be a circuit's probe."""
        paused, rule = self._parking.pauses, item.rule
        if paused and item.is_command and ("command", rule.name) in paused:
            return f"command/{rule.name}"
        if not self._breakers.watched:
            return ""
        may_try = self._breakers.may_try(rule.handler, key_text(item.key), self._batch.now)
        return "" if may_try else outage_of(rule.handler)

    # -- what has ended -------------------------------------------------------------------------------------------

    def ended_blockers(self) -> list[str]:
        """Return what keys still wait for, though it has ended."""
        return [blocker for blocker in self._parking.blockers if self._has_ended(blocker)]

    def next_probe(self) -> int | None:
        """Return when an open circuit that keys here wait for may be probed, epoch milliseconds."""
        dues = (self._breakers.probe_at(handler) for handler in self._handlers_waited_for())
        return min((due for due in dues if due is not None), default=None)

    def probe_candidates(self, now: int) -> Iterator[ProbeCandidate]:
        """Yield the key of this partition that is to be probed first, for each open circuit whose probe is due."""
        for handler in self._handlers_waited_for():
            if self._is_probe_due(handler, now):
                keys = self._parking.blocked_on(outage_of(handler))
                yield min(self._candidate(key, handler) for key in keys)

    def _candidate(self, key: bytes, handler: str) -> ProbeCandidate:
        entry = self._parking.entry(key)
        assert entry is not None, "a blocked key is parked"
        tried_at = entry.last_failed_at if entry.attempts else None
        since = entry.since if tried_at is None else tried_at
        return ProbeCandidate(tried_at is not None, since, self._partition, key, handler)

    def _is_probe_due(self, handler: str, now: int) -> bool:
        due_at = self._breakers.probe_at(handler)
        return due_at is not None and due_at <= now

    def _has_ended(self, blocker: str) -> bool:
        scope, _, name = blocker.partition("/")
        if scope == OUTAGE:
            return not self._breakers.is_open(name)
        return scope != POLICY and (scope, name) not in self._parking.pauses

    def _handlers_waited_for(self) -> list[str]:
        return [blocker.removeprefix(outage_of("")) for blocker in self._parking.blockers if is_outage(blocker)]


def choose_probes(candidates: Iterable[ProbeCandidate]) -> set[ProbeCandidate]:
    """Return the one key for each handler that is probed now, of all partitions' candidates.

    That is another key each time: one that was never tried, else the one whose last failure is the oldest.
    """
    probes: dict[str, ProbeCandidate] = {}
    for candidate in candidates:
        probes[candidate.handler] = min(candidate, probes.get(candidate.handler, candidate))
    return set(probes.values())


def status_of(blocker: str) -> ParkedStatus:
    """Return the status of a key that waits for `blocker`."""
    return "outage" if is_outage(blocker) else "paused"


def outage_of(handler: str) -> str:
    """Return what a key waits for whose handler's circuit is open."""
    return f"{OUTAGE}/{handler}"


def is_outage(blocker: str) -> bool:
    """Return whether `blocker` is a handler's open circuit."""
    return blocker.startswith(outage_of(""))
