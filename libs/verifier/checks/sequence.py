"""The records of one key take effect in the order in which they lie: what failed holds the later ones back."""

from __future__ import annotations

from collections.abc import Iterator

from verifier.facts import Message, Violation
from verifier.flow import SENT_AGAIN
from verifier.snapshot import Snapshot

CHECK = "order per key"


def check_sequence(snapshot: Snapshot) -> list[Violation]:
    """Report effects of one order on one topic whose causes were in the opposite order on one input."""
    return [Violation(CHECK, order_id, reason) for order_id, reason in _overtaken(snapshot)]


def _overtaken(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    latest: dict[tuple[str, ...], Message] = {}
    for effect in snapshot.all_messages():
        cause = snapshot.cause_of(effect)
        if cause is None or not _counts(snapshot, effect, cause):
            continue
        line = (effect.service, effect.order_id, effect.topic, str(effect.partition), cause.topic, str(cause.partition))
        before = latest.get(line)
        if before is not None and before.offset > cause.offset:
            yield effect.order_id, f"{effect} follows from {cause}, after {before} that lies behind it took effect"
        else:
            latest[line] = cause


def _counts(snapshot: Snapshot, effect: Message, cause: Message) -> bool:
    """Return whether order matters: failure events wait for nothing, and a redriven record comes late by design."""
    if not effect.service or not effect.order_id or effect.fault or effect.type == "CommandFailed":
        return False
    if _may_have_moved(snapshot, effect.service, cause):
        return False
    return cause.order_id == effect.order_id and (effect.service, cause.position) not in snapshot.skipped


def _may_have_moved(snapshot: Snapshot, service: str, cause: Message) -> bool:
    """Return whether a later attempt may have replaced the command while it waited."""
    if cause.type not in SENT_AGAIN or not snapshot.parked.may_have_been_held(service, cause):
        return False
    same = snapshot.of_order(cause.order_id, cause.type)
    return any(other.partition == cause.partition and other.offset < cause.offset for other in same)
