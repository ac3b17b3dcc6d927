"""When the schema registry may be asked, and when its "not found" can be trusted. No I/O, and no clock of its own."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Final, NamedTuple

from ensemble.errors import SchemasUnavailable
from ensemble.waiting import OnWait, ignore

_PAUSE_S: Final = 1.0
"""After a failed request no other is made for this long, or for twice as long as the failure took."""
_SILENCE_IS_S: Final = 5.0
"""If the last answer is older than this, the registry may have been restarted since."""


class Patience(NamedTuple):
    """How long each answer of a registry that is still coming up is waited for, and who is told of it."""

    limit_s: float = 0.0
    on_wait: OnWait = ignore


class Availability:
    """Spaces the requests to a registry that fails, and doubts the first answers of one that may have been restarted.

    Before a request call `require`; after it `note_answer`, or `fail`.
    """

    def __init__(self, url: str | None, settle_s: float, now: Callable[[], float], longest_rest_s: float = inf) -> None:
        self._url, self._settle_s, self._now, self._longest_rest_s = url, settle_s, now, longest_rest_s
        self._silent_until, self._reason = 0.0, ""
        self._kind = SchemasUnavailable
        self._answered_at, self._answers_since = 0.0, 0.0

    def require(self) -> float:
        """Return the time at which a request begins. Raises SchemasUnavailable if the last one failed just now."""
        now = self._now()
        if now < self._silent_until:
            raise self._kind(self._reason)
        return now

    def note_answer(self) -> None:
        """Take the time of an answer, "not found" included."""
        now = self._now()
        if now - self._answered_at > _SILENCE_IS_S:
            self._answers_since = now
        self._answered_at, self._reason = now, ""

    def fail(
        self, reason: str, began: float, kind: type[SchemasUnavailable] = SchemasUnavailable
    ) -> SchemasUnavailable:
        """Return the error for a request that failed; requests rest for a while, and the next answer is the first."""
        self._answered_at = 0.0
        return self._rest(reason, began, kind)

    def describe(self) -> str:
        """Return why there is no answer, as far as it is known."""
        return self._reason or f"schema registry {self._url}: no answer yet"

    def require_settled(self, schema_id: int) -> None:
        """Raise SchemasUnavailable while an unknown id may be one that the registry has yet to load after a restart."""
        now = self._now()
        if now - self._answers_since < self._settle_s:
            reason = f"id {schema_id} is unknown; it is asked again for {self._settle_s:g} s, as after a restart"
            raise self._rest(reason, now, SchemasUnavailable)

    def _rest(self, reason: str, began: float, kind: type[SchemasUnavailable]) -> SchemasUnavailable:
        now = self._now()
        self._silent_until = now + min(max(_PAUSE_S, 2 * (now - began)), self._longest_rest_s)
        self._reason = f"schema registry {self._url}: {reason}"
        self._kind = kind
        return kind(self._reason)
