"""The stores that a service declares: keyed state, event-sourced aggregates, an event log."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from ensemble.messages.message import State
from ensemble.service.catalogue import Topic
from ensemble.service.ports import EventLog
from ensemble.system_messages.state import LedgerPosition


@dataclass(frozen=True)
class StateStoreSpec:
    """Keyed state of one type, behind `StateStore[subject]`."""

    subject: type[State]
    changelog: Topic | None = None
    ledger: ClassVar[None] = None

    @property
    def types(self) -> tuple[type[State], ...]:
        """The state types in the changelog."""
        return (self.subject,)

    @property
    def changelog_name(self) -> str:
        """The changelog's topic; a service gives one to each of its stores."""
        assert self.changelog is not None, "stores are opened as their service has them"
        return self.changelog.name


@dataclass(frozen=True)
class EventSourcedSpec:
    """An aggregate that is the fold of its ledger, behind `EventSourced[subject]`; its changelog holds snapshots."""

    subject: type
    ledger: Topic
    entries: Mapping[str, type[State]]
    snapshot_every: int = 500
    changelog: Topic | None = None

    @property
    def types(self) -> tuple[type[State], ...]:
        """The state types in the changelog: the entries of snapshots, and how far each snapshot goes."""
        return (*self.entries.values(), LedgerPosition)

    @property
    def changelog_name(self) -> str:
        """The changelog's topic; a service gives one to each of its stores."""
        assert self.changelog is not None, "stores are opened as their service has them"
        return self.changelog.name


@dataclass(frozen=True)
class EventLogSpec:
    """Whole histories behind `EventLog`. The ledger is all that is kept of them."""

    ledger: Topic
    subject: ClassVar[Any] = EventLog
    changelog: ClassVar[None] = None
    types: ClassVar[tuple[type[State], ...]] = ()


StoreSpec = StateStoreSpec | EventSourcedSpec | EventLogSpec
"""`subject` is what a role's hint names to be given the store."""


def state_store(state: type[State], changelog: Topic | None = None) -> StateStoreSpec:
    """Declare keyed state behind `StateStore[state]`.

    The changelog is `<service>.<state>-changelog` unless a topic is given.
    """
    return StateStoreSpec(state, changelog)


def event_sourced(
    aggregate: type, ledger: Topic, entries: Mapping[str, type[State]], snapshot_every: int = 500
) -> EventSourcedSpec:
    """Declare an aggregate behind `EventSourced[aggregate]`, rebuilt as snapshot + fold of `ledger`.

    `aggregate(key, sequence, **entries)` gets one read-only mapping for each name in `entries`; its pure method
    `evolve(fact)` returns {(entry name, sub key): new state or None}. Facts carry `sequence`, gapless for each key.
    Every `snapshot_every` facts the changed entries are written to the changelog, in the same transaction.
    """
    return EventSourcedSpec(aggregate, ledger, entries, snapshot_every)


def event_log(ledger: Topic) -> EventLogSpec:
    """Declare a key's whole history behind `EventLog`, in memory."""
    return EventLogSpec(ledger)


def with_changelog(spec: StoreSpec, service: str, partitions: int) -> StoreSpec:
    """Return the store with the changelog that `service` keeps for it, unless it has one or needs none."""
    if isinstance(spec, EventLogSpec) or spec.changelog is not None:
        return spec
    kind = re.sub(r"(?<!^)(?=[A-Z])", "-", spec.subject.__name__).lower()
    changelog = Topic(f"{service}.{kind}-changelog", service, key="", partitions=partitions, cleanup="compact")
    return replace(spec, changelog=changelog)
