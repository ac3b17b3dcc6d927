"""Rehearsals of redrives on the order flow in memory: the real ones, in this process, on copies of its state."""

from __future__ import annotations

from typing import Any

from ensemble.engine import CompiledService, PartitionTask
from ensemble.operations import RedrivePlan, RedriveRehearsal, Session
from ensemble.operations.redrive_rehearsal import rehearse_plan


def rehearse_in_memory(session: Session, plan: RedrivePlan) -> tuple[RedriveRehearsal, ...]:
    """Return what each redrive of the plan would do, in order."""
    flow: Any = session.client

    def copy(service: CompiledService, partition: int) -> PartitionTask:
        task = PartitionTask(service, partition)
        with flow.lock:
            flow.flow.topics.restore(task, service)
        task.start_at({})
        return task

    return tuple(rehearse_plan(session, plan, copy))
