"""The topic catalogue: which messages live on which topic, how they are keyed, and how long they stay.

A `Catalogue` is plain data. The runtime takes routes and topic names from it, `ensemble.kafka.admin.topics` creates
what it lists, and the topology rules (`ensemble.topology.rules`) compare it with what the services declare.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from math import inf
from operator import attrgetter
from typing import Final, Literal, get_args

from ensemble.errors import ConfigurationError
from ensemble.messages.json_types import require_json_types
from ensemble.messages.message import Command, Event, Message

Cleanup = Literal["delete", "compact"]
Format = Literal["avro", "json"]
OUTSIDE: Final = "outside"
"""The owner of a topic that belongs to another system: it writes the events there, and carries out the commands."""
MAX_RECORD_BYTES = 1_000_000
"""The largest value a handler may emit; Kafka's own limit leaves room for key and headers."""
COMPACTION: Final[Mapping[str, str]] = {
    "segment.ms": "3600000",
    "segment.bytes": "67108864",
    "min.cleanable.dirty.ratio": "0.1",
}
"""Settings of compacted topics. Brokers clean closed segments only, and close one after a week or 1 GiB by default, so
superseded states would stay, and each restore and each reader would read them.
"""
_TOMBSTONES: Final[Mapping[str, str]] = {"delete.retention.ms": "86400000"}
"""For how long a compacted topic tells that a key was deleted. Kafka's default, set because copies on disk rely on it
(`ensemble.state.rocks`) and a cluster may have another one.
"""


@dataclass(frozen=True)
class Topic:
    """One topic. `key` is the field of each message that is its record key; `owner` the service that owns the topic.

    `messages` are the types that it carries; `retention` counts for `cleanup="delete"`, None keeps records for ever;
    `max_bytes` is the size of its largest record.

    `from_outside` are the messages that other systems write, people and the command line among them. They may come
    twice: a window of seen ids drops duplicates of all that the topic carries, and each record's partition is checked.
    `to_outside` are those that other systems read, with the reason why they exist.

    `owner=OUTSIDE` says both of a topic of another system: its events come from outside, its commands go there.

    Raises ConfigurationError for a format that is none, and for a message of the outside that the topic does not carry
    or that is given no reason.
    """

    name: str
    owner: str
    key: str
    messages: Sequence[type[Message]] = ()
    partitions: int = 4
    cleanup: Cleanup = "delete"
    retention: timedelta | None = timedelta(days=7)
    from_outside: Collection[type[Message]] = ()
    to_outside: Mapping[type[Message], str] = field(default_factory=dict, hash=False)
    max_bytes: int = 1_048_576
    format: Format = "avro"
    """`json`: its values are JSON text, for those who have no Avro. Ledgers and changelogs are Avro in any case."""

    def __post_init__(self) -> None:
        """Keep what is compared as tuples, and say what goes without saying of another system's topic."""
        object.__setattr__(self, "messages", tuple(self.messages))
        is_foreign = self.owner == OUTSIDE
        events = [message for message in self.messages if is_foreign and issubclass(message, Event)]
        others = [message for message in self.messages if is_foreign and not issubclass(message, Event)]
        object.__setattr__(self, "from_outside", tuple(dict.fromkeys([*events, *self.from_outside])))
        read = dict.fromkeys(others, "carried out by another system")
        object.__setattr__(self, "to_outside", {**read, **self.to_outside})
        self._check()

    def _check(self) -> None:
        """Refuse what contradicts itself, and messages that JSON would not give back as they were."""
        if self.format not in get_args(Format):
            formats = ", ".join(get_args(Format))
            raise ConfigurationError(f"topic {self.name}: format {self.format!r} is none of {formats}")
        for message in self.messages if self.format == "json" else ():
            if message.__pydantic_complete__:  # the others are looked at when their codec is made
                require_json_types(message)
        for field_name, messages in (("from_outside", self.from_outside), ("to_outside", self.to_outside)):
            if strange := [message.__name__ for message in messages if message not in self.messages]:
                raise ConfigurationError(
                    f"topic {self.name}: {field_name} names {', '.join(strange)}, which the topic does not carry; add "
                    "it to messages, or take it out"
                )
        for message, reason in self.to_outside.items():
            if not reason:
                raise ConfigurationError(
                    f"topic {self.name}: to_outside[{message.__name__}] is empty; say who reads it, and why"
                )

    @property
    def is_external(self) -> bool:
        """Whether other systems write here, so that duplicates may come."""
        return bool(self.from_outside)

    def key_of(self, message: Message) -> bytes:
        """Return the key of the message's record."""
        return str(attrgetter(self.key)(message)).encode()

    @property
    def lifetime_s(self) -> float:
        """For how long records are kept, in seconds: infinite where time removes none."""
        if self.retention is None or self.cleanup == "compact":
            return inf
        return self.retention.total_seconds()

    def config(self, replication: int = 1) -> dict[str, str]:
        """Return the topic's settings as Kafka spells them."""
        retention_ms = -1 if self.retention is None else int(self.retention.total_seconds() * 1000)
        entries = {
            "cleanup.policy": self.cleanup,
            "max.message.bytes": str(self.max_bytes),
            "min.insync.replicas": str(max(1, replication - 1)),
        }
        if self.cleanup == "compact":  # the time of records is the brokers', which services are told by it
            return {**entries, **COMPACTION, **_TOMBSTONES, "message.timestamp.type": "LogAppendTime"}
        return entries | {"retention.ms": str(retention_ms)}


