"""How long the order saga waits for each step, and how often it asks again."""

from __future__ import annotations

from typing import Final, Self

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from ensemble import SagaPolicies, StepPolicy
from ensemble.messages import Seconds
from ensemble.policies import PolicyFile, PolicyValue, SagaSources, find_policy_file, saga_table
from ensemble.settings import RuntimeSettings, load

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

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name, policy in self:
            if policy.on_exhaustion != UNDO.on_exhaustion:
                raise ValueError(f"{name}: on_exhaustion is for steps; an undo that is given up is owed")
        return self


class FulfilmentSettings(BaseSettings):
    """From the environment, such as `ENSEMBLE_FULFILMENT_STEPS__PAYMENT__DEADLINE_S=5`; else what it is made with."""

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

    @classmethod
    def settings_customise_sources(  # noqa: PLR0917  what pydantic calls it with
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment rules over the policy file, whose values this is made with."""
        return env_settings, init_settings

    def policies(self) -> SagaPolicies:
        """The policies by step name, as the engine reads them."""
        times = self.model_dump(exclude={"steps", "undos"})
        return SagaPolicies(steps=dict(self.steps), undos=dict(self.undos), **times)


DEFAULT_POLICIES: Final = SagaPolicies(steps=dict(Steps()), undos=dict(Undos()))


def fulfilment_policies() -> SagaPolicies:
    """What holds here: the environment over the orchestrator's policy file over the defaults.

    ConfigurationError names the variable, or file, line and key.
    """
    file = find_policy_file("orchestrator", load(RuntimeSettings).policies_dir)
    return _sources(file).marked(_policies(file))


def fulfilment_values(file: PolicyFile | None) -> tuple[PolicyValue, ...]:
    """Every value that holds with this file, and where it comes from."""
    return _sources(file).values(_policies(file))


def _policies(file: PolicyFile | None) -> SagaPolicies:
    return load(FulfilmentSettings, **saga_table(file, DEFAULT_POLICIES)).policies()


def _sources(file: PolicyFile | None) -> SagaSources:
    return SagaSources(file, EnvSettingsSource(FulfilmentSettings)(), FulfilmentSettings.model_config["env_prefix"])
