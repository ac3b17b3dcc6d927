"""An order as a sequence diagram: who sent what to whom, what was decided, where it failed, and what is still due.

A model without coordinates, made of an order's history and the declarations. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Literal

from backoffice.declared_rest import Declarations, Due
from backoffice.order_history import OrderHistory
from backoffice.order_story import Line
from ensemble.clock import epoch_ms
from ensemble.operations import BOTH, OUTSIDE_SENDER, DeadLetterEntry, ParkedKeySummary

Tone = Literal["decision", "pause", "failure", "late", "parked"]
Decider = Literal["conductor", "player", "both", "outside", "ledger"]

_DECIDERS: Final[Mapping[str, Decider]] = {
    "orchestrated": "conductor",
    "choreographed": "player",
    BOTH: "both",
    "ledger": "ledger",
}
_GAP_MS: Final = 1_000
"""A silence as long as that is shown as one."""


@dataclass(frozen=True)
class MessageRow:
    """One message: an arrow from its sender to all that receive it."""

    place: str
    """`topic/partition/offset`: what links to it."""
    label: str
    kind: str
    decider: Decider
    source: str
    targets: tuple[str, ...]
    at: int
    after_ms: int
    gap_ms: int = 0
    """The silence before it, 0 if it is not worth a word."""
    sender: str = ""
    says: str = ""
    cause: str = ""
    attempt: int = 0
    is_undo: bool = False
    failure: str = ""
    """Why its receiver gave it up; empty: it did not."""
    line: Line | None = field(default=None, repr=False)


@dataclass(frozen=True)
class NoteRow:
    """Something that happened at one participant and is no message: a decision, a pause, a failure."""

    participant: str
    text: str
    tone: Tone
    at: int
    gap_ms: int = 0
    """How long nothing had happened before it, if that is worth saying."""


@dataclass(frozen=True)
class DueRow:
    """A message that is still due."""

    due: Due

    @property
    def text(self) -> str:
        """Return its place in the order of what comes, without a time."""
        return "overdue" if self.due.is_overdue else "next" if self.due.is_next else "then"


Row = MessageRow | NoteRow | DueRow


@dataclass(frozen=True)
class SequenceDiagram:
    """The participants from left to right, and what happened between them from the earliest to what is due last."""

    order_id: str
    participants: tuple[str, ...]
    conductor: str
    rows: tuple[Row, ...]

    @property
    def messages(self) -> tuple[MessageRow, ...]:
        """The messages alone."""
        return tuple(row for row in self.rows if isinstance(row, MessageRow))


def build_sequence(
    history: OrderHistory, declared: Declarations, now: int, parked: Iterable[ParkedKeySummary] = ()
) -> SequenceDiagram:
    """Build the diagram of an order. `parked` are the keys that the order's records wait under, if any do."""
    failures = {_origin(letter): letter for letter in map(DeadLetterEntry, history.dead)}
    messages = [_message(line, declared, failures) for line in history.lines]
    notes = [*_decisions(history.state, declared.conductor), *_failures(failures)]
    rows: list[MessageRow | NoteRow] = [*messages, *notes]
    timed = _with_gaps(sorted(rows, key=lambda row: (row.at, isinstance(row, MessageRow))))  # a decision, what it sends
    timed += map(_parked, parked)  # it is so at present, however long ago it began
    due = [DueRow(each) for each in declared.rest_of(history.state, now)]
    touched = {name for row in [*timed, *due] for name in _names(row)}
    order = _from_left_to_right(declared)
    participants = [name for name in order if name in touched] + sorted(touched - set(order))
    return SequenceDiagram(history.order_id, tuple(participants), declared.conductor, (*timed, *due))


def _from_left_to_right(declared: Declarations) -> list[str]:
    """Return the outside, the service that orders come to, then the conductor between it and those it conducts."""
    first, *others = [name for name in declared.graph.services if name != declared.conductor]
    return [OUTSIDE_SENDER, first, declared.conductor, *others]


