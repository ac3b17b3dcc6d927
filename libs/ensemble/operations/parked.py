"""Parked keys: what each waits for, and what waits behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ensemble.clock import moment_of
from ensemble.operations import service_topics
from ensemble.operations.entries import Entry
from ensemble.operations.errors import Ambiguous, NotFound
from ensemble.operations.failures import Failures, FailuresProjection, ParkedKeySummary
from ensemble.operations.parking_stores import LiveParkingStores, Parked
from ensemble.operations.session import Session
from ensemble.operations.values import Position, Result
from ensemble.operations.view import View
from ensemble.system_messages import ParkedRecord


@dataclass(frozen=True)
class ParkedKeyFilter:
    """Which parked keys."""

    service: str | None = None
    status: str | None = None
    key: str | None = None

    def takes(self, parked: Parked) -> bool:
        """Return whether the key matches."""
        return self.status in {None, parked.entry.status} and self.key in {None, parked.name}


class BlockedRecord(Result):
    """A record that waits under a parked key."""

    position: Position
    """Where it was consumed from."""
    type: str
    message_id: str
    parked_at: datetime
    is_edited: bool
    """Whether an operator has given it another value."""
    fields: Mapping[str, Any]
    problem: str | None
    """Why it cannot be read."""


class ParkedKeyDetails(ParkedKeySummary):
    """A parked key and what waits under it, in the order in which it will be handled."""

    records: tuple[BlockedRecord, ...]


def find_parked_keys(session: Session, key_filter: ParkedKeyFilter) -> list[Parked]:
    """Return the parked keys that match, oldest first."""
    with LiveParkingStores(session, service_topics.service_names(session, key_filter.service)) as stores:
        return [parked for parked in stores.parked() if key_filter.takes(parked)]


def list_parked_keys(session: Session, key_filter: ParkedKeyFilter, view: View | None = None) -> list[ParkedKeySummary]:
    """Return the parked keys that match, the oldest first: from a view with the failures, or the topics.

    Raises NotFound if the cluster has no such service.
    """
    service_topics.service_names(session, key_filter.service)
    with session.view(FailuresProjection(session.decoder), what="parked keys", view=view) as synced:
        return list(Failures(synced).parked(key_filter.service, key_filter.status, key_filter.key))


def find_parked_key(session: Session, key: str, service: str | None) -> Parked:
    """Return the parked key. Raises NotFound if no service has a key of that name parked, Ambiguous if several have."""
    matches = find_parked_keys(session, ParkedKeyFilter(service, key=key))
    if not matches:
        where = f" in {service}" if service else ""
        raise NotFound(f"{key!r} is not parked{where}", subject=key, field="parked_key")
    if len({parked.service for parked in matches}) > 1:
        names = ", ".join(parked.service for parked in matches)
        raise Ambiguous(f"{key!r} is parked in {names}", subject=key, hint="give one of them", field="service")
    return matches[0]


def summarize_parked_key(parked: Parked) -> ParkedKeySummary:
    """Return what a list says of the key."""
    entry = parked.entry
    return ParkedKeySummary(
        service=parked.service,
        partition=parked.partition,
        key=parked.name,
        status=entry.status,
        depth=len(parked.waiting),
        since=moment_of(entry.since),
        head=parked.head.message,
        attempts=entry.attempts,
        next_attempt_at=moment_of(entry.due_at),
        blocked_on=entry.blocked_on,
        error=entry.error,
        message=entry.words,
        handler=entry.handler,
        policy=entry.policy,
    )


def describe_parked_key(session: Session, parked: Parked) -> ParkedKeyDetails:
    """Return the key and its records, in the order in which they will be handled."""
    records = tuple(_record(session, parked, record) for record in parked.waiting)
    return ParkedKeyDetails(**dict(summarize_parked_key(parked)), records=records)


def _record(session: Session, parked: Parked, record: ParkedRecord) -> BlockedRecord:
    entry = _entry(session, parked, record)
    return BlockedRecord(
        position=Position(topic=record.topic, partition=record.partition, offset=record.offset),
        type=record.message or entry.type,
        message_id=record.message_id,
        parked_at=moment_of(record.parked_at),
        is_edited=record.original is not None,
        fields=entry.fields,
        problem=entry.problem or None,
    )


def _entry(session: Session, parked: Parked, record: ParkedRecord) -> Entry:
    from ensemble.kafka.client import ReceivedRecord

    pairs = tuple((header.name, header.value) for header in record.headers)
    headers = {name: value or b"" for name, value in pairs}
    at = parked.entry.since
    return session.decode(
        ReceivedRecord(record.topic, record.partition, record.offset, at, record.key, record.value, headers, pairs)
    )
