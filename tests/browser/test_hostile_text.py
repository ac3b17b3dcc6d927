"""Text that others wrote is shown as text, in every field of every page: no markup, nothing turned, nothing wider."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from contracts import OrderLine, OrderState, PauseOrder, StockReceived
from ensemble.messages import Message
from ensemble.messages.codec import encoder_for
from ensemble.operations import DeadLetterFilter, Failures, now
from ensemble.system_messages.operations import PauseWork
from services.control_room.pages.rendering import NAVIGATION
from tests.browser.conftest import View
from tests.support.order_messages import order_placed, place_order
from tests.support.room_server import RoomServer, serve_room

OVERRIDE, ISOLATE, ESCAPE = "\N{RIGHT-TO-LEFT OVERRIDE}", "\N{RIGHT-TO-LEFT ISOLATE}", "\x1b"
HOSTILE = f"<img src=x onerror=alert(1)>{OVERRIDE}{ISOLATE}{ESCAPE}[31m\x00\"'&{{{{7*7}}}}<script>alert(2)</script>"
LONG = HOSTILE + "w" * 10_000
LETTER = "a dead letter"
PAGES = [path for _, pages in NAVIGATION for path, _ in pages]


def write(server: RoomServer, topic: str, key: str, message: Message, **changes: Any) -> None:
    """Write a message past all checks, as a program of somebody else may."""
    forged = type(message).model_construct(**{**vars(message), **changes})
    server.flow.publish(topic, key.encode(), encoder_for(type(message))(forged), _headers(type(message).__name__))


def _headers(kind: str) -> list[tuple[str, bytes]]:
    texts = {"ce_type": f"x.{kind}", "ce_source": f"/{HOSTILE}", "ce_id": HOSTILE, "ce_correlationid": LONG,
             "ce_causationid": HOSTILE, "traceparent": HOSTILE, HOSTILE[:60]: LONG}  # fmt: skip
    return [(name, text.encode()) for name, text in texts.items()]


def forge(server: RoomServer) -> None:
    """Have hostile text in all that the pages show."""
    flow, at = server.flow, now()
    flow.stopped = {"inventory"}
    server.publish(place_order(), PauseOrder(order_id="o-1", requested_by=HOSTILE, reason=(HOSTILE * 9)[:500]))
    flow.publish("orders.commands", LONG.encode(), LONG.encode(), _headers(HOSTILE))  # a dead letter of order
    flow.publish("payments.commands", HOSTILE.encode(), HOSTILE.encode(), _headers("AttemptCharge"))
    flow.settle()
    flow.stopped = {"order", "payment", "inventory", "shipping", "orchestrator"}
    placed = order_placed(order_id="o-2", customer_id="c-2")
    lines = (OrderLine.model_construct(sku=LONG, quantity=1, unit_price=1),)
    write(server, "orders.events", HOSTILE, placed, order_id=HOSTILE, customer_id=LONG, warehouse_id=LONG, lines=lines)
    state = OrderState(order_id="o-2")
    write(server, "orchestrator.order-state", HOSTILE, state, order_id=HOSTILE, reason=LONG, status="payment_pending",
          step=HOSTILE, expected=(HOSTILE,), paused_since=at, paused_by=LONG, paused_reason=LONG)  # fmt: skip
    flow.publish("orchestrator.order-state", LONG.encode(), HOSTILE.encode(), [])  # no release can read it
    received = StockReceived(warehouse_id="w-9", sku="bolt", sequence=1, quantity=1, receipt_id="r-1")
    write(server, "inventory.ledger", LONG, received, warehouse_id=LONG, sku=LONG)
    pause = PauseWork(operation_id="p-1", requested_by="ann", reason="r", at=at, scope="service", name="payment")
    write(server, "payment.control", "p-1", pause, requested_by=LONG, reason=LONG, name=HOSTILE)
    server.update()


@pytest.fixture(scope="module")
def forged() -> Iterator[RoomServer]:
    with capture_logs(), serve_room() as server:
        forge(server)
        yield server


def address_of_letter(server: RoomServer) -> str:
    return f"/dead-letters/{Failures(server.room.view).list(DeadLetterFilter(), 1)[0].position}"


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("path", [*PAGES, "/orders/o-1", "/orders/o-1?full=true", LETTER])
def test_no_text_of_others_is_markup_or_turns_or_widens_a_page(
    forged: RoomServer, window: View, path: str, width: int
) -> None:
    window.page.set_viewport_size({"width": width, "height": 900})
    window.page.goto(forged.url + (address_of_letter(forged) if path == LETTER else path))

    assert window.page.locator("main img, main script:not([src])").count() == 0
    assert not {OVERRIDE, ISOLATE, ESCAPE, "\x00"} & set(window.page.content())
    assert window.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(
    ("path", "place"),
    [("/orders", "#rows"), ("/orders/o-1", ".banner"), ("/stock", "main"), (LETTER, "main"),
     ("/pauses", "#live"), ("/audit", "#live")],
)  # fmt: skip
def test_text_of_others_is_there_to_be_read(forged: RoomServer, window: View, path: str, place: str) -> None:
    window.page.goto(forged.url + (address_of_letter(forged) if path == LETTER else path))

    assert "alert(1)" in window.text(place)
