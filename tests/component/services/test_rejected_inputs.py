"""What is wrong in itself is rejected, so that its key goes on; what an order is stuck on is not."""

from __future__ import annotations

import pytest

from contracts import DispatchStock, PlaceOrder
from ensemble import Service
from ensemble.messages import Message
from ensemble.testing.driver import ServiceTestDriver
from services.inventory.service import inventory_service
from services.orchestrator.service import orchestrator
from services.order.service import order_service
from tests.support.order_saga_driver import PLACED

OTHER = PLACED.model_copy(update={"currency": "USD"})
PLACE = PlaceOrder(**PLACED.model_dump(exclude={"placed_at"}))


def cause_of(service: Service, *messages: Message) -> list[str]:
    """The error class of each dead letter."""
    driver = ServiceTestDriver(service)
    for message in messages:
        driver.receive(message)
    return [dict(letter.headers())["__streams.errors.exception"].decode() for letter in driver.dead_letters]


@pytest.mark.parametrize(
    ("service", "messages"),
    [
        (orchestrator(), [PLACED, OTHER]),
        (order_service(), [PLACED, OTHER]),
        (order_service(), [PLACE, PLACE.model_copy(update={"currency": "USD"})]),
    ],
)
def test_another_order_under_a_known_id_is_rejected(service: Service, messages: list[Message]) -> None:
    assert cause_of(service, *messages) == ["RejectedInput"]


def test_stock_that_nobody_holds_for_the_order_keeps_the_order_waiting() -> None:
    assert cause_of(inventory_service(), DispatchStock(order_id="o-1", warehouse_id="berlin")) == ["TerminalError"]
