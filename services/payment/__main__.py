"""Runs the payment service: `python -m services.payment`."""

import sys
from collections.abc import Callable

from ensemble import EnsembleError, Service
from ensemble.kafka import run
from services.payment.service import configured_provider, payment_service


def main(start: Callable[[Service], int] = run) -> int:
    """Have `start` run the service. Return its exit code, or 2 if a setting is wrong."""
    try:
        service = payment_service(configured_provider())
    except EnsembleError as error:
        sys.stderr.write(f"payment: {error}\n")
        return 2
    return start(service)


if __name__ == "__main__":
    sys.exit(main())
