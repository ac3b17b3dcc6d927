"""The services that operators' commands may go to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from ensemble.application.declaration import Application
from ensemble.operations.errors import NotFound
from ensemble.operations.session import Session

if TYPE_CHECKING:
    from ensemble.service.service import Service

DEAD_LETTER: Final = ".dead-letter"
CONTROL: Final = ".control"
OPERATIONS: Final = ".operations"
PARKED: Final = ".parked-changelog"


def service_names(session: Session, name: str | None, field: str = "service") -> list[str]:
    """Return the service called `name`, or all that the cluster has topics of. Raises NotFound about `field`."""
    names = services_with(session, DEAD_LETTER)
    if name is None:
        return names
    if name not in names:
        raise NotFound(
            f"no service {name!r} on this cluster", hint=f"services are {', '.join(names) or 'none'}", field=field
        )
    return [name]


def services_with(session: Session, suffix: str) -> list[str]:
    """Return the services that have a topic with this suffix."""
    return sorted(name.removesuffix(suffix) for name in session.client.topics() if name.endswith(suffix))


def topics(session: Session, services: Iterable[str], suffix: str) -> list[str]:
    """Return those topics of these services that the cluster has."""
    counts = session.client.topics()
    return [name for service in services if (name := service + suffix) in counts]


def declared_service(application: Application, name: str) -> Service:
    """Return the service as the application makes it. Raises NotFound if it has none of that name."""
    services = application.services
    if name not in services:
        raise NotFound(
            f"the code of {name} is not in this application",
            hint=f"services are {', '.join(services)}",
            field="service",
        )
    return application.make_service(name)
