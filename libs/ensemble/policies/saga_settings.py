"""The environment variables of a saga's policies, made from the policies that they may change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, create_model, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ensemble.messages.fields import Seconds
from ensemble.policies.saga import SagaPolicies, StepPolicy

DURATIONS: Final = tuple(key for key in SagaPolicies.model_fields if key not in {"steps", "undos"})


class SagaSettings(BaseSettings):
    """The policies of one saga: the environment's values over those that it is made with."""

    model_config = SettingsConfigDict(
        env_nested_delimiter="__", nested_model_default_partial_update=True, frozen=True, extra="forbid"
    )

    @classmethod
    def settings_customise_sources(  # noqa: PLR0917  what pydantic calls it with
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  as above
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  as above
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the environment over the policy file, whose values the settings are made with."""
        return env_settings, init_settings

    def policies(self) -> SagaPolicies:
        """Return the policies by the names of steps and undos."""
        return SagaPolicies(**{key: dict(value) if isinstance(value, BaseModel) else value for key, value in self})


class _Steps(BaseModel):
    """A policy for each step of the saga's table."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class _Undos(_Steps):
    """A policy for each undo of the saga's table."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name, policy in self:
            if policy.on_exhaustion != "compensate":
                raise ValueError(f"{name}: on_exhaustion is for steps; an undo that is given up is owed")
        return self


def settings_of(defaults: SagaPolicies, env_prefix: str) -> type[SagaSettings]:
    """Return the settings class of this saga: the environment's names, and the defaults as its defaults."""
    fields: dict[str, Any] = {key: (Seconds, getattr(defaults, key)) for key in DURATIONS}
    steps, undos = _fields_of(_Steps, defaults.steps), _fields_of(_Undos, defaults.undos)
    return create_model(
        "SagaSettings",
        __base__=SagaSettings,
        __cls_kwargs__={"env_prefix": env_prefix},
        steps=(steps, steps()),
        undos=(undos, undos()),
        **fields,
    )


def _fields_of(base: type[_Steps], policies: Mapping[str, StepPolicy]) -> type[_Steps]:
    fields: dict[str, Any] = {name: (StepPolicy, policy) for name, policy in policies.items()}
    return create_model(base.__name__, __base__=base, **fields)
