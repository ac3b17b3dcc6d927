"""What a service is made of: a name, roles, stores and a catalogue.

The composition root builds one and calls `run()`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from ensemble.errors import ConfigurationError
from ensemble.messages.message import Command, Event, Message, State
from ensemble.service.catalogue import Catalogue, Topic
from ensemble.service.roles import Handler, RoleDescription, describe_role
from ensemble.system_messages.operations import COMMANDS, EVENTS


@dataclass(frozen=True)
class RoleSpec:
    """A role and the adapters its composition root gives it."""

    role: type
    adapters: Mapping[str, object] = field(default_factory=dict)


def role(kind: type, **adapters: object) -> RoleSpec:
    """`role(Charger, gateway=HttpPaymentGateway(url))`: fill the fields that are no ports of the runtime."""
    return RoleSpec(kind, adapters)


@dataclass(frozen=True)
class StoreSpec:
    """A state store, an event-sourced aggregate or an event log; made by the three functions below."""

    subject: Any
    """The state type, or the aggregate class; the ledger's topic for an event log."""
    changelog: Topic | None = None
    ledger: Topic | None = None
    entries: Mapping[str, type[State]] = field(default_factory=dict)
    snapshot_every: int = 500

    @property
    def changelog_name(self) -> str:
        """The changelog's topic; nothing for an event log, whose ledger is one."""
        return self.changelog.name if self.changelog else ""

    @property
    def ledger_name(self) -> str:
        """The ledger's topic; nothing for a state store."""
        return self.ledger.name if self.ledger else ""


def state_store(state: type[State], changelog: Topic | None = None) -> StoreSpec:
    """Keyed state behind `StateStore[state]`.

    The changelog is `<service>.<state>-changelog` unless a topic is given.
    """
    return StoreSpec(state, changelog=changelog)


def event_sourced(
    aggregate: type, ledger: Topic, entries: Mapping[str, type[State]], snapshot_every: int = 500
) -> StoreSpec:
    """An aggregate behind `EventSourced[aggregate]`, rebuilt as snapshot + fold of `ledger`.

    `aggregate(key, sequence, **entries)` gets one read-only mapping for each name in `entries`; its pure method
    `evolve(fact)` returns {(entry name, sub key): new state or None}. Facts carry `sequence`, gapless for each key.
    Every `snapshot_every` facts the changed entries are written to the changelog, in the same transaction.
    """
    return StoreSpec(aggregate, ledger=ledger, entries=entries, snapshot_every=snapshot_every)


def event_log(ledger: Topic) -> StoreSpec:
    """A key's whole history behind `EventLog`, in memory."""
    return StoreSpec(ledger, ledger=ledger)


