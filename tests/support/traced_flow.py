"""The five services in one process, whose environment says where spans go: `python -m tests.support.traced_flow`."""

import sys

from ensemble.kafka import run
from services.payment.testing import InMemoryPaymentGateway
from tests.support.order_flow import services

if __name__ == "__main__":
    sys.exit(run(*services(InMemoryPaymentGateway())))
