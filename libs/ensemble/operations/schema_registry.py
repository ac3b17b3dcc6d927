"""The schemas of an application, and the registry that the environment names."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from ensemble.application.declaration import Application
from ensemble.errors import Problem
from ensemble.settings import RegistrySettings, load
from ensemble.topology import Subject, registry_subjects

if TYPE_CHECKING:
    from ensemble.kafka.registry import Patience, PlannedRegistration, Registration


def register_all(application: Application, patience: Patience) -> list[Registration]:
    """Register every released version. Raises ConfigurationError without a registry, or if it refuses one."""
    from ensemble.kafka.registry import register_schemas, registry_of_the_environment

    with closing(registry_of_the_environment(patience)) as registry:
        return register_schemas(registry, _subjects(application))


def plan_register_all(application: Application, patience: Patience) -> list[PlannedRegistration]:
    """Return every released version with its id in the registry; those without one `register_all` registers."""
    from ensemble.kafka.registry import plan_registrations, registry_of_the_environment

    with closing(registry_of_the_environment(patience)) as registry:
        return plan_registrations(registry, _subjects(application))


def registry_problems(application: Application, patience: Patience) -> list[Problem]:
    """Return what the registry lacks, nothing without a registry."""
    if not has_registry():
        return []
    from ensemble.kafka.registry import check_registered, registry_of_the_environment

    with closing(registry_of_the_environment(patience)) as registry:
        parts = [reason.partition(": ") for reason in check_registered(registry, _subjects(application))]
    return [Problem(subject, reason) for subject, _, reason in parts]


def has_registry() -> bool:
    """Return whether the environment names a registry."""
    return load(RegistrySettings).url is not None


def _subjects(application: Application) -> list[Subject]:
    return registry_subjects(application.catalogue, application.make_services())
