"""A dead letter names the record that it was, untouched; whoever sent a command is told when it is given up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from itertools import takewhile

from verifier.case import Case
from verifier.checks.inputs import duties_of, was_sent_again
from verifier.evidence import Evidence
from verifier.facts import DeadLetter, Finding, Message, Position, Raw
from verifier.flow import COMMANDS
from verifier.runtime_formats import EXCEPTION, VALUE_LENGTH, VALUE_SHA256


def check_letters(evidence: Evidence) -> Iterator[Finding]:
    """Report dead letters that exist twice, that name no record, and that nobody has redriven."""
    times = Counter((letter.service, letter.source, letter.generation) for letter in evidence.letters)
    for (service, source, _), count in times.items():
        if source is not None and count > 1:
            yield source, f"lies {count} times in the dead letters of {service}"
    for letter in evidence.letters:
        if letter.source is None:
            yield letter.position, "its headers do not say which record it was"
        yield from ((letter.position, reason) for reason in _redriven_by_nobody(evidence, letter))


def check_copies(case: Case) -> Iterator[Finding]:
    """Report dead letters that differ from the record that they name."""
    for letter, raw in case.letters:
        source = letter.source
        if source is not None and source.offset >= case.evidence.firsts.get(source[:2], 0):
            yield from ((letter.position, reason) for reason in _compare(case, letter, source, raw))


def _compare(case: Case, letter: DeadLetter, source: Position, now: Raw) -> Iterator[str]:
    original = case.original
    if original is None:
        yield f"it says that it was {source}, where no record lies"
    elif letter.position not in case.evidence.newer:
        edited = case.evidence.edited.get((letter.service, source), set()) if letter.generation else set()
        for part, is_equal in _parts(original, now, edited).items():
            if not is_equal:
                yield f"its {part} of {source}"


def _parts(original: Raw, now: Raw, edited: set[bytes]) -> dict[str, bool]:
    if VALUE_LENGTH in dict(now.headers):
        return _excerpt_parts(original, now, edited)
    return {
        "key is not that": original.key == now.key,
        "value is not that": now.value in {original.value, *edited},
        "headers are not those": original.headers == now.headers[: len(original.headers)],
    }


def _excerpt_parts(original: Raw, now: Raw, edited: set[bytes]) -> dict[str, bool]:
    """Return what is right with the excerpt of a record that was too large for a whole dead letter."""
    added = dict(now.headers)
    own_headers = takewhile(lambda header: header[0] != EXCEPTION, now.headers)
    marks = (added[VALUE_LENGTH], added.get(VALUE_SHA256))
    values = [value or b"" for value in (original.value, *edited)]
    wholes = [value for value in values if marks == (b"%d" % len(value), sha256(value).hexdigest().encode())]
    return {
        "key is not that": (original.key or b"").startswith(now.key or b""),
        "value is not that": any(value.startswith(now.value or b"") for value in wholes),
        "headers are not those": set(own_headers) <= set(original.headers),
    }


def _redriven_by_nobody(evidence: Evidence, letter: DeadLetter) -> Iterator[str]:
    """Report redrives without an operator's command."""
    if letter.source is None or not letter.generation or letter.service in evidence.cleaned:
        return
    before = (letter.service, letter.source, letter.generation - 1)
    if evidence.has_settled(letter) and evidence.resolved.get(before) != "redriven":
        yield f"it says that it was redriven {letter.generation} times, which nobody has asked for"


def check_failures(case: Case) -> Iterator[Finding]:
    """Report missing and surplus failure events: each failed command is reported to its sender once per failure."""
    has_reports = "CommandFailed" in case.by_type
    for message in case.messages if case.order_id else ():
        if message.type in COMMANDS and (has_reports or case.evidence.was_given_up(message)):
            for duty in duties_of(message):
                yield from ((message, reason) for reason in _told(case, message, duty.reader))


def _told(case: Case, message: Message, service: str) -> Iterator[str]:
    effects = case.caused.get(message.message_id, ())
    reports = [each for each in effects if each.type == "CommandFailed" and each.service == service]
    times = case.evidence.times_given_up(service, message)
    if len(reports) < times and case.is_whole:
        yield f"{service} gave it up {times} times, and told its sender {len(reports)} times"
    if reports and not _has_failed(case, message, service):
        yield f"{reports[0]} says that it failed, but {service} has not given it up"


def _has_failed(case: Case, message: Message, service: str) -> bool:
    """Return whether the message is a dead letter, or waits or waited behind one, as itself or as a later attempt."""
    has_waited = case.was_ever_parked(service, message) or was_sent_again(case, message, service)
    return case.letter_of(service, message) is not None or has_waited
