"""The phases of a restore, free of transport: changelogs to their end, then ledgers from where a snapshot stops.

Kafka and the test driver's topics both go through `PHASES` in order; a phase's sources are asked for once the phase
before it has been read to its end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from ensemble.errors import TerminalError, UnreadableState
from ensemble.state.partition import PartitionStores
from ensemble.state.store import Changelogged, Replayable

Restore = Callable[[bytes, Any, int], None]
"""Takes a record's key, value and offset."""
Decode = Callable[[bytes], Any]


class FactReaders(Protocol):
    """Decodes the facts of a service's ledgers."""

    def fact_readers(self, ledger: str) -> Mapping[bytes, Decode]:
        """Return how to decode the schemas of a ledger that are known at start, by the first five bytes of a value."""

    def late_fact_reader(self, ledger: str, prefix: bytes) -> Decode | None:
        """Return how to decode a schema first met now; None if no store reads it. May raise SchemasUnavailable."""


@dataclass(frozen=True)
class RestoreSource:
    """A topic to read from an offset to its end, and what takes its records."""

    topic: str
    start: int
    restore: Restore


def changelog_sources(stores: PartitionStores, _: FactReaders) -> list[RestoreSource]:
    """Return the changelogs of a partition's stores."""
    return [RestoreSource(store.changelog, 0, _restorer(store)) for store in stores.changelogged if store.changelog]


def ledger_sources(stores: PartitionStores, facts: FactReaders) -> list[RestoreSource]:
    """Return the ledgers of a partition's stores, each from where its changelog's snapshots stop."""
    return [RestoreSource(store.ledger, store.replay_from(), _replayer(store, facts)) for store in stores.replayable]


PHASES: Final = (changelog_sources, ledger_sources)


def _restorer(store: Changelogged) -> Restore:
    restore, ensure_schema_known, known = store.restore, store.ensure_schema_known, set[bytes]()

    def take(key: bytes, value: Any, _: int) -> None:
        if value is not None and value[:5] not in known:
            ensure_schema_known(value)
            known.add(value[:5])
        restore(key, value)

    return take


def _replayer(store: Replayable, facts: FactReaders) -> Restore:
    readers: dict[bytes, Decode | None] = dict(facts.fact_readers(store.ledger))

    def take(key: bytes, value: Any, offset: int) -> None:
        prefix = value[:5]
        decode = readers.get(prefix)
        if decode is None:
            decode = readers[prefix] = facts.late_fact_reader(store.ledger, prefix)
        if decode is None:
            raise UnreadableState(
                f"ledger {store.ledger}, offset {offset}: schema {prefix.hex()} is none that this service can read"
            )
        try:
            store.replay(key, decode(value))
        except TerminalError as error:
            raise UnreadableState(f"ledger {store.ledger}, offset {offset}: {error}") from error
        store.ledger_end = offset + 1

    return take
