"""What the saga engine keeps in a state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol, Self

Names = tuple[str, ...]
"""Names of steps, or of events."""


class SagaState(Protocol):
    """The engine's fields. A state may hold more, for the functions that build commands; pydantic states fit."""

    @property
    def status(self) -> str: ...
    @property
    def step(self) -> str | None:
        """The step under way or being undone, by name."""

    @property
    def attempt(self) -> int:
        """Counts from 1; every resend is a new one."""

    @property
    def attempts_before(self) -> int:
        """Attempts that the policy counts no more."""

    @property
    def exhausted(self) -> str:
        """How the participant gave up the attempt under way; empty: it did not."""

    @property
    def begun(self) -> Names:
        """Steps that may have happened."""

    @property
    def done(self) -> Names: ...
    @property
    def failed(self) -> Names:
        """Steps whose participant refused."""

    @property
    def undone(self) -> Names: ...
    @property
    def settled(self) -> Names:
        """Steps that were owed until a person settled them."""

    @property
    def owed(self) -> Names:
        """Steps whose undo was given up."""

    @property
    def expected(self) -> Names:
        """Names of the events that are awaited next."""

    @property
    def due_at(self) -> int | None:
        """When the engine wants its `Deadline`; the caller keeps one timer for it. None while paused."""

    @property
    def remaining_ms(self) -> int | None:
        """While paused: what is left until then. None: the next attempt is due as soon as the pause ends."""

    @property
    def expires_at(self) -> int | None:
        """For the commands of the step under way: after this they must not take effect."""

    @property
    def forget_at(self) -> int | None:
        """When the caller is to delete the state."""

    @property
    def reason(self) -> str | None: ...
    @property
    def cancel_requested(self) -> bool: ...
    @property
    def compensation_requested(self) -> bool: ...
    @property
    def paused_since(self) -> int | None:
        """None: it is not paused."""

    @property
    def paused_by(self) -> str | None:
        """`operator NAME`, `policy`, or the wider pause: `step NAME`, `command TYPE`, `service NAME`."""

    @property
    def paused_reason(self) -> str | None: ...
    @property
    def saga(self) -> str:
        """The saga's name; empty: not started."""

    @property
    def version(self) -> int: ...
    def model_copy(self, *, update: Mapping[str, Any] | None = None) -> Self: ...


NOTHING_UNDER_WAY: Final[dict[str, Any]] = {
    "step": None,
    "attempt": 0,
    "attempts_before": 0,
    "exhausted": "",
    "expected": (),
    "due_at": None,
    "expires_at": None,
}
"""The fields that tell of a step or an undo under way, when there is none."""
