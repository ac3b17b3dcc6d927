"""Places orders: the same request once more, however long after, has no second effect."""

from __future__ import annotations

import threading
from hashlib import blake2b
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field

from contracts import PlaceOrder
from contracts.terms import Currency, CustomerId, Lines, OrderId, PaymentToken, ShippingSpeed, WarehouseId
from ensemble.escaping import refuse_controls
from ensemble.kafka import Client
from ensemble.operations import Position, Result, Session


class NewOrder(Result):
    """The terms of an order that is to be placed. Without an id it gets one."""

    model_config = ConfigDict(extra="forbid")
    order_id: OrderId | None = None
    customer_id: CustomerId
    lines: Lines
    currency: Currency
    payment_token: Annotated[PaymentToken, AfterValidator(refuse_controls)] = Field(repr=False)
    warehouse_id: WarehouseId
    shipping_speed: ShippingSpeed = "standard"


class AcceptedOrder(Result):
    """An order that Kafka has: the order service takes it from there."""

    order_id: str
    message_id: str
    position: Position


class OrderPlacement:
    """Writes PlaceOrder; any thread may use it. Its connection is opened with the first order."""

    def __init__(self, session: Session, via: str) -> None:
        """Take the program's name, which the messages carry."""
        self._session, self._via = session, via
        self._lock = threading.Lock()
        self._client: Client | None = None

    def place(self, order: NewOrder, identity: str) -> AcceptedOrder:
        """Place an order, and return when Kafka has it.

        `identity` tells this request from all others: ids are made of it, so a repeated one places no second order.
        Raises ClusterError if Kafka does not acknowledge in time; then it may or may not be placed, and is to be
        repeated with the same identity.
        """
        digest = blake2b(identity.encode(), digest_size=16).hexdigest()
        fields = {**dict(order), "order_id": order.order_id or f"order-{digest[:20]}"}
        receipt = self._open().send(PlaceOrder.model_validate(fields), message_id=digest)
        position = Position(topic=receipt.topic, partition=receipt.partition, offset=receipt.offset)
        return AcceptedOrder(order_id=receipt.key, message_id=receipt.message_id, position=position)

    def close(self) -> None:
        """Close the connection, if there is one."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _open(self) -> Client:
        with self._lock:
            if self._client is None:
                session = self._session
                catalogue, sources = session.application.catalogue, session.sources
                self._client = Client.over(session.client, catalogue, sources, name=self._via)
            return self._client
