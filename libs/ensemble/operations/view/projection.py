"""What a view is told to keep: the topics, the tables, and how records become rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from sqlite3 import Connection
from typing import Final, Protocol

from ensemble.kafka.client import TopicPlace
from ensemble.messages.records import ConsumedRecord
from ensemble.operations.view.feed import Change


class FoldRecord(ConsumedRecord, Protocol):
    """A record as the client has it. Nothing of it is decoded or copied before it is asked for."""

    def timestamp(self) -> tuple[int, int]: ...


SQLITE_LIMIT: Final = 2**63
"""SQLite has no room for this number, or a greater one."""
FROM_ITS_BEGINNING: Final = None
"""What `begin` answers for a topic that is read from its first record on."""
RecordsByTopic = Mapping[str, Sequence[FoldRecord]]


class Projection(Protocol):
    """Folds topics into tables.

    The rows must follow from each partition's records in their order, however they are cut into chunks, and whatever
    order partitions come in; of a compacted topic from the last record of each key alone.
    """

    name: str
    """Its name in the file. Two projections of one file have different names and tables."""
    version: int
    """Another number builds the rows anew."""
    tables: Sequence[str]
    """The names of its tables."""
    schema: str
    """SQL that creates the tables."""
    indexes: str
    """SQL that creates further indexes, once all records of the first sync are in."""
    max_age_s: float
    """Rows that were brought up to date longer ago are built anew: a compacted topic keeps tombstones for a day."""

    def topics(self, existing: Collection[str]) -> Iterable[str]:
        """Return the topics that it reads, of those that the cluster has."""

    def begin(self, topic: str, now: int) -> int | None:
        """Return from which time on (epoch milliseconds) a topic is read at first, or FROM_ITS_BEGINNING."""

    def fold(self, db: Connection, records: RecordsByTopic) -> Iterable[Change]:
        """Write what these records say, within a transaction of the caller, and return what has changed."""

    def remove_expired(self, db: Connection, starts: Mapping[TopicPlace, int]) -> None:
        """Remove rows of records that the topics no longer have, by the first offset of each partition."""
