"""Every command of an operator is carried out, and answered, by the partition that it was written to."""

from __future__ import annotations

from collections.abc import Iterator

from verifier.evidence import Evidence
from verifier.facts import Asked, Finding
from verifier.runtime_formats import ANSWERS_KEPT_MS, OPERATIONS


def check_operations(evidence: Evidence) -> Iterator[Finding]:
    """Report commands that a service has read and never answered, unless retention may have removed the answer."""
    for command in evidence.asked:
        was_read = evidence.committed.get(command.service, {}).get(command.position[:2], 0) > command.position.offset
        if was_read and not (_is_answered(evidence, command) or _has_expired(evidence, command)):
            yield f"{command.operation} {command.position}", f"{command.service} has read it, and has not answered"


def _has_expired(evidence: Evidence, command: Asked) -> bool:
    """Return whether answers of the command's time may be gone: commands are kept for ever, answers are not."""
    answers = f"{command.service}{OPERATIONS}", command.position.partition
    return evidence.firsts.get(answers, 0) > 0 and evidence.read_at - command.at > ANSWERS_KEPT_MS


def _is_answered(evidence: Evidence, command: Asked) -> bool:
    return (command.service, command.position.partition, command.operation_id) in evidence.answered
