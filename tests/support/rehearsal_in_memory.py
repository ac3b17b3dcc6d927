"""Rehearsals of redrives on the order flow in memory: the real ones, in this process, on copies of its state."""

from __future__ import annotations

from typing import Any

from ensemble.engine import CompiledService, PartitionTask
from ensemble.operations import (
    Actor,
    Intent,
    RedrivePlan,
    RedriveRehearsal,
    SentOperation,
    Session,
    find_dead_letter,
    redrive_of,
    rehearse_redrives,
)

_INTENT = Intent(actor=Actor(name="nobody", via="rehearsal"), reason="a rehearsal")


def rehearse_in_memory(session: Session, plan: RedrivePlan) -> tuple[RedriveRehearsal, ...]:
    """Return what each redrive of the plan would do, in order."""
    flow: Any = session.client

    def copy(service: CompiledService, partition: int) -> PartitionTask:
        task = PartitionTask(service, partition)
        with flow.lock:
            flow.flow.topics.restore(task, service)
        task.start_at({})
        return task

    letters = [find_dead_letter(session, item.name) for item in plan.items]
    sent = [SentOperation(letter, redrive_of(letter, _INTENT, plan.edited)) for letter in letters]
    return tuple(rehearse_redrives(session, sent, copy))
