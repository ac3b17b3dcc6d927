"""Schemas into a registry, at deployment: never by a running service."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

from confluent_kafka.schema_registry import ConfigCompatibilityLevel, ServerConfig

from ensemble.errors import ConfigurationError
from ensemble.kafka.registry.client import Registry, open_registry, subject_of, wire_schema
from ensemble.messages.message import schema_name
from ensemble.messages.schema_set import SchemaVersion
from ensemble.settings import RegistrySettings, load
from ensemble.topology.registry_subjects import Subject

LEVEL: Final = ConfigCompatibilityLevel.FULL_TRANSITIVE
"""Each version reads all others, as the gate between the files wants it too."""
_AT_ONCE: Final = 8


class Registration(NamedTuple):
    """One version of one subject, as the registry has it now."""

    subject: str
    version: int
    id: int
    is_new: bool


def registry_of_the_environment() -> Registry:
    """The registry that SCHEMA_REGISTRY_URL names; ConfigurationError without it."""
    settings = load(RegistrySettings)
    if settings.url is None:
        raise ConfigurationError("SCHEMA_REGISTRY_URL is not set; it names the registry, http://host:port/path")
    return open_registry(settings)


def register(registry: Registry, subjects: Iterable[Subject]) -> list[Registration]:
    """Set each subject's level and register every released version that it lacks; what is there stays as it is.

    ConfigurationError names what the registry refused, after all else was registered.
    """
    wanted = list(subjects)
    _check_released(wanted)
    refused: list[str] = []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        done = list(pool.map(lambda subject: _registered(registry, subject, refused), wanted))
    if refused:
        raise ConfigurationError("the registry refused:\n" + "\n".join(f"  {words}" for words in sorted(refused)))
    return [registration for registrations in done for registration in registrations]


def check(registry: Registry, subjects: Iterable[Subject]) -> list[str]:
    """What the registry lacks, or has at another level than FULL_TRANSITIVE, in words."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return [words for found in pool.map(lambda each: list(_problems(registry, each)), subjects) for words in found]


def _check_released(subjects: list[Subject]) -> None:
    drafts = {schema_name(each.message) for each in subjects if not _versions(each)[-1].released}
    if drafts:
        raise ConfigurationError(
            f"{', '.join(sorted(drafts))}: changed since the last release; run `ensemble schemas release` first"
        )


def _registered(registry: Registry, subject: Subject, refused: list[str]) -> list[Registration]:
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
    there = registry.id_of(name, version.schema)
    if there is not None:
        return Registration(name, version.version, there, is_new=False)
    made = registry.ask(lambda: registry.client.register_schema(name, wire_schema(version.schema)))
    if made is None:
        raise ConfigurationError(f"version {version.version} could not be registered: not found")
    return Registration(name, version.version, made, is_new=True)


def _set_level(registry: Registry, name: str) -> None:
    if _level(registry, name) != LEVEL:
        registry.ask(lambda: registry.client.set_config(name, ServerConfig(compatibility=LEVEL)))


def _level(registry: Registry, name: str) -> ConfigCompatibilityLevel | None:
    """The subject's own level; LEVEL for a registry that keeps none at all, as the client's mock does."""
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
        yield f"{name}: version {version.version} is not registered; run `ensemble schemas register`"
    level = _level(registry, name)
    if level != LEVEL:
        yield f"{name}: compatibility is {level.value if level else 'not set'}, not {LEVEL.value}"


def _versions(subject: Subject) -> list[SchemaVersion]:
    return subject.message.__schemas__.versions(schema_name(subject.message))


def _name(subject: Subject) -> str:
    return subject_of(subject.topic, schema_name(subject.message))
