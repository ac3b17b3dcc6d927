"""Inventory as a wrong release has it: a new rule refuses good orders. Run by the drill in the real one's place."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Final

from contracts import FulfilOrder
from ensemble import TerminalError, handles
from ensemble.kafka import run
from services.inventory import service
from services.inventory.handlers import InventoryService

REFUSED: Final = "grinder"


@dataclass(frozen=True)
class WrongInventoryService(InventoryService):
    """Inventory with a rule against unknown goods whose list lacks some that are known."""

    @handles(FulfilOrder)
    def reserve_stock(self, command: FulfilOrder) -> None:
        if any(line.sku == REFUSED for line in command.lines):
            raise TerminalError(f"lines: {REFUSED} is not in the list of goods")
        super().reserve_stock(command)


def main() -> int:
    """Run the service with that role in place of its own."""
    service.InventoryService = WrongInventoryService  # type: ignore[attr-defined]  # what a release does to a process
    return run(service.inventory_service())


if __name__ == "__main__":
    sys.exit(main())
