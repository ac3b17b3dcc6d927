"""The services that operators' commands may go to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from ensemble.command_line.errors import Mistake
from ensemble.command_line.selection import application

if TYPE_CHECKING:
    from ensemble import Service
    from ensemble.kafka.client import ClusterClient

DEAD_LETTER: Final = ".dead-letter"
CONTROL: Final = ".control"
OPERATIONS: Final = ".operations"
PARKED: Final = ".parked-changelog"


def service_names(access: ClusterClient, name: str | None, flag: str = "--service") -> list[str]:
    """Return the service called `name`, or all that the cluster has topics of. Raises Mistake if unknown."""
    names = services_with(access, DEAD_LETTER)
    if name is None:
        return names
    if name not in names:
        known_names = ", ".join(names) or "none: `ensemble topics apply`"
        raise Mistake(f"{flag} {name}: no such service; services are {known_names}")
    return [name]


def services_with(access: ClusterClient, suffix: str) -> list[str]:
    """Return the services that have a topic with this suffix."""
    return sorted(name.removesuffix(suffix) for name in access.topics() if name.endswith(suffix))


def topics(access: ClusterClient, services: Iterable[str], suffix: str) -> list[str]:
    """Return those topics of these services that the cluster has."""
    counts = access.topics()
    return [name for service in services if (name := service + suffix) in counts]


def declared_service(name: str) -> Service:
    """Return the service as the application makes it. Raises Mistake if it has none of that name."""
    services = application().services
    if name not in services:
        raise Mistake(f"--service {name}: its code is not in this application; services are {', '.join(services)}")
    return application().make_service(name)
