"""What became of a record that was redriven or discarded: it succeeded, it failed again, or it is not known yet."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal

from ensemble.operations.dead_letter import DeadLetterEntry
from ensemble.state import ParkingStore
from ensemble.system_messages import IN_FLIGHT, DiscardRecord, OperationDone, ParkedKey, RecordOperation

Result = Literal[
    "succeeded", "discarded", "failed again", "closed", "in flight", "nothing to do", "refused", "waits", "no answer",
    "not known yet",
]  # fmt: skip
GOOD: Final = frozenset({"succeeded", "discarded", "closed", "in flight", "nothing to do"})
"""Nothing is left to do about it, or it is under way without this command."""


@dataclass(frozen=True)
class Outcome:
    """One operation's end."""

    result: Result
    detail: str = ""

    @property
    def is_good(self) -> bool:
        return self.result in GOOD


def outcome_of(
    operation: RecordOperation, done: OperationDone | None, store: ParkingStore, letters: Collection[DeadLetterEntry]
) -> Outcome | None:
    """Return the outcome as far as the partition shows it, None while it is open.

    `store` and `letters` (those that came since) must be at least as new as `done`.
    """
    if done is None:
        return None
    if done.outcome == "refused":
        return _refused(operation, done)
    if done.outcome == "nothing_to_do":
        return Outcome("nothing to do", done.words)
    if isinstance(operation, DiscardRecord):
        return Outcome("discarded")
    failed = next((each for each in letters if _is_of(each, operation)), None)
    if failed is not None:
        return Outcome("failed again", f"{failed.error}: {failed.message}")
    return _closed(operation, store) or _as_parked(operation, done, store)


def _refused(operation: RecordOperation, done: OperationDone) -> Outcome:
    """Return the outcome of a refusal: a record under retry needs no redrive, but an edit of it is lost."""
    is_edit = getattr(operation, "edited", None) is not None
    return Outcome("in flight" if done.words == IN_FLIGHT and not is_edit else "refused", done.words)


def _is_of(letter: DeadLetterEntry, operation: RecordOperation) -> bool:
    behind = letter.dead_letter
    return behind.origin == operation.place and behind.parking_name == operation.parking_key


def _closed(operation: RecordOperation, store: ParkingStore) -> Outcome | None:
    """Return the outcome of a record whose order was undone meanwhile, which closes the record."""
    key, generation = operation.parking_key.encode(), operation.generation
    for each in (generation, generation + 1):
        resolution = store.resolution(key, operation.place, each)
        if resolution is not None and resolution.how == "closed":
            return Outcome("closed", f"{resolution.requested_by} made it moot")
    return None


def _as_parked(operation: RecordOperation, done: OperationDone, store: ParkingStore) -> Outcome | None:
    key = operation.parking_key.encode()
    entry, number = store.entry(key), store.number_of(key, operation.place)
    if entry is None or number is None:
        return Outcome("succeeded")
    if number != entry.first:
        return Outcome("waits", done.words or "it waits behind another record of its key")
    return _as_head(entry)


def _as_head(entry: ParkedKey) -> Outcome | None:
    if entry.status in {"paused", "outage"}:
        return Outcome("waits", f"held back: {entry.blocked_on}")
    if entry.attempts > 0:
        return Outcome("failed again", f"{entry.error}: {entry.words}")
    return None
