"""The service that most of these modules drive. A module that needs other limits makes a `driver` of its own."""

from __future__ import annotations

import pytest

from ensemble.testing.driver import ServiceTestDriver
from services.payment.service import payment_service
from services.payment.testing import InMemoryPaymentGateway
from tests.support.scripted_service.controlled_service import Controls, controlled_service, limits


@pytest.fixture
def world() -> Controls:
    return Controls()


@pytest.fixture
def driver(world: Controls) -> ServiceTestDriver:
    """Three attempts, a second apart."""
    return ServiceTestDriver(controlled_service(world), limits=limits())


@pytest.fixture
def gateway() -> InMemoryPaymentGateway:
    return InMemoryPaymentGateway()


@pytest.fixture
def payment(gateway: InMemoryPaymentGateway) -> ServiceTestDriver:
    return ServiceTestDriver(payment_service(gateway))
