"""Runs the payment service: `python -m services.payment`."""

import sys

from ensemble import EnsembleError
from ensemble.kafka import run
from services.payment.service import configured_provider, payment_service


def main() -> int:
    """Run the service and return the exit code: 2 if a setting is wrong."""
    try:
        service = payment_service(configured_provider())
    except EnsembleError as error:
        sys.stderr.write(f"payment: {error}\n")
        return 2
    return run(service)


if __name__ == "__main__":
    sys.exit(main())
