"""Dead letters and parked keys that operators decide on: planned, rehearsed, and run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from ensemble.operations.dead_letter import OPEN, DeadLetterEntry
from ensemble.operations.dead_letter_filter import DeadLetterFilter
from ensemble.operations.dead_letters import failures_of, find_dead_letter, summary_of
from ensemble.operations.errors import Invalid
from ensemble.operations.failures import DeadLetterSummary, Failures
from ensemble.operations.intent import Intent
from ensemble.operations.parked import find_parked_key
from ensemble.operations.parking_stores import Parked
from ensemble.operations.plans import Skipped, first_skipped
from ensemble.operations.positions import read_positions
from ensemble.operations.readability import encode_edited
from ensemble.operations.redrive_commands import MOST_GENERATIONS
from ensemble.operations.redrive_plan import RedriveItem, RedrivePlan, Verb, in_order
from ensemble.operations.redrive_rehearsal import RedriveRehearsal
from ensemble.operations.redrive_target import open_redrives
from ensemble.operations.rehearsal_process import rehearse
from ensemble.operations.rollout import Rollout
from ensemble.operations.runs import Run
from ensemble.operations.session import Session
from ensemble.operations.values import Position
from ensemble.operations.view import View
from ensemble.system_messages import lineage_of

REDRIVES: Final = Rollout(probe=0, wave=100, max_failed=1, timeout_s=30)
"""A hundred at a time, whatever becomes of them."""
EXCERPT: Final = "excerpt"

Rehearse = Callable[[Session, RedrivePlan], tuple[RedriveRehearsal, ...]]
"""Returns what each redrive of a plan would do, in order."""
Selection = DeadLetterFilter | Sequence[Position]
"""Which dead letters: those that a filter takes, or those at these positions."""


class DeadLetters:
    """Plans what is done with dead letters, and runs plans. Any number of threads may use it at once."""

    def __init__(self, session: Session, view: View | None = None, rehearse: Rehearse = rehearse) -> None:
        """Take the cluster, and a view with the failures; without one each filter reads the topics anew.

        `rehearse` is how a plan is rehearsed: in a child process, unless a test says otherwise.
        """
        self._session, self._view, self._rehearse = session, view, rehearse

    def plan_redrive(
        self, which: Selection, *, limit: int | None = None, edit: Mapping[str, Any] | None = None, force: bool = False
    ) -> RedrivePlan:
        """Return which records would be delivered again, oldest first, at most `limit`. Nothing is changed.

        `edit` has the fields that replace those of the one record that is meant. Raises NotFound and Invalid for a
        selection that can match nothing, and Invalid for an edit that is not valid or not about one record, and for a
        record that was redriven five times in vain, unless forced.
        """
        letters, skipped, as_of = self._select(which, limit)
        if not force:
            _check_generations(letters)
        edited = None if edit is None else self._encode(letters, skipped, edit)
        excerpts = set() if edited is not None else self._excerpts(letters)
        skipped += [Skipped(name=name, why=EXCERPT) for name in sorted(excerpts)]
        meant = [letter for letter in letters if str(letter.position) not in excerpts]
        return _plan("redrive", map(RedriveItem.of, meant), skipped, as_of, edited=edited)

    def plan_discard(self, which: Selection, *, limit: int | None = None) -> RedrivePlan:
        """Return which records would be done without, like `plan_redrive`."""
        letters, skipped, as_of = self._select(which, limit)
        return _plan("discard", map(RedriveItem.of, letters), skipped, as_of)

    def rehearse(self, plan: RedrivePlan) -> tuple[RedriveRehearsal, ...]:
        """Return what redriving would do, tried on copies of the services' state in a child process. Nothing leaves it.

        Raises NotPossible if it fails there, and Unreachable if it takes too long.
        """
        return self._rehearse(self._session, plan)

    def run(self, plan: RedrivePlan, intent: Intent, rollout: Rollout = REDRIVES) -> Run[RedriveItem]:
        """Return a run of the plan. An outcome is one of `redrive_outcome.Result`, with underscores.

        Run again with the same intent a plan has no second effect. Raises NotPossible if the plan has expired.
        """
        return Run(plan, intent, rollout, partial(open_redrives, self._session, plan, intent))

    def _select(self, which: Selection, limit: int | None) -> tuple[list[DeadLetterSummary], list[Skipped], datetime]:
        as_of = datetime.now(UTC)
        letters = in_order(self._matching(which) if isinstance(which, DeadLetterFilter) else self._at(which))[:limit]
        settled = [letter for letter in letters if letter.status not in OPEN]
        skipped = [Skipped(name=str(each.position), why=each.status, detail=each.decided_by or "") for each in settled]
        return [letter for letter in letters if letter.status in OPEN], skipped, as_of

    def _matching(self, which: DeadLetterFilter) -> Sequence[DeadLetterSummary]:
        if which.is_everything:
            raise Invalid(
                "neither places nor a filter are given",
                hint="give places, a group, or another filter",
                field="dead_letter",
            )
        self._sync()
        with failures_of(self._session, which, self._view) as failures:
            return failures.list(which)

    def _sync(self) -> None:
        if self._view is not None:
            self._view.sync(self._session.progress("dead letters"))

    def _at(self, positions: Sequence[Position]) -> list[DeadLetterSummary]:
        if self._view is not None:
            self._sync()
            failures = Failures(self._view)
            return [failures.get(position) for position in dict.fromkeys(positions)]
        return [summary_of(find_dead_letter(self._session, str(position))) for position in dict.fromkeys(positions)]

    def _encode(
        self, letters: Sequence[DeadLetterSummary], settled: Sequence[Skipped], edit: Mapping[str, Any]
    ) -> bytes:
        if not letters and settled:
            reason = f"{settled[0].name} is {settled[0].why} already"
            hint = "if its record has failed again, it has another dead letter"
            raise Invalid(reason, hint=hint, field="dead_letter")
        if len(letters) != 1:
            raise Invalid(f"an edit applies to one dead letter, but {len(letters)} are selected", field="edit")
        return encode_edited(self._session, find_dead_letter(self._session, str(letters[0].position)), dict(edit))

    def _excerpts(self, letters: Sequence[DeadLetterSummary]) -> set[str]:
        records = read_positions(self._session, [letter.position for letter in letters])
        entries = (DeadLetterEntry(self._session.decode(record)) for record in records)
        return {entry.place for entry in entries if not entry.dead_letter.is_whole}


class ParkedKeys:
    """Plans what is done with the first record of a parked key, and runs plans. Any number of threads may use it."""

    def __init__(self, session: Session) -> None:
        """Take the cluster. A key is read anew for each plan."""
        self._session = session

    def plan_retry(self, key: str, service: str | None = None) -> RedrivePlan:
        """Return how the key's first record would be tried now; it is redriven if it is a dead letter.

        Raises NotFound if no service has such a key parked, Ambiguous if several have and none is named.
        """
        parked, as_of = self._find(key, service)
        return _plan("redrive", [self._item(parked, as_dead_letter=True)], [], as_of)

    def plan_discard(self, key: str, service: str | None = None) -> RedrivePlan:
        """Return how the key's first record would be done without, like `plan_retry`."""
        parked, as_of = self._find(key, service)
        return _plan("discard", [self._item(parked, as_dead_letter=False)], [], as_of)

    def run(self, plan: RedrivePlan, intent: Intent, rollout: Rollout = REDRIVES) -> Run[RedriveItem]:
        """Return a run of the plan, like `DeadLetters.run`. A record that is no longer the first one is left alone."""
        return Run(plan, intent, rollout, partial(open_redrives, self._session, plan, intent))

    def _find(self, key: str, service: str | None) -> tuple[Parked, datetime]:
        as_of = datetime.now(UTC)
        return find_parked_key(self._session, key, service), as_of

    def _item(self, parked: Parked, *, as_dead_letter: bool) -> RedriveItem:
        """Return the first record; as its dead letter if that is meant and there is one."""
        head = parked.head
        origin = Position(topic=head.topic, partition=head.partition, offset=head.offset)
        if as_dead_letter and (letter := self._letter_of(parked, origin)) is not None:
            return RedriveItem.of(letter)
        return RedriveItem(
            name=str(origin), service=parked.service, partition=parked.partition, parking_key=parked.name,
            origin=origin, generation=len(lineage_of(head.headers)), type=head.message,
            key=(head.key or b"").decode(errors="replace"), error=parked.entry.error,
            waiting=len(parked.waiting) - 1, failed_at=None, dead_letter=None,
        )  # fmt: skip

    def _letter_of(self, parked: Parked, origin: Position) -> DeadLetterSummary | None:
        which = DeadLetterFilter(service=parked.service, key=parked.name)
        with failures_of(self._session, which, None) as failures:
            letters = failures.list(which)
        return next((each for each in letters if each.origin == origin and each.status == "parked"), None)


def _check_generations(letters: Sequence[DeadLetterSummary]) -> None:
    worn = [letter for letter in letters if letter.generation >= MOST_GENERATIONS]
    if worn:
        raise Invalid(
            f"{worn[0].position} was redriven {worn[0].generation} times and failed each time ({len(worn)} such)",
            hint="put the cause right, discard it, or force it",
            field="force",
        )


def _plan(
    verb: Verb, items: Any, skipped: Sequence[Skipped], as_of: datetime, *, edited: bytes | None = None
) -> RedrivePlan:
    return RedrivePlan(
        verb=verb, items=tuple(items), edited=edited, as_of=as_of, skipped=first_skipped(skipped),
        skipped_count=len(skipped),
    )  # fmt: skip
