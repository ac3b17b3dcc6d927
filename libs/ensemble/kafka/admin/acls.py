"""ACLs on the cluster: made from what services declare, compared with it, and what nobody needs any more named."""

from __future__ import annotations

import time
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

from ensemble.errors import ConfigurationError
from ensemble.kafka.admin.permissions import THIS_USER, require_on_cluster
from ensemble.topology.permissions import Grant, Need

_TIMEOUT_S: Final = 30.0
_LOOK_EVERY_S: Final = 0.1
_KINDS: Final = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactional id": ResourceType.TRANSACTIONAL_ID,
}
_NAMES: Final = {kind: name for name, kind in _KINDS.items()}


@dataclass(frozen=True)
class AclState:
    """One permission, as the cluster has it; `extra`: granted to one of our principals, and not needed."""

    grant: Grant
    status: Literal["ok", "missing", "extra"]


def compare(admin: AdminClient, wanted: Iterable[Grant], administrator: str = THIS_USER) -> list[AclState]:
    """What is needed, and what these principals have beyond it.

    ConfigurationError when the cluster does not say, or does not let `administrator` know.
    """
    require_on_cluster(admin, "DESCRIBE", administrator)
    grants = list(wanted)
    there = _granted(admin, {grant.principal for grant in grants})
    states = [AclState(grant, "ok" if grant in there else "missing") for grant in grants]
    extra = sorted(there - set(grants), key=lambda grant: (grant.principal, str(grant.need)))
    return [*states, *(AclState(grant, "extra") for grant in extra)]


def apply(admin: AdminClient, wanted: Iterable[Grant], administrator: str = THIS_USER) -> list[AclState]:
    """Grant what is missing; what is more than needed is reported, never taken away. The states as they were found.

    Returns once the broker that answers knows of it: of users that were made before, it knows then, too.
    """
    require_on_cluster(admin, "ALTER", administrator)
    states = compare(admin, wanted, administrator)
    missing = {state.grant for state in states if state.status == "missing"}
    if missing:
        bindings = [_binding(grant) for grant in missing]
        for future in admin.create_acls(bindings, request_timeout=_TIMEOUT_S).values():
            _answer(future, "cannot grant permissions")
        _await(admin, missing)
    return states


def _await(admin: AdminClient, granted: set[Grant]) -> None:
    """What the controller has taken reaches its brokers a moment later."""
    limit, principals = time.monotonic() + _TIMEOUT_S, {grant.principal for grant in granted}
    while not granted <= _granted(admin, principals):
        if time.monotonic() > limit:
            raise ConfigurationError(f"the permissions are granted, but not in force after {_TIMEOUT_S:g} s")
        time.sleep(_LOOK_EVERY_S)


def _granted(admin: AdminClient, principals: set[str]) -> set[Grant]:
    anyone: Any = None
    every = AclBindingFilter(
        ResourceType.ANY, anyone, ResourcePatternType.ANY, anyone, anyone, AclOperation.ANY, AclPermissionType.ALLOW
    )
    found = _answer(admin.describe_acls(every, request_timeout=_TIMEOUT_S), "cannot read the cluster's ACLs")
    return {_grant(acl) for acl in found if acl.principal in principals}


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
        why = error.args[0].str() if isinstance(error, KafkaException) else "no answer"
        raise ConfigurationError(f"{failed}: {why}; does the cluster have an authorizer?") from None
