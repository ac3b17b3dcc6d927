"""Runs the shipping service: `python -m services.shipping`."""

import sys

from ensemble.kafka import run
from services.shipping.service import shipping_service

if __name__ == "__main__":
    sys.exit(run(shipping_service()))
