"""The five services in memory, with stock on the shelves, and the independent check over what they wrote."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from contracts import OrderState, ReceiveStock
from ensemble import SagaPolicies, Service
from ensemble.testing import FlowTestDriver
from services.inventory.service import inventory_service
from services.orchestrator.policies import DEFAULT_POLICIES
from services.orchestrator.service import orchestrator
from services.order.service import order_service
from services.payment.ports import Captured, ChargeRequest, Refunded, RefundRequest
from services.payment.service import payment_service
from services.payment.testing import InMemoryPaymentGateway
from services.shipping.service import shipping_service
from tests.chaos.audit import audited
from verifier import Options, Report
from verifier.facts import Booking, Place
from verifier.source import Take


def services(gateway: InMemoryPaymentGateway, policies: SagaPolicies = DEFAULT_POLICIES) -> list[Service]:
    """Declare all services of the flow, with `gateway` as the payment provider."""
    return [order_service(), payment_service(gateway), inventory_service(), shipping_service(), orchestrator(policies)]


class OrderFlow(FlowTestDriver):
    """The order flow, with its provider at hand."""

    def __init__(self, *, stock: Mapping[str, int], warehouse: str = "w-1", **options: Any) -> None:
        self.gateway = InMemoryPaymentGateway()
        super().__init__(services(self.gateway), **options)
        for sku, quantity in stock.items():
            if quantity:
                self.publish(ReceiveStock(warehouse_id=warehouse, sku=sku, quantity=quantity))

    def status(self, order_id: str = "o-1") -> str:
        """Return the order's status, or `unknown`."""
        state = self.state(OrderState, order_id)
        return "unknown" if state is None else state.status

    def verify(self, expect_orders: int | None = None) -> Report:
        """Have the independent check and the audit judge the topics and the provider's ledger."""
        return audited(TopicsToCheck(self), self._bookings, Options(expect_orders=expect_orders))

    def _bookings(self) -> tuple[Booking, ...]:
        return tuple(_booking(request, outcome) for request, outcome in self.gateway.bookings)


def _booking(request: ChargeRequest | RefundRequest, outcome: Any) -> Booking:
    if isinstance(request, RefundRequest):
        assert isinstance(outcome, Refunded)
        given = outcome.amount, None, "refunded", f"re_{request.key}", request.charge_key
        return Booking("refund", request.key, request.order_id, *given)
    status, charge_id = ("captured", outcome.charge_id) if isinstance(outcome, Captured) else ("declined", "")
    return Booking("charge", request.key, request.order_id, request.amount, request.currency, status, charge_id, None)


class TopicsToCheck:
    """Topics in memory as a source of the independent check: nothing is open, and nothing was deleted."""

    def __init__(self, flow: FlowTestDriver) -> None:
        self._flow, self._topics = flow, flow.topics

    def now(self) -> int:
        return self._flow.clock.now()

    def partitions(self) -> Mapping[str, int]:
        return self._topics.partitions

    def committed(self, groups: Iterable[str]) -> Mapping[str, Mapping[Place, int]]:
        return {group: self._topics.offsets.get(group, {}) for group in groups}

    def ends(self, places: Iterable[Place]) -> Mapping[Place, int]:
        return {place: self._topics.end(place) for place in places}

    committed_ends = ends

    def firsts(self, places: Iterable[Place]) -> Mapping[Place, int]:
        return dict.fromkeys(places, 0)

    def offsets_at(self, places: Iterable[Place], at: int) -> Mapping[Place, int]:
        return dict.fromkeys(places, 0)

    def read(self, firsts: Mapping[Place, int], ends: Mapping[Place, int], take: Take) -> None:
        for place in ends:
            for _, record in self._topics.read(place, firsts[place]):
                take(record)
