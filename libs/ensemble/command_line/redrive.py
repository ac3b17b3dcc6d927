"""Redrives and discards on the command line: a plan is shown and asked about, then run, with an account at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from ensemble.command_line.connection import cluster_name
from ensemble.command_line.errors import Mistake
from ensemble.command_line.exit_codes import ExitCode
from ensemble.command_line.fields import Fields, from_file
from ensemble.command_line.operators import confirm, show_some
from ensemble.command_line.output import Sheet, show
from ensemble.command_line.output_format import TABLE, OutputFormat
from ensemble.command_line.run_records import Subject, follow
from ensemble.command_line.runs import in_one_wave, show_submitted, submit
from ensemble.command_line.streams import is_attended, say, show_count
from ensemble.operations import (
    DeadLetterFilter,
    DeadLetters,
    Intent,
    Invalid,
    RedriveItem,
    RedrivePlan,
    Resolved,
    Rollout,
    Run,
    Session,
    Skipped,
    Stopped,
    describe_dead_letter,
    describe_rehearsal,
    find_dead_letter,
    position_of,
)
from ensemble.operations.redrive_plan import Verb
from ensemble.operations.redrives import EXCERPT, REDRIVES
from ensemble.program import command
from ensemble.quantities import quantity

_DONE: Final[Mapping[Verb, str]] = {"redrive": "redriven", "discard": "discarded"}
_STYLES: Final = {
    "outcome": {
        "succeeded": "green",
        "failed again": "bold red",
        "refused": "red",
        "no answer": "red",
        "waits": "yellow",
    }
}


@dataclass(frozen=True)
class RedriveTarget:
    """Which dead letters, and how they are changed."""

    places: tuple[str, ...]
    selection: DeadLetterFilter
    limit: int | None = None
    edit: Path | None = None
    force: bool = False
    in_editor: bool = False

    @property
    def which(self) -> DeadLetterFilter | Sequence[Any]:
        """Return what is selected. Raises Invalid if there are places and filters."""
        if self.places and not self.selection.is_everything:
            raise Invalid("places and filters exclude each other", hint="give one of them", field="dead_letter")
        return [position_of(place) for place in self.places] if self.places else self.selection

    def plan_redrive(self, session: Session, letters: DeadLetters) -> RedrivePlan:
        """Plan to redrive them. Raises Mistake if an edit cannot be read."""
        edit = self._edited(session)
        return letters.plan_redrive(self.which, limit=self.limit, edit=edit, force=self.force)

    def _edited(self, session: Session) -> Fields | None:
        if self.in_editor and (len(self.places) != 1 or self.edit is not None):
            raise Mistake("--editor: takes one dead letter that is named, and no --edit")
        if self.in_editor:
            from ensemble.command_line.editor import edit

            letter = describe_dead_letter(session, find_dead_letter(session, self.places[0]))
            return edit(dict(letter.fields), self.places[0])
        return None if self.edit is None else from_file(self.edit, "--edit")


@dataclass(frozen=True)
class RedriveOptions:
    """How it is to be done."""

    intent: Intent
    rollout: Rollout = field(default=REDRIVES)
    yes: bool = False
    no_wait: bool = False
    output: OutputFormat = TABLE
    cluster: str = ""
    """The cluster, as notes of runs name it."""

    def rollout_of(self, plan: RedrivePlan) -> Rollout:
        """Return how the plan's records go: all at once if nothing is waited for."""
        return in_one_wave(self.rollout, len(plan.items)) if self.no_wait else self.rollout


def rehearse(session: Session, target: RedriveTarget, *, output: OutputFormat) -> int:
    """Show what redriving would do, and return 0."""
    letters = DeadLetters(session)
    plan = target.plan_redrive(session, letters)
    rows = [describe_rehearsal(each) for each in letters.rehearse(plan)] + [_skipped_row(each) for each in plan.skipped]
    fields = ("place", "type", "key", "reads_today", "handler", "happened", "would", "left_parked")
    columns = ("place", "type", "key", "reads_today", "handler", "happened", "effect", "left_parked")
    table = [tuple(row[name] for name in fields) for row in rows]
    spare = ("left_parked", "handler", "key", "type", "reads_today")
    show(Sheet(columns, table, spare=spare, nothing="no open dead letters match"), rows, output=output)
    return 0


def redrive_these(session: Session, target: RedriveTarget, manner: RedriveOptions) -> int:
    """Redrive the dead letters. Returns 1 if one does not succeed."""
    letters = DeadLetters(session)
    plan = target.plan_redrive(session, letters)
    _preview(session, target, plan, yes=manner.yes)
    manner = replace(manner, cluster=cluster_name(session.client))
    return carry_out(letters.run(plan, manner.intent, manner.rollout_of(plan)), plan, manner)


def discard_these(session: Session, target: RedriveTarget, manner: RedriveOptions, *, dry_run: bool = False) -> int:
    """Discard the dead letters. Returns 1 if one is refused."""
    letters = DeadLetters(session)
    plan = letters.plan_discard(target.which, limit=target.limit)
    if dry_run:
        return show_plan(plan, output=manner.output)
    _preview(session, target, plan, yes=manner.yes)
    manner = replace(manner, cluster=cluster_name(session.client))
    return carry_out(letters.run(plan, manner.intent, manner.rollout_of(plan)), plan, manner)


