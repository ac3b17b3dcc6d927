"""What this client may do, and the words for what it may not: principal, operation, resource, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from ensemble.errors import ConfigurationError
from ensemble.service.service import Service
from ensemble.topology.permissions import Need, needs

REFUSALS: Final = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    }
)
"""The broker knows who we are, and says no."""

_TIMEOUT_S: Final = 10.0
_ANYBODY: Final = "this user"
_REMEDY: Final = "an administrator grants what a service needs with `ensemble acls apply`"


def principal(config: Mapping[str, Any]) -> str:
    """Who a client with this configuration is to the broker."""
    if user := config.get("sasl.username"):
        return f"User:{user}"
    return "User:ANONYMOUS" if "ssl.certificate.location" not in config else "the user of the client's certificate"


def refused(who: str, operation: str, resource: str) -> str:
    """`User:inventory may not WRITE topic payments.events; ...`."""
    return f"{who} may not {operation} {resource}; {_REMEDY}"


@dataclass(frozen=True)
class Permissions:
    """A service's own permissions, as the cluster tells them."""

    service: Service
    admin: AdminClient
    who: str

    def require(self) -> None:
        """ConfigurationError that names every permission that is missing, before anything is done."""
        if missing := self.missing():
            raise ConfigurationError(refused(self.who, "do what it declares:", ", ".join(map(str, missing))))

    def explain(self, error: KafkaError) -> str:
        """Words for a refusal in the midst of work: what is missing now, as exactly as the cluster tells."""
        code, name = error.code(), self.service.name
        if code == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
            return refused(self.who, "WRITE", f"transactional id {name}-*")
        missing = [f"{need.operation} {need.resource} {need.name}" for need in self._missing_quietly()]
        return refused(self.who, "", ", ".join(missing) or error.str()).replace("not  ", "not ")

    def missing(self) -> list[Need]:
        """The topic and group permissions that the service needs and does not have. Slots tell for themselves."""
        wanted = needs(self.service)
        allowed = self._topics({need.name for need in wanted if need.resource == "topic"})
        allowed |= self._group()
        return [need for need in wanted if need.resource != "transactional id" and need not in allowed]

    def _missing_quietly(self) -> list[Need]:
        try:
            return self.missing()
        except KafkaException:
            return []

    def _topics(self, names: set[str]) -> set[Need]:
        asked = TopicCollection(sorted(names))
        answers = self.admin.describe_topics(asked, include_authorized_operations=True, request_timeout=_TIMEOUT_S)
        return {need for name, future in answers.items() for need in _allowed("topic", name, future)}

    def _group(self) -> set[Need]:
        """A coordinator that cannot say now will say when the group is joined."""
        name = self.service.name
        answers = self.admin.describe_consumer_groups(
            [name], include_authorized_operations=True, request_timeout=_TIMEOUT_S
        )
        try:
            return set(_allowed("group", name, answers[name]))
        except KafkaException:
            return {need for need in needs(self.service) if need.resource == "group"}


def require_on_cluster(admin: AdminClient, operation: str, who: str = _ANYBODY) -> None:
    """ConfigurationError unless we may DESCRIBE or ALTER the cluster: who may not is shown no ACLs, without a word."""
    try:
        future = admin.describe_cluster(include_authorized_operations=True, request_timeout=_TIMEOUT_S)
        allowed = {each.name for each in future.result(_TIMEOUT_S).authorized_operations or []}
    except (KafkaException, TimeoutError) as error:
        why = error.args[0].str() if isinstance(error, KafkaException) else "no answer"
        raise ConfigurationError(f"cannot ask the cluster what {who} may do: {why}") from None
    if operation not in allowed:
        raise ConfigurationError(f"{who} may not {operation} cluster; log in as an administrator")


def hidden(admin: AdminClient, names: Iterable[str]) -> list[str]:
    """Those of these topics that we may not see: the cluster leaves them out of its list without a word.

    Whether they exist it does not tell either.
    """
    asked = sorted(names)
    answers = admin.describe_topics(TopicCollection(asked), request_timeout=_TIMEOUT_S) if asked else {}
    return [name for name in asked if _code(answers[name]) == KafkaError.TOPIC_AUTHORIZATION_FAILED]


def _code(future: Future[Any]) -> int | None:
    error: Any = future.exception(_TIMEOUT_S)
    return error.args[0].code() if isinstance(error, KafkaException) else None


def _allowed(resource: Any, name: str, future: Future[Any]) -> Iterable[Need]:
    """What the answer allows; nothing of a thing that may not even be described, or is not there."""
    try:
        operations = future.result(_TIMEOUT_S).authorized_operations
    except KafkaException as error:
        if error.args[0].code() not in {*REFUSALS, KafkaError.UNKNOWN_TOPIC_OR_PART}:
            raise
        operations = []
    return [Need(resource, name, operation.name) for operation in operations or []]
