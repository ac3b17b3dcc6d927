"""What services hold back, and what they answer to operators, as their topics say it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from cli.entries import entry_of
from cli.member import SERVICES
from ensemble.errors import EnsembleError
from ensemble.kafka.outside import Access, Received

PARKED: Final = ".parked-changelog"
OPERATIONS: Final = ".operations"
DEAD_LETTER: Final = ".dead-letter"
REDRIVEN_FROM: Final = "ensemble.redriven-from"
_POLL_S: Final = 0.2


class Place(NamedTuple):
    """Where a record was consumed from, and how often it had been redriven."""

    topic: str
    partition: int
    offset: int
    generation: int


class Head(NamedTuple):
    """The first record of a parked key."""

    service: str
    key: str
    entry: Mapping[str, Any]
    record: Mapping[str, Any]

    @property
    def place(self) -> Place:
        record = self.record
        redrives = sum(header["name"] == REDRIVEN_FROM for header in record["headers"])
        return Place(record["topic"], record["partition"], record["offset"], redrives)


class Answer(NamedTuple):
    """One partition has carried a command out; epoch milliseconds."""

    service: str
    partition: int
    operation_id: str
    outcome: str
    at: int


@dataclass
class Held:
    """Read along with `look`."""

    access: Access
    answers: list[Answer] = field(default_factory=list)
    letters: dict[tuple[str, Place], Received] = field(default_factory=dict)
    _state: dict[tuple[str, bytes], Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        topics = [service + suffix for service in SERVICES for suffix in (PARKED, OPERATIONS, DEAD_LETTER)]
        self._follower = self.access.follow(self.access.places(topics), from_beginning=True)

    def close(self) -> None:
        self._follower.close()

    def look(self) -> None:
        """Take in what has come; what cannot be read just now comes later."""
        while records := self._polled():
            for record in records:
                self._take(record)

    def _polled(self) -> list[Received]:
        try:
            return self._follower.poll(_POLL_S)
        except EnsembleError:
            return []  # the broker is away, which is what this is about

    def heads(self) -> Iterator[Head]:
        """The head of every parked key."""
        for (service, key), entry in list(self._state.items()):
            if key.startswith(b"key/"):
                parked = key.removeprefix(b"key/")
                record = self._state.get((service, b"record/%b/%012d" % (parked, entry["first"])))
                if record is not None:
                    yield Head(service, parked.decode(errors="replace"), entry, record)

    def pauses(self) -> list[str]:
        """The wider pauses that some partition still knows of."""
        return [f"{service} {key.decode()}" for service, key in self._state if key.startswith(b"pause/")]

    def _take(self, record: Received) -> None:
        service, _, kind = record.topic.rpartition(".")
        if kind == DEAD_LETTER[1:]:
            self.letters[service, _place(record)] = record
        elif kind == OPERATIONS[1:]:
            self._answer(service, record)
        elif record.value is None:
            self._state.pop((service, record.key or b""), None)
        else:
            self._state[service, record.key or b""] = entry_of(record).fields

    def _answer(self, service: str, record: Received) -> None:
        entry = entry_of(record)
        if entry.type == "OperationDone":
            fields = entry.fields
            answer = (fields["partition"], fields["operation_id"], fields["outcome"], record.timestamp)
            self.answers.append(Answer(service, *answer))


def _place(letter: Received) -> Place:
    topic, partition, offset = (letter.headers[f"__streams.errors.{name}"].decode() for name in _NAMES)
    return Place(topic, int(partition), int(offset), int(REDRIVEN_FROM in letter.headers))


_NAMES: Final = ("topic", "partition", "offset")
