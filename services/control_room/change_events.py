"""Makes events for browsers of what has changed in the view."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Final

from backoffice.orders import Orders, OrderSummary
from ensemble.operations import Traffic, now
from ensemble.operations.view import Change, View
from services.control_room.live_events import LiveEvent, reset_event

_MANY: Final = 2_000
"""More changes at once are no news but another view: browsers read anew."""
_RECENT_S: Final = 10
_ORDERS: Final = "orders"
_TRAFFIC: Final = "traffic"


class ChangeEvents:
    """Turns changes into events: `order` with the whole row, `traffic` with what went since, `change` for the rest.

    Who shows many orders is told by one `change`, however many of them have changed.
    """

    def __init__(self, view: View) -> None:
        self._orders, self._traffic = Orders(view), Traffic(view)
        self._counted: dict[tuple[int, str, str, str], int] = {}

    def events_of(self, changes: Sequence[Change]) -> list[LiveEvent]:
        """Return the events of these changes, several of one row as one."""
        distinct = list(dict.fromkeys(changes))
        if len(distinct) > _MANY:
            return [reset_event(len(distinct), "very much has changed at once")]
        return [*self._order_events(distinct), *self._traffic_events(distinct), *_other_events(distinct)]

    def _order_events(self, changes: Sequence[Change]) -> Iterator[LiveEvent]:
        if ids := [change.key for change in changes if change.projection == _ORDERS]:
            yield from map(order_event, self._orders.find(ids))
            yield _change_event(Change(_ORDERS, ""))

    def _traffic_events(self, changes: Sequence[Change]) -> Iterator[LiveEvent]:
        if not any(change.projection == _TRAFFIC for change in changes):
            return
        counted = self._traffic.latest(now() // 1000 - _RECENT_S)
        edges: dict[tuple[str, str, str], int] = {}
        for place, count in counted.items():
            if fresh := count - self._counted.get(place, 0):
                edges[place[1:]] = edges.get(place[1:], 0) + fresh
        self._counted = counted
        if edges:
            rows = [{"sender": s, "type": t, "topic": topic, "messages": n} for (s, t, topic), n in edges.items()]
            yield LiveEvent("traffic", "", json.dumps(rows))


def order_event(order: OrderSummary) -> LiveEvent:
    """Return the event of an order's present state."""
    return LiveEvent("order", order.order_id, order.model_dump_json())


def _other_events(changes: Sequence[Change]) -> Iterator[LiveEvent]:
    for change in changes:
        if change.projection not in {_ORDERS, _TRAFFIC}:
            yield _change_event(change)


def _change_event(change: Change) -> LiveEvent:
    return LiveEvent("change", change.key, json.dumps({"projection": change.projection, "key": change.key}))
