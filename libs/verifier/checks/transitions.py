"""Each order moves forward only: in its state, and in the events that each topic tells of it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, pairwise
from operator import attrgetter

from verifier.case import Case
from verifier.facts import Message, StateRecord
from verifier.flow import FIRST, FOLLOWERS, NEXT_STATUSES

_GROWING = ("begun", "done", "failed", "undone", "settled")


def check_transitions(case: Case) -> Iterator[str]:
    """Report transitions that no order can make, in the history of its state and on the topics."""
    for before, after in pairwise(case.states):
        yield from _between(before, after)
    if case.order_id:
        for topic, messages in groupby(case.messages, attrgetter("topic")):
            course = [each for each in messages if each.type in FOLLOWERS.get(topic, ())]
            yield from _illegal_successions(case, topic, course)


def _between(before: StateRecord, after: StateRecord) -> Iterator[str]:
    if not before.status:
        return
    if after.status not in NEXT_STATUSES.get(before.status, {after.status}):
        yield f"went from {before.status} to {after.status or 'nothing'} at offset {after.offset}"
    if after.status:
        for name in _GROWING:
            lost = [step for step in getattr(before, name) if step not in getattr(after, name)]
            if lost:
                yield f"{', '.join(lost)} is no longer {name} at offset {after.offset}"


def _illegal_successions(case: Case, topic: str, course: list[Message]) -> Iterator[str]:
    if course and topic in FIRST and course[0].type not in FIRST[topic] and case.is_whole:
        yield f"{course[0]} comes first, which no order begins with"
    for before, after in pairwise(course):
        if after.type not in FOLLOWERS[topic][before.type]:
            yield f"{after} follows {before}"
