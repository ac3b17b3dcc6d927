"""What services hold back, what they gave up, and what they answer to operators, as their topics say it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from ensemble import EnsembleError
from ensemble.command_line.connection import entry_of, sources
from ensemble.kafka.client.access import ClusterClient
from ensemble.kafka.records import ReceivedRecord
from ensemble.messages.records import RecordPlace
from ensemble.operations import DEAD_LETTER, OPERATIONS, PARKED, Answers, DeadLetterEntry, Parked, ParkingStores
from ensemble.system_messages.dead_letters import generation_of
from launcher import SERVICES
from tests.end_to_end.reading import Reading

DeadLetterKey = tuple[str, bytes, RecordPlace, int]
"""Service, parking key, where the record was consumed from, how often it had been redriven."""
_POLL_S: Final = 0.2
_PATIENCE_S: Final = 120.0


@dataclass
class ParkingView:
    """Parked keys, dead letters and answers as of the last `read_on`; what an open transaction hides comes later."""

    access: ClusterClient
    letters: dict[DeadLetterKey, DeadLetterEntry] = field(default_factory=dict)

    def __post_init__(self) -> None:
        topics = [service + suffix for service in SERVICES for suffix in (PARKED, OPERATIONS, DEAD_LETTER)]
        self._stores, self.answers = ParkingStores(sources()), Answers(sources())
        self.reading, self._last_read_at = Reading(self.access, topics), time.monotonic()

    def close(self) -> None:
        self.reading.close()

    def read_on(self) -> None:
        """Read all records that have come since."""
        while records := self._poll():
            self._stores.take(_of(records, PARKED))
            self.answers.take(_of(records, OPERATIONS))
            letters = (DeadLetterEntry(entry_of(record)) for record in _of(records, DEAD_LETTER))
            self.letters.update((_identity_of(letter), letter) for letter in letters)

    def parked(self) -> Iterator[Parked]:
        """Yield every parked key."""
        return self._stores.parked()

    def pauses(self) -> list[str]:
        """Return the wider pauses that are in force in some partition."""
        return [f"{service}[{partition}] {' '.join(place)}" for service, partition, place, _ in self._stores.pauses()]

    def dead_letter_of(self, parked: Parked) -> DeadLetterEntry | None:
        """Return the dead letter of a key's head."""
        head = parked.head
        place = (head.topic, head.partition, head.offset)
        return self.letters.get((parked.service, parked.key, place, generation_of(head.as_record())))

    def unreadable(self) -> list[DeadLetterEntry]:
        """Return the dead letters that no service could read and no operator has redriven."""
        return [each for each in self.letters.values() if each.error == "UndecodableRecord" and not each.generation]

    def _poll(self) -> list[ReceivedRecord]:
        """Return new records; none while the broker is away, for a while. Raises what kept it from reading for long."""
        try:
            records = self.reading.poll(_POLL_S)
        except EnsembleError:
            if time.monotonic() - self._last_read_at > _PATIENCE_S:
                raise
            return []
        self._last_read_at = time.monotonic()
        return records


def _of(records: list[ReceivedRecord], suffix: str) -> list[ReceivedRecord]:
    return [record for record in records if record.topic.endswith(suffix)]


def _identity_of(letter: DeadLetterEntry) -> DeadLetterKey:
    return letter.service, letter.dead_letter.parking_key, letter.dead_letter.origin, letter.generation
