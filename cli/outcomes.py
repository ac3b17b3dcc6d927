"""What became of a record that was redriven: it succeeded, it failed again, or it is not known yet."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal

from cli.letters import Letter
from ensemble.operations import OperationDone, RecordOperation
from ensemble.parking import ParkingStore
from ensemble.runtime_state import ParkedKey

Result = Literal["succeeded", "failed again", "nothing to do", "refused", "waits", "no answer", "not known yet"]
GOOD: Final = frozenset({"succeeded", "nothing to do"})


@dataclass(frozen=True)
class Outcome:
    """One redrive's end."""

    result: Result
    words: str = ""

    @property
    def is_good(self) -> bool:
        return self.result in GOOD


def judged(
    operation: RecordOperation, done: OperationDone | None, store: ParkingStore, letters: Collection[Letter]
) -> Outcome | None:
    """The outcome as far as the partition tells; None while it is open.

    `store` and `letters` (those that came since) must be at least as new as `done`.
    """
    if done is None:
        return None
    if done.outcome == "refused":
        return Outcome("refused", done.words)
    if done.outcome == "nothing_to_do":
        return Outcome("nothing to do", done.words)
    failed = next((each for each in letters if _is_of(each, operation)), None)
    if failed is not None:
        return Outcome("failed again", f"{failed.error}: {failed.words}")
    return _as_parked(operation, done, store)


def _is_of(letter: Letter, operation: RecordOperation) -> bool:
    return letter.given_up.origin == operation.place and letter.given_up.parking_name == operation.parking_key


def _as_parked(operation: RecordOperation, done: OperationDone, store: ParkingStore) -> Outcome | None:
    key = operation.parking_key.encode()
    entry, number = store.entry(key), store.find(key, operation.place)
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
