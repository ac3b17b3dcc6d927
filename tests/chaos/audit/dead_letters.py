"""A dead letter names the record that it was, untouched, and is redriven by somebody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from itertools import takewhile
from typing import Final

from tests.chaos.audit.recording import Raw, Recording
from verifier.evidence import Evidence
from verifier.facts import DeadLetter, Finding, Position
from verifier.flow import SENT_AGAIN

_EXCEPTION: Final = "__streams.errors.exception"
_VALUE_LENGTH: Final = "ensemble.value-length"
_VALUE_SHA256: Final = "ensemble.value-sha256"
"""Headers of a dead letter that holds an excerpt; the exception is the first that the runtime has added."""


def check_letters(evidence: Evidence, recording: Recording) -> Iterator[Finding]:
    """Report dead letters that exist twice, that name no record or another one, and that nobody has redriven."""
    times = Counter((letter.service, letter.source, letter.generation) for letter in evidence.letters)
    for (service, source, _), count in times.items():
        if source is not None and count > 1:
            yield source, f"lies {count} times in the dead letters of {service}"
    for letter in evidence.letters:
        if letter.source is None:
            yield letter.position, "its headers do not say which record it was"
        else:
            found = (*_redriven_by_nobody(evidence, letter), *_altered(evidence, recording, letter, letter.source))
            yield from ((letter.position, reason) for reason in found)


def _redriven_by_nobody(evidence: Evidence, letter: DeadLetter) -> Iterator[str]:
    """Report redrives without an operator's command."""
    if letter.source is None or not letter.generation or letter.service in evidence.cleaned:
        return
    before = (letter.service, letter.source, letter.generation - 1)
    if evidence.in_cut(letter.position) and evidence.resolved.get(before) != "redriven":
        yield f"it says that it was redriven {letter.generation} times, which nobody has asked for"


def _altered(evidence: Evidence, recording: Recording, letter: DeadLetter, source: Position) -> Iterator[str]:
    """Report a dead letter that differs from the record that it names."""
    original = recording.raws.get(source)
    if source.offset < evidence.firsts.get(source[:2], 0):
        return
    if original is None:
        yield f"it says that it was {source}, where no record lies"
    elif not _holds_newer(recording, letter):
        edited = recording.edited[letter.service, source] if letter.generation else set[bytes]()
        for part, is_equal in _parts(original, recording.raws[letter.position], edited).items():
            if not is_equal:
                yield f"its {part} of {source}"


def _holds_newer(recording: Recording, letter: DeadLetter) -> bool:
    """Return whether the dead letter holds a newer attempt than the record that it names."""
    held = recording.by_id[letter.message_id]
    return any(each.type in SENT_AGAIN and each.position != letter.source for each in held)


def _parts(original: Raw, now: Raw, edited: set[bytes]) -> dict[str, bool]:
    if _VALUE_LENGTH in dict(now.headers):
        return _excerpt_parts(original, now, edited)
    return {
        "key is not that": original.key == now.key,
        "value is not that": now.value in {original.value, *edited},
        "headers are not those": original.headers == now.headers[: len(original.headers)],
    }


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
