"""Every command of an operator is carried out, and answered, by the partition that it was written to."""

from __future__ import annotations

from typing import Final

from verifier.facts import Asked, Violation
from verifier.flow import OPERATIONS
from verifier.snapshot import Snapshot

CHECK: Final = "operations"
_ANSWERS_KEPT_MS: Final = 7 * 24 * 3_600_000
"""As long as any topic that does not say otherwise."""


def check_operations(snapshot: Snapshot) -> list[Violation]:
    """Report commands that a service has read and never answered, unless retention may have removed the answer."""
    return [
        Violation(
            CHECK, f"{command.operation} {command.position}", f"{command.service} has read it, and has not answered"
        )
        for command in snapshot.parked.asked
        if _was_read(snapshot, command) and not (_is_answered(snapshot, command) or _has_expired(snapshot, command))
    ]


def _was_read(snapshot: Snapshot, command: Asked) -> bool:
    place = (command.position.topic, command.position.partition)
    return snapshot.committed.get(command.service, {}).get(place, 0) > command.position.offset


def _has_expired(snapshot: Snapshot, command: Asked) -> bool:
    """Return whether answers of the command's time may be gone: commands are kept for ever, answers are not."""
    answers = f"{command.service}{OPERATIONS}", command.position.partition
    return snapshot.firsts.get(answers, 0) > 0 and snapshot.read_at - command.at > _ANSWERS_KEPT_MS


def _is_answered(snapshot: Snapshot, command: Asked) -> bool:
    return (command.service, command.position.partition, command.operation_id) in snapshot.parked.answered
