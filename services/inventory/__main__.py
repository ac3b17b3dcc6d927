"""Runs the inventory service: `python -m services.inventory`."""

import sys

from ensemble.kafka import run
from services.inventory.service import inventory_service

if __name__ == "__main__":
    sys.exit(run(inventory_service()))
