"""What an action would touch, before anything is done: a plan is shown, judged by a person, and then run."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Final, Generic, TypeVar

from pydantic import Field

from ensemble.operations.errors import NotPossible
from ensemble.operations.intent import Intent
from ensemble.operations.values import Result

LIFETIME: Final = timedelta(minutes=15)
"""How long after its time a plan may be run: what it shows is old by then."""
_TOLERANCE: Final = timedelta(minutes=1)
"""So much may the clocks of two machines differ."""
MOST_SKIPPED: Final = 1_000
"""So many of those that are skipped are listed; `skipped_count` counts all."""


class PlanItem(Result):
    """One thing that a plan would touch. Its name is unique in the plan."""

    name: str


class Skipped(Result):
    """One thing that was meant and is left out: `why` is a code that each action documents, `detail` belongs to it."""

    name: str
    why: str
    detail: str = ""


Item = TypeVar("Item", bound=PlanItem)


class Plan(Result, Generic[Item]):
    """What an action would touch, in the order in which it is done, and what it would leave out, as of a time."""

    id: str = Field(default_factory=lambda: secrets.token_hex(8))
    items: tuple[Item, ...]
    skipped: tuple[Skipped, ...] = ()
    skipped_count: int = 0
    as_of: datetime

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the items."""
        return tuple(item.name for item in self.items)

    @property
    def expires_at(self) -> datetime:
        """Until when it may be run."""
        return self.as_of + LIFETIME

    def derived_id(self, intent: Intent, *names: str) -> str:
        """Return an id for what is written about one item: the same whenever the plan is run with the same intent."""
        return blake2b("/".join((intent.operation_id, self.id, *names)).encode(), digest_size=16).hexdigest()

    def require_current(self, at: datetime | None = None) -> None:
        """Raise NotPossible if the plan is older than its lifetime at this time, by default now.

        So is one of the future: a clock was set back, and nobody knows how old it is.
        """
        now = at or datetime.now(UTC)
        if self.as_of - now > _TOLERANCE:
            raise NotPossible(
                f"plan {self.id} is of {self.as_of:%Y-%m-%dT%H:%M:%SZ}, which is to come: this machine's clock was set",
                subject=self.id,
                hint="plan it anew",
            )
        if now > self.expires_at:
            raise NotPossible(
                f"plan {self.id} has expired at {self.expires_at:%Y-%m-%dT%H:%M:%SZ}",
                subject=self.id,
                hint="plan it anew",
            )


def first_skipped(skipped: Sequence[Skipped]) -> tuple[Skipped, ...]:
    """Return as many of those that are skipped as a plan lists."""
    return tuple(skipped[:MOST_SKIPPED])
