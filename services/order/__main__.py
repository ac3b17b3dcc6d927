"""Runs the order service: `python -m services.order`."""

import sys

from services.order.service import order_service

if __name__ == "__main__":
    sys.exit(order_service().run())
