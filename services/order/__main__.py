"""Runs the order service: `python -m services.order`."""

import sys

from ensemble.kafka import run
from services.order.service import order_service

if __name__ == "__main__":
    sys.exit(run(order_service()))
