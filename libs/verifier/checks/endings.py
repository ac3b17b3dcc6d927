"""Every order that was placed ends once: completed, or cancelled, never both. The others are listed as open."""

from __future__ import annotations

from collections.abc import Iterator

from verifier.case import Case
from verifier.facts import Message


def check_endings(case: Case) -> Iterator[str]:
    """Report an order with two ends, with one end reported twice, or with an end and no beginning."""
    completed, cancelled, placed = case.completed, case.cancelled, case.placed
    if not (completed or cancelled):
        return
    if completed and cancelled:
        yield f"is both completed ({completed.position}) and cancelled ({cancelled.position})"
    yield from _told_twice(case)
    first = completed or cancelled
    if placed is None:
        if case.is_whole:
            yield f"{first} ends it, but nobody placed it"
    elif first and first.partition == placed.partition and first.offset < placed.offset:
        yield f"{first} comes before its {placed}"


def _told_twice(case: Case) -> Iterator[str]:
    """Report ends that are reported twice for one cause; a repeated command is answered again."""
    answers: dict[str, Message] = {}
    for event in (*case.of_type("OrderCompleted"), *case.of_type("OrderCancelled")):
        first = answers.setdefault(event.causation_id, event)
        if first.message_id != event.message_id:
            yield f"{event} has the same cause as {first}"
