"""Which dead letters are meant, and those of one cause together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ensemble.operations.dead_letter import OPEN, DeadLetterEntry


@dataclass(frozen=True)
class DeadLetterFilter:
    """Which dead letters are meant: all that every given filter takes."""

    service: str | None = None
    type: str | None = None
    error: str | None = None
    key: str | None = None
    since: int | None = None
    until: int | None = None
    group: str | None = None
    open_only: bool = True

    def takes(self, letter: DeadLetterEntry) -> bool:
        """Return whether the dead letter matches all filters."""
        if self.open_only and letter.fate.status not in OPEN:
            return False
        same = ((self.type, letter.type), (self.error, letter.error), (self.group, letter.group))
        if any(expected is not None and expected != actual for expected, actual in same):
            return False
        return self._takes_key(letter) and self._takes_time(letter.failed_at)

    def _takes_time(self, at: int) -> bool:
        return (self.since is None or self.since <= at) and (self.until is None or at <= self.until)

    def _takes_key(self, letter: DeadLetterEntry) -> bool:
        return self.key is None or self.key in {letter.key, letter.dead_letter.parking_name}

    @property
    def is_everything(self) -> bool:
        """Return whether no filter is set."""
        return all(value is None for name, value in vars(self).items() if name != "open_only")


@dataclass(frozen=True)
class Group:
    """Dead letters with one cause."""

    id: str
    cause: tuple[str, str, str, str]
    letters: tuple[DeadLetterEntry, ...]


def group_by_cause(letters: Iterable[DeadLetterEntry]) -> list[Group]:
    """Group dead letters by cause, the largest group first."""
    by_cause: dict[tuple[str, str, str, str], list[DeadLetterEntry]] = {}
    for letter in letters:
        by_cause.setdefault(letter.cause, []).append(letter)
    groups = [Group(each[0].group, cause, tuple(each)) for cause, each in by_cause.items()]
    return sorted(groups, key=lambda group: (-len(group.letters), group.id))