@dataclass(frozen=True)
class Catalogue:
    """All topics that messages travel on, and what becomes of a command that has failed for good."""

    topics: Sequence[Topic]
    on_exhausted: Callable[[CommandFailure], Event | None] | None = None
    """Makes the event that tells a command's sender that its attempts are exhausted."""
    saga_commands: Mapping[type[Command], type[Command]] = field(default_factory=dict)
    """The commands whose failure a saga hears, each with the one of the saga's own that it is told as: itself, or the
    one that it stands behind. Only for these may a policy say `compensate`.
    """

    def __post_init__(self) -> None:
        """Keep the topics as a tuple."""
        object.__setattr__(self, "topics", tuple(self.topics))

    @cached_property
    def from_outside(self) -> frozenset[type[Message]]:
        """The messages that other systems write."""
        return frozenset(message for topic in self.topics for message in topic.from_outside)

    @cached_property
    def to_outside(self) -> frozenset[type[Message]]:
        """The messages that other systems read."""
        return frozenset(message for topic in self.topics for message in topic.to_outside)

    @cached_property
    def _homes(self) -> dict[type[Message], tuple[Topic, ...]]:
        homes: dict[type[Message], tuple[Topic, ...]] = {}
        for topic in self.topics:
            for message in topic.messages:
                homes[message] = (*homes.get(message, ()), topic)
        return homes

    def topic(self, name: str) -> Topic:
        """Return the topic called `name`. Raises ConfigurationError if the catalogue has none."""
        for topic in self.topics:
            if topic.name == name:
                return topic
        raise ConfigurationError(f"no topic {name!r} in the catalogue; it has {', '.join(t.name for t in self.topics)}")

    def homes(self, message: type[Message]) -> tuple[Topic, ...]:
        """Return the topics that carry `message`: one, but for the few that every owner emits (CommandFailed).

        Raises ConfigurationError if there is none.
        """
        if message not in self._homes:
            raise ConfigurationError(
                f"{message.__name__} is on no topic of the catalogue; add it to a Topic's messages"
            )
        return self._homes[message]

    def home(self, message: type[Message], owner: str) -> Topic:
        """Return the topic that `owner` writes `message` to."""
        homes = self.homes(message)
        own = [topic for topic in homes if topic.owner == owner]
        return (own or list(homes))[0]

    def message_types(self) -> Iterator[type[Message]]:
        """Return every message of the catalogue, once."""
        return iter(self._homes)

    def message(self, name: str) -> type[Message]:
        """Return the message type called `name`. Raises ConfigurationError, with all names, if there is none."""
        for message in self._homes:
            if message.__name__ == name:
                return message
        names = ", ".join(sorted(message.__name__ for message in self._homes))
        raise ConfigurationError(f"unknown message type {name!r}; known are {names}")


@dataclass(frozen=True)
class CommandFailure:
    """A command whose attempts are exhausted, and why."""

    command: Command
    message_id: str
    service: str
    error: str
    """The error's class."""
    reason: str
    """What the error says."""
    attempts: int
    disposition: Literal["dead_letter", "skip", "pause", "compensate"] = "dead_letter"
    """What the service did with the command."""