def _message(line: Line, declared: Declarations, failures: Mapping[str, DeadLetterEntry]) -> MessageRow:
    entry = line.entry
    source = entry.sender if entry.sender in declared.graph.services else OUTSIDE_SENDER
    letter = failures.get(entry.place)
    return MessageRow(
        place=entry.place,
        label=entry.type,
        kind=entry.kind,
        decider=_DECIDERS.get(line.control, "outside"),
        source=source,
        targets=line.services or ((source,) if line.control == "ledger" else (OUTSIDE_SENDER,)),
        at=entry.record.timestamp,
        after_ms=line.after_ms,
        sender=entry.sender,
        says=line.says,
        cause=line.cause,
        attempt=_number(entry.fields.get("attempt")),
        is_undo=entry.type in declared.undo_messages,
        failure=f"{letter.error}: {letter.message}" if letter else "",
        line=line,
    )


def _with_gaps(rows: Iterable[MessageRow | NoteRow]) -> list[MessageRow | NoteRow]:
    before, spaced = None, list[MessageRow | NoteRow]()
    for row in rows:
        gap = 0 if before is None else row.at - before
        spaced.append(replace(row, gap_ms=gap if gap >= _GAP_MS else 0))
        before = row.at
    return spaced


def _decisions(state: Mapping[str, Any], conductor: str) -> Iterator[NoteRow]:
    """Yield what the conductor decided beyond the commands that stand there as messages: deadlines, pauses, ends."""
    for seen in state.get("seen") or ():
        decided = tuple(seen.get("decided") or ())
        if seen.get("late"):
            yield NoteRow(conductor, f"{seen['type']} came late: noted only", "late", seen["at"])
        if "resume" in decided:
            yield NoteRow(conductor, f"resumed{_by(seen)}", "pause", seen["at"])
        if "pause" in decided:
            yield NoteRow(conductor, f"paused{_by(seen)}", "pause", seen["at"])
        if seen["type"] == "Deadline" and "pause" not in decided:
            again = [name for name in decided if name not in {"pause", "resume"}]
            attempt = f", attempt {seen['attempt']}" if seen.get("attempt") else ""
            answer = f"no answer in time: {' and '.join(again)} again{attempt}" if again else "no answer in time"
            yield NoteRow(conductor, answer, "decision", seen["at"])
        if seen.get("status") == "compensating":
            yield NoteRow(conductor, f"turns back: {state.get('reason') or seen['type']}", "decision", seen["at"])


def _by(seen: Mapping[str, Any]) -> str:
    by = f" by {seen['by']}" if seen.get("by") else ""
    return f"{by}: {seen['why']}" if seen.get("why") else by


def _failures(failures: Mapping[str, DeadLetterEntry]) -> Iterator[NoteRow]:
    for letter in failures.values():
        tries = f" after {letter.attempts} attempts" if letter.attempts and letter.attempts > 1 else ""
        text = f"{letter.type} given up{tries}: {letter.error}: {letter.message}"
        yield NoteRow(letter.service, text, "failure", letter.failed_at)


def _parked(key: ParkedKeySummary) -> NoteRow:
    waiting = f", {key.depth - 1} behind it" if key.depth > 1 else ""
    why = f": {key.error}: {key.message}" if key.error else f": {key.blocked_on}" if key.blocked_on else ""
    text = f"{key.head or 'a record'} is parked ({key.status}){waiting}{why}"
    return NoteRow(key.service, text, "parked", _milliseconds(key.since))


def _milliseconds(moment: datetime | None) -> int:
    return 0 if moment is None else epoch_ms(moment)


def _origin(letter: DeadLetterEntry) -> str:
    topic, partition, offset = letter.dead_letter.origin
    return f"{topic}/{partition}/{offset}"


def _names(row: Row) -> Sequence[str]:
    match row:
        case MessageRow():
            return (row.source, *row.targets)
        case NoteRow():
            return (row.participant,)
        case DueRow():
            return tuple(name for name in (row.due.source, row.due.target) if name)


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0
