"""Permissions of all services, and of a registry and an operator where these are named, compared with the cluster's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ensemble.command_line.errors import Mistake
from ensemble.command_line.selection import application
from ensemble.topology import Grant, operator_permissions, registry_permissions, service_permissions

if TYPE_CHECKING:
    from ensemble.kafka.client import ClusterClient


@dataclass(frozen=True)
class Others:
    """Users beside the services."""

    registry: str | None = None
    operator: str | None = None

    @property
    def names(self) -> list[str]:
        return [name for name in (self.registry, self.operator) if name]


def list_needs(others: Others) -> list[dict[str, Any]]:
    """Return the permissions that the services need, one row each."""
    return [_row(grant) for grant in _needed(others)]


def compare_with_cluster(access: ClusterClient, others: Others) -> list[dict[str, Any]]:
    """Return the permissions that the services need or have, with their state on the cluster."""
    from ensemble.kafka.admin import acls

    needed = _needed(others)
    states = access.wait_for("its ACLs", lambda _: acls.compare(access.admin, needed, _who(access)))
    return [_row(state.grant) | {"status": state.status} for state in states]


def apply_missing(access: ClusterClient, others: Others, passwords: Path | None) -> list[dict[str, Any]]:
    """Grant what is missing, and make users where a directory for their passwords is given."""
    from ensemble.kafka.admin import acls, users

    if passwords is not None:
        names = [*application().services, *others.names]
        access.wait_for("its users", lambda _: users.apply(access.admin, names, passwords, _who(access)))
    needed = _needed(others)
    states = access.wait_for("its ACLs", lambda _: acls.apply(access.admin, needed, _who(access)))
    statuses = {"missing": "granted"}
    return [_row(state.grant) | {"status": statuses.get(state.status, state.status)} for state in states]


def _who(access: ClusterClient) -> str:
    from ensemble.kafka.admin import principal

    return principal(access.shared)


def _needed(others: Others) -> list[Grant]:
    """Return all needed permissions. Raises Mistake if a user has the name of a service, and so its permissions."""
    for flag, name in (("--registry", others.registry), ("--operator", others.operator)):
        if name in application().services:
            raise Mistake(f"{flag} {name}: this is the name of a service; give another user")
    services = application().make_services()
    registry = registry_permissions(others.registry) if others.registry else []
    return [
        *service_permissions(services),
        *registry,
        *(operator_permissions(others.operator, services) if others.operator else []),
    ]


def _row(grant: Grant) -> dict[str, Any]:
    need = grant.need
    return {
        "principal": grant.principal,
        "operation": need.operation,
        "resource": need.resource,
        "name": need.name,
        "pattern": "prefixed" if need.prefixed else "literal",
    }
