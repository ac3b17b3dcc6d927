"""The permissions of a service or an administrator, as the cluster has them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from ensemble.errors import Unavailable
from ensemble.kafka.authorization import REFUSALS, refusal
from ensemble.kafka.group_description import GroupDescriptions
from ensemble.service.service import Service
from ensemble.topology.permissions import Need, needs

_TIMEOUT_S: Final = 120.0
THIS_USER: Final = "this user"


@dataclass(frozen=True)
class Permissions:
    """The permissions that the cluster grants to one service."""

    service: Service
    admin: AdminClient
    user: str

    def require(self) -> None:
        """Raise Unavailable if any permission is missing, and name them all."""
        if missing := self.missing():
            raise Unavailable(refusal(self.user, f"do what it declares: {', '.join(map(str, missing))}"))

    def explain(self, error: KafkaError) -> str:
        """Return the message for a refusal while the service runs: the permissions that are missing now, if known."""
        if error.code() == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
            return refusal(self.user, f"WRITE transactional id {self.service.name}-*")
        missing = [f"{need.operation} {need.resource} {need.name}" for need in self._missing_quietly()]
        return refusal(self.user, ", ".join(missing) or error.str())

    def missing(self) -> list[Need]:
        """Return the topic and group permissions that the service needs and does not have.

        Transactional ids are left out: the broker checks them when a producer starts.
        """
        required = needs(self.service)
        allowed = self._topics({need.name for need in required if need.resource == "topic"})
        allowed |= self._group()
        return [need for need in required if need.resource != "transactional id" and need not in allowed]

    def _missing_quietly(self) -> list[Need]:
        try:
            return self.missing()
        except KafkaException:
            return []

    def _topics(self, names: set[str]) -> set[Need]:
        topics = TopicCollection(sorted(names))
        answers = self.admin.describe_topics(topics, include_authorized_operations=True, request_timeout=_TIMEOUT_S)
        timely = {name: partial(answer.result, _TIMEOUT_S) for name, answer in answers.items()}
        return {need for name, describe in timely.items() for need in _allowed("topic", name, describe)}

    def _group(self) -> set[Need]:
        """Return the permissions on the group; all that it needs if its coordinator gives no answer now.

        A missing one is reported then when the group is joined.
        """
        name = self.service.name
        group = GroupDescriptions(self.admin, name, lambda: self.admin)
        try:
            return set(_allowed("group", name, partial(group.describe, _TIMEOUT_S, include_authorized_operations=True)))
        except KafkaException:
            return {need for need in needs(self.service) if need.resource == "group"}


def require_on_cluster(admin: AdminClient, operation: str, user: str = THIS_USER) -> None:
    """Raise Unavailable unless `user` may DESCRIBE or ALTER the cluster.

    A user without DESCRIBE is shown no ACLs at all, without an error.
    """
    try:
        future = admin.describe_cluster(include_authorized_operations=True, request_timeout=_TIMEOUT_S)
        allowed = {granted.name for granted in future.result(_TIMEOUT_S).authorized_operations or []}
    except (KafkaException, TimeoutError) as error:
        reason = error.args[0].str() if isinstance(error, KafkaException) else "no answer"
        raise Unavailable(f"cannot ask the cluster what {user} may do: {reason}") from None
    if operation not in allowed:
        raise Unavailable(f"{user} may not {operation} cluster; log in as an administrator")


def _allowed(resource: Any, name: str, describe: Callable[[], Any]) -> Iterable[Need]:
    """Return what the answer allows: nothing for a resource that this user may not describe, or that does not exist."""
    try:
        operations = describe().authorized_operations
    except KafkaException as error:
        if error.args[0].code() not in {*REFUSALS, KafkaError.UNKNOWN_TOPIC_OR_PART}:
            raise
        operations = []
    return [Need(resource, name, operation.name) for operation in operations or []]
