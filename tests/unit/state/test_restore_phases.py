"""What each record of a changelog or ledger does to its store, and what is said of one that cannot be applied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest

from ensemble import TerminalError
from ensemble.errors import FatalError, SchemasUnavailable, UndecodableRecord, UnreadableState
from ensemble.messages.records import StoredRecord
from ensemble.state.partition import PartitionStores
from ensemble.state.restore_phases import RestoreSource, changelog_sources, ledger_sources

OLD, NEW, STRANGE = b"\0old-", b"\0new-", b"\0odd-"


class Cups:
    """A store with a changelog and a ledger, which notes what is asked of it."""

    changelog, ledger = "shop.cups-changelog", "shop.cups"

    def __init__(self) -> None:
        self.changelogged = self.replayable = [self]
        self.asked: list[tuple[str, Any]] = []
        self.ledger_end = 5
        self.error: Exception | None = None

    def ensure_schema_known(self, value: bytes) -> None:
        self.asked.append(("schema", value))

    def restore(self, key: bytes, value: bytes | None) -> None:
        self.asked.append(("restore", (key, value)))

    def replay_from(self) -> int:
        return 5

    def replay(self, key: bytes, fact: str, record: StoredRecord) -> None:
        if self.error is not None:
            raise self.error
        self.asked.append(("replay", (key, fact, record.offset())))


class Facts:
    """Decodes one schema that is known, and one that is looked up."""

    def __init__(self) -> None:
        self.asked = list[tuple[str, bytes]]()

    def fact_decoders(self, ledger: str) -> Mapping[bytes, Any]:
        self.asked.append((ledger, b""))
        return {OLD: lambda value: f"old {value[5:].decode()}"}

    def decoder_for_new_fact_schema(self, ledger: str, prefix: bytes) -> Any:
        self.asked.append((ledger, prefix))
        return (lambda value: f"new {value[5:].decode()}") if prefix == NEW else None


def source(cups: Cups, facts: Facts | None = None) -> RestoreSource:
    stores, decoders = cast("PartitionStores", cups), cast("Any", facts)
    (source,) = ledger_sources(stores, decoders) if facts else changelog_sources(stores, decoders)
    return source


def record(offset: int | None, key: bytes | None, value: bytes | None) -> StoredRecord:
    return StoredRecord("t", 0, cast("int", offset), key, value)


def test_a_changelog_is_restored_from_its_beginning_and_each_schema_looked_up_once() -> None:
    cups = Cups()
    restored = source(cups)
    for offset, value in enumerate([OLD + b"1", None, OLD + b"2", NEW + b"3", OLD + b"4"]):
        restored.restore(record(offset, None if value is None else b"k", value))
    assert (restored.topic, restored.start, restored.read_from) == ("shop.cups-changelog", 0, 0)
    assert cups.asked == [
        ("schema", OLD + b"1"), ("restore", (b"k", OLD + b"1")),
        ("restore", (b"", None)),
        ("restore", (b"k", OLD + b"2")),
        ("schema", NEW + b"3"), ("restore", (b"k", NEW + b"3")),
        ("restore", (b"k", OLD + b"4")),
    ]  # fmt: skip
    restored.check_end(9)


def test_a_ledger_is_replayed_from_its_snapshot_on_and_each_new_schema_looked_up_once() -> None:
    cups, facts = Cups(), Facts()
    replayed = source(cups, facts)
    for offset, value in [(5, OLD + b"1"), (6, NEW + b"2"), (9, NEW + b"3")]:
        replayed.restore(record(offset, b"k", value))
    assert (replayed.topic, replayed.start, replayed.read_from) == ("shop.cups", 5, 0)
    assert cups.asked == [("replay", (b"k", fact, at)) for fact, at in (("old 1", 5), ("new 2", 6), ("new 3", 9))]
    assert cups.ledger_end == 10
    assert facts.asked == [("shop.cups", b""), ("shop.cups", NEW)]


@pytest.mark.parametrize(
    ("value", "error", "reason"),
    [
        (OLD, KeyError("tea"), "KeyError: 'tea'"),
        (OLD, TerminalError("no tea"), "no tea"),
        (OLD, UndecodableRecord("no number"), "no number"),
        (STRANGE, None, "schema 006f64642d is none that this service can read"),
        (None, None, "schema  is none that this service can read"),
    ],
)
def test_a_fact_that_cannot_be_replayed_is_named_and_not_passed(
    value: bytes | None, error: Exception | None, reason: str
) -> None:
    cups = Cups()
    cups.error = error
    with pytest.raises(UnreadableState) as refused:
        source(cups, Facts()).restore(record(7, None, value))
    assert str(refused.value) == f"ledger shop.cups, offset 7: {reason}"
    assert cups.ledger_end == 5


@pytest.mark.parametrize("error", [SchemasUnavailable("away"), FatalError("told to")])
def test_what_stops_the_process_says_so_itself(error: Exception) -> None:
    cups = Cups()
    cups.error = error
    with pytest.raises(type(error)) as raised:
        source(cups, Facts()).restore(record(7, b"k", OLD))
    assert raised.value is error
