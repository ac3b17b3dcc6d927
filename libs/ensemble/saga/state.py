"""The saga engine's part of a state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Self

from pydantic import Field

from ensemble.messages import Int64, Millis
from ensemble.messages.message import State
from ensemble.saga.table import PLACEHOLDER

Names = tuple[str, ...]
"""Names of steps, or of events."""
_set: Final = object.__setattr__
_Count = Annotated[int, Field(strict=True, ge=0, le=2**31 - 1)]
_Flag = Annotated[bool, Field(strict=True)]


class SagaProgress(State):
    """How far a saga has come. A state class inherits it, and adds the fields that its commands are built from."""

    saga: str = ""
    """The saga's name; empty: not started."""
    version: _Count = 0
    """The version of the table that moved this state last."""
    status: str = PLACEHOLDER
    step: str | None = None
    """The step under way or being undone, by name."""
    attempt: _Count = 0
    """Counts from 1; every resend is a new one."""
    attempts_before: _Count = 0
    """Attempts that the policy no longer counts."""
    exhausted: str = ""
    """How the participant gave up the attempt under way; empty: it did not."""
    begun: Names = ()
    """Steps that may have happened."""
    done: Names = ()
    """Steps that have succeeded."""
    failed: Names = ()
    """Steps whose participant refused."""
    undone: Names = ()
    """Steps whose undo was confirmed."""
    settled: Names = ()
    """Steps that were owed until an operator settled them."""
    owed: Names = ()
    """Steps whose undo was given up."""
    expected: Names = ()
    """Names of the events that are awaited next."""
    due_at: Millis | None = None
    """When the engine needs its `Deadline`; the conductor keeps one timer for it. None while paused."""
    remaining_ms: Int64 | None = None
    """While paused: the time left until the deadline. None: the next attempt is due as soon as the pause ends."""
    expires_at: Millis | None = None
    """For the commands of the step under way: after this they must not take effect."""
    forget_at: Millis | None = None
    """When the conductor deletes the state, or reduces it to what it keeps for ever."""
    reason: str | None = None
    """Why it is being, or was, cancelled."""
    cancel_requested: _Flag = False
    """Whether somebody asked to cancel."""
    compensation_requested: _Flag = False
    """Whether an operator said to turn back, whatever has happened."""
    paused_since: Millis | None = None
    """None: it is not paused."""
    paused_by: str | None = None
    """`operator NAME`, `policy`, or the wider pause: `step NAME`, `command TYPE`, `service NAME`."""
    paused_reason: str | None = None
    """Why it is paused; null: it is not."""

    @property
    def is_paused(self) -> bool:
        """Whether the saga is held back: what comes is noted, and no command leaves."""
        return self.paused_since is not None

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with other values, which are not validated: pydantic's copy, in a fifth of its time.

        The engine makes several of each state, and changes no field but its own.
        """
        if deep or self.__pydantic_private__ is not None:
            return super().model_copy(update=update, deep=deep)
        copy, changes, names = object.__new__(type(self)), update or {}, self.__pydantic_fields_set__
        _set(copy, "__dict__", {**self.__dict__, **changes})
        _set(copy, "__pydantic_fields_set__", names if names.issuperset(changes) else names.union(changes))
        _set(copy, "__pydantic_extra__", None)
        _set(copy, "__pydantic_private__", None)
        return copy


NOTHING_UNDER_WAY: Final[dict[str, Any]] = {
    "step": None,
    "attempt": 0,
    "attempts_before": 0,
    "exhausted": "",
    "expected": (),
    "due_at": None,
    "expires_at": None,
}
"""The fields of the step or undo under way, when there is none."""
