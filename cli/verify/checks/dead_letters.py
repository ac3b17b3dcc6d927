"""A dead letter names the record that it was, and has that record's bytes and headers untouched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from cli.verify.facts import DeadLetter, Raw, Violation
from cli.verify.snapshot import Snapshot

CHECK = "dead letters"


def check_dead_letters(snapshot: Snapshot) -> list[Violation]:
    """Dead letters that are not what they say, or are there twice."""
    times = Counter((letter.service, letter.source) for letter in snapshot.dead_letters)
    twice = [
        Violation(CHECK, str(source), f"lies {count} times in the dead letters of {service}")
        for (service, source), count in times.items()
        if source is not None and count > 1
    ]
    return twice + [
        Violation(CHECK, str(letter.position), words)
        for letter in snapshot.dead_letters
        for words in _judge(snapshot, letter)
    ]


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
        yield from _differences(original, letter.raw, source_words=str(source))


def _differences(original: Raw, now: Raw, source_words: str) -> Iterator[str]:
    parts = {
        "key is not that": original.key == now.key,
        "value is not that": original.value == now.value,
        "headers are not those": original.headers == now.headers[: len(original.headers)],
    }
    for words, is_equal in parts.items():
        if not is_equal:
            yield f"its {words} of {source_words}"
