"""Permissions of all services, and of a schema registry where one is named, compared with the cluster's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ensemble.acls import Grant, grants, registry_grants
from services.registry import SERVICES

if TYPE_CHECKING:
    from ensemble.kafka.outside import Access


def wanted(registry: str | None) -> list[dict[str, Any]]:
    """What the services need."""
    return [_row(grant) for grant in _needed(registry)]


def found(access: Access, registry: str | None) -> list[dict[str, Any]]:
    """What they need and what they have."""
    from ensemble.kafka import acls

    states = acls.compare(access.admin, _needed(registry), _who(access))
    return [_row(state.grant) | {"status": state.status} for state in states]


def applied(access: Access, registry: str | None, passwords: Path | None) -> list[dict[str, Any]]:
    """Grant what is missing, and make users where a directory for their passwords is given."""
    from ensemble.kafka import acls, users

    if passwords is not None:
        names = [*SERVICES, registry] if registry else SERVICES
        users.apply(access.admin, names, passwords, _who(access))
    states = acls.apply(access.admin, _needed(registry), _who(access))
    words = {"missing": "granted"}
    return [_row(state.grant) | {"status": words.get(state.status, state.status)} for state in states]


def _who(access: Access) -> str:
    from ensemble.kafka.permissions import principal

    return principal(access.shared)


def _needed(registry: str | None) -> list[Grant]:
    services = grants(make() for make in SERVICES.values())
    return [*services, *registry_grants(registry)] if registry else services


def _row(grant: Grant) -> dict[str, Any]:
    need = grant.need
    return {
        "principal": grant.principal,
        "operation": need.operation,
        "resource": need.resource,
        "name": need.name,
        "pattern": "prefixed" if need.prefixed else "literal",
    }
