"""What services hold back, what they gave up, and what they answer to operators, as their topics say it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from cli.control_commands import Answers, Ask
from cli.dead_letter import DeadLetterEntry
from cli.entries import entry_of
from cli.parking_stores import Parked, ParkingStores
from cli.service_process import SERVICES
from cli.services import DEAD_LETTER, OPERATIONS, PARKED
from ensemble.errors import EnsembleError
from ensemble.kafka.client.access import ClusterClient
from ensemble.kafka.records import ReceivedRecord
from ensemble.messages.records import RecordPlace
from ensemble.system_messages.dead_letters import redrives_of
from tests.end_to_end.reading import Reading

Named = tuple[str, bytes, RecordPlace, int]
"""Service, parking key, where the record was consumed from, how often it had been redriven."""
_POLL_S: Final = 0.2


@dataclass
class Held:
    """Read along with `look`. It waits for nobody: what an open transaction hides comes later."""

    access: ClusterClient
    letters: dict[Named, DeadLetterEntry] = field(default_factory=dict)
    answered: dict[Ask, int] = field(default_factory=dict)
    """When the answer was written, epoch milliseconds."""

    def __post_init__(self) -> None:
        topics = [service + suffix for service in SERVICES for suffix in (PARKED, OPERATIONS, DEAD_LETTER)]
        self._shelf, self._answers = ParkingStores(), Answers()
        self.reading = Reading(self.access, topics)

    def close(self) -> None:
        self.reading.close()

    def look(self) -> None:
        """Take in what has come."""
        while records := self._polled():
            self._shelf.take(record for record in records if record.topic.endswith(PARKED))
            for record in records:
                self._take(record)

    def parked(self) -> Iterator[Parked]:
        """Every parked key."""
        return self._shelf.parked()

    def pauses(self) -> list[str]:
        """The wider pauses that some partition still knows of."""
        return [f"{service}[{partition}] {' '.join(place)}" for service, partition, place, _ in self._shelf.pauses()]

    def letter_of(self, parked: Parked) -> DeadLetterEntry | None:
        """The dead letter of a key's head."""
        head = parked.head
        place = (head.topic, head.partition, head.offset)
        return self.letters.get((parked.service, parked.key, place, redrives_of(head.as_record())))

    def unreadable(self) -> list[DeadLetterEntry]:
        """What nobody could read, and nobody has redriven."""
        return [each for each in self.letters.values() if each.error == "UndecodableRecord" and not each.generation]

    def _polled(self) -> list[ReceivedRecord]:
        try:
            return self.reading.poll(_POLL_S)
        except EnsembleError:
            return []  # the broker is away, which is what this is about

    def _take(self, record: ReceivedRecord) -> None:
        if record.topic.endswith(DEAD_LETTER):
            letter = DeadLetterEntry(entry_of(record))
            self.letters[letter.identity] = letter
        elif record.topic.endswith(OPERATIONS):
            known = set(self._answers.done)
            self._answers.take([record])
            self.answered.update(dict.fromkeys(self._answers.done.keys() - known, record.timestamp))
