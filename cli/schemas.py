"""The schemas of the project, and the registry that the environment names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.catalogue import CATALOGUE
from ensemble.errors import Problem
from ensemble.settings import RegistrySettings, load
from ensemble.topology import Subject, registry_subjects
from services.registry import SERVICES

if TYPE_CHECKING:
    from ensemble.kafka.registry import Registration


def register_all() -> list[Registration]:
    """Register every released version. Raises ConfigurationError without a registry, or if it refuses one."""
    from ensemble.kafka.registry import register_schemas, registry_of_the_environment

    return register_schemas(registry_of_the_environment(), _subjects())


def registry_problems() -> list[Problem]:
    """Return what the registry lacks, nothing without a registry."""
    if not _has_registry():
        return []
    from ensemble.kafka.registry import check_registered, registry_of_the_environment

    parts = (reason.partition(": ") for reason in check_registered(registry_of_the_environment(), _subjects()))
    return [Problem(subject, reason) for subject, _, reason in parts]


def registry_remark() -> str:
    """Return the remark on a registry that lacks nothing."""
    return "; the registry has them all" if _has_registry() else ""


def _has_registry() -> bool:
    return load(RegistrySettings).url is not None


def _subjects() -> list[Subject]:
    return registry_subjects(CATALOGUE, [make() for make in SERVICES.values()])
