"""Keeps what topics say in tables: read on from where it was, filtered, sorted and counted by SQL."""

from ensemble.operations.view.feed import Change, Feed, Subscription
from ensemble.operations.view.files import file_of_cluster
from ensemble.operations.view.projection import FROM_ITS_BEGINNING, SQLITE_LIMIT, FoldRecord, Projection, RecordsByTopic
from ensemble.operations.view.source import Source, SourceReader
from ensemble.operations.view.storage import Storage, transaction
from ensemble.operations.view.view import OnProgress, Synced, View

__all__ = [
    "FROM_ITS_BEGINNING",
    "SQLITE_LIMIT",
    "Change",
    "Feed",
    "FoldRecord",
    "OnProgress",
    "Projection",
    "RecordsByTopic",
    "Source",
    "SourceReader",
    "Storage",
    "Subscription",
    "Synced",
    "View",
    "file_of_cluster",
    "transaction",
]
