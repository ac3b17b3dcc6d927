"""A request to cancel an order, where there is still something to cancel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backoffice import ENDED
from cli.orders import state_of
from ensemble.command_line.errors import Mistake
from ensemble.command_line.publishing import publish
from ensemble.kafka import Receipt
from ensemble.program import command

if TYPE_CHECKING:
    from ensemble.kafka.client import ClusterClient
    from ensemble.messages import Message


def request_cancellation(access: ClusterClient, order_id: str, cancellation: Message) -> Receipt:
    """Send the cancellation. Raises Mistake if the order is unknown or has ended."""
    state = state_of(access, order_id)
    if not state:
        raise Mistake(f"ORDER_ID: no order {order_id!r}; see `{command('orders list')}`")
    if state["status"] in ENDED:
        raise Mistake(f"ORDER_ID: {order_id} cannot be cancelled: it is already {state['status']}")
    return publish(access, cancellation)
