"""Permissions of all services, and of a registry, an operator and a client where these are named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ensemble.application.declaration import Application
from ensemble.operations.errors import Invalid
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


def list_permissions(application: Application, others: Others) -> list[dict[str, Any]]:
    """Return the permissions that the services need, one row each."""
    return [_row(grant) for grant in _needed(application, others)]


def compare_permissions(application: Application, client: ClusterClient, others: Others) -> list[dict[str, Any]]:
    """Return the permissions that the services need or have, with their state on the cluster."""
    from ensemble.kafka.admin import acls

    needed = _needed(application, others)
    states = client.wait_for("its ACLs", lambda _: acls.compare(client.admin, needed, _who(client)))
    return [_row(state.grant) | {"status": state.status} for state in states]


def grant_permissions(
    application: Application, client: ClusterClient, others: Others, passwords: Path | None
) -> list[dict[str, Any]]:
    """Grant what is missing, and make users where a directory for their passwords is given."""
    from ensemble.kafka.admin import acls, users

    if passwords is not None:
        names = [*application.services, *others.names]
        client.wait_for("its users", lambda _: users.apply(client.admin, names, passwords, _who(client)))
    needed = _needed(application, others)
    states = client.wait_for("its ACLs", lambda _: acls.apply(client.admin, needed, _who(client)))
    statuses = {"missing": "granted"}
    return [_row(state.grant) | {"status": statuses.get(state.status, state.status)} for state in states]


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


def _row(grant: Grant) -> dict[str, Any]:
    need = grant.need
    return {
        "principal": grant.principal,
        "operation": need.operation,
        "resource": need.resource,
        "name": need.name,
        "pattern": "prefixed" if need.prefixed else "literal",
    }
