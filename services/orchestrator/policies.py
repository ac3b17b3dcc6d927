"""How long the order saga waits for each step, and how often it asks again."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict
from pydantic_settings import BaseSettings, SettingsConfigDict

from ensemble.retry import Seconds
from ensemble.saga import SagaPolicies, StepPolicy

STEP: Final = StepPolicy(deadline_s=20, resends=3)
UNDO: Final = StepPolicy(deadline_s=20, resends=10)
"""Longer than any step: an undo that is given up needs a person."""


class Steps(BaseModel):
    """One policy for each step of the table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    payment: StepPolicy = STEP
    reservation: StepPolicy = STEP
    shipment: StepPolicy = STEP


class Undos(BaseModel):
    """One policy for each undo of the table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    payment: StepPolicy = UNDO
    reservation: StepPolicy = UNDO
    shipment: StepPolicy = UNDO


class FulfilmentSettings(BaseSettings):
    """From the environment, such as `ENSEMBLE_FULFILMENT_STEPS__PAYMENT__DEADLINE_S=5`."""

    model_config = SettingsConfigDict(
        env_prefix="ENSEMBLE_FULFILMENT_",
        env_nested_delimiter="__",
        nested_model_default_partial_update=True,
        frozen=True,
        extra="forbid",
    )

    steps: Steps = Steps()
    undos: Undos = Undos()
    expiry_margin_s: Seconds = 60
    """A command expires this long after its step was given up: time for a shipment to follow a late reservation."""
    placeholder_s: Seconds = 3600
    """How long events wait for the OrderPlaced that they belong to."""
    stub_s: Seconds = 7 * 86_400
    """How long an ended order is remembered: as long as orders.events may still bring it back."""

    def policies(self) -> SagaPolicies:
        """The policies by step name, as the engine reads them."""
        times = self.model_dump(exclude={"steps", "undos"})
        return SagaPolicies(steps=dict(self.steps), undos=dict(self.undos), **times)
