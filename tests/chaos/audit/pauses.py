"""While an order is paused, the orchestrator notes what comes, and no command of its leaves because of that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tests.chaos.audit.recording import Recording
from verifier.case import Case, has_forgotten
from verifier.facts import Message

_PAUSE: Final = "pause"
_RESUME: Final = "resume"
"""What the orchestrator notes beside the commands that it has decided to send."""


def check_pauses(case: Case, _: Recording) -> Iterator[str]:
    """Report commands of a paused order, and decisions in its state without their message on a topic."""
    if not has_forgotten(case.states):
        yield from _while_paused(case)
        yield from _claimed(case)


def _while_paused(case: Case) -> Iterator[str]:
    is_paused = False
    for seen in case.noted.values():
        turns = [word for word in _decided(seen) if word in {_PAUSE, _RESUME}]
        for command in _sent(case, seen) if is_paused and _RESUME not in turns else ():
            yield f"was paused when {seen['type']} {seen['message_id']} came, and yet {command} follows from it"
        is_paused = turns[-1] == _PAUSE if turns else is_paused


def _claimed(case: Case) -> Iterator[str]:
    """Report messages that a decision claims to have sent and that are on no topic."""
    for seen in case.noted.values() if case.is_whole else ():
        types = {_PAUSE, _RESUME, *(command.type for command in _sent(case, seen))}
        for name in _decided(seen):
            if name not in types:
                yield f"says that it sent {name} upon {seen['type']} {seen['message_id']}, which is on no topic"


def _decided(seen: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what was decided; releases up to the second schema of a state did not note it."""
    return tuple(seen.get("decided", ()))


def _sent(case: Case, seen: Mapping[str, Any]) -> list[Message]:
    effects = case.caused.get(seen["message_id"], ())
    return [one for one in effects if one.service == "orchestrator" and one.topic.endswith(".commands")]
