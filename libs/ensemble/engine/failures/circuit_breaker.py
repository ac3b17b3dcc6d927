"""Circuit breakers: a handler that fails for many keys for one cause is out, and one probe at a time is let through.

Pure bookkeeping of one process: no clock, no I/O, nothing to commit. Times are milliseconds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Final

from ensemble.policies.service import OutagePolicy
from ensemble.system_messages.dead_letters import text_of

MOST_CAUSES: Final = 16
_HEAD: Final = 160
_PARTICULAR: Final = re.compile(r"'[^']*'|\"[^\"]*\"|\S*\d\S*")


def cause_of(error: BaseException) -> str:
    """Return what makes two failures the same: the error's class, and its message's head without ids and numbers."""
    first, *_ = text_of(error).splitlines() or [""]
    general = _PARTICULAR.sub("#", first[: 4 * _HEAD]).strip()
    head = general if len(general) <= _HEAD else f"{general[: _HEAD - 1].rstrip()}…"
    return f"{type(error).__name__}: {head}" if head else type(error).__name__


def key_text(key: bytes) -> str:
    """Return a parking key as the circuit breakers tell keys apart."""
    return key.decode(errors="backslashreplace")


@dataclass(frozen=True)
class Failure:
    """One failed attempt, as the circuit breakers look at it."""

    key: str
    cause: str
    is_of_handler: bool = False
    """Whether the handler can serve no input as things are, so that one failure is enough."""
    retry_after_s: float = 0.0
    """No probe follows earlier."""


@dataclass(frozen=True)
class OpenCircuit:
    """One incident."""

    handler: str
    cause: str
    since: int
    """When the first of its failures happened."""
    count: int
    """Its failures, the probes' included."""
    until: int | None = None
    """When something succeeded again; None while it lasts."""


@dataclass
class _Streak:
    """Failures of one cause since the handler last succeeded."""

    since: int
    count: int = 0
    keys: set[str] = field(default_factory=set)


@dataclass
class _Watched:
    """What is known of one handler since it last succeeded."""

    streaks: dict[str, _Streak] = field(default_factory=dict)
    outage: OpenCircuit | None = None
    probe_at: int = 0
    probe: str | None = None


class CircuitBreakers:
    """The open circuits of a process. A caller asks `may_try` before each attempt, and reports how it ended.

    An attempt ends with `succeeded`, `failed`, or, when its batch was aborted, `forget`. Input that is wrong in
    itself (RejectedInput) says nothing about its handler: it is forgotten.
    """

    def __init__(self, policy: OutagePolicy) -> None:
        self._policy = policy
        self.watched: dict[str, _Watched] = {}
        """What is known of each handler that has failed since it last succeeded. Empty: nobody has to ask."""

    def may_try(self, handler: str, key: str, now: int) -> bool:
        """Return whether a record of `key` may be attempted.

        While the circuit is open, one record in `probe_s` may be: that is the probe, and there is no other before its
        end is reported.
        """
        watched = self.watched.get(handler)
        if watched is None or watched.outage is None:
            return True
        if watched.probe is not None or now < watched.probe_at:
            return False
        watched.probe = key
        return True

    def may_go_on(self, handler: str, key: str) -> bool:
        """Return whether an attempt that was let through, and waited since, may still begin."""
        watched = self.watched.get(handler)
        return watched is None or watched.outage is None or watched.probe == key

    def failed(self, handler: str, failure: Failure, now: int) -> OpenCircuit | None:
        """Count a failure. Return the circuit that it opens, if any. Failures of one key count as one towards it."""
        if not self._policy.after:
            return None
        watched = self.watched.setdefault(handler, _Watched())
        if watched.outage is not None:
            self._count_while_out(watched, watched.outage, failure, now)
            return None
        streak = _streak(watched, failure.cause, now)
        streak.count += 1
        streak.keys.add(failure.key)
        is_out = failure.is_of_handler or len(streak.keys) >= self._policy.after
        return self._begin(handler, failure, now) if is_out else None

    def succeeded(self, handler: str, now: int) -> OpenCircuit | None:
        """Forget all failures of the handler. Return the circuit that this success closes, if any."""
        watched = self.watched.pop(handler, None)
        return replace(watched.outage, until=now) if watched and watched.outage else None

    def forget(self, handler: str, key: str) -> None:
        """Note that an attempt ended without a result. Another record may be the probe at once; repeat it freely."""
        watched = self.watched.get(handler)
        if watched is not None and watched.probe == key:
            watched.probe = None

    def is_open(self, handler: str) -> bool:
        """Return whether the handler's circuit is open."""
        return handler in self.watched and self.watched[handler].outage is not None

    def probe_at(self, handler: str) -> int | None:
        """Return when the next probe is due, or None while one is under way or if the circuit is closed."""
        watched = self.watched.get(handler)
        return None if watched is None or watched.outage is None or watched.probe is not None else watched.probe_at

    @property
    def lasting(self) -> tuple[OpenCircuit, ...]:
        """The outages of now, with their counts so far."""
        return tuple(watched.outage for watched in self.watched.values() if watched.outage is not None)

    def _begin(self, handler: str, failure: Failure, now: int) -> OpenCircuit:
        watched = self.watched[handler]
        streak = watched.streaks[failure.cause]
        watched.outage = OpenCircuit(handler, failure.cause, streak.since, streak.count)
        watched.probe_at = self._next_probe(failure, now)
        return watched.outage

    def _count_while_out(self, watched: _Watched, outage: OpenCircuit, failure: Failure, now: int) -> None:
        watched.outage = replace(outage, count=outage.count + 1)
        if watched.probe == failure.key:
            watched.probe, watched.probe_at = None, self._next_probe(failure, now)

    def _next_probe(self, failure: Failure, now: int) -> int:
        return now + round(max(self._policy.probe_s, failure.retry_after_s) * 1000)


def _streak(watched: _Watched, cause: str, now: int) -> _Streak:
    """Return the streak of this cause. The oldest gives way, so that causes that all differ take no memory."""
    if cause not in watched.streaks and len(watched.streaks) >= MOST_CAUSES:
        del watched.streaks[next(iter(watched.streaks))]
    return watched.streaks.setdefault(cause, _Streak(now))
