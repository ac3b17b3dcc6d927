"""Stock in a view: what the ledger's facts add up to, by warehouse and sku."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from sqlite3 import Connection
from typing import Final

from contracts import SCHEMAS
from contracts.catalogue import INVENTORY_LEDGER
from ensemble.errors import UndecodableRecord
from ensemble.kafka.client import TopicPlace
from ensemble.messages import GenericDecoder, SchemaSourceSelector
from ensemble.operations import Result
from ensemble.operations.view import FROM_ITS_BEGINNING, Change, RecordsByTopic, View

MOVES: Final[Mapping[str, tuple[int, int, int, int]]] = {
    "StockReceived": (1, 1, 0, 0),
    "StockReserved": (0, -1, 1, 0),
    "StockReleased": (0, 1, -1, 0),
    "StockDispatched": (0, 0, -1, 1),
}
"""What a fact does to the pieces received, on hand, reserved and dispatched."""


class StockLevel(Result):
    """Pieces of one sku in one warehouse."""

    warehouse: str
    sku: str
    received: int
    on_hand: int
    reserved: int
    dispatched: int


class StockProjection:
    """Adds up the facts of the ledger."""

    name = "stock"
    version = 1
    tables: Sequence[str] = ("stock",)
    max_age_s = float("inf")
    schema = """
        CREATE TABLE stock (
            warehouse TEXT, sku TEXT, received INTEGER, on_hand INTEGER, reserved INTEGER, dispatched INTEGER,
            PRIMARY KEY (warehouse, sku)
        ) WITHOUT ROWID
    """
    indexes = ""

    def __init__(self, sources: SchemaSourceSelector) -> None:
        """Take the sources of schema ids that are not in the files."""
        self._decoder = GenericDecoder([SCHEMAS, sources])

    def topics(self, existing: Collection[str]) -> Iterable[str]:
        return [INVENTORY_LEDGER.name] if INVENTORY_LEDGER.name in existing else []

    def begin(self, topic: str, now: int) -> int | None:  # noqa: ARG002  all topics alike
        return FROM_ITS_BEGINNING

    def fold(self, db: Connection, records: RecordsByTopic) -> Iterable[Change]:
        moved: dict[tuple[str, str], Counter[int]] = {}
        for record in records.get(INVENTORY_LEDGER.name, ()):
            self._add(moved, record.value())
        rows = [(*shelf, *(sums[place] for place in range(4))) for shelf, sums in moved.items()]
        db.executemany(_ADD, rows)
        return (Change(self.name, f"{warehouse}/{sku}") for warehouse, sku in moved)

    def remove_expired(self, db: Connection, starts: Mapping[TopicPlace, int]) -> None:
        """Keep all rows: the ledger is kept for ever."""

    def _add(self, moved: dict[tuple[str, str], Counter[int]], value: bytes | None) -> None:
        """Add a fact; one that cannot be read, or that moves nothing, leaves the stock as it is."""
        try:
            fact = self._decoder.decode(value or b"")
        except UndecodableRecord:
            return
        moves = MOVES.get(fact.name.rpartition(".")[2])
        if moves is None:
            return
        sums = moved.setdefault((fact.fields["warehouse_id"], fact.fields["sku"]), Counter())
        for place, sign in enumerate(moves):
            sums[place] += sign * fact.fields["quantity"]


class Stock:
    """Answers questions about the stock of a view."""

    def __init__(self, view: View) -> None:
        """Take a view that has the stock's projection; whoever asks has it synced before."""
        self._view = view

    def levels(self, warehouse: str | None = None, sku: str | None = None) -> tuple[StockLevel, ...]:
        """Return the stock of each warehouse and sku, or of these alone."""
        with self._view.read() as db:
            rows = db.execute(_SELECT, (warehouse, warehouse, sku, sku)).fetchall()
        return tuple(StockLevel(**dict(zip(StockLevel.model_fields, row, strict=True))) for row in rows)


_SELECT: Final = (
    "SELECT warehouse, sku, received, on_hand, reserved, dispatched FROM stock "
    "WHERE (? IS NULL OR warehouse = ?) AND (? IS NULL OR sku = ?) ORDER BY warehouse, sku"
)
_ADD: Final = (
    "INSERT INTO stock VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET received = received + excluded.received, "
    "on_hand = on_hand + excluded.on_hand, reserved = reserved + excluded.reserved, "
    "dispatched = dispatched + excluded.dispatched"
)
