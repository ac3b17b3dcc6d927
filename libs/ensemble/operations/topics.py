"""Topics of the catalogue and of the services, compared with the cluster's."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ensemble.application.declaration import Application
from ensemble.service import NOTES
from ensemble.service.catalogue import Topic

if TYPE_CHECKING:
    from ensemble.kafka.admin import topics
    from ensemble.kafka.client import ClusterClient


def required_topics(application: Application) -> list[Topic]:
    """Return every topic that has to exist."""
    from ensemble.kafka.admin import topics

    return [*topics.all_topics(application.catalogue, application.make_services()), NOTES]


def compare_topics(application: Application, client: ClusterClient) -> list[dict[str, Any]]:
    """Return each topic and its state on the cluster."""
    return [_row(state) for state in _compared(application, client)]


def create_missing_topics(application: Application, client: ClusterClient, replication: int) -> list[dict[str, Any]]:
    """Create missing topics, and return all topics with their state."""
    from ensemble.kafka.admin import topics

    required = required_topics(application)
    states = client.wait_for("its topics", lambda limit_s: topics.apply(client.admin, required, replication, limit_s))
    return [_row(state) | ({"status": "created"} if state.status == "missing" else {}) for state in states]


def _compared(application: Application, client: ClusterClient) -> list[topics.TopicState]:
    from ensemble.kafka.admin import topics

    required = required_topics(application)
    return client.wait_for("its topics", lambda limit_s: topics.compare(client.admin, required, limit_s))


def _row(state: topics.TopicState) -> dict[str, Any]:
    topic = state.topic
    status = f"wrong: {state.detail}" if state.status == "wrong" else state.status
    return {
        "topic": topic.name,
        "owner": topic.owner,
        "key": topic.key,
        "partitions": topic.partitions,
        "cleanup": topic.cleanup,
        "retention": _retention(topic),
        "status": status,
        "advice": state.advice or None,
    }


def _retention(topic: Topic) -> str:
    if topic.cleanup == "compact":
        return "latest per key"
    return "for ever" if topic.retention is None else _in_words(topic.retention)


def _in_words(time: timedelta) -> str:
    return f"{time.days} days" if time.days else f"{time.total_seconds():g} s"
