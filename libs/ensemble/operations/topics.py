"""Topics of the catalogue and of the services, compared with the cluster's."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from ensemble.application.declaration import Application
from ensemble.operations.values import Result
from ensemble.service import NOTES
from ensemble.service.catalogue import Cleanup, Topic

if TYPE_CHECKING:
    from ensemble.kafka.admin import topics
    from ensemble.kafka.client import ClusterClient


def required_topics(application: Application) -> list[Topic]:
    """Return every topic that has to exist."""
    from ensemble.kafka.admin import topics

    return [*topics.all_topics(application.catalogue, application.make_services()), NOTES]


class TopicSummary(Result):
    """A topic as it is declared, and its state on the cluster: `detail` says what is wrong.

    `advice` says what is slow, or how to put right what is wrong.
    """

    topic: str
    owner: str
    key: str | None
    partitions: int
    cleanup: Cleanup
    retention: timedelta | None
    """How long records are kept; None: for ever, or of a compacted topic the latest of each key."""
    status: Literal["ok", "missing", "created", "wrong"]
    detail: str
    advice: str


def compare_topics(application: Application, client: ClusterClient) -> tuple[TopicSummary, ...]:
    """Return each topic and its state on the cluster."""
    from ensemble.kafka.admin import topics

    required, inputs = required_topics(application), _inputs(application)
    states = client.wait_for(
        "its topics", lambda limit_s: topics.compare(client.admin, required, limit_s, inputs=inputs)
    )
    return tuple(_summarize(state, state.status) for state in states)


def create_missing_topics(
    application: Application, client: ClusterClient, replication: int
) -> tuple[TopicSummary, ...]:
    """Create missing topics, and return all topics with their state."""
    from ensemble.kafka.admin import topics

    required, inputs = required_topics(application), _inputs(application)
    states = client.wait_for(
        "its topics", lambda limit_s: topics.apply(client.admin, required, replication, limit_s, inputs=inputs)
    )
    return tuple(_summarize(state, "created" if state.status == "missing" else state.status) for state in states)


def _inputs(application: Application) -> list[Topic]:
    return [topic for service in application.make_services() for topic in service.inputs]


def _summarize(state: topics.TopicState, status: Literal["ok", "missing", "created", "wrong"]) -> TopicSummary:
    topic = state.topic
    retention = None if topic.cleanup == "compact" else topic.retention
    return TopicSummary(
        topic=topic.name, owner=topic.owner, key=topic.key, partitions=topic.partitions, cleanup=topic.cleanup,
        retention=retention, status=status, detail=state.detail, advice=state.advice,
    )  # fmt: skip
