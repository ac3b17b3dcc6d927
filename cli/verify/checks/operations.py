"""Every command of an operator is carried out, and answered, by the partition that it was written to."""

from __future__ import annotations

from cli.verify.facts import Asked, Violation
from cli.verify.snapshot import Snapshot

CHECK = "operations"


def check_operations(snapshot: Snapshot) -> list[Violation]:
    """Report commands that a service has read and never answered."""
    return [
        Violation(
            CHECK, f"{command.operation} {command.position}", f"{command.service} has read it, and has not answered"
        )
        for command in snapshot.parked.asked
        if _was_read(snapshot, command) and not _is_answered(snapshot, command)
    ]


def _was_read(snapshot: Snapshot, command: Asked) -> bool:
    place = (command.position.topic, command.position.partition)
    return snapshot.committed.get(command.service, {}).get(place, 0) > command.position.offset


def _is_answered(snapshot: Snapshot, command: Asked) -> bool:
    return (command.service, command.position.partition, command.operation_id) in snapshot.parked.answered
