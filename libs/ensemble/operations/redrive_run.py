"""Dead letters delivered again to the service that gave them up, in order, each watched until its outcome is known."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from heapq import merge
from itertools import groupby
from typing import Final, Self

from ensemble.operations.control_commands import AnswerListener, Ask, record_of
from ensemble.operations.dead_letter import DeadLetterEntry
from ensemble.operations.errors import Invalid
from ensemble.operations.intent import Intent
from ensemble.operations.parking_stores import LiveParkingStores
from ensemble.operations.redrive_outcome import Outcome, outcome_of
from ensemble.operations.service_topics import DEAD_LETTER
from ensemble.operations.session import Session
from ensemble.system_messages import DiscardRecord, OperatorRequest, RecordOperation, RedriveRecord, discard, redrive

MOST_GENERATIONS: Final = 5
"""What failed so often again is not redriven without force: another time will not help."""
_AT_ONCE: Final = 100
_LOOK_EVERY_S: Final = 0.05


@dataclass(frozen=True)
class Pace:
    """How fast, and when to stop."""

    rate: float | None = None
    """At most so many a second."""
    stop_on_error: bool = False
    wait_s: float = 30.0
    """How long to wait for the outcome of each."""


@dataclass(frozen=True)
class SentOperation:
    """A command on its way."""

    letter: DeadLetterEntry
    operation: RecordOperation

    @property
    def place(self) -> str:
        """Return the place of the dead letter, or of the record itself if it is parked without one."""
        is_written = self.letter.entry.record.offset >= 0
        return self.letter.place if is_written else "/".join(map(str, self.operation.place))

    @property
    def ask(self) -> Ask:
        return self.letter.service, self.letter.partition, self.operation.operation_id


def in_order(letters: Sequence[DeadLetterEntry], limit: int | None = None) -> list[DeadLetterEntry]:
    """Return each record once, oldest first and in partition order, so that each key keeps its order.

    With a `limit` those behind it are left out.
    """
    by_place = sorted(letters, key=lambda letter: (letter.service, letter.partition, letter.entry.record.offset))
    latest = {letter.identity: letter for letter in by_place}
    lines = groupby(latest.values(), key=lambda letter: (letter.service, letter.partition))
    return list(merge(*(list(line) for _, line in lines), key=lambda letter: letter.failed_at))[:limit]


def check_generations(letters: Sequence[DeadLetterEntry], *, force: bool) -> None:
    """Raise Invalid if one has been redriven too often, unless forced."""
    worn = [letter for letter in letters if letter.generation >= MOST_GENERATIONS]
    if worn and not force:
        raise Invalid(
            f"{worn[0].place} was redriven {worn[0].generation} times and failed each time ({len(worn)} such)",
            hint="put the cause right, discard it, or force it",
            field="force",
        )


def redrive_of(letter: DeadLetterEntry, intent: Intent, edited: bytes | None = None) -> RedriveRecord:
    """Build the command that redrives a dead letter. Raises Invalid if it holds an excerpt, and nothing is edited."""
    try:
        return redrive(letter.dead_letter, OperatorRequest(**intent.operation()), edited)
    except ValueError as error:
        raise Invalid(f"{letter.place}: {error}", hint="give the value anew, or discard it", field="edit") from None


def discard_of(letter: DeadLetterEntry, intent: Intent) -> DiscardRecord:
    """Build the command that discards a dead letter."""
    return discard(letter.dead_letter, OperatorRequest(**intent.operation()))


class RedriveRun:
    """Commands to the services of some dead letters, and the watch over what becomes of them; use it in a `with`."""

    def __init__(self, session: Session, services: Sequence[str], via: str) -> None:
        self._session, self._via, self._exit = session, via, ExitStack()
        self._hearing = self._exit.enter_context(AnswerListener(session, services))
        fresh = session.client.follow(session.client.places([name + DEAD_LETTER for name in services]))
        self._fresh, self._letters = self._exit.enter_context(fresh), list[DeadLetterEntry]()
        self._held = self._exit.enter_context(LiveParkingStores(session, services))
        self._writer = self._exit.enter_context(session.client.writer())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def deliver(self, sent: Sequence[SentOperation], pace: Pace) -> Iterator[tuple[SentOperation, Outcome]]:
        """Yield each operation with its outcome, in order. Ends at the first failure if the pace says so."""
        size = 1 if pace.stop_on_error else _AT_ONCE
        for start in range(0, len(sent), size):
            chunk = sent[start : start + size]
            self._write(chunk, pace)
            for one, outcome in self._watched(chunk, pace.wait_s):
                yield one, outcome
                if pace.stop_on_error and not outcome.is_good:
                    return

    def _write(self, chunk: Sequence[SentOperation], pace: Pace) -> None:
        records = [
            record_of(self._session, one.ask[:2], one.operation, one.letter.dead_letter.parking_key, via=self._via)
            for one in chunk
        ]
        if pace.rate is None:
            self._writer.write(records)
            return
        telling = self._session.progress("dead letters", "sending")
        for number, record in enumerate(records, 1):
            began = time.monotonic()
            self._writer.write([record])
            telling(number, len(records))
            time.sleep(max(0.0, 1 / pace.rate - (time.monotonic() - began)))

    def _watched(self, chunk: Sequence[SentOperation], wait_s: float) -> list[tuple[SentOperation, Outcome]]:
        limit, outcomes = time.monotonic() + wait_s, dict[str, Outcome]()
        while len(outcomes) < len(chunk) and time.monotonic() < limit:
            self._look()
            for one in chunk:
                if (outcome := self._judge(one)) is not None:
                    outcomes.setdefault(one.operation.operation_id, outcome)
            time.sleep(_LOOK_EVERY_S)
        return [(one, outcomes.get(one.operation.operation_id) or self._late(one, wait_s)) for one in chunk]

    def _look(self) -> None:
        """Read answers first: records that belong to them are then complete as well."""
        self._hearing.listen()
        self._letters += [DeadLetterEntry(self._session.decode(record)) for record in self._fresh.read_to_end()]
        self._held.read_on()

    def _judge(self, one: SentOperation) -> Outcome | None:
        service, partition, _ = one.ask
        done, store = self._hearing.done.get(one.ask), self._held.store(service, partition)
        return outcome_of(one.operation, done, store, [each for each in self._letters if each.service == service])

    def _late(self, one: SentOperation, wait_s: float) -> Outcome:
        if one.ask not in self._hearing.done:
            return Outcome("no answer", f"{one.letter.service} has not answered within {wait_s:g} s: is it running?")
        return Outcome("not known yet", f"it was still being tried after {wait_s:g} s")