@dataclass(frozen=True)
class Service:
    """One process, one consumer group. Holds declarations only; `ensemble.kafka.run` runs it."""

    name: str
    catalogue: Catalogue
    roles: tuple[RoleSpec, ...]
    stores: tuple[StoreSpec, ...] = ()
    http_port: int = 0
    """Where health and metrics listen unless ENSEMBLE_HTTP_PORT says otherwise; 0: nowhere."""

    def __init__(  # noqa: PLR0913  a composition root reads best with every part named
        self,
        name: str,
        catalogue: Catalogue,
        *,
        roles: list[type | RoleSpec],
        stores: list[StoreSpec] | None = None,
        http_port: int = 0,
    ) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_-]{0,40}", name):
            raise ConfigurationError(f"service name {name!r}: lower case letters, digits, - and _ only, at most 41")
        specs = tuple(item if isinstance(item, RoleSpec) else RoleSpec(item) for item in roles)
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "catalogue", catalogue)
        object.__setattr__(self, "roles", specs)
        object.__setattr__(self, "stores", tuple(self._named(spec, name) for spec in stores or ()))
        object.__setattr__(self, "http_port", http_port)
        self._check()

    @cached_property
    def descriptions(self) -> tuple[RoleDescription, ...]:
        return tuple(describe_role(spec.role) for spec in self.roles)

    @cached_property
    def handlers(self) -> tuple[Handler, ...]:
        return tuple(handler for description in self.descriptions for handler in description.handlers)

    @cached_property
    def inputs(self) -> tuple[Topic, ...]:
        """The topics it consumes, by name."""
        topics = {topic.name: topic for handler in self.handlers for topic in self.sources(handler)}
        return tuple(topics[name] for name in sorted(topics))

    def sources(self, handler: Handler) -> tuple[Topic, ...]:
        """The topics whose records reach `handler`."""
        if isinstance(handler.subject, str):
            return ()
        if issubclass(handler.subject, Command):
            return (self.catalogue.home(handler.subject, self.name),)
        return self.catalogue.homes(handler.subject)

    @property
    def handled(self) -> dict[type[Message], Handler]:
        return {h.subject: h for h in self.handlers if h.verb == "handles" and not isinstance(h.subject, str)}

    @property
    def emits(self) -> frozenset[type[Event]]:
        return frozenset().union(*(d.emits for d in self.descriptions))

    @property
    def sends(self) -> frozenset[type[Command]]:
        return frozenset().union(*(d.sends for d in self.descriptions))

    @property
    def dead_letter(self) -> Topic:
        """Where unprocessable records go: the same partition number, original bytes, twice the usual size allowed."""
        return self._own("dead-letter", cleanup="delete", max_bytes=2_200_000)

    @property
    def timers(self) -> Topic | None:
        return self._own("timers-changelog") if self._uses("Timers") else None

    @property
    def seen(self) -> Topic | None:
        return self._own("seen-changelog") if any(topic.external for topic in self.inputs) else None

    @property
    def parked(self) -> Topic:
        """What is held back; as large records as dead letters."""
        return self._own("parked-changelog", max_bytes=2_200_000)

    @cached_property
    def control(self) -> Topic:
        """Where operators' commands come from, for ever: the audit trail."""
        return self._own("control", cleanup="delete", retention=None, messages=COMMANDS, max_bytes=4_400_000)

    @cached_property
    def operations(self) -> Topic:
        """What it answers operators, and its incidents."""
        return self._own("operations", key="service", cleanup="delete", messages=EVENTS)

    @property
    def changelogs(self) -> tuple[Topic, ...]:
        own = [spec.changelog for spec in self.stores] + [self.timers, self.seen, self.parked]
        return tuple(topic for topic in own if topic is not None)

    @property
    def own_topics(self) -> tuple[Topic, ...]:
        """Topics that exist because of this service alone."""
        return (*self.changelogs, self.dead_letter, self.control, self.operations)

    @cached_property
    def partitions(self) -> int:
        """The partition count that all its inputs share."""
        counts = {topic.partitions for topic in self.inputs}
        if len(counts) != 1:
            listed = ", ".join(f"{topic.name}={topic.partitions}" for topic in self.inputs) or "no inputs"
            raise ConfigurationError(f"service {self.name}: all inputs must have the same partition count ({listed})")
        return counts.pop()

    def _own(self, suffix: str, cleanup: Any = "compact", **more: Any) -> Topic:
        kept = {"key": "", "partitions": self.partitions, "cleanup": cleanup}
        return Topic(f"{self.name}.{suffix}", self.name, **(kept | more))

    def _named(self, spec: StoreSpec, name: str) -> StoreSpec:
        if spec.changelog is not None or (spec.ledger is not None and not spec.entries):
            return spec
        words = re.sub(r"(?<!^)(?=[A-Z])", "-", spec.subject.__name__).lower()
        changelog = Topic(f"{name}.{words}-changelog", name, key="", partitions=self.partitions, cleanup="compact")
        return replace(spec, changelog=changelog)

    def _uses(self, port: str) -> bool:
        return any(
            hint.__name__ == port for d in self.descriptions for hint in d.ports.values() if hasattr(hint, "__name__")
        )

    def _check(self) -> None:
        seen: dict[object, Handler] = {}
        for handler in self.handlers:
            if handler.verb == "handles" and handler.subject in seen:
                raise ConfigurationError(
                    f"{handler.subject} has two owners: {seen[handler.subject].name} and {handler.name}"
                )
            seen[handler.subject] = handler
        for spec, description in zip(self.roles, self.descriptions, strict=True):
            missing, unknown = description.adapters - spec.adapters.keys(), spec.adapters.keys() - description.adapters
            if missing or unknown:
                what = (
                    f"needs {', '.join(sorted(missing))}" if missing else f"has no field {', '.join(sorted(unknown))}"
                )
                raise ConfigurationError(
                    f"role {description.name} of service {self.name} {what}; give adapters with role(...)"
                )
        self._check_partitions()

    def _check_partitions(self) -> None:
        """State lies in the partition of the inputs that make it; its topics have as many."""
        right = self.partitions
        kept = [*(spec.changelog for spec in self.stores), *(spec.ledger for spec in self.stores)]
        for topic in kept:
            if topic is not None and topic.partitions != right:
                raise ConfigurationError(
                    f"service {self.name}: {topic.name} has {topic.partitions} partitions, but the inputs have "
                    f"{right}; a store shares its inputs' partitions"
                )
