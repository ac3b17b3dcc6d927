"""An administrator of a cluster in memory, who sees and makes its topics, permissions and users."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from confluent_kafka import KafkaError

from tests.support.client_answers import answer, done, refuse


class Administrator:
    """An admin client of a cluster that has nothing yet, and grants and makes everything."""

    def __init__(self) -> None:
        self.topics: dict[str, dict[str, str]] = {}
        """The settings of each."""
        self.permissions: list[Any] = []
        self.users: list[str] = []
        self.replicas: dict[str, int] = {}

    def list_topics(self, timeout: float) -> Any:
        partitions = dict.fromkeys(range(4))
        return SimpleNamespace(
            topics={name: SimpleNamespace(partitions=partitions, error=None) for name in self.topics}
        )

    def describe_configs(self, resources: list[Any], **_: Any) -> dict[Any, Any]:
        return {
            each: done({name: SimpleNamespace(value=value) for name, value in self.topics[each.name].items()})
            for each in resources
        }

    def describe_topics(self, names: Any, **_: Any) -> dict[str, Any]:
        return {name: refuse(KafkaError.UNKNOWN_TOPIC_OR_PART) for name in names.topic_names}

    def create_topics(self, new: list[Any], **_: Any) -> dict[str, Any]:
        self.topics |= {each.topic: each.config for each in new}
        self.replicas |= {each.topic: each.replication_factor for each in new}
        return {each.topic: answer() for each in new}

    def list_offsets(self, specs: dict[Any, Any], **_: Any) -> dict[Any, Any]:
        return {place: answer(offset=0) for place in specs}

    def describe_cluster(self, **_: Any) -> Any:
        return answer(authorized_operations=[SimpleNamespace(name=name) for name in ("DESCRIBE", "ALTER")])

    def describe_acls(self, _: Any, **__: Any) -> Any:
        return done(list(self.permissions))

    def create_acls(self, bindings: list[Any], **_: Any) -> dict[Any, Any]:
        self.permissions += sorted(bindings, key=str)
        return {binding: answer() for binding in bindings}

    def alter_user_scram_credentials(self, alterations: list[Any], **_: Any) -> dict[str, Any]:
        self.users += [each.user for each in alterations]
        return {each.user: answer() for each in alterations}
