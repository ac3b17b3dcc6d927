"""A service's declarations: a name, roles, stores and a catalogue.

The composition root builds one and gives it to `ensemble.kafka.run`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Sequence
from functools import cached_property
from typing import Any

from ensemble.errors import ConfigurationError
from ensemble.interceptors import Interceptor, require_interceptors
from ensemble.messages.message import Command, Event, Message
from ensemble.service.aggregates import check_aggregate
from ensemble.service.catalogue import Catalogue, Cleanup, Topic
from ensemble.service.ports import Timers
from ensemble.service.roles import Handler, RoleDescription, RoleSpec, describe_role, port_of
from ensemble.service.stores import EventSourcedSpec, StoreSpec, with_changelog
from ensemble.system_messages.operations import COMMANDS, EVENTS
from ensemble.system_messages.state import PARKING_TYPES, SeenMessage, Timer

Hook = Callable[[], Awaitable[None]]


class Service:
    """One process, one consumer group. Holds declarations only; `ensemble.kafka.run` runs it."""

    def __init__(  # noqa: PLR0913  all declarations of a service, by keyword
        self,
        name: str,
        catalogue: Catalogue,
        *,
        roles: Sequence[type | RoleSpec],
        stores: Sequence[StoreSpec] | None = None,
        interceptors: Sequence[Interceptor] = (),
        http_port: int = 0,
        on_start: Hook | None = None,
        on_stop: Hook | None = None,
    ) -> None:
        """Check the declarations: `name`, up to 41 lower case letters, digits, - and _, is the consumer group as well.

        Roles are classes, or `role(...)` where they need adapters; stores come from `state_store`, `event_sourced` and
        `event_log`. Health and metrics listen on `http_port` unless ENSEMBLE_HTTP_PORT is set (0: none).

        A process awaits `on_start` when all adapters are open and no record is read yet, and `on_stop` when the last
        batch is committed and the adapters are still open. Drivers in memory call neither.

        `interceptors` surround handling, sending and committing, the first one outermost. One that is an async context
        manager is opened and closed as an adapter is.

        Raises ConfigurationError if they do not fit together.
        """
        if not re.fullmatch(r"[a-z][a-z0-9_-]{0,40}", name):
            raise ConfigurationError(f"service name {name!r}: lower case letters, digits, - and _ only, at most 41")
        self.name, self.catalogue, self.http_port = name, catalogue, http_port
        self.on_start, self.on_stop = on_start, on_stop
        for hook, function in (("on_start", on_start), ("on_stop", on_stop)):
            if function is not None and not inspect.iscoroutinefunction(function):
                raise ConfigurationError(f"service {name}: {hook} is no coroutine function; make it an `async def`")
        self.interceptors = tuple(interceptors)
        self._check_interceptors()
        self.roles = tuple(item if isinstance(item, RoleSpec) else RoleSpec(item) for item in roles)
        self.stores = tuple(with_changelog(spec, name, self.partitions) for spec in stores or ())
        self._check_stores()
        self._check_owners()
        self._check_adapters()
        self._check_partitions()

    @cached_property
    def descriptions(self) -> tuple[RoleDescription, ...]:
        """What each role declares, in the order of the roles."""
        return tuple(describe_role(spec.role) for spec in self.roles)

    @cached_property
    def handlers(self) -> tuple[Handler, ...]:
        """The marked methods of all roles."""
        return tuple(handler for description in self.descriptions for handler in description.handlers)

    @cached_property
    def inputs(self) -> tuple[Topic, ...]:
        """The topics that the service consumes, by name."""
        topics = {topic.name: topic for handler in self.handlers for topic in self.sources(handler)}
        return tuple(topics[name] for name in sorted(topics))

    def sources(self, handler: Handler) -> tuple[Topic, ...]:
        """Return the topics whose records reach `handler`."""
        if isinstance(handler.subject, str):
            return ()
        if issubclass(handler.subject, Command):
            return (self.catalogue.home(handler.subject, self.name),)
        return self.catalogue.homes(handler.subject)

    @property
    def command_handlers(self) -> dict[type[Message], Handler]:
        """The commands that the service owns, each with its handler."""
        return {h.subject: h for h in self.handlers if h.verb == "handles" and not isinstance(h.subject, str)}

    @property
    def emits(self) -> frozenset[type[Event]]:
        """The events that the roles may emit, as their buses declare."""
        return frozenset().union(*(d.emits for d in self.descriptions))

    @property
    def sends(self) -> frozenset[type[Command]]:
        """The commands that the roles may send, as their buses declare."""
        return frozenset().union(*(d.sends for d in self.descriptions))

    @property
    def dead_letter(self) -> Topic:
        """Where unprocessable records go: the same partition number, original bytes, twice the usual size allowed."""
        return self._own_topic("dead-letter", cleanup="delete", max_bytes=2_200_000)

    @property
    def timers(self) -> Topic | None:
        """The changelog of the service's timers, if a role has some."""
        return self._own_topic("timers-changelog", messages=(Timer,)) if self._uses(Timers) else None

    @property
    def timer_names(self) -> frozenset[str]:
        """The timers that a role has a handler for."""
        return frozenset(handler.subject for handler in self.handlers if isinstance(handler.subject, str))

    @property
    def seen(self) -> Topic | None:
        """The changelog of the ids of messages that were handled, if an input is external."""
        is_needed = any(topic.is_external for topic in self.inputs)
        return self._own_topic("seen-changelog", messages=(SeenMessage,)) if is_needed else None

    @property
    def parked(self) -> Topic:
        """Where parked records are kept; they may be as large as dead letters."""
        return self._own_topic("parked-changelog", messages=PARKING_TYPES, max_bytes=2_200_000)

    @cached_property
    def control(self) -> Topic:
        """Where operators' commands come from, for ever: the audit trail."""
        return self._own_topic("control", cleanup="delete", retention=None, messages=COMMANDS, max_bytes=4_400_000)

    @cached_property
    def operations(self) -> Topic:
        """Answers to operators, and incidents."""
        return self._own_topic("operations", key="service", cleanup="delete", messages=EVENTS)

    @property
    def changelogs(self) -> tuple[Topic, ...]:
        """The topics that hold the service's state, the runtime's own last."""
        own = [spec.changelog for spec in self.stores] + [self.timers, self.seen, self.parked]
        return tuple(topic for topic in own if topic is not None)

    @property
    def ledgers(self) -> tuple[Topic, ...]:
        """The topics that hold the service's facts."""
        return tuple(spec.ledger for spec in self.stores if spec.ledger is not None)

    @property
    def own_topics(self) -> tuple[Topic, ...]:
        """Topics that exist because of this service alone."""
        return (*self.changelogs, self.dead_letter, self.control, self.operations)

    @cached_property
    def partitions(self) -> int:
        """The partition count that all inputs share."""
        counts = {topic.partitions for topic in self.inputs}
        if not counts:
            raise ConfigurationError(
                f"service {self.name} reads nothing; give it a role that handles or reacts to a message"
            )
        if len(counts) > 1:
            inputs = ", ".join(f"{topic.name}={topic.partitions}" for topic in self.inputs)
            raise ConfigurationError(f"service {self.name}: all inputs must have the same partition count ({inputs})")
        return counts.pop()

    def _own_topic(self, suffix: str, cleanup: Cleanup = "compact", key: str = "", **more: Any) -> Topic:
        """Return the topic `<service>.<suffix>`, with the partitions of the inputs."""
        return Topic(f"{self.name}.{suffix}", self.name, key, partitions=self.partitions, cleanup=cleanup, **more)

    def _uses(self, port: Any) -> bool:
        return any(port_of(hint) is port for d in self.descriptions for hint in d.ports.values())

    def _check_stores(self) -> None:
        for spec in self.stores:
            if isinstance(spec, EventSourcedSpec):
                check_aggregate(spec)
        for topic in (*self.ledgers, *self.changelogs):
            if topic.format != "avro":
                raise ConfigurationError(
                    f"service {self.name}: {topic.name} has the format {topic.format}, but what state is made of is "
                    "Avro; take the format away"
                )

    def _check_owners(self) -> None:
        owners: dict[object, Handler] = {}
        for handler in self.handlers:
            subject: Any = handler.subject
            if handler.verb == "handles" and subject in owners:
                raise ConfigurationError(
                    f"{subject.__name__} has two owners, {owners[subject].name} and {handler.name}; take the mark from "
                    "one of them"
                )
            owners[subject] = handler

    def _check_interceptors(self) -> None:
        require_interceptors(self.interceptors, f"service {self.name}")

    def _check_adapters(self) -> None:
        for spec, description in zip(self.roles, self.descriptions, strict=True):
            missing, unknown = description.adapters - spec.adapters.keys(), spec.adapters.keys() - description.adapters
            if missing or unknown:
                problem = (
                    f"needs {', '.join(sorted(missing))}" if missing else f"has no field {', '.join(sorted(unknown))}"
                )
                raise ConfigurationError(
                    f"role {description.name} of service {self.name} {problem}; give adapters with role(...)"
                )

    def _check_partitions(self) -> None:
        """Refuse stores with another partition count: state lies in the partition of the inputs that make it."""
        partitions = self.partitions
        changelogs = [spec.changelog for spec in self.stores if spec.changelog is not None]
        for topic in (*changelogs, *self.ledgers):
            if topic.partitions != partitions:
                raise ConfigurationError(
                    f"service {self.name}: {topic.name} has {topic.partitions} partitions, but the inputs have "
                    f"{partitions}; a store shares its inputs' partitions"
                )
