"""A dead letter names the record that it was, untouched; whoever sent a command is told when it is given up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from itertools import takewhile

from verifier.checks.inputs import duties_of, was_sent_again
from verifier.facts import DeadLetter, Message, Raw, Violation
from verifier.flow import COMMANDS
from verifier.snapshot import Snapshot

CHECK = "dead letters"
_EXCEPTION, _VALUE_LENGTH, _VALUE_SHA256 = (
    "__streams.errors.exception",
    "ensemble.value-length",
    "ensemble.value-sha256",
)


def check_dead_letters(snapshot: Snapshot) -> list[Violation]:
    """Report dead letters that differ from the record they name, or that exist twice."""
    times = Counter((letter.service, letter.source, letter.generation) for letter in snapshot.dead_letters)
    twice = [
        Violation(CHECK, str(source), f"lies {count} times in the dead letters of {service}")
        for (service, source, _), count in times.items()
        if source is not None and count > 1
    ]
    return (
        twice
        + [
            Violation(CHECK, str(letter.position), reason)
            for letter in snapshot.dead_letters
            for reason in (*_judge(snapshot, letter), *_redriven_by_nobody(snapshot, letter))
        ]
        + [Violation(CHECK, str(message), reason) for message, reason in _untold(snapshot)]
    )


def _judge(snapshot: Snapshot, letter: DeadLetter) -> Iterator[str]:
    source = letter.source
    if source is None:
        yield "its headers do not say which record it was"
        return
    place = (source.topic, source.partition)
    if source.offset < snapshot.firsts.get(place, 0):
        return
    original = snapshot.originals.get(source)
    if original is None:
        yield f"it says that it was {source}, where no record lies"
    else:
        if snapshot.holds_newer(letter):
            return
        edited = snapshot.parked.edited.get((letter.service, source), set()) if letter.generation else set()
        yield from _differences(original, letter.raw, edited, source_words=str(source))


def _differences(original: Raw, now: Raw, edited: set[bytes], source_words: str) -> Iterator[str]:
    parts = (
        _excerpt_parts(original, now, edited)
        if _VALUE_LENGTH in dict(now.headers)
        else {
            "key is not that": original.key == now.key,
            "value is not that": now.value in {original.value, *edited},
            "headers are not those": original.headers == now.headers[: len(original.headers)],
        }
    )
    for part, is_equal in parts.items():
        if not is_equal:
            yield f"its {part} of {source_words}"


def _excerpt_parts(original: Raw, now: Raw, edited: set[bytes]) -> dict[str, bool]:
    """Return what is right with the excerpt of a record that was too large for a whole dead letter."""
    added = dict(now.headers)
    own_headers = takewhile(lambda header: header[0] != _EXCEPTION, now.headers)
    marks = (added[_VALUE_LENGTH], added.get(_VALUE_SHA256))
    values = [value or b"" for value in (original.value, *edited)]
    wholes = [value for value in values if marks == (b"%d" % len(value), sha256(value).hexdigest().encode())]
    return {
        "key is not that": (original.key or b"").startswith(now.key or b""),
        "value is not that": any(value.startswith(now.value or b"") for value in wholes),
        "headers are not those": set(own_headers) <= set(original.headers),
    }


def _redriven_by_nobody(snapshot: Snapshot, letter: DeadLetter) -> Iterator[str]:
    """Report redrives without an operator's command."""
    if letter.source is None or not letter.generation or letter.service in snapshot.parked.cleaned:
        return
    before = (letter.service, letter.source, letter.generation - 1)
    if snapshot.has_settled(letter) and snapshot.parked.resolved.get(before) != "redriven":
        yield f"it says that it was redriven {letter.generation} times, which nobody has asked for"


def _untold(snapshot: Snapshot) -> Iterator[tuple[Message, str]]:
    """Report missing and surplus failure events: each failed command is reported to its sender once per failure."""
    letters = Counter((each.service, each.message_id) for each in snapshot.dead_letters if snapshot.has_settled(each))
    for message in snapshot.all_messages():
        if message.fault or message.type not in COMMANDS or not message.order_id:
            continue
        for duty in duties_of(message):
            reports = [each for each in snapshot.effects_of(message) if _tells(each, duty.reader)]
            times = letters[duty.reader, message.message_id]
            if len(reports) < times:
                yield message, f"{duty.reader} gave it up {times} times, and told its sender {len(reports)} times"
            if reports and not _has_failed(snapshot, message, duty.reader):
                yield message, f"{reports[0]} says that it failed, but {duty.reader} has not given it up"


def _tells(message: Message, service: str) -> bool:
    return message.type == "CommandFailed" and message.service == service


def _has_failed(snapshot: Snapshot, message: Message, service: str) -> bool:
    """Return whether the message is a dead letter, or waits or waited behind one, as itself or as a later attempt."""
    has_waited = snapshot.parked.was_ever(service, message) or was_sent_again(snapshot, message, service)
    return snapshot.was_given_up(service, message) or has_waited
