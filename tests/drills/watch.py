"""What became of orders and parked keys, as of now: read on from where the last look ended."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, Self

from backoffice.order_filter import Condition, OrderFilter
from backoffice.order_runs import order_projections
from backoffice.orders import Orders, OrderSummary
from ensemble.command_line.connection import session_on
from ensemble.operations import DeadLetterFilter, DeadLetterSummary, Failures, LiveParkingStores, Parked, now
from ensemble.operations.view import View

if TYPE_CHECKING:
    from ensemble.kafka.client import ClusterClient

_MOST: Final = 100_000
_PAUSED: Final = OrderFilter((Condition("paused", "=", "true"),))


class Watch:
    """What became of orders and parked keys, for as long as a `with` lasts."""

    def __init__(self, access: ClusterClient, services: Iterable[str]) -> None:
        self._exit, session = ExitStack(), session_on(access)
        self._view = self._exit.enter_context(View(access, order_projections(session)))
        self._parking = self._exit.enter_context(LiveParkingStores(session, services))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def paused(self) -> list[str]:
        """Return the orders that are paused."""
        self._view.sync()
        return [order.order_id for order in Orders(self._view).matching(_PAUSED, now())]

    def order(self, order_id: str) -> OrderSummary | None:
        """Return an order as the orchestrator knows it, None when it does not."""
        self._view.sync()
        return Orders(self._view).of([order_id]).get(order_id)

    def parked(self, service: str) -> list[Parked]:
        """Return the keys that a service holds back."""
        self._parking.read_on()
        return [parked for parked in self._parking.parked() if parked.service == service]

    def letters(self) -> tuple[DeadLetterSummary, ...]:
        """Return the open dead letters, the latest first."""
        self._view.sync()
        return Failures(self._view).list(DeadLetterFilter(open_only=True), _MOST)
