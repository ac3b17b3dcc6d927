"""The phases of a restore, free of transport: changelogs to their end, then ledgers from where a snapshot stops.

Kafka and the test driver's topics both go through `PHASES` in order; a phase's sources are asked for once the phase
before it has been read to its end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from ensemble.errors import FatalError, SchemasUnavailable, TerminalError, UndecodableRecord, UnreadableState
from ensemble.messages.codec import PREFIX_LENGTH, Decoder
from ensemble.messages.records import ConsumedRecord
from ensemble.state.partition import PartitionStores
from ensemble.state.rocks import RocksStore
from ensemble.state.store import Changelogged, Replayable


class FactDecoders(Protocol):
    """Knows how to decode the facts of a service's ledgers; implemented by the compiled service, a layer above."""

    def fact_decoders(self, ledger: str) -> Mapping[bytes, Decoder[Any]]:
        """Return how to decode the schemas of a ledger that are known at start, by the first five bytes of a value."""

    def decoder_for_new_fact_schema(self, ledger: str, prefix: bytes) -> Decoder[Any] | None:
        """Return how to decode a schema first met now; None if no store reads it. May raise SchemasUnavailable."""


@dataclass(frozen=True)
class RestoreSource:
    """A topic to read from an offset to its end, and the function that applies its records."""

    topic: str
    start: int
    """Where the records begin that state is made of."""
    restore: Callable[[ConsumedRecord], None]
    """Applies one record to its store; one without a value is a tombstone. It may raise StartOver."""
    read_from: int = 0
    """Where reading begins: behind the start if the store lies on disk."""
    check_end: Callable[[int], None] = lambda _: None
    """Called with the topic's end before anything is read. It may raise StartOver or SchemasUnavailable."""


def changelog_sources(stores: PartitionStores, _: FactDecoders) -> list[RestoreSource]:
    """Return the changelogs of a partition's stores."""
    return [_changelog_source(store) for store in stores.changelogged]


def _changelog_source(store: Changelogged) -> RestoreSource:
    if isinstance(store, RocksStore):
        return RestoreSource(store.changelog, 0, store.restore_record, store.read_from, store.check_end)
    return RestoreSource(store.changelog, 0, _changelog_restorer(store))


def ledger_sources(stores: PartitionStores, facts: FactDecoders) -> list[RestoreSource]:
    """Return the ledgers of a partition's stores, each from where its changelog's snapshots stop."""
    return [
        RestoreSource(store.ledger, store.replay_from(), _fact_replayer(store, facts)) for store in stores.replayable
    ]


PHASES: Final = (changelog_sources, ledger_sources)
"""Each returns a phase's sources. The second one depends on what the first has restored."""


def _changelog_restorer(store: Changelogged) -> Callable[[ConsumedRecord], None]:
    """Return the function that restores one record; it looks up each schema once, before its first record."""
    checked_prefixes = set[bytes]()

    def restore_record(record: ConsumedRecord) -> None:
        value = record.value()
        if value is not None and (prefix := value[:PREFIX_LENGTH]) not in checked_prefixes:
            store.ensure_schema_known(value)
            checked_prefixes.add(prefix)
        store.restore(record.key() or b"", value)

    return restore_record


def _fact_replayer(store: Replayable, facts: FactDecoders) -> Callable[[ConsumedRecord], None]:
    """Return the function that replays one fact. It raises UnreadableState, which names the record."""
    decoders: dict[bytes, Decoder[Any] | None] = dict(facts.fact_decoders(store.ledger))

    def decode(value: bytes) -> Any:
        prefix = value[:PREFIX_LENGTH]
        decoder = decoders.get(prefix)
        if decoder is None:
            decoder = decoders[prefix] = facts.decoder_for_new_fact_schema(store.ledger, prefix)
        if decoder is None:
            raise UndecodableRecord(f"schema {prefix.hex()} is none that this service can read")
        return decoder(value)

    def replay_record(record: ConsumedRecord) -> None:
        offset = record.offset() or 0
        try:
            store.replay(record.key() or b"", decode(record.value() or b""), record)
        except (SchemasUnavailable, FatalError):
            raise
        except Exception as error:  # the aggregate may raise anything, and without the fact its state is wrong
            raise UnreadableState(f"ledger {store.ledger}, offset {offset}: {_reason(error)}") from error
        store.ledger_end = offset + 1

    return replay_record


def _reason(error: Exception) -> str:
    """Return what an error says; of one that is not the runtime's also its class."""
    return str(error) if isinstance(error, TerminalError) else f"{type(error).__name__}: {error}"
