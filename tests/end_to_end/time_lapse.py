"""Makes time pass quickly on a broker: what is kept for days is kept for a moment.

Everything that is scaled comes from the table of lifetimes (`ensemble topology lifetimes`). A row that this module does
not know is an error: somebody has to decide how it takes part in the year.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from math import inf
from pathlib import Path
from typing import Final

from confluent_kafka.admin import (  # type: ignore[attr-defined]  # unmarked re-exports
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
)

from ensemble.kafka.client.access import ClusterClient
from ensemble.kafka.records import TopicPlace
from ensemble.service.service import Service
from ensemble.topology import lifetimes
from ensemble.topology.lifetimes import Lifetime
from services.app import SERVICES

WEEK_S: Final = 2.0
"""A week of the year, in seconds."""
_SCALE: Final = WEEK_S / (7 * 86_400)
_OFFSETS: Final = "offsets.retention.minutes"
_OFFSETS_KEPT_MINUTES: Final = 2
"""Kafka counts them in minutes. A busy machine needed more than one for an ordinary holiday: the groups forget nothing
meanwhile. A holiday that outlives their offsets takes these two."""
_IDS: Final = ("transactional.id.expiration.ms", "producer.id.expiration.ms")
_IDS_KEPT_S: Final = 10.0
"""As long as a transaction may take (ENSEMBLE_TRANSACTION_TIMEOUT_S): no broker forgets who writes amid one."""
_IN_REAL_TIME: Final = ("unanswered ", "events that wait for their ")
"""Processes need real seconds to answer, so what waits for their answers does not shrink."""
_CONSTANTS: Final = ("ids seen on external topics", "what became of a dead letter", "parked records, with their bytes")
"""No setting changes these; they outlive the year."""
FREQUENT: Final = {
    "log.retention.check.interval.ms": "300",
    "log.initial.task.delay.ms": "300",
    "log.segment.delete.delay.ms": "100",
    "log.roll.ms": "1000",
    "log.cleaner.backoff.ms": "300",
    "log.cleaner.min.cleanable.ratio": "0.01",
    "log.cleaner.delete.retention.ms": "500",
    "offsets.retention.check.interval.ms": "1000",
    "transaction.remove.expired.transaction.cleanup.interval.ms": "300",
    "producer.id.expiration.check.interval.ms": "300",
}
"""How often a broker looks for what has expired, rolls segments and compacts: as often for a week of two seconds as it
does for a week."""


def broker_settings() -> dict[str, str]:
    """Return the settings of a broker whose weeks are short."""
    rows = (row for row in _rows() if row.origin.startswith("broker: "))
    return FREQUENT | dict(_broker_setting(row) for row in rows)


def service_settings() -> dict[str, str]:
    """Return the environment of services whose weeks are short."""
    [ended] = [row for row in _rows() if row.subject.startswith("ended ")]
    return {"ENSEMBLE_FULFILMENT_STUB_S": str(ended.kept_s * _SCALE)}


def retentions() -> dict[str, float]:
    """Return the topics that do not keep their records for ever, and for how many seconds they keep them."""
    return {row.subject: row.kept_s for row in _rows() if row.origin == "catalogue" and row.kept_s < inf}


def compact_often(access: ClusterClient) -> None:
    """Have the compacted topics, which have settings of their own for it, compacted as often as the broker looks."""
    tombstones_ms = FREQUENT["log.cleaner.delete.retention.ms"]
    settings = {"min.cleanable.dirty.ratio": "0.01", "delete.retention.ms": tombstones_ms}
    _compact(access, {"segment.ms": FREQUENT["log.roll.ms"], **settings})


def compact_no_more(access: ClusterClient) -> None:
    """Keep what is written from now on: what is not removed from topics yet is still to be found in states."""
    _compact(access, {"min.cleanable.dirty.ratio": "1"})


def _compact(access: ClusterClient, settings: Mapping[str, str]) -> None:
    topics = {topic.name for make in SERVICES.values() for topic in make().changelogs if topic.cleanup == "compact"}
    _configure(access, dict.fromkeys(topics, settings))


def let_weeks_pass(access: ClusterClient, *, ids_expire: bool) -> None:
    """Have retention take everything that it takes in two weeks without a word, and the broker forget who wrote."""
    forgets_at = time.monotonic() + (_IDS_KEPT_S + 1 if ids_expire else 0)
    _set_retention(access, {name: kept_s * _SCALE for name, kept_s in retentions().items()})
    try:
        places = access.places(retentions())
        _await(lambda: access.starts(places) == access.high_watermarks(places), "retention to take everything")
        _await(lambda: time.monotonic() > forgets_at, "the broker to forget who wrote")
    finally:
        _set_retention(access, retentions())


def await_expiry_of_offsets(access: ClusterClient, groups: Iterable[str]) -> None:
    """Return when the groups, which have no members, have lost their offsets."""
    groups = list(groups)
    _await(lambda: not any(access.committed_by(group) for group in groups), "the groups' offsets to expire", 360)


def lag(access: ClusterClient, group: str) -> dict[TopicPlace, int]:
    """Return how many offsets the group has not committed, markers included, where there are any."""
    committed = {place: at.offset for place, at in access.committed_by(group).items()}
    ends = access.high_watermarks(committed)
    return {place: ends[place] - offset for place, offset in committed.items() if ends[place] != offset}


def segments(data: Path, topic: str) -> set[str]:
    """Return the segments of a topic on the broker's disk, as partition and first offset."""
    return {f"{file.parent.name}/{file.stem}" for file in data.glob(f"{topic}-*/*.log")}


def _rows() -> list[Lifetime]:
    services: list[Service] = [make() for make in SERVICES.values()]
    rows = lifetimes(services)
    unknown = [row.subject for row in rows if not _has_its_part(row)]
    assert not unknown, f"the year does not know how long these are kept: {unknown}"
    return rows


def _has_its_part(row: Lifetime) -> bool:
    is_scaled = row.origin.startswith("broker: ") or row.origin == "catalogue" or row.subject.startswith("ended ")
    return is_scaled or row.subject.startswith(_IN_REAL_TIME) or row.subject in _CONSTANTS


def _broker_setting(row: Lifetime) -> tuple[str, str]:
    name = row.origin.removeprefix("broker: ")
    if name == _OFFSETS:
        return name, str(_OFFSETS_KEPT_MINUTES)
    if name in _IDS:
        return name, str(round(_IDS_KEPT_S * 1000))
    return name, str(max(round(row.kept_s * _SCALE * 1000), 1))


def _set_retention(access: ClusterClient, retention_s: Mapping[str, float]) -> None:
    _configure(access, {topic: {"retention.ms": str(round(kept_s * 1000))} for topic, kept_s in retention_s.items()})


def _configure(access: ClusterClient, settings_by_topic: Mapping[str, Mapping[str, str]]) -> None:
    resources = [
        ConfigResource(
            ConfigResource.Type.TOPIC,
            topic,
            incremental_configs=[
                ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
                for name, value in settings.items()
            ],
        )
        for topic, settings in settings_by_topic.items()
    ]
    for future in access.admin.incremental_alter_configs(resources).values():
        future.result(30)


def _await(condition: Callable[[], bool], expected: str, limit_s: float = 120) -> None:
    limit = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < limit, f"waited {limit_s:g} s for {expected}"
        time.sleep(0.2)