def show_plan(plan: RedrivePlan, *, output: OutputFormat) -> int:
    """Show which records would be redriven or discarded, and which are left out. Returns 0."""
    rows: list[dict[str, Any]] = [
        {"place": item.name, "service": item.service, "type": item.type, "key": item.key, "error": item.error,
         "behind": item.waiting, "would": plan.verb} for item in plan.items
    ]  # fmt: skip
    rows += [
        {"place": each.name, **dict.fromkeys(("service", "type", "key", "error", "behind")), "would": _settled(each)}
        for each in plan.skipped
    ]
    columns = ("place", "service", "type", "key", "error", "waiting", "effect")
    table = [tuple(row.values()) for row in rows]
    sheet = Sheet(columns, table, spare=("error", "type", "service"), nothing="no open dead letters match")
    show(sheet, rows, output=output)
    return ExitCode.DONE


def _preview(session: Session, target: RedriveTarget, plan: RedrivePlan, *, yes: bool) -> None:
    """Show what would be touched, and ask; one dead letter that is named is not asked about."""
    if not plan.items or (target.places and len(plan.items) == 1):
        return
    show_some([_preview_line(item) for item in plan.items])
    confirm(f"{plan.verb} {quantity(len(plan.items), 'dead letter')}", cluster_name(session.client), yes=yes)


def _preview_line(item: RedriveItem) -> str:
    waiting = f", {item.waiting} wait behind it" if item.waiting else ""
    return f"{item.name}  {item.type} {item.key}  {item.error}{waiting}"


def carry_out(run: Run[RedriveItem], plan: RedrivePlan, manner: RedriveOptions) -> int:
    """Run the plan and show what became of each record. Returns 1 if one did not succeed."""
    if plan.skipped_count:
        total = plan.skipped_count + len(plan.items)
        how = ", ".join(sorted({_settled(skipped) for skipped in plan.skipped}))
        say(f"{plan.skipped_count} of {quantity(total, 'dead letter')}: {how}; they will be skipped")
    if manner.no_wait:
        return show_submitted(submit(run, len(plan.items)), len(plan.items), output=manner.output)
    resolved: dict[str, Resolved] = {}
    counting = _progress(len(plan.items))
    stopped: Stopped | None = None
    subject = Subject(f"{plan.verb} dead letters", manner.cluster, len(plan.items))
    for event in follow(run, subject, manner.intent) if len(plan.items) > 1 else run.events():
        match event:
            case Resolved():
                resolved[event.name] = event
                counting(list(resolved.values()))
            case Stopped():
                stopped = event
    _account(resolved, plan, manner)
    remaining = 0 if stopped is None else stopped.remaining
    if stopped is not None and remaining:
        say(f"{_reason_of_stop(stopped)}: {quantity(remaining, 'dead letter')} not {_DONE[plan.verb]}")
    is_excerpt = any(skipped.why == EXCERPT for skipped in plan.skipped)
    return int(not all(event.is_good for event in resolved.values()) or remaining > 0 or is_excerpt)


def _reason_of_stop(stopped: Stopped) -> str:
    """Return why the run went no further; one that an error stops ends the command with that error."""
    if stopped.why == "requested":
        return f"stopped, as `{command('runs stop')}` asked"
    return "stopped at the first failure (--stop-on-error)"


def _account(resolved: dict[str, Resolved], plan: RedrivePlan, manner: RedriveOptions) -> None:
    rows = [
        {"place": item.name, "type": item.type, "key": item.key,
         "outcome": resolved[item.name].outcome.replace("_", " "), "words": resolved[item.name].detail or None,
         "operation_id": plan.derived_id(manner.intent, item.name)}
        for item in plan.items if item.name in resolved
    ]  # fmt: skip
    rows += [
        {"place": each.name, "type": None, "key": None, "outcome": _outcome(each), "words": _settled(each),
         "operation_id": None}
        for each in plan.skipped
    ]  # fmt: skip
    fields, columns = ("place", "type", "key", "outcome", "words"), ("place", "type", "key", "outcome", "detail")
    table = [tuple(row[name] for name in fields) for row in rows]
    nothing = "no open dead letters match"
    show(Sheet(columns, table, _STYLES, ("type", "key"), nothing), rows, output=manner.output)


def _outcome(skipped: Skipped) -> str:
    return "refused" if skipped.why == EXCERPT else "nothing to do"


def _settled(skipped: Skipped) -> str:
    if skipped.why == EXCERPT:
        return "only the beginning of the record is kept (give the value with --edit, or discard it)"
    return f"already {skipped.why}"


def _skipped_row(skipped: Skipped) -> dict[str, Any]:
    """Return the row of a dead letter that would not be redriven."""
    would = _settled(skipped) if skipped.why == EXCERPT else f"nothing to do: it was {skipped.why} already"
    happened = "not known: it would not be tried"
    empty: dict[str, Any] = dict.fromkeys(("type", "key", "reads_today", "handler", "fails_with"))
    lists: dict[str, Any] = {"puts_out": [], "changes": [], "stops_at": []}
    return {"place": skipped.name, **empty, "happened": happened, "would": would, **lists, "left_parked": None}


def _progress(total: int) -> Callable[[Sequence[Resolved]], None]:
    """Return a function that rewrites a progress line on a terminal."""

    def on_outcome(outcomes: Sequence[Resolved]) -> None:
        if not is_attended() or total == 1:
            return
        good = Counter(event.is_good for event in outcomes)[True]
        text = f"{len(outcomes)}/{total}: {good} succeeded, {len(outcomes) - good} failed "
        show_count(text, is_last=len(outcomes) == total)

    return on_outcome
