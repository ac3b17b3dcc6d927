"""The processes of each service as its consumer group knows them, and how far they are behind."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from ensemble.kafka.client import GroupMember
from ensemble.operations.lag import PartitionLag, ask_all, look_at_unread, read_lag
from ensemble.operations.service_topics import DEAD_LETTER, service_names
from ensemble.operations.session import Session
from ensemble.operations.values import Position, Result


class Instance(Result):
    """A process of a service, as its group knows it, with the partitions of the service that it has."""

    client_id: str
    host: str
    partitions: tuple[int, ...]


class ServiceConsumers(Result):
    """The consumers of one service. `behind` counts offsets, markers of transactions among them.

    `lost` records were removed from their topics before the service has read them.
    """

    service: str
    instances: tuple[Instance, ...]
    partitions: int
    assigned: int
    """How many of the partitions some process has."""
    behind: int
    lost: int
    next_unread: Position | None
    """The record that has waited longest to be read."""
    unread_since: datetime | None


class PartitionReader(PartitionLag):
    """The lag of one partition, and the process that reads it; None if none does."""

    client_id: str | None = None


def list_consumers(session: Session, service: str | None = None) -> tuple[ServiceConsumers, ...]:
    """Return the consumers of one service, or of all. Of topics only the first records that wait are read.

    Raises NotFound if the cluster has no such service, ClusterError if it does not answer.
    """
    names = _services(session) if service is None else service_names(session, service)
    lags, members = _ask(session, names)
    return tuple(_consumers(name, members[name], [lag for lag in lags if lag.group == name]) for name in names)


def list_readers(session: Session, service: str | None = None) -> tuple[PartitionReader, ...]:
    """Return who reads which partition and how far behind, the largest lag first. Raises like `list_consumers`."""
    names = _services(session) if service is None else service_names(session, service)
    lags, members = _ask(session, names)
    readers = {
        (name, *place): member.client_id for name in names for member in members[name] for place in member.places
    }
    return tuple(
        PartitionReader(**dict(lag), client_id=readers.get((lag.group, lag.topic, lag.partition))) for lag in lags
    )


def stopped_services(session: Session, services: Sequence[str]) -> frozenset[str]:
    """Return those of these services of which no process runs: their consumer groups have no member."""
    return frozenset(name for name, members in _members(session, services).items() if not members)


def _services(session: Session) -> list[str]:
    """Return the services of the application in its order, then others that the cluster has topics of."""
    topics = session.client.topics()
    others = sorted(name.removesuffix(DEAD_LETTER) for name in topics if name.endswith(DEAD_LETTER))
    return list(dict.fromkeys([*session.application.services, *others]))


def _ask(session: Session, names: Sequence[str]) -> tuple[tuple[PartitionLag, ...], dict[str, list[GroupMember]]]:
    with ThreadPoolExecutor(1) as beside:
        members = beside.submit(_members, session, names)
        lags = look_at_unread(session.client, read_lag(session.client, names))
        return lags, members.result()


def _members(session: Session, names: Sequence[str]) -> dict[str, list[GroupMember]]:
    return dict(zip(names, ask_all(session.client.members_of, names), strict=True))


def _consumers(name: str, members: Sequence[GroupMember], lags: Sequence[PartitionLag]) -> ServiceConsumers:
    assigned = {partition for member in members for _, partition in member.places}
    oldest = _oldest(lags)
    return ServiceConsumers(
        service=name,
        instances=tuple(map(_instance, members)),
        partitions=len(assigned | {lag.partition for lag in lags}),
        assigned=len(assigned),
        behind=sum(lag.behind for lag in lags),
        lost=sum(lag.lost for lag in lags),
        next_unread=oldest.position if oldest else None,
        unread_since=oldest.oldest_unread if oldest else None,
    )


def _oldest(lags: Sequence[PartitionLag]) -> PartitionLag | None:
    waiting = [(lag.oldest_unread, number) for number, lag in enumerate(lags) if lag.oldest_unread]
    return lags[min(waiting)[1]] if waiting else None


def _instance(member: GroupMember) -> Instance:
    partitions = sorted({partition for _, partition in member.places})
    return Instance(client_id=member.client_id, host=member.host, partitions=tuple(partitions))
