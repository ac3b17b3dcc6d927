"""How an action on many things proceeds: a probe first, then wave after wave, until too many of one fail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeVar

from pydantic import ConfigDict, Field

from ensemble.operations.values import Result

T = TypeVar("T")


class Rollout(Result):
    """How many at a time, how fast, and when to stop."""

    model_config = ConfigDict(extra="forbid")
    probe: int = Field(default=1, ge=0, description="How many go first; 0: no probe.")
    wave: int = Field(default=10, ge=1, description="How many go at a time after the probe.")
    max_failed: float = Field(
        default=0.2, ge=0, le=1, description="The share of a wave that may fail; beyond it nothing more is submitted."
    )
    timeout_s: float = Field(default=60.0, gt=0, description="What is not resolved by then counts as failed.")
    rate: float | None = Field(default=None, gt=0, description="At most so many are submitted in a second.")
    stop_on_failure: bool = Field(default=False, description="One at a time, until one fails.")
    wait_for: Literal["outcome", "acknowledgement"] = Field(
        default="outcome", description="What resolves one: what became of it, or that it was heard."
    )

    @classmethod
    def at_once(cls, timeout_s: float = 10.0) -> Rollout:
        """Return a rollout without waves, which waits for acknowledgements and stops for no failure."""
        return cls(probe=0, wave=10_000, max_failed=1, timeout_s=timeout_s, wait_for="acknowledgement")

    def split(self, items: Sequence[T]) -> list[tuple[T, ...]]:
        """Return the items as waves, the probe first."""
        probe, wave = (0, 1) if self.stop_on_failure else (self.probe, self.wave)
        rest = range(probe, len(items), wave)
        return [each for each in (tuple(items[:probe]), *(tuple(items[n : n + wave]) for n in rest)) if each]

    def stops_after(self, failed: int, size: int) -> bool:
        """Return whether so many failures of a wave are too many to go on."""
        return failed > 0 if self.stop_on_failure else failed > self.max_failed * size
