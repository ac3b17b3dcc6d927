"""Every input is accounted for: it has an effect, waits parked, is a dead letter, or is known to need none of these."""

from __future__ import annotations

from collections.abc import Iterator

from verifier.excuses import RULES
from verifier.facts import Message, Position, Violation
from verifier.flow import DUTIES, EXTERNAL_TOPICS, READERS_OF, SENT_AGAIN, TYPES_OF, UNDONE_BY, Duty
from verifier.snapshot import Snapshot

CHECK = "inputs"
_UNREADABLE = Duty("")


def check_inputs(snapshot: Snapshot) -> list[Violation]:
    """Report inputs that a group has read and that have left no trace."""
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
    """Return what the message's readers have to do; every reader of the topic meets an unreadable record."""
    if message.type in TYPES_OF.get(message.topic, ()):
        return DUTIES.get(message.type, ())
    return tuple(_UNREADABLE._replace(reader=reader) for reader in sorted(READERS_OF.get(message.topic, ())))


def _repeats(snapshot: Snapshot) -> frozenset[Position]:
    """Return messages that came again from the same source under the same id, on topics where that is legal."""
    repeats: set[Position] = set()
    for (topic, _), messages in snapshot.messages.items():
        if topic in EXTERNAL_TOPICS:
            seen: set[tuple[bytes | None, str, str]] = set()
            for message in messages:
                identity = (message.key, message.source, message.message_id)
                if identity in seen:
                    repeats.add(message.position)
                seen.add(identity)
    return frozenset(repeats)


def _judge(snapshot: Snapshot, message: Message, duty: Duty, *, is_repeat: bool) -> Iterator[Violation]:
    given_up = snapshot.was_given_up(duty.reader, message)
    if message.fault:
        if not given_up:
            yield _violation(
                message, f"{duty.reader} has passed over it, but it is no dead letter of {duty.reader}: {message.fault}"
            )
        return
    effects = [] if is_repeat else effects_of(snapshot, message, duty.reader)
    if snapshot.waits(duty.reader, message):
        yield from _too_early(message, duty, effects)
    elif given_up and not _was_redriven(snapshot, message, duty):
        yield from _taken_twice(message, duty, effects)
        yield from _let_go(snapshot, message, duty)
    elif not is_repeat and not (not effects and is_moot(snapshot, message, duty.reader)):
        yield from _without_effect(snapshot, message, duty, effects)
        yield from _torn(message, duty, effects)


def effects_of(snapshot: Snapshot, message: Message, reader: str) -> list[Message]:
    """Return what the reader has written because of the message, without reports of its failure."""
    caused = snapshot.effects_of(message)
    return [effect for effect in caused if effect.service == reader and effect.type != "CommandFailed"]


def _too_early(message: Message, duty: Duty, effects: list[Message]) -> Iterator[Violation]:
    if effects:
        yield _violation(message, f"waits parked at {duty.reader}, and yet {effects[0]} follows from it")


def _was_redriven(snapshot: Snapshot, message: Message, duty: Duty) -> bool:
    letter = snapshot.latest_letter(duty.reader, message)
    return letter is not None and snapshot.parked.fate(letter) == "redriven"


def _taken_twice(message: Message, duty: Duty, effects: list[Message]) -> Iterator[Violation]:
    if effects:
        yield _violation(message, f"is a dead letter of {duty.reader}, and yet {effects[0]} follows from it")


def _let_go(snapshot: Snapshot, message: Message, duty: Duty) -> Iterator[Violation]:
    """Report a key that a dead letter blocked, and that was unblocked without a decision."""
    letter = snapshot.latest_letter(duty.reader, message)
    if letter is None or not letter.holds_back or not snapshot.has_settled(letter):
        return
    if not snapshot.parked.fate(letter) and duty.reader not in snapshot.parked.cleaned:
        yield _violation(
            message, f"{duty.reader} gave it up and held its key back; it waits no longer, and nobody has decided so"
        )


def is_moot(snapshot: Snapshot, message: Message, reader: str) -> bool:
    """Return whether the message was parked and then discarded, sent again, or undone, perhaps in one batch."""
    if snapshot.parked.resolved.get((reader, message.position, 0), "") in {"discarded", "closed"}:
        return True
    return was_sent_again(snapshot, message, reader) or _was_undone(snapshot, message, reader)


def _was_undone(snapshot: Snapshot, message: Message, reader: str) -> bool:
    """Return whether the message may have waited, and an undo that closes it was read. An undo alone is no excuse."""
    undos = [undo for kind in UNDONE_BY.get(message.type, ()) for undo in snapshot.of_order(message.order_id, kind)]
    return snapshot.parked.may_have_waited(reader, message) and any(snapshot.was_read(reader, undo) for undo in undos)


def was_sent_again(snapshot: Snapshot, message: Message, reader: str) -> bool:
    """Return whether a later attempt has replaced the message, or an earlier one answers for both.

    Within one batch neither is seen to wait. An attempt that an operator has ordered counts from one.
    """
    if message.type not in SENT_AGAIN or not snapshot.parked.may_have_been_held(reader, message):
        return False
    same = [each for each in snapshot.of_order(message.order_id, message.type) if each.partition == message.partition]
    if any(other.offset > message.offset for other in same):
        return True
    return any(other.offset < message.offset and effects_of(snapshot, other, reader) for other in same)


def _without_effect(snapshot: Snapshot, message: Message, duty: Duty, effects: list[Message]) -> Iterator[Violation]:
    if any(effect.type in duty.effects for effect in effects):
        return
    if duty.silence and RULES[duty.silence](snapshot, message):
        return
    expected = " or ".join(sorted(duty.effects)) or "trace in its state"
    yield _violation(message, f"{duty.reader} has read it, but there is no {expected} from it, and no dead letter")


def _torn(message: Message, duty: Duty, effects: list[Message]) -> Iterator[Violation]:
    types = {effect.type for effect in effects}
    for one, other in duty.together:
        if one in types and other not in types:
            yield _violation(message, f"{one} follows from it without {other}: a transaction was torn")


def _violation(message: Message, reason: str) -> Violation:
    return Violation(CHECK, str(message), reason)
