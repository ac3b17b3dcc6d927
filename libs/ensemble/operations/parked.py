"""Parked keys: what each waits for, and what waits behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ensemble.clock import epoch_ms, rfc3339
from ensemble.operations import service_topics
from ensemble.operations.entries import Entry
from ensemble.operations.errors import Ambiguous, NotFound
from ensemble.operations.failures import Failures, FailuresProjection, ParkedKeySummary
from ensemble.operations.outgoing import now
from ensemble.operations.parking_stores import LiveParkingStores, Parked
from ensemble.operations.session import Session
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


def find_parked_keys(session: Session, key_filter: ParkedKeyFilter) -> list[Parked]:
    """Return the parked keys that match, oldest first."""
    with LiveParkingStores(session, service_topics.service_names(session, key_filter.service)) as stores:
        return [parked for parked in stores.parked() if key_filter.takes(parked)]


def list_parked_keys(session: Session, key_filter: ParkedKeyFilter, view: View | None = None) -> list[dict[str, Any]]:
    """Return the parked keys that match, the oldest first, one row each: from a view with the failures, or the topics.

    Raises NotFound if the cluster has no such service.
    """
    service_topics.service_names(session, key_filter.service)
    with session.view(FailuresProjection(session.decoder), what="parked keys", view=view) as synced:
        keys = Failures(synced).parked(key_filter.service, key_filter.status, key_filter.key)
    return [_row(key) for key in keys]


def _row(key: ParkedKeySummary) -> dict[str, Any]:
    return {
        "service": key.service,
        "key": key.key,
        "status": key.status,
        "depth": key.depth,
        "since": None if key.since is None else rfc3339(epoch_ms(key.since)),
        "age_ms": 0 if key.since is None else now() - epoch_ms(key.since),
        "head": key.head,
        "attempts": key.attempts,
        "next_try": None if key.next_attempt_at is None else rfc3339(epoch_ms(key.next_attempt_at)),
        "waits_for": key.blocked_on or None,
        "error": key.error or None,
        "message": key.message or None,
        "handler": key.handler or None,
        "policy": key.policy or None,
        "partition": key.partition,
    }


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


def summarize_parked_key(parked: Parked) -> dict[str, Any]:
    """Return the key as one row."""
    entry = parked.entry
    return {
        "service": parked.service,
        "key": parked.name,
        "status": entry.status,
        "depth": len(parked.waiting),
        "since": rfc3339(entry.since),
        "age_ms": now() - entry.since,
        "head": parked.head.message,
        "attempts": entry.attempts,
        "next_try": _time(entry.due_at),
        "waits_for": entry.blocked_on or None,
        "error": entry.error or None,
        "message": entry.words or None,
        "handler": entry.handler or None,
        "policy": entry.policy or None,
        "partition": parked.partition,
    }


def describe_parked_key(session: Session, parked: Parked) -> dict[str, Any]:
    """Return the key and its records, in the order in which they will be handled."""
    return {**summarize_parked_key(parked), "records": [_record(session, parked, record) for record in parked.waiting]}


def _record(session: Session, parked: Parked, record: ParkedRecord) -> dict[str, Any]:
    entry = _entry(session, parked, record)
    return {
        "came_from": f"{record.topic}/{record.partition}/{record.offset}",
        "type": entry.type if not entry.problem else record.message or entry.type,
        "id": record.message_id,
        "parked_at": rfc3339(record.parked_at),
        "edited": record.original is not None,
        "fields": dict(entry.fields) or None,
        "unreadable_because": entry.problem or None,
    }


def _entry(session: Session, parked: Parked, record: ParkedRecord) -> Entry:
    from ensemble.kafka.client import ReceivedRecord

    pairs = tuple((header.name, header.value) for header in record.headers)
    headers = {name: value or b"" for name, value in pairs}
    at = parked.entry.since
    return session.decode(
        ReceivedRecord(record.topic, record.partition, record.offset, at, record.key, record.value, headers, pairs)
    )


def _time(at: int | None) -> str | None:
    return None if at is None else rfc3339(at)
