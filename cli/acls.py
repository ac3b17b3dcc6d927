"""Permissions of all services, compared with the cluster's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ensemble.acls import Grant, grants
from services.registry import SERVICES

if TYPE_CHECKING:
    from ensemble.kafka.outside import Access


def wanted() -> list[dict[str, Any]]:
    """What the services need."""
    return [_row(grant) for grant in _needed()]


def found(access: Access) -> list[dict[str, Any]]:
    """What they need and what they have."""
    from ensemble.kafka import acls

    states = acls.compare(access.admin, _needed(), _who(access))
    return [_row(state.grant) | {"status": state.status} for state in states]


def applied(access: Access, passwords: Path | None) -> list[dict[str, Any]]:
    """Grant what is missing, and make users where a directory for their passwords is given."""
    from ensemble.kafka import acls, users

    if passwords is not None:
        users.apply(access.admin, SERVICES, passwords, _who(access))
    states = acls.apply(access.admin, _needed(), _who(access))
    words = {"missing": "granted"}
    return [_row(state.grant) | {"status": words.get(state.status, state.status)} for state in states]


def _who(access: Access) -> str:
    from ensemble.kafka.permissions import principal

    return principal(access.shared)


def _needed() -> list[Grant]:
    return grants(make() for make in SERVICES.values())


def _row(grant: Grant) -> dict[str, Any]:
    need = grant.need
    return {
        "principal": grant.principal,
        "operation": need.operation,
        "resource": need.resource,
        "name": need.name,
        "pattern": "prefixed" if need.prefixed else "literal",
    }
