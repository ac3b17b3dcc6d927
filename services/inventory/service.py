"""The inventory service: its roles, its ledger, its place in the catalogue."""

from collections.abc import Mapping

from contracts import Reservation, State, StockLevel
from contracts.catalogue import CATALOGUE, INVENTORY_LEDGER
from ensemble import Service, event_sourced
from services.inventory.domain import Warehouse
from services.inventory.handlers import InventoryService, StockKeeper, StockReleaser

ENTRIES: Mapping[str, type[State]] = {"stock": StockLevel, "reservations": Reservation}
"""A warehouse is kept in parts: as one state it would be written anew by each order, and outgrow a record."""


def inventory_service(snapshot_every: int = 500) -> Service:
    """Declare the service; nothing runs yet."""
    return Service(
        "inventory",
        CATALOGUE,
        roles=[InventoryService, StockReleaser, StockKeeper],
        stores=[event_sourced(Warehouse, ledger=INVENTORY_LEDGER, entries=ENTRIES, snapshot_every=snapshot_every)],
        http_port=8103,
    )
