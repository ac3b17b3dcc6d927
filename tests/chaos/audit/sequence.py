"""The records of one key take effect in the order in which they lie: what failed holds the later ones back."""

from __future__ import annotations

from collections.abc import Iterator

from tests.chaos.audit.recording import Recording
from verifier.case import Case
from verifier.facts import Message
from verifier.flow import SENT_AGAIN


def check_sequence(case: Case, recording: Recording) -> Iterator[str]:
    """Report effects of one order on one topic whose causes were in the opposite order on one input."""
    latest: dict[tuple[str | int, ...], Message] = {}
    for effect in case.messages if case.order_id else ():
        cause = recording.cause_of(case, effect) if effect.service and effect.type != "CommandFailed" else None
        if cause is None or _may_come_late(case, effect.service, cause):
            continue
        line = (effect.service, effect.topic, effect.partition, cause.topic, cause.partition)
        before = latest.get(line)
        if before is not None and before.offset > cause.offset:
            yield f"{effect} follows from {cause}, after {before} that lies behind it took effect"
        else:
            latest[line] = cause


def _may_come_late(case: Case, service: str, cause: Message) -> bool:
    """Return whether order does not matter: a redriven record comes late by design, and so does a later attempt."""
    letter = case.evidence.letter_of(service, cause)
    if letter is not None and not letter.holds_back and letter.source == cause.position:
        return True
    if cause.type not in SENT_AGAIN or not case.may_have_been_held(service, cause):
        return False
    return any(each.partition == cause.partition and each.offset < cause.offset for each in case.of_type(cause.type))
