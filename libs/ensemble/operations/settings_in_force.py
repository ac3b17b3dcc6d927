"""Settings as they hold here: variable, value, and whether it was set."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Final

from pydantic import BaseModel, SecretStr
from pydantic_settings import BaseSettings

from ensemble.application import ConductorFactory
from ensemble.application.declaration import Application
from ensemble.policies import find_policy_file
from ensemble.settings import KafkaSettings, RegistrySettings, RuntimeSettings, load

_RUNTIME: Final[tuple[type[BaseSettings], ...]] = (KafkaSettings, RegistrySettings, RuntimeSettings)


def settings_in_force(application: Application) -> list[dict[str, Any]]:
    """Return one row for each setting. Raises ConfigurationError naming those that are invalid."""
    kinds = (*_RUNTIME, *application.settings)
    rows = [row for kind in kinds for row in _rows(load(kind), kind.model_config.get("env_prefix", ""))]
    return rows + [row for conductor in application.conductors().values() for row in _rows_of_a_saga(conductor)]


def _rows_of_a_saga(conductor: ConductorFactory) -> Iterator[dict[str, Any]]:
    """Yield the rows of the one group of settings that a policy file may set as well."""
    file = find_policy_file(conductor.name, load(RuntimeSettings).policies_dir)
    loaded = conductor.read_policies(file)
    if file is not None:
        file.raise_faults(loaded.faults)
    for value in loaded.values:
        _, *tables = value.section.split(".")
        variable = f"{conductor.env_prefix}{'__'.join([*tables, value.key])}".upper()
        source = "environment" if value.origin == variable else value.origin
        yield {"variable": variable, "value": value.value, "source": source}


def _rows(values: BaseModel, prefix: str) -> list[dict[str, Any]]:
    rows = []
    for name in type(values).model_fields:
        value, variable = getattr(values, name), f"{prefix}{name}".upper()
        if isinstance(value, BaseModel):
            rows += _rows(value, f"{variable}__")
        else:
            rows.append({"variable": variable, "value": _shown(value), "source": _source(variable, value)})
    return rows


def _source(variable: str, value: Any) -> str:
    if isinstance(value, SecretStr) and os.environ.get(f"{variable}_FILE"):
        return "file"
    return "environment" if variable in os.environ else "default"


def _shown(value: Any) -> Any:
    match value:
        case SecretStr():
            return "********"
        case None | bool() | int() | float() | str():
            return value
        case _:
            return str(value)
