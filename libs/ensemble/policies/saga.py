"""How long a saga waits and how often it sends again, by the name of the step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ensemble.messages.fields import Seconds


class StepPolicy(BaseModel):
    """The policy of a step or an undo. A deadline that passes means that the outcome is unknown, not that it failed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    deadline_s: Seconds
    """How long one attempt may go unanswered."""
    resends: int = Field(ge=0, le=1000)
    """How often it is sent again before it is given up."""
    on_exhaustion: Literal["compensate", "pause"] = "compensate"
    """What follows: turn back (an undo is left owed), or pause the saga until an operator resumes it; the resends then
    count anew."""
    origin: str = "default"
    """Where these values come from, as it is recorded."""


class SagaPolicies(BaseModel):
    """The policies of one saga; `check_saga` compares the names with its table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: Mapping[str, StepPolicy]
    undos: Mapping[str, StepPolicy]
    expiry_margin_s: Seconds = 60
    """A command expires this long after the saga has given its step up."""
    placeholder_s: Seconds = 3600
    """How long events wait for the one that starts their saga."""
    stub_s: Seconds = 7 * 86_400
    """How long an ended saga is remembered: as long as any input of it may still come."""

    def policy_for(self, step: str, *, undo: bool) -> StepPolicy:
        """Return the policy of a step, or of its undo."""
        return (self.undos if undo else self.steps)[step]
