"""Every command of an operator is carried out, and answered, by the partition that it was written to."""

from __future__ import annotations

from cli.verify.facts import Asked, Violation
from cli.verify.snapshot import Snapshot

CHECK = "operations"


def check_operations(snapshot: Snapshot) -> list[Violation]:
    """Report commands that a service has read and never answered."""
    return [
        Violation(CHECK, f"{asked.operation} {asked.position}", f"{asked.service} has read it, and has not answered")
        for asked in snapshot.parked.asked
        if _was_read(snapshot, asked) and not _is_answered(snapshot, asked)
    ]


def _was_read(snapshot: Snapshot, asked: Asked) -> bool:
    place = (asked.position.topic, asked.position.partition)
    return snapshot.committed.get(asked.service, {}).get(place, 0) > asked.position.offset


def _is_answered(snapshot: Snapshot, asked: Asked) -> bool:
    return (asked.service, asked.position.partition, asked.operation_id) in snapshot.parked.answered
