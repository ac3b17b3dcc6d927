"""While an order is paused, the orchestrator notes what comes, and no command of its leaves because of that."""

from __future__ import annotations

from collections.abc import Iterator

from verifier.facts import Message, Seen, Violation
from verifier.snapshot import Snapshot

CHECK = "pauses"
PAUSE, RESUME = "pause", "resume"


def check_pauses(snapshot: Snapshot) -> list[Violation]:
    """Report commands of paused orders, and decisions in the order state without their message on a topic."""
    return [
        Violation(CHECK, order_id, reason)
        for order_id, entries in snapshot.noted.items()
        if not any(record.is_full or not record.status for record in snapshot.states.get(order_id, ()))
        for reason in _judge(snapshot, list(entries.values()))
    ]


def _judge(snapshot: Snapshot, entries: list[Seen]) -> Iterator[str]:
    yield from _while_paused(snapshot, entries)
    yield from _claimed(snapshot, entries)


def _while_paused(snapshot: Snapshot, entries: list[Seen]) -> Iterator[str]:
    is_paused = False
    for seen in entries:
        turns = [word for word in seen.decided if word in {PAUSE, RESUME}]
        for command in _sent(snapshot, seen) if is_paused and RESUME not in turns else ():
            yield f"was paused when {seen.type} {seen.message_id} came, and yet {command} follows from it"
        is_paused = turns[-1] == PAUSE if turns else is_paused


def _claimed(snapshot: Snapshot, entries: list[Seen]) -> Iterator[str]:
    """Report messages that a decision claims to have sent and that are on no topic."""
    for seen in entries if snapshot.is_whole else ():
        types = {command.type for command in _sent(snapshot, seen)}
        for name in seen.decided:
            if name not in {PAUSE, RESUME} and name not in types:
                yield f"says that it sent {name} upon {seen.type} {seen.message_id}, which is on no topic"


def _sent(snapshot: Snapshot, seen: Seen) -> list[Message]:
    effects = snapshot.caused.get(seen.message_id, ())
    return [one for one in effects if one.service == "orchestrator" and one.topic.endswith(".commands")]
