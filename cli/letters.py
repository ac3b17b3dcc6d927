"""One dead letter: what its headers say, what became of it, and what it has in common with others."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from hashlib import blake2b
from typing import Any, Final, Literal

from cli.entries import Entry
from cli.services import DEAD_LETTER
from ensemble.dead_letter import REDRIVEN_FROM
from ensemble.parking import ParkingStore, Place

_ERROR, _OWN = "__streams.errors.", "ensemble."
_FIRST: Final = _ERROR + "exception"

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
class Letter:
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
        """Its own, which is that of whoever gave it up."""
        return self.entry.record.partition

    @property
    def type(self) -> str:
        """What it is; of one that cannot be read, what it says it is."""
        claimed = self.header("ce_type").rpartition(".")[2]
        return self.entry.type if not self.entry.problem else claimed or self.entry.type

    @property
    def key(self) -> str:
        return self.entry.key

    @property
    def parking_key(self) -> bytes:
        """The key that it is, or was, parked under."""
        return self.entry.record.headers.get(_OWN + "parking-key") or self.entry.record.key or b""

    @property
    def origin(self) -> Place:
        """Where the record was consumed from. A record without that lies where its dead letter lies."""
        topic, partition, offset = (self.header(_ERROR + name) for name in ("topic", "partition", "offset"))
        return topic, _number(partition, self.partition), _number(offset, -1)

    @property
    def error(self) -> str:
        return self.header(_FIRST)

    @property
    def words(self) -> str:
        return self.header(_ERROR + "message")

    @property
    def handler(self) -> str:
        return self.header(_OWN + "handler")

    @property
    def disposition(self) -> str:
        return self.header(_OWN + "disposition") or "skip"

    @cached_property
    def headers(self) -> tuple[tuple[str, bytes | None], ...]:
        """The record's own, without those that the dead letter adds."""
        pairs = self.entry.record.pairs
        added = [number for number, (name, _) in enumerate(pairs) if name == _FIRST]
        return pairs[: added[-1]] if added else pairs

    @property
    def lineage(self) -> list[str]:
        """The dead letters that it was redriven from, the first one first."""
        return [(value or b"").decode(errors="replace") for name, value in self.headers if name == REDRIVEN_FROM]

    @property
    def generation(self) -> int:
        """How often it had been redriven before it was given up."""
        return len(self.lineage)

    @property
    def failed_at(self) -> int:
        """Epoch milliseconds."""
        try:
            return round(datetime.fromisoformat(self.header(_OWN + "failed-at")).timestamp() * 1000)
        except ValueError:
            return self.entry.record.timestamp

    @property
    def cause(self) -> tuple[str, str, str, str]:
        """Service, handler, error and message without what is particular to this record."""
        return (
            self.service,
            self.handler,
            self.error,
            normalised(self.words, (self.key, self.parking_key.decode("utf-8", "replace"))),
        )

    @property
    def group(self) -> str:
        """The short name of its cause."""
        return blake2b("\0".join(self.cause).encode(), digest_size=4).hexdigest()

    def header(self, name: str) -> str:
        """A header as text; empty when it has none."""
        return self.entry.record.headers.get(name, b"").decode(errors="replace")


def fate_of(letter: Letter, store: ParkingStore) -> Fate:
    """What became of it, as the parked keys of its partition say."""
    key = letter.parking_key
    if (known := store.resolution(key, letter.origin, letter.generation)) is not None:
        return Fate(known.how, by=known.requested_by, why=known.reason, at=known.at)
    entry, number = store.entry(key), store.find(key, letter.origin)
    if entry is not None and number is not None:
        is_held = number == entry.first and entry.status == "dead_lettered"
        return Fate("parked" if is_held else "retrying", behind=entry.next - number - 1)
    return Fate("skipped" if letter.disposition == "skip" else "gone")


_PARTICULARS: Final = (
    (re.compile(r"'[^']*'|\"[^\"]*\""), "'...'"),
    (re.compile(r"\b[0-9a-f]{8,}\b|\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "<id>"),
    (re.compile(r"\d+(\.\d+)?"), "<n>"),
)


def normalised(words: str, keys: Iterable[str] = ()) -> str:
    """An error's message without keys, ids, numbers and quoted text, so that one cause reads the same each time."""
    for key in keys:
        if key:
            words = words.replace(key, "<key>")
    for pattern, stand_in in _PARTICULARS:
        words = pattern.sub(stand_in, words)
    return words


@dataclass(frozen=True)
class Selection:
    """Which dead letters are meant: all that every given filter takes."""

    service: str | None = None
    type: str | None = None
    error: str | None = None
    key: str | None = None
    since: int | None = None
    until: int | None = None
    group: str | None = None
    open_only: bool = True

    def takes(self, letter: Letter) -> bool:
        """Whether it is meant."""
        if self.open_only and letter.fate.status not in OPEN:
            return False
        same = ((self.type, letter.type), (self.error, letter.error), (self.group, letter.group))
        if any(wanted is not None and wanted != found for wanted, found in same):
            return False
        return self._takes_key(letter) and (self.since or 0) <= letter.failed_at <= (self.until or letter.failed_at)

    def _takes_key(self, letter: Letter) -> bool:
        return self.key is None or self.key in {letter.key, letter.parking_key.decode(errors="replace")}

    @property
    def is_everything(self) -> bool:
        """Nothing narrows it."""
        return all(value is None for name, value in vars(self).items() if name != "open_only")


@dataclass(frozen=True)
class Group:
    """Dead letters with one cause."""

    id: str
    cause: tuple[str, str, str, str]
    letters: tuple[Letter, ...]

    def document(self, note: Mapping[str, Any] | None) -> dict[str, Any]:
        """One row."""
        service, handler, error, words = self.cause
        times = [letter.failed_at for letter in self.letters]
        return {
            "group": self.id,
            "service": service,
            "handler": handler,
            "error": error,
            "message": words,
            "count": len(self.letters),
            "open": sum(letter.fate.status in OPEN for letter in self.letters),
            "oldest": min(times),
            "newest": max(times),
            "note": note,
        }


def grouped(letters: Iterable[Letter]) -> list[Group]:
    """By cause, the largest group first."""
    found: dict[tuple[str, str, str, str], list[Letter]] = {}
    for letter in letters:
        found.setdefault(letter.cause, []).append(letter)
    groups = [Group(each[0].group, cause, tuple(each)) for cause, each in found.items()]
    return sorted(groups, key=lambda group: (-len(group.letters), group.id))


def _number(text: str, otherwise: int) -> int:
    return int(text) if text.lstrip("-").isdigit() else otherwise
