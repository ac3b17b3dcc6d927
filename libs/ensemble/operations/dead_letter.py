"""One dead letter: what its headers say, what became of it, and what it has in common with others."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Final, Literal

from ensemble.messages import StoredRecord
from ensemble.operations.entries import Entry
from ensemble.operations.service_topics import DEAD_LETTER
from ensemble.state import ParkingStore
from ensemble.system_messages import DeadLetter

Status = Literal["parked", "retrying", "skipped", "redriven", "discarded", "closed", "gone"]
OPEN: Final = frozenset({"parked", "skipped"})
"""What an operator may still decide on. Retrying: somebody did, and its outcome is not known yet."""


@dataclass(frozen=True)
class Fate:
    """What became of a dead letter, and who decided it."""

    status: Status
    behind: int = 0
    """How many records of its key wait for it."""
    by: str = ""
    why: str = ""
    at: int | None = None


@dataclass(frozen=True)
class DeadLetterEntry:
    """A dead letter."""

    entry: Entry
    fate: Fate = Fate("skipped")

    @property
    def place(self) -> str:
        return self.entry.place

    @property
    def service(self) -> str:
        return self.entry.record.topic.removesuffix(DEAD_LETTER)

    @property
    def partition(self) -> int:
        """Return its partition, which is that of the service partition that dead-lettered it."""
        return self.entry.record.partition

    @property
    def type(self) -> str:
        """Return its message type; of an unreadable record, the type that its headers claim."""
        claimed = self.header("ce_type").rpartition(".")[2]
        return self.entry.type if not self.entry.problem else claimed or self.entry.type

    @property
    def key(self) -> str:
        return self.entry.key

    @cached_property
    def dead_letter(self) -> DeadLetter:
        """Return the record and its headers as the service reads them."""
        record = self.entry.record
        return DeadLetter((record.topic, record.partition, record.offset), record.key, record.value, record.pairs)

    @property
    def origin_record(self) -> StoredRecord:
        """Return the record as its service has consumed it."""
        letter = self.dead_letter
        return StoredRecord(*letter.origin, letter.key, letter.value, list(letter.headers))

    @property
    def error(self) -> str:
        return self.dead_letter.exception

    @property
    def message(self) -> str:
        return self.dead_letter.message

    @property
    def handler(self) -> str:
        return self.dead_letter.handler

    @property
    def attempts(self) -> int | None:
        return self.dead_letter.attempts

    @property
    def disposition(self) -> str:
        return self.dead_letter.disposition or "skip"

    @property
    def generation(self) -> int:
        """Return how often the record had been redriven before this failure."""
        return len(self.dead_letter.lineage)

    @property
    def failed_at(self) -> int:
        """Return the time of the failure in epoch milliseconds."""
        at = self.dead_letter.failed_at
        return self.entry.record.timestamp if at is None else at

    @property
    def cause(self) -> tuple[str, str, str, str]:
        """Return service, handler, error, and the message without what is particular to this record."""
        keys = (self.key, self.dead_letter.parking_name)
        return self.service, self.handler, self.error, normalise(self.message, keys)

    @property
    def group(self) -> str:
        """Return the short name of its cause."""
        return group_of(*self.cause)

    def header(self, name: str) -> str:
        """Return a header as text, empty if the record has none of that name."""
        return self.entry.record.headers.get(name, b"").decode(errors="replace")


def fate_of(letter: DeadLetterEntry, store: ParkingStore) -> Fate:
    """Return what became of a dead letter, according to the parked keys of its partition."""
    behind, origin = letter.dead_letter, letter.dead_letter.origin
    resolution = store.resolution(behind.parking_name.encode(), origin, letter.generation)
    if resolution is not None:
        return Fate(resolution.how, by=resolution.requested_by, why=resolution.reason, at=resolution.at)
    entry, number = store.entry(behind.parking_key), store.number_of(behind.parking_key, origin)
    if entry is not None and number is not None:
        is_held = number == entry.first and entry.status == "dead_lettered"
        return Fate("parked" if is_held else "retrying", behind=entry.next - number - 1)
    return Fate("skipped" if letter.disposition == "skip" else "gone")


_PARTICULARS: Final = (
    (re.compile(r"'[^']*'|\"[^\"]*\""), "'...'"),
    (re.compile(r"\b[0-9a-f]{8,}\b|\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "<id>"),
    (re.compile(r"\d+(\.\d+)?"), "<n>"),
)


def group_of(*cause: str) -> str:
    """Return the short name of a cause: service, handler, error, and the message that `normalise` returned."""
    return blake2b("\0".join(cause).encode(), digest_size=4).hexdigest()


def normalise(message: str, keys: Iterable[str] = ()) -> str:
    """Return an error's message without keys, ids, numbers and quoted text, so that equal causes read the same."""
    for key in keys:
        if key:
            message = message.replace(key, "<key>")
    for pattern, stand_in in _PARTICULARS:
        message = pattern.sub(stand_in, message)
    return message
