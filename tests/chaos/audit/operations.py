"""Every command of an operator is carried out, and answered, by the partition that it was written to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tests.chaos.audit.recording import OPERATIONS, Recording
from verifier.evidence import Evidence
from verifier.facts import Finding

_ANSWERS_KEPT_MS: Final = 7 * 24 * 3_600_000
"""So long a topic of answers keeps them."""


def check_operations(evidence: Evidence, recording: Recording) -> Iterator[Finding]:
    """Report commands that a service has read and never answered, unless retention may have removed the answer."""
    firsts, answered = recording.answers()
    for command in recording.asked:
        service, place, offset = command.service, command.position[:2], command.position.offset
        was_read = evidence.in_cut(command.position) and evidence.committed.get(service, {}).get(place, 0) > offset
        answers = f"{service}{OPERATIONS}", command.position.partition
        has_expired = firsts.get(answers, 0) > 0 and evidence.read_at - command.at > _ANSWERS_KEPT_MS
        if was_read and not has_expired and (service, command.position.partition, command.operation_id) not in answered:
            yield f"{command.operation} {command.position}", f"{service} has read it, and has not answered"
