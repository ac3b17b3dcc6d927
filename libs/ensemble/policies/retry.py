"""The retry policy of an input: how many attempts, how far apart, how long in all, and what follows the last."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

from ensemble.errors import FatalError, RejectedInput, RetryableError, TerminalError
from ensemble.messages.fields import Seconds

NEVER_AGAIN: Final = (RejectedInput, FatalError)
"""No policy makes these worth another attempt."""
_LONGEST_S: Final = 1e9
"""Beyond any budget; a whole number can be too large for a float."""
_HIGHEST_POWER: Final = 300
"""10 to this power is still a float; every cap is far below."""


class OnExhaustion(StrEnum):
    """What follows when the attempts at an input are used up, or its error is terminal."""

    DEAD_LETTER = "dead_letter"
    """Dead-lettered; its parking key waits until an operator redrives or discards it."""
    PAUSE = "pause"
    """Not dead-lettered: its parking key is paused as it is, until an operator resumes it."""
    COMPENSATE = "compensate"
    """Dead-lettered and parked likewise; the conductor that sent the command is told to turn back at once."""
    SKIP = "skip"
    """Dead-lettered; its parking key goes on without it."""


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class RetryPolicy:
    """A retry policy; times are seconds. Its constructor raises pydantic's ValidationError for impossible values."""

    strategy: Literal["exponential", "fixed"] = "exponential"
    """`fixed` waits `initial_s` each time; `multiplier` and `cap_s` do not count then."""
    initial_s: Seconds = 0.2
    multiplier: Annotated[float, Field(ge=1, le=10)] = 2.0
    cap_s: Seconds = 30.0
    """No delay is longer."""
    jitter: Annotated[float, Field(ge=0, le=1)] = 0.2
    """The share of each delay that chance may take off: 0 none, 1 all of it."""
    attempts: Annotated[int, Field(ge=1, le=1000)] = 8
    """The number of attempts in all, the first one included."""
    budget_s: Seconds = 300.0
    """No attempt begins later than this after the first failure."""
    attempt_timeout_s: Seconds = 5.0
    """How long one attempt of an async handler may take."""
    terminal: frozenset[str] = frozenset()
    """Names of error classes that are not worth another attempt; their subclasses are not either."""
    retryable: frozenset[str] = frozenset()
    """Names of error classes that are worth it, although a base class of theirs is terminal."""
    on_exhaustion: OnExhaustion = OnExhaustion.DEAD_LETTER
    origin: str = "default"
    """Where its values come from: a file with its fingerprint and section, or `default`."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.strategy == "exponential" and self.initial_s > self.cap_s:
            raise ValueError(f"initial_s ({self.initial_s:g}) is above cap_s ({self.cap_s:g})")
        if both := sorted(self.terminal & self.retryable):
            raise ValueError(f"{', '.join(both)}: both terminal and retryable; keep one")
        return self

    def delay_after(
        self, attempt: int, error: BaseException, spent_s: float, random_fraction: float = 0.0
    ) -> float | None:
        """Return the seconds until the next attempt, or None if there must be no further one.

        `attempt` counts the attempts made; the last one ended with `error`, the first one failed `spent_s` ago.
        `random_fraction` is at least 0 and below 1, drawn by the caller: the policy itself is deterministic. Where the
        error asks for a longer delay (`RetryableError.retry_after_s`), it gets that, up to the end of the budget.
        """
        if attempt >= self.attempts or self.is_terminal(error):
            return None
        delay = self._longest_after(attempt) * (1 - self.jitter * random_fraction)
        left_s = self.budget_s - spent_s
        return max(delay, min(asked_delay(error), left_s)) if delay <= left_s else None

    def is_terminal(self, error: BaseException) -> bool:
        """Return whether `error` forbids another attempt. The nearest of its classes that is named anywhere decides."""
        if isinstance(error, NEVER_AGAIN):
            return True
        for kind in type(error).__mro__:
            if kind.__name__ in self.terminal | self.retryable:
                return kind.__name__ in self.terminal
            if kind in {TerminalError, RetryableError}:
                return kind is TerminalError
        return False

    def _longest_after(self, attempt: int) -> float:
        if self.strategy == "fixed":
            return self.initial_s
        return min(self.initial_s * self.multiplier ** min(attempt - 1, _HIGHEST_POWER), self.cap_s)


def asked_delay(error: BaseException) -> float:
    """Return the seconds for which the other side has asked to be left alone.

    0 for what is no number: a handler may have put there what the other side has said.
    """
    asked_s: object = error.retry_after_s if isinstance(error, RetryableError) else 0.0
    return float(min(asked_s, _LONGEST_S)) if isinstance(asked_s, int | float) and asked_s > 0 else 0.0
