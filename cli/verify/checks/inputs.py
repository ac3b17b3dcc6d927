"""Every input is accounted for: it has an effect, or it is a dead letter, or it is known to need neither."""

from __future__ import annotations

from collections.abc import Iterator

from cli.verify.facts import Message, Position, Violation
from cli.verify.flow import DUTIES, EXTERNAL_TOPICS, READERS_OF, TYPES_OF, Duty
from cli.verify.silences import RULES
from cli.verify.snapshot import Snapshot

CHECK = "inputs"
_UNREADABLE = Duty("")


def check_inputs(snapshot: Snapshot) -> list[Violation]:
    """Inputs that a group has read and that have left no trace."""
    repeats = _repeats(snapshot)
    return [
        violation
        for topic, readers in READERS_OF.items()
        if readers
        for message in snapshot.on(topic)
        for duty in duties_of(message)
        if snapshot.was_read(duty.reader, message)
        for violation in _judge(snapshot, message, duty, is_repeat=message.position in repeats)
    ]


def duties_of(message: Message) -> tuple[Duty, ...]:
    """What the message's readers owe it; every reader of its topic meets a record that is no message of it."""
    if message.type in TYPES_OF.get(message.topic, ()):
        return DUTIES.get(message.type, ())
    return tuple(_UNREADABLE._replace(reader=reader) for reader in sorted(READERS_OF.get(message.topic, ())))


def _repeats(snapshot: Snapshot) -> frozenset[Position]:
    """Messages that came again under the same id, on topics where they may."""
    found: set[Position] = set()
    for (topic, _), messages in snapshot.messages.items():
        if topic in EXTERNAL_TOPICS:
            known: set[str] = set()
            for message in messages:
                if message.message_id in known:
                    found.add(message.position)
                known.add(message.message_id)
    return frozenset(found)


def _judge(snapshot: Snapshot, message: Message, duty: Duty, *, is_repeat: bool) -> Iterator[Violation]:
    given_up = snapshot.was_given_up(duty.reader, message)
    if message.fault:
        if not given_up:
            yield _violation(
                message, f"{duty.reader} has passed over it, but it is no dead letter of {duty.reader}: {message.fault}"
            )
        return
    effects = [
        effect
        for effect in snapshot.caused.get(message.message_id, ())
        if effect.service == duty.reader and effect.type != "CommandFailed"
    ]
    if given_up:
        yield from _taken_twice(message, duty, [] if is_repeat else effects)
    elif not is_repeat:
        yield from _without_effect(snapshot, message, duty, effects)
        yield from _torn(message, duty, effects)


def _taken_twice(message: Message, duty: Duty, effects: list[Message]) -> Iterator[Violation]:
    if effects:
        yield _violation(message, f"is a dead letter of {duty.reader}, and yet {effects[0]} follows from it")


def _without_effect(snapshot: Snapshot, message: Message, duty: Duty, effects: list[Message]) -> Iterator[Violation]:
    if any(effect.type in duty.effects for effect in effects):
        return
    if duty.silence and RULES[duty.silence](snapshot, message):
        return
    wanted = " or ".join(sorted(duty.effects)) or "trace in its state"
    yield _violation(message, f"{duty.reader} has read it, but there is no {wanted} from it, and no dead letter")


def _torn(message: Message, duty: Duty, effects: list[Message]) -> Iterator[Violation]:
    there = {effect.type for effect in effects}
    for one, other in duty.together:
        if one in there and other not in there:
            yield _violation(message, f"{one} follows from it without {other}: a transaction was torn")


def _violation(message: Message, words: str) -> Violation:
    return Violation(CHECK, str(message), words)
