"""The stores that a service declares: keyed state, event-sourced aggregates, an event log."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Final, Literal, get_args

from ensemble.errors import ConfigurationError
from ensemble.messages.message import State
from ensemble.service.catalogue import Topic
from ensemble.service.ports import EventLog
from ensemble.system_messages.state import LedgerPosition

Engine = Literal["memory", "packed", "rocksdb"]
"""Where a partition's keyed state lies while it is worked on."""
SEQUENCE: Final = "sequence"
"""The field that holds a fact's number, for facts that have one."""


@dataclass(frozen=True)
class StateStoreSpec:
    """Keyed state of one type, behind `StateStore[subject]`."""

    subject: type[State]
    changelog: Topic | None = None
    engine: Engine = "memory"
    ledger: ClassVar[None] = None

    def __post_init__(self) -> None:
        """Refuse an engine that there is not."""
        if self.engine not in get_args(Engine):
            engines = ", ".join(get_args(Engine))
            raise ConfigurationError(f"store of {self.subject.__name__}: engine {self.engine!r} is none of {engines}")

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
    """An aggregate that is the fold of its ledger, behind `EventSourced[subject]`; its changelog holds snapshots.

    Without entries it is a state itself.
    """

    subject: type
    ledger: Topic
    entries: Mapping[str, type[State]] = field(default_factory=dict)
    snapshot_every: int = 500
    changelog: Topic | None = None

    @property
    def is_one_state(self) -> bool:
        """Whether the aggregate is a state itself, which its `apply` folds."""
        return not self.entries

    @property
    def types(self) -> tuple[type[State], ...]:
        """The state types in the changelog: what snapshots hold of an aggregate, and how far each snapshot goes."""
        return (*(self.entries.values() or (self.subject,)), LedgerPosition)

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


def state_store(state: type[State], changelog: Topic | None = None, engine: Engine = "memory") -> StateStoreSpec:
    """Declare keyed state behind `StateStore[state]`: one state of at most 1 MB under each key.

    The changelog is `<service>.<state>-changelog` unless a compacted topic with the partitions of the inputs is given.

    `engine="packed"` keeps the state in half the memory, for which reads, writes and restores take longer.
    `engine="rocksdb"` keeps it on disk, below ENSEMBLE_STATE_DIR, for what outgrows memory; a restart reads only
    what the changelog has had since. It needs the extra `rocksdb`; drivers in memory keep it in memory. Both behave as
    `memory` in all else. Raises ConfigurationError for another engine.
    """
    return StateStoreSpec(state, changelog, engine)


def event_sourced(
    aggregate: type, ledger: Topic, entries: Mapping[str, type[State]] | None = None, snapshot_every: int = 500
) -> EventSourcedSpec:
    """Declare an aggregate behind `EventSourced[aggregate]`: for each key the fold of that key's events on `ledger`.

    `aggregate` is a State whose fields have defaults, with a pure method `apply(self, event: A | B)` that returns the
    next state, or with one method for each event, by `functools.singledispatchmethod`. It takes every event that the
    ledger carries, and is one record of at most 1 MB. The runtime numbers the events of a key, without a gap, in the
    header `ce_sequence`, or in their field `sequence` if they have one. The ledger, kept for ever and keyed as the
    inputs are, is the truth.

    An aggregate too large for one record declares `entries`, its parts by name, each a State under keys of its own.
    `aggregate(key, sequence, **entries)` then gets one read-only mapping for each name, and its pure method
    `evolve(fact)` returns {(entry name, sub key): new state or None}. It gives the numbers itself if its facts have a
    field `sequence`.

    Every `snapshot_every` facts what has changed is written to the changelog, in the same transaction, so that a start
    folds only what came later. A service that declares what cannot be folded raises ConfigurationError, which names
    class and event.
    """
    return EventSourcedSpec(aggregate, ledger, entries or {}, snapshot_every)


def event_log(ledger: Topic) -> EventLogSpec:
    """Declare each key's whole history behind `EventLog`, in memory, read anew from `ledger` at each assignment.

    A service has one event log at most, for the port `EventLog` names no ledger.
    """
    return EventLogSpec(ledger)


def with_changelog(spec: StoreSpec, service: str, partitions: int) -> StoreSpec:
    """Return the store with the changelog that `service` keeps for it, unless it has one or needs none."""
    if isinstance(spec, EventLogSpec) or spec.changelog is not None:
        return spec
    kind = re.sub(r"(?<!^)(?=[A-Z])", "-", spec.subject.__name__).lower()
    changelog = Topic(f"{service}.{kind}-changelog", service, key="", partitions=partitions, cleanup="compact")
    return replace(spec, changelog=changelog)
