"""The schemas of the project, and the registry that the environment names."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from ensemble.command_line.connection import patience_s, say_waiting
from ensemble.command_line.selection import application
from ensemble.errors import Problem
from ensemble.settings import RegistrySettings, load
from ensemble.topology import Subject, registry_subjects

if TYPE_CHECKING:
    from ensemble.kafka.registry import Patience, Registration


def register_all() -> list[Registration]:
    """Register every released version. Raises ConfigurationError without a registry, or if it refuses one."""
    from ensemble.kafka.registry import register_schemas, registry_of_the_environment

    with closing(registry_of_the_environment(_patience())) as registry:
        return register_schemas(registry, _subjects())


def registry_problems() -> list[Problem]:
    """Return what the registry lacks, nothing without a registry."""
    if not _has_registry():
        return []
    from ensemble.kafka.registry import check_registered, registry_of_the_environment

    with closing(registry_of_the_environment(_patience())) as registry:
        parts = [reason.partition(": ") for reason in check_registered(registry, _subjects())]
    return [Problem(subject, reason) for subject, _, reason in parts]


def registry_remark() -> str:
    """Return the remark on a registry that lacks nothing."""
    return "; the registry has them all" if _has_registry() else ""


def _patience() -> Patience:
    from ensemble.kafka.registry import Patience

    return Patience(patience_s(), say_waiting)


def _has_registry() -> bool:
    return load(RegistrySettings).url is not None


def _subjects() -> list[Subject]:
    return registry_subjects(application().catalogue, application().make_services())
