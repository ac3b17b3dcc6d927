"""Wider pauses: of a saga's step, a command type or a service. Written to every partition that has to know, as one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ensemble.application.declaration import Application
from ensemble.errors import ConfigurationError
from ensemble.messages.message import Command
from ensemble.operations import service_topics
from ensemble.operations.audit import Audit, AuditProjection, WorkPause
from ensemble.operations.errors import NotFound
from ensemble.operations.failures import FailuresProjection
from ensemble.operations.session import Session
from ensemble.operations.view import View
from ensemble.saga.table import Saga
from ensemble.service.ports import Pauses
from ensemble.system_messages import Scope

if TYPE_CHECKING:
    from ensemble.service.service import Service


@dataclass(frozen=True)
class WidePause:
    """What is paused, and the services that have to know: its owner, and those that conduct."""

    scope: Scope
    name: str
    services: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.scope} {self.name}"


def wide_pause(application: Application, scope: Scope, name: str) -> WidePause:
    """Return the pause of that name. Raises NotFound listing the valid names if there is none."""
    services = application.make_services()
    conductors = [service.name for service in services if conducts(service)]
    owner = {"step": _step_owners, "command": _command_owner, "service": _service_owner}[scope](application, name)
    return WidePause(scope, name, tuple(dict.fromkeys([*owner, *conductors])))


def conducts(service: Service) -> bool:
    """Return whether the service conducts a saga, or asks for pauses before it sends."""
    asks = (hint is Pauses for description in service.descriptions for hint in description.ports.values())
    return any(asks) or bool(_steps(service))


def step_names(application: Application) -> list[str]:
    """Return every step of every saga here."""
    return sorted({name for service in application.make_services() for name in _steps(service)})


def command_names(application: Application) -> list[str]:
    """Return every command type of the catalogue."""
    return sorted(kind.__name__ for kind in application.catalogue.message_types() if issubclass(kind, Command))


def _steps(service: Service) -> list[str]:
    sagas = [description.saga for description in service.descriptions]
    return [step.name for saga in sagas if isinstance(saga, Saga) for step in saga.steps]


def _step_owners(application: Application, name: str) -> list[str]:
    if name not in (names := step_names(application)):
        raise NotFound(f"no step {name!r}", hint=f"steps are {', '.join(names)}", field="step")
    return [service.name for service in application.make_services() if name in _steps(service)]


def _command_owner(application: Application, name: str) -> list[str]:
    if name not in (names := command_names(application)):
        raise NotFound(f"no command type {name!r}", hint=f"types are {', '.join(names)}", field="command_type")
    catalogue = application.catalogue
    return [catalogue.homes(catalogue.message(name))[0].owner]


def _service_owner(application: Application, name: str) -> list[str]:
    if name not in (names := application.services):
        raise NotFound(f"no service {name!r}", hint=f"services are {', '.join(names)}", field="paused_service")
    return [name]


class PauseSummary(WorkPause):
    """A pause with the partitions that the cluster has of each service."""

    everywhere: bool
    """Whether all partitions know it, of every service that has to."""


def list_pauses(session: Session, view: View | None = None) -> tuple[PauseSummary, ...]:
    """Return every pause that was asked for and not ended, with how many partitions know it.

    They come from a view with the failures and the audit, or else from the topics.
    """
    counts = session.client.topics()
    projections = FailuresProjection(session.decoder), AuditProjection(session.decoder)
    with session.view(*projections, what="pauses", view=view) as synced:
        return tuple(_summarize(session.application, pause, counts) for pause in Audit(synced).pauses())


def _summarize(application: Application, pause: WorkPause, counts: Mapping[str, int]) -> PauseSummary:
    services = tuple(
        progress.model_copy(update={"partitions": counts.get(progress.service + service_topics.CONTROL, 0)})
        for progress in pause.services
    )
    is_known = all(progress.acknowledged == progress.partitions for progress in services)
    informed = [progress.service for progress in services]
    everywhere = is_known and _is_known_to_all(application, (pause.scope, pause.name), informed)
    return PauseSummary(**dict(pause) | {"services": services}, everywhere=everywhere)


def _is_known_to_all(application: Application, place: tuple[str, str], informed: Iterable[str]) -> bool:
    """Return whether all services know the pause that have to; true for one that the application has no longer."""
    scope: Any = place[0]
    try:
        return set(wide_pause(application, scope, place[1]).services) <= set(informed)
    except (NotFound, ConfigurationError):
        return True
