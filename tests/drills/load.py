"""Orders as customers place them: some now, or so many a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from cli.examples import CURRENCY, CUSTOMER, PRICES, WAREHOUSE
from contracts import OrderLine, PlaceOrder, ReceiveStock

if TYPE_CHECKING:
    from ensemble.kafka import Client

GOODS: Final = ("beans-1kg", "grinder")
"""What is ordered, in turn."""
_PIECES: Final = 1_000_000


class Load:
    """The customers' orders, with stock that does not run out."""

    def __init__(self, client: Client) -> None:
        self._client, self._lock = client, threading.Lock()
        self.placed: list[str] = []
        """The ids of the orders, the first one first."""
        for sku in GOODS:
            stock = ReceiveStock(warehouse_id=WAREHOUSE, sku=sku, quantity=_PIECES)
            self._client.send(stock)

    def place(self, count: int = 1) -> list[str]:
        """Place so many orders at once and return their ids."""
        with self._lock:
            numbers = range(len(self.placed) + 1, len(self.placed) + count + 1)
            orders = [_order(number) for number in numbers]
            self._client.write(orders)
            ids = [order.order_id for order in orders]
            self.placed += ids
        return ids

    @contextmanager
    def steady(self, rate: float) -> Iterator[None]:
        """Place so many orders a second, by the clock, as long as the block lasts."""
        is_over, failures = threading.Event(), list[BaseException]()
        thread = threading.Thread(target=self._keep_placing, args=(rate, is_over, failures), daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()
        for failure in failures:
            raise failure

    def _keep_placing(self, rate: float, is_over: threading.Event, failures: list[BaseException]) -> None:
        began, sent = time.monotonic(), 0
        try:
            while not is_over.wait(max(0.0, began + sent / rate - time.monotonic())):
                due = max(1, int((time.monotonic() - began) * rate) - sent)
                self.place(due)
                sent += due
        except Exception as failure:  # noqa: BLE001  raised again when the load ends
            failures.append(failure)


def _order(number: int) -> PlaceOrder:
    sku = GOODS[number % len(GOODS)]
    return PlaceOrder(
        order_id=f"order-{number:04}",
        customer_id=CUSTOMER,
        lines=(OrderLine(sku=sku, quantity=1, unit_price=PRICES[sku]),),
        currency=CURRENCY,
        payment_token="tok_approve",
        warehouse_id=WAREHOUSE,
    )
