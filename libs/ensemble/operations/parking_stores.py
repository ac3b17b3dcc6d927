"""What services hold back, as their own parked-changelogs say: parked keys, pauses, and what became of dead letters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Self

from ensemble.messages import SchemaSourceSelector
from ensemble.operations.service_topics import PARKED, topics
from ensemble.operations.session import Session
from ensemble.state import ParkingStore
from ensemble.system_messages import ParkedKey, ParkedRecord, Pause


@dataclass(frozen=True)
class Parked:
    """One parked key."""

    service: str
    partition: int
    key: bytes
    entry: ParkedKey
    waiting: tuple[ParkedRecord, ...]

    @property
    def head(self) -> ParkedRecord:
        return self.waiting[0]

    @property
    def name(self) -> str:
        return self.key.decode(errors="backslashreplace")


class ParkingStores:
    """The parking stores of some services, by service and partition."""

    def __init__(self, sources: SchemaSourceSelector) -> None:
        self._sources = sources
        self._stores: dict[tuple[str, int], ParkingStore] = {}

    def store(self, service: str, partition: int) -> ParkingStore:
        """Return the store of a partition, empty if nothing was ever parked there."""
        place = (service, partition)
        if place not in self._stores:
            self._stores[place] = ParkingStore(service + PARKED, self._sources)
        return self._stores[place]

    def take(self, records: Iterable[Any]) -> None:
        """Apply records of the changelogs, in order. Raises UnreadableState for a record of a newer release."""
        touched = {}
        for record in records:
            store = self.store(record.topic.removesuffix(PARKED), record.partition)
            touched[id(store)] = store
            if record.value is not None:
                store.ensure_schema_known(record.value)
            state = None if record.value is None else store.codec.decode(record.key, record.value)
            store.batch[record.key] = (state, record.value)
        for store in touched.values():
            store.commit()
            store.finish_restore()

    def parked(self) -> Iterator[Parked]:
        """Yield every parked key, oldest first."""
        keys = []
        for (service, partition), store in self._stores.items():
            for key in store.keys:
                entry = store.entry(key)
                if entry is not None:
                    waiting = tuple(record for _, record in store.records(key))
                    keys.append(Parked(service, partition, key, entry, waiting))
        yield from sorted(keys, key=lambda parked: (parked.entry.since, parked.service, parked.key))

    def pauses(self) -> Iterator[tuple[str, int, tuple[str, str], Pause]]:
        """Yield service, partition, (scope, name) and pause."""
        for (service, partition), store in sorted(self._stores.items()):
            for place, pause in sorted(store.pauses.items()):
                yield service, partition, place, pause


class LiveParkingStores(ParkingStores):
    """The same on a cluster, kept up to date by `read_on`; use it in a `with`."""

    def __init__(self, session: Session, services: Iterable[str]) -> None:

        super().__init__(session.sources)
        self._tail = session.client.follow(
            session.client.places(topics(session, services, PARKED)), from_beginning=True
        )
        self.read_on()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._tail.close()

    def read_on(self) -> None:
        """Read the records that have been written since."""
        self.take(self._tail.read_to_end())
