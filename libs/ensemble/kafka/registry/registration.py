"""Registers schemas at deployment; a running service never does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final, NamedTuple

from ensemble.errors import ConfigurationError, Unavailable
from ensemble.extras import imports_of_extra
from ensemble.kafka.registry.availability import Patience
from ensemble.kafka.registry.client import Registry, open_registry, subject_of, wire_schema
from ensemble.messages.message import schema_name, schemas_of
from ensemble.messages.schema_set import SchemaVersion
from ensemble.program import command
from ensemble.settings import RegistrySettings, load
from ensemble.topology.registry_subjects import Subject
from ensemble.waiting import map_at_once

with imports_of_extra("registry", "a schema registry"):
    from confluent_kafka.schema_registry import ConfigCompatibilityLevel, ServerConfig

LEVEL: Final = ConfigCompatibilityLevel.FULL_TRANSITIVE
"""Each version reads all others, which the gate between schema files demands as well."""
_AT_ONCE: Final = 8


class Registration(NamedTuple):
    """One version of one subject in the registry."""

    subject: str
    version: int
    id: int
    is_new: bool


class PlannedRegistration(NamedTuple):
    """One version of one subject, and its id in the registry; without one it would be registered."""

    subject: str
    version: int
    id: int | None

    @property
    def is_new(self) -> bool:
        return self.id is None


def registry_of_the_environment(patience: Patience) -> Registry:
    """Return the registry that SCHEMA_REGISTRY_URL names. Raises ConfigurationError if it is not set."""
    settings = load(RegistrySettings)
    if settings.url is None:
        raise ConfigurationError("SCHEMA_REGISTRY_URL is not set; it names the registry, http://host:port/path")
    return open_registry(settings.for_commands(), patience)


def register_schemas(registry: Registry, subjects: Iterable[Subject]) -> list[Registration]:
    """Set each subject's level and register every released version that it lacks. Existing versions are not changed.

    Raises Unavailable that names what the registry refused, after everything else was registered.
    """
    subjects = list(subjects)
    _check_released(subjects)
    refused: list[str] = []
    results = map_at_once(lambda subject: _register_subject(registry, subject, refused), subjects, _AT_ONCE)
    if refused:
        raise Unavailable("the registry refused:\n" + "\n".join(f"  {reason}" for reason in sorted(refused)))
    return [registration for registrations in results for registration in registrations]


def plan_registrations(registry: Registry, subjects: Iterable[Subject]) -> list[PlannedRegistration]:
    """Return every released version with its id in the registry. Raises ConfigurationError as `register_schemas`."""
    subjects = list(subjects)
    _check_released(subjects)
    return [*chain.from_iterable(map_at_once(lambda subject: _plan_subject(registry, subject), subjects, _AT_ONCE))]


def _plan_subject(registry: Registry, subject: Subject) -> list[PlannedRegistration]:
    name = _name(subject)
    return [
        PlannedRegistration(name, version.version, registry.id_of(name, version.schema))
        for version in _versions(subject)
    ]


def check_registered(registry: Registry, subjects: Iterable[Subject]) -> list[str]:
    """Return a message for each version that the registry lacks, and each subject at another level."""
    return [*chain.from_iterable(map_at_once(lambda subject: list(_problems(registry, subject)), subjects, _AT_ONCE))]


def _check_released(subjects: list[Subject]) -> None:
    drafts = {schema_name(subject.message) for subject in subjects if not _versions(subject)[-1].is_released}
    if drafts:
        raise ConfigurationError(
            f"{', '.join(sorted(drafts))}: changed since the last release; run `{command('schemas release')}` first"
        )


def _register_subject(registry: Registry, subject: Subject, refused: list[str]) -> list[Registration]:
    name = _name(subject)
    registry.forget(name)
    try:
        _set_level(registry, name)
        return [_register(registry, name, version) for version in _versions(subject)]
    except ConfigurationError as error:
        refused.append(f"{name}: {error}")
        return []
    finally:
        registry.forget(name)


def _register(registry: Registry, name: str, version: SchemaVersion) -> Registration:
    registered = registry.id_of(name, version.schema)
    if registered is not None:
        return Registration(name, version.version, registered, is_new=False)
    new = registry.ask(lambda: registry.client.register_schema(name, wire_schema(version.schema)))
    if new is None:
        raise ConfigurationError(f"version {version.version} could not be registered: not found")
    return Registration(name, version.version, new, is_new=True)


def _set_level(registry: Registry, name: str) -> None:
    if _level(registry, name) != LEVEL:
        registry.ask(lambda: registry.client.set_config(name, ServerConfig(compatibility=LEVEL)))


def _level(registry: Registry, name: str) -> ConfigCompatibilityLevel | None:
    """Return the subject's own level; LEVEL for a registry that keeps no levels, such as the client's mock."""
    answer = registry.ask(lambda: [registry.client.get_config(name)])
    match answer:
        case None:
            return None
        case [ServerConfig() as config]:
            return config.compatibility_level or config.compatibility
        case _:
            return LEVEL


def _problems(registry: Registry, subject: Subject) -> Iterator[str]:
    name = _name(subject)
    missing = [version for version in _versions(subject) if registry.id_of(name, version.schema) is None]
    for version in missing:
        yield f"{name}: version {version.version} is not registered; run `{command('schemas register')}`"
    level = _level(registry, name)
    if level != LEVEL:
        yield f"{name}: compatibility is {level.value if level else 'not set'}, not {LEVEL.value}"


def _versions(subject: Subject) -> list[SchemaVersion]:
    return schemas_of(subject.message).versions(schema_name(subject.message))


def _name(subject: Subject) -> str:
    return subject_of(subject.topic, schema_name(subject.message))
