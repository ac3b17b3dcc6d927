"""Every input has a fate: an effect, a dead letter, a place among what waits, an undo, or it is known to need none."""

from __future__ import annotations

from collections.abc import Iterator

from verifier.case import Case
from verifier.checks.silences import SILENCES
from verifier.facts import DeadLetter, Finding, Message
from verifier.flow import DUTIES, EXTERNAL_TOPICS, READERS_OF, SENT_AGAIN, SERVICES, TYPES_OF, UNDONE_BY, Duty


def check_inputs(case: Case) -> Iterator[Finding]:
    """Report inputs that a group has read and that have left no trace."""
    copied: set[tuple[object, ...]] = set()
    for message in case.messages:
        is_repeat = message.topic in EXTERNAL_TOPICS and _is_copied(message, copied)
        for duty in duties_of(message):
            if case.evidence.was_read(duty.reader, message):
                yield from ((message, reason) for reason in _judge(case, message, duty, is_repeat=is_repeat))


def _is_copied(message: Message, copied: set[tuple[object, ...]]) -> bool:
    """Return whether the same message lies before this one; note it."""
    identity = (message.topic, message.partition, message.key, message.source, message.message_id)
    is_repeat = identity in copied
    copied.add(identity)
    return is_repeat


def duties_of(message: Message) -> tuple[Duty, ...]:
    """Return what the message's readers have to do; every reader of the topic meets an unreadable record."""
    if message.type in TYPES_OF[message.topic]:
        return DUTIES.get(message.type, ())
    return tuple(map(Duty, sorted(READERS_OF[message.topic])))


def is_put_aside(case: Case, message: Message) -> bool:
    """Return whether the record is a dead letter, or not yet read by the service that would make it one."""
    if any(case.letter_of(service, message) for service in SERVICES):
        return True
    return any(not case.evidence.was_read(duty.reader, message) for duty in duties_of(message))


def _judge(case: Case, message: Message, duty: Duty, *, is_repeat: bool) -> Iterator[str]:
    letter, reader = case.letter_of(duty.reader, message), duty.reader
    if message.fault:
        if letter is None:
            yield f"{reader} has passed over it, but it is no dead letter of {reader}: {message.fault}"
        return
    effects = [] if is_repeat else case.effects_of(message, reader)
    if case.waits(reader, message):
        yield from (f"waits parked at {reader}, and yet {effect} follows from it" for effect in effects[:1])
    elif letter is not None and case.evidence.fate_of(letter) != "redriven":
        yield from (f"is a dead letter of {reader}, and yet {effect} follows from it" for effect in effects[:1])
        if _was_let_go(case, letter):
            yield f"{reader} gave it up and held its key back; it waits no longer, and nobody has decided so"
    elif not is_repeat and case.is_whole:
        yield from _missing(case, message, duty, {effect.type for effect in effects})


def _was_let_go(case: Case, letter: DeadLetter) -> bool:
    """Return whether a dead letter blocked its key, which then was unblocked without a decision."""
    is_decided = case.evidence.fate_of(letter) or letter.service in case.evidence.cleaned
    return letter.holds_back and case.evidence.in_cut(letter.position) and not is_decided


def _missing(case: Case, message: Message, duty: Duty, types: set[str]) -> Iterator[str]:
    """Report that nothing of what the message asks for follows from it, or not all."""
    if types.isdisjoint(duty.effects) and not _may_be_silent(case, message, duty, types):
        expected = " or ".join(sorted(duty.effects)) or "trace in its state"
        yield f"{duty.reader} has read it, but there is no {expected} from it, and no dead letter"
    for one, other in (duty.together, duty.together[::-1]) if duty.together else ():
        if one in types and other not in types:
            yield f"{one} follows from it without {other}: a transaction was torn"


def _may_be_silent(case: Case, message: Message, duty: Duty, types: set[str]) -> bool:
    if duty.silence and SILENCES[duty.silence](case, message):
        return True
    return not types and _is_moot(case, message, duty.reader)


def _is_moot(case: Case, message: Message, reader: str) -> bool:
    """Return whether the message was parked and then discarded, sent again, or undone, perhaps in one batch."""
    if case.evidence.resolved.get((reader, message.position, 0), "") in {"discarded", "closed"}:
        return True
    return was_sent_again(case, message, reader) or _was_undone(case, message, reader)


def _was_undone(case: Case, message: Message, reader: str) -> bool:
    """Return whether the message may have waited, and an undo that closes it was read. An undo alone is no excuse."""
    undos = case.of_type(UNDONE_BY.get(message.type, ""))
    return case.may_have_waited(reader, message) and any(case.evidence.was_read(reader, undo) for undo in undos)


def was_sent_again(case: Case, message: Message, reader: str) -> bool:
    """Return whether a later attempt has replaced the message, or an earlier one answers for both.

    Within one batch neither is seen to wait. An attempt that an operator has ordered counts from one.
    """
    if message.type not in SENT_AGAIN or not case.may_have_been_held(reader, message):
        return False
    same = [each for each in case.of_type(message.type) if each.partition == message.partition]
    if any(other.offset > message.offset for other in same):
        return True
    return any(other.offset < message.offset and case.effects_of(other, reader) for other in same)
