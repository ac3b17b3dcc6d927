"""What became of orders and parked keys, as of now: read on from where the last look ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, Self

from cli.dead_letter_filter import DeadLetterFilter
from cli.dead_letters import list_dead_letters
from cli.order_states import OrderStates
from cli.parking_stores import LiveParkingStores, Parked

if TYPE_CHECKING:
    from ensemble.kafka.client import ClusterClient

_MOST: Final = 100_000


class Watch:
    """Use it in a `with`."""

    def __init__(self, access: ClusterClient, services: Iterable[str]) -> None:
        self._access, self._exit = access, ExitStack()
        self._orders = self._exit.enter_context(OrderStates(access))
        self._held = self._exit.enter_context(LiveParkingStores(access, services))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def standing(self) -> Counter[str]:
        """How many orders have which status; those that are paused count as `paused` instead."""
        self._orders.read_on()
        states = self._orders.now.values()
        return Counter("paused" if state.get("paused_since") is not None else state["status"] for state in states)

    def paused(self) -> list[str]:
        """The orders that are."""
        self._orders.read_on()
        return [name for name, state in self._orders.now.items() if state.get("paused_since") is not None]

    def order(self, order_id: str) -> Mapping[str, Any]:
        """The orchestrator's state of one; empty when it knows none."""
        self._orders.read_on()
        return self._orders.now.get(order_id, {})

    def parked(self, service: str) -> list[Parked]:
        """The keys that a service holds back."""
        self._held.read_on()
        return [parked for parked in self._held.parked() if parked.service == service]

    def letters(self) -> list[dict[str, Any]]:
        """The dead letters that nobody has settled, the latest first."""
        return list_dead_letters(self._access, DeadLetterFilter(open_only=True), _MOST)
