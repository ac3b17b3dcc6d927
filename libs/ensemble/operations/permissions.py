"""Permissions of all services, and of a registry, an operator and a client where these are named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ensemble.application.declaration import Application
from ensemble.operations.errors import Invalid
from ensemble.operations.values import Result
from ensemble.topology import (
    Grant,
    client_permissions,
    operator_permissions,
    registry_permissions,
    service_permissions,
)

if TYPE_CHECKING:
    from ensemble.kafka.client import ClusterClient


@dataclass(frozen=True)
class Others:
    """Users beside the services."""

    registry: str | None = None
    operator: str | None = None
    client: str | None = None
    """May be the operator as well."""

    @property
    def names(self) -> list[str]:
        return list(dict.fromkeys(name for name in (self.registry, self.operator, self.client) if name))


class PermissionSummary(Result):
    """What a principal may do, or must be allowed to do, and its state on the cluster if that was asked."""

    principal: str
    operation: str
    resource: str
    name: str
    pattern: Literal["literal", "prefixed"]
    status: Literal["ok", "missing", "extra", "granted"] | None = None
    """Extra: the principal may do it, and does not need to."""


def list_permissions(application: Application, others: Others) -> tuple[PermissionSummary, ...]:
    """Return the permissions that the services need."""
    return tuple(_summarize(grant) for grant in _needed(application, others))


def compare_permissions(
    application: Application, client: ClusterClient, others: Others
) -> tuple[PermissionSummary, ...]:
    """Return the permissions that the services need or have, with their state on the cluster."""
    from ensemble.kafka.admin import acls

    needed = _needed(application, others)
    states = client.wait_for("its ACLs", lambda _: acls.compare(client.admin, needed, _who(client)))
    return tuple(_summarize(state.grant, state.status) for state in states)


def grant_permissions(
    application: Application, client: ClusterClient, others: Others, passwords: Path | None
) -> tuple[PermissionSummary, ...]:
    """Grant what is missing, and make users where a directory for their passwords is given."""
    from ensemble.kafka.admin import acls, users

    if passwords is not None:
        names = users_of(application, others)
        client.wait_for("its users", lambda _: users.apply(client.admin, names, passwords, _who(client)))
    needed = _needed(application, others)
    states = client.wait_for("its ACLs", lambda _: acls.apply(client.admin, needed, _who(client)))
    return tuple(_summarize(state.grant, "granted" if state.status == "missing" else state.status) for state in states)


def users_of(application: Application, others: Others) -> list[str]:
    """Return the users that have permissions: the services, and those that are named beside them."""
    return [*application.services, *others.names]


def _who(client: ClusterClient) -> str:
    from ensemble.kafka.admin import principal

    return principal(client.shared)


def _needed(application: Application, others: Others) -> list[Grant]:
    """Return all needed permissions. Raises Invalid if a user has the name of a service, and so its permissions."""
    for field, name in (("registry", others.registry), ("operator", others.operator), ("client", others.client)):
        if name in application.services:
            raise Invalid(f"{name} is the name of a service", hint="give another user", field=field)
    services = application.make_services()
    registry = registry_permissions(others.registry) if others.registry else []
    grants = [
        *service_permissions(services),
        *registry,
        *(operator_permissions(others.operator, services) if others.operator else []),
        *(client_permissions(others.client, application.catalogue) if others.client else []),
    ]
    return list(dict.fromkeys(grants))


def _summarize(grant: Grant, status: Literal["ok", "missing", "extra", "granted"] | None = None) -> PermissionSummary:
    need = grant.need
    return PermissionSummary(
        principal=grant.principal, operation=need.operation, resource=need.resource, name=need.name,
        pattern="prefixed" if need.prefixed else "literal", status=status,
    )  # fmt: skip
