"""From what an operator typed to redrives and discards, with a preview before and an account after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ensemble.command_line.errors import Mistake
from ensemble.command_line.fields import from_file
from ensemble.command_line.formatting import quantity
from ensemble.command_line.operators import confirm
from ensemble.command_line.output import Sheet, show
from ensemble.command_line.streams import is_attended, say, show_count
from ensemble.operations import (
    OPEN,
    Actor,
    DeadLetterEntry,
    DeadLetterFilter,
    Intent,
    Outcome,
    Pace,
    RedriveRun,
    SentOperation,
    Session,
    check_generations,
    discard_of,
    encode_edited,
    in_order,
    redrive_of,
    select_dead_letters,
)

_PREVIEWED: Final = 20
_STYLES: Final = {
    "outcome": {
        "succeeded": "green",
        "failed again": "bold red",
        "refused": "red",
        "no answer": "red",
        "waits": "yellow",
    }
}
_REHEARSING: Final = Intent(actor=Actor(name="nobody", via="cli"), reason="a rehearsal")


@dataclass(frozen=True)
class RedriveTarget:
    """Which dead letters, and how they are changed."""

    places: tuple[str, ...]
    selection: DeadLetterFilter
    limit: int | None = None
    edit: Path | None = None
    force: bool = False

    def letters(self, session: Session) -> list[DeadLetterEntry]:
        """Return the dead letters in the order of their delivery."""
        return in_order(select_dead_letters(session, self.places, self.selection), self.limit)

    def redrives(self, session: Session, intent: Intent) -> list[SentOperation]:
        """Build the commands. Raises Mistake if an edit is invalid or not about one dead letter."""
        letters = self.letters(session)
        content = self._edited(session, letters)
        return [SentOperation(letter, redrive_of(letter, intent, content)) for letter in letters]

    def _edited(self, session: Session, letters: Sequence[DeadLetterEntry]) -> bytes | None:
        if self.edit is None:
            return None
        if len(letters) != 1:
            raise Mistake(f"--edit: applies to one dead letter, but {len(letters)} are selected")
        return encode_edited(session, letters[0], from_file(self.edit, "--edit"))


@dataclass(frozen=True)
class RedriveOptions:
    """How it is to be done."""

    intent: Intent
    pace: Pace
    yes: bool = False
    as_json: bool = False


def rehearse(session: Session, target: RedriveTarget, *, as_json: bool) -> int:
    """Show what redriving would do, and return 0."""
    from ensemble.operations import rehearse_redrives

    rehearsals = rehearse_redrives(session, target.redrives(session, _REHEARSING))
    columns = ("place", "type", "key", "reads_today", "handler", "happened", "would", "left_parked")
    rows = [tuple(row[name] for name in columns) for row in rehearsals]
    spare = ("left_parked", "handler", "key", "type", "reads_today")
    show(Sheet(columns, rows, spare=spare, nothing="no open dead letters match"), rehearsals, as_json=as_json)
    return 0


def redrive_these(session: Session, target: RedriveTarget, manner: RedriveOptions) -> int:
    """Redrive the dead letters. Returns 1 if one does not succeed."""
    sent = target.redrives(session, manner.intent)
    check_generations([one.letter for one in sent], force=target.force)
    _preview("redrive", target, sent, yes=manner.yes)
    return carry_out(session, sent, manner)


def discard_these(session: Session, target: RedriveTarget, manner: RedriveOptions) -> int:
    """Discard the dead letters. Returns 1 if one is refused."""
    sent = [SentOperation(letter, discard_of(letter, manner.intent)) for letter in target.letters(session)]
    _preview("discard", target, sent, yes=manner.yes)
    return carry_out(session, sent, manner)


def _preview(verb: str, target: RedriveTarget, sent: Sequence[SentOperation], *, yes: bool) -> None:
    """Show dead letters that filters have selected, and ask. Dead letters named one by one are not asked about."""
    if target.places or not sent:
        return
    for one in sent[:_PREVIEWED]:
        letter = one.letter
        behind = f", {letter.fate.behind} behind it" if letter.fate.behind else ""
        say(f"{letter.place}  {letter.type} {letter.key}  {letter.error}{behind}")
    if len(sent) > _PREVIEWED:
        say(f"and {len(sent) - _PREVIEWED} more")
    confirm(f"{verb} {quantity(len(sent), 'dead letter')}?", yes=yes)


def carry_out(session: Session, sent: Sequence[SentOperation], manner: RedriveOptions) -> int:
    settled = [one for one in sent if one.letter.fate.status not in OPEN]
    if settled:
        how = ", ".join(sorted({one.letter.fate.status for one in settled}))
        say(f"{len(settled)} of {quantity(len(sent), 'dead letter')}: already {how}; they will be skipped")
    outcomes: list[tuple[SentOperation, Outcome]] = []
    with RedriveRun(session, sorted({one.letter.service for one in sent}), manner.intent.actor.via) as delivery:
        counting = _progress(len(sent))
        for one, outcome in delivery.deliver(sent, manner.pace) if sent else ():
            outcomes.append((one, outcome))
            counting(outcomes)
    _account(outcomes, as_json=manner.as_json)
    remaining = len(sent) - len(outcomes)
    if remaining:
        say(f"stopped at the first failure (--stop-on-error): {quantity(remaining, 'dead letter')} not redriven")
    return int(not all(outcome.is_good for _, outcome in outcomes) or remaining > 0)


def _account(outcomes: Sequence[tuple[SentOperation, Outcome]], *, as_json: bool) -> None:
    rows = [
        {"place": one.place, "type": one.letter.type, "key": one.letter.key, "outcome": outcome.result,
         "words": outcome.detail or None, "operation_id": one.operation.operation_id}
        for one, outcome in outcomes
    ]  # fmt: skip
    columns = ("place", "type", "key", "outcome", "words")
    table = [tuple(row[name] for name in columns) for row in rows]
    show(Sheet(columns, table, _STYLES, ("type", "key"), "no open dead letters match"), rows, as_json=as_json)


def _progress(total: int) -> Callable[[Sequence[tuple[SentOperation, Outcome]]], None]:
    """Return a function that rewrites a progress line on a terminal."""

    def on_outcome(outcomes: Sequence[tuple[SentOperation, Any]]) -> None:
        if not is_attended() or total == 1:
            return
        good = sum(outcome.is_good for _, outcome in outcomes)
        text = f"{len(outcomes)}/{total}: {good} succeeded, {len(outcomes) - good} failed "
        show_count(text, is_last=len(outcomes) == total)

    return on_outcome
