"""Runs the inventory service: `python -m services.inventory`."""

import sys

from services.inventory.service import inventory_service

if __name__ == "__main__":
    sys.exit(inventory_service().run())
