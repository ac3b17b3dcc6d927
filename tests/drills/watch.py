"""What became of orders and parked keys, as of now: read on from where the last look ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, Self

from cli.order_states import OrderStates
from ensemble.command_line.connection import session_on
from ensemble.operations import DeadLetterFilter, LiveParkingStores, Parked, list_dead_letters

if TYPE_CHECKING:
    from ensemble.kafka.client import ClusterClient

_MOST: Final = 100_000


class Watch:
    """What became of orders and parked keys, for as long as a `with` lasts."""

    def __init__(self, access: ClusterClient, services: Iterable[str]) -> None:
        self._access, self._exit = access, ExitStack()
        self._orders = self._exit.enter_context(OrderStates(access))
        self._parking = self._exit.enter_context(LiveParkingStores(session_on(access), services))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def paused(self) -> list[str]:
        """Return the orders that are paused."""
        self._orders.read_on()
        return [name for name, state in self._orders.now.items() if state.get("paused_since") is not None]

    def order(self, order_id: str) -> Mapping[str, Any]:
        """Return the orchestrator's state of an order, empty when it has none."""
        self._orders.read_on()
        return self._orders.now.get(order_id, {})

    def parked(self, service: str) -> list[Parked]:
        """Return the keys that a service holds back."""
        self._parking.read_on()
        return [parked for parked in self._parking.parked() if parked.service == service]

    def letters(self) -> list[dict[str, Any]]:
        """Return the open dead letters, the latest first."""
        return list_dead_letters(session_on(self._access), DeadLetterFilter(open_only=True), _MOST)
