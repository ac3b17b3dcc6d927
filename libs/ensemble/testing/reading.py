"""What tests look at: messages on topics, and what one service keeps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, TypeVar

from ensemble.errors import ConfigurationError
from ensemble.messages.codec import Decoder, decoders_for
from ensemble.messages.message import Event, Message, State
from ensemble.messages.records import StoredRecord
from ensemble.service.catalogue import Catalogue
from ensemble.service.codecs import codec_of
from ensemble.state.timers import DueTimer
from ensemble.system_messages.state import ParkedKey, ParkedRecord
from ensemble.testing.process import MemoryProcess

S = TypeVar("S", bound=State)
E = TypeVar("E", bound=Event)


class MessageReader:
    """Finds and decodes the messages of catalogues among records of any topic."""

    def __init__(self, *catalogues: Catalogue) -> None:
        topics = [topic for catalogue in catalogues for topic in catalogue.topics]
        self._topics = {topic.name: topic for topic in topics if topic.cleanup == "delete"}
        self._kinds = {kind for catalogue in catalogues for kind in catalogue.message_types()}
        self._codecs = {name: codec_of(topic) for name, topic in self._topics.items()}

    @cached_property
    def _readers(self) -> dict[tuple[str, bytes], tuple[type[Message], Decoder[Any]]]:
        """Each type with its decoder, by topic and label."""
        kinds = [(name, kind) for name, topic in self._topics.items() for kind in topic.messages]
        return {
            (name, label): (kind, read)
            for name, kind in kinds
            for label, read in self._codecs[name].decoders_for(kind).items()
        }

    def find(self, records: Iterable[StoredRecord], *kinds: type[Message]) -> Iterator[tuple[StoredRecord, Message]]:
        """Yield the records that hold a message, with it; of these types alone if any is given.

        Raises ConfigurationError for a type that no catalogue has.
        """
        if unknown := [kind.__name__ for kind in kinds if kind not in self._kinds]:
            raise ConfigurationError(f"{', '.join(unknown)}: in no catalogue of the services under test")
        for record in records:
            codec, value = self._codecs.get(record.at_topic), record.raw_value
            if codec is None or value is None or (label := codec.label_of(record)) is None:
                continue
            reader = self._readers.get((record.at_topic, label))
            if reader is not None and (not kinds or reader[0] in kinds):
                yield record, reader[1](value)


class ServiceView:
    """What one service has committed: its state, timers, parked records, dead letters."""

    def __init__(self, process: MemoryProcess) -> None:
        self.process = process
        """The process behind the view, for white-box tests."""
        self.service = process.service

    @property
    def dead_letters(self) -> list[StoredRecord]:
        """What the service gave up, oldest first."""
        return self.records(self.service.dead_letter.name)

    def records(self, topic: str) -> list[StoredRecord]:
        """Return the committed records of one topic, changelogs included."""
        return self.process.topics.records(topic)

    def state(self, kind: type[S], key: str) -> S | None:
        """Return the committed state of `key`. Raises KeyError if the service declares no store of that type."""
        state: S | None = self._store(kind, key.split("/", maxsplit=1)[0]).get(key.encode())
        return state

    def aggregate(self, kind: type, key: str) -> Any:
        """Return the aggregate of `key`, as of its last committed fact."""
        store = self._store(kind, key)
        return store.aggregate(key.encode(), store)

    @property
    def timers(self) -> list[DueTimer]:
        """The timers that are set, the one that is due first at the start; `due_at` is in epoch milliseconds."""
        stores = [task.stores.timers for task in self.process.tasks.values()]
        timers = [s.timer_in(key, value) for s in stores if s is not None for key, value in s.committed.items()]
        return sorted(timers, key=lambda timer: (timer.due_at, timer.key, timer.name))

    def parked(self, key: str) -> ParkedKey | None:
        """Return why the parking key is held back; None when it is not."""
        entries = (task.stores.parking.entry(key.encode()) for task in self.process.tasks.values())
        return next((entry for entry in entries if entry is not None), None)

    def waiting(self, key: str) -> list[ParkedRecord]:
        """Return what is parked under the key, in order."""
        tasks = self.process.tasks.values()
        return [record for task in tasks for _, record in task.stores.parking.records(key.encode())]

    def answers(self, kind: type[E]) -> list[E]:
        """Return the events of one type that the service emitted to operators."""
        readers = decoders_for(kind)
        values = [record.raw_value or b"" for record in self.records(self.service.operations.name)]
        return [readers[value[:5]](value) for value in values if value[:5] in readers]

    def _store(self, kind: type, key: str) -> Any:
        return self.process.task_of(key).stores.by_subject[kind]
