"""Goods on the shelves of a new system."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.examples import STOCK, WAREHOUSE

if TYPE_CHECKING:
    from ensemble.kafka.client import ClusterClient


def seed(access: ClusterClient) -> bool:
    """Fill the shelves, unless something is on them already."""
    from contracts import ReceiveStock
    from ensemble.command_line.publishing import publish

    if has_stock(access):
        return False
    for sku, quantity in STOCK.items():
        if quantity:
            publish(access, ReceiveStock(warehouse_id=WAREHOUSE, sku=sku, quantity=quantity))
    return True


def has_stock(access: ClusterClient) -> bool:
    """Return whether any goods were received, or are about to be."""
    places = access.places(["inventory.ledger", "inventory.commands"])
    return any(access.ends(places).values())
