"""ACLs on the cluster: created from what services declare, compared with it, and superfluous ones reported."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # unmarked re-exports
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from ensemble.clock import until
from ensemble.errors import Unavailable
from ensemble.kafka.admin.permissions import THIS_USER, require_on_cluster
from ensemble.topology.permissions import Grant, Need

_TIMEOUT_S: Final = 120.0
_LOOK_EVERY_S: Final = 0.1
_KINDS: Final = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactional id": ResourceType.TRANSACTIONAL_ID,
}
_NAMES: Final = {kind: name for name, kind in _KINDS.items()}


@dataclass(frozen=True)
class AclState:
    """One permission and its state on the cluster; `extra` is granted to one of our principals and not needed."""

    grant: Grant
    status: Literal["ok", "missing", "extra"]


def compare(admin: AdminClient, needed: Iterable[Grant], administrator: str = THIS_USER) -> list[AclState]:
    """Return the state of each needed permission, and of those that these principals have beyond.

    Raises Unavailable if the cluster does not answer, or does not let `administrator` see ACLs.
    """
    require_on_cluster(admin, "DESCRIBE", administrator)
    grants = list(needed)
    granted = _granted(admin, {grant.principal for grant in grants})
    states = [AclState(grant, "ok" if grant in granted else "missing") for grant in grants]
    extra = sorted(granted - set(grants), key=lambda grant: (grant.principal, str(grant.need)))
    return [*states, *(AclState(grant, "extra") for grant in extra)]


def apply(admin: AdminClient, needed: Iterable[Grant], administrator: str = THIS_USER) -> list[AclState]:
    """Grant what is missing, and return the states from before. What is more than needed is never taken away.

    Returns once the broker that answers knows the new permissions, and so users that were created before them.
    """
    require_on_cluster(admin, "ALTER", administrator)
    states = compare(admin, needed, administrator)
    missing = {state.grant for state in states if state.status == "missing"}
    if missing:
        bindings = [_binding(grant) for grant in missing]
        for future in admin.create_acls(bindings, request_timeout=_TIMEOUT_S).values():
            _answer(future, "cannot grant permissions")
        _await(admin, missing)
    return states


def _await(admin: AdminClient, granted: set[Grant]) -> None:
    """Wait until the brokers know what their controller has granted, which takes a moment."""
    principals = {grant.principal for grant in granted}
    for _ in until(_TIMEOUT_S, _LOOK_EVERY_S):
        if granted <= _granted(admin, principals):
            return
    raise Unavailable(f"the permissions are granted, but not in force after {_TIMEOUT_S:g} s")


def _granted(admin: AdminClient, principals: set[str]) -> set[Grant]:
    anyone: Any = None
    every = AclBindingFilter(
        ResourceType.ANY, anyone, ResourcePatternType.ANY, anyone, anyone, AclOperation.ANY, AclPermissionType.ALLOW
    )
    acls = _answer(admin.describe_acls(every, request_timeout=_TIMEOUT_S), "cannot read the cluster's ACLs")
    return {_grant(acl) for acl in acls if acl.principal in principals}


def _grant(acl: Any) -> Grant:
    kind: Any = _NAMES.get(acl.restype, acl.restype.name.lower())
    prefixed = acl.resource_pattern_type is ResourcePatternType.PREFIXED
    return Grant(acl.principal, Need(kind, acl.name, acl.operation.name, prefixed))


def _binding(grant: Grant) -> AclBinding:
    need = grant.need
    pattern = ResourcePatternType.PREFIXED if need.prefixed else ResourcePatternType.LITERAL
    operation = AclOperation[need.operation]
    return AclBinding(
        _KINDS[need.resource], need.name, pattern, grant.principal, "*", operation, AclPermissionType.ALLOW
    )


def _answer(future: Any, failed: str) -> Any:
    try:
        return future.result(_TIMEOUT_S)
    except (KafkaException, TimeoutError) as error:
        reason = error.args[0].str() if isinstance(error, KafkaException) else "no answer"
        raise Unavailable(f"{failed}: {reason}; does the cluster have an authorizer?") from None
