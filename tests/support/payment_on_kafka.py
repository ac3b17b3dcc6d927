"""The payment service in a thread, with a provider that does what a test tells it, and a command line beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from structlog.testing import capture_logs

from ensemble import TerminalError
from ensemble.kafka.client.access import ClusterClient
from ensemble.testing.on_kafka import ServiceThread, wait_for
from services.orchestrator.service import orchestrator
from services.payment.ports import Captured, ChargeRequest, Declined, Refunded, RefundRequest
from services.payment.service import payment_service
from tests.support.command_line import CommandLine
from tests.support.order_messages import order_placed, process_payment


@dataclass
class StubProvider:
    """Refuses for good what `refuses` holds, declines tok_declined, and captures everything else."""

    refuses: set[str] = field(default_factory=set)
    charged: list[str] = field(default_factory=list)
    captured: dict[str, int] = field(default_factory=dict)

    async def charge(self, request: ChargeRequest) -> Captured | Declined:
        if request.payment_token == "tok_declined":
            return Declined("no money")
        if request.order_id in self.refuses:
            raise TerminalError(f"the vault is locked for {request.key}")
        self.charged.append(request.order_id)
        self.captured[request.key] = request.amount
        return Captured(f"ch_{request.order_id}", request.amount)

    async def refund(self, request: RefundRequest) -> Refunded:
        return Refunded(self.captured.pop(request.charge_key, 0))


@dataclass(frozen=True)
class PaymentOnKafka:
    ensemble: CommandLine
    access: ClusterClient
    provider: StubProvider
    bootstrap: str

    @contextmanager
    def running(self) -> Iterator[None]:
        """Its log lines would mix with what commands print."""
        with capture_logs(), ServiceThread(payment_service(self.provider), self.bootstrap):
            yield

    @contextmanager
    def with_orchestrator(self) -> Iterator[None]:
        """Run payment and the orchestrator."""
        with self.running(), ServiceThread(orchestrator(), self.bootstrap):
            yield

    def place(self, *orders: str, card: str = "tok_approve") -> None:
        """As if these orders had been placed."""
        from ensemble.command_line.publishing import publish

        for order_id in orders:
            publish(self.access, order_placed(order_id=order_id, payment_token=card))

    def order(self, order_id: str) -> dict[str, Any]:
        """Return the order's row, or nothing."""
        rows = self.ensemble("orders", "list", "--where", f"order={order_id}", "--json").document
        return dict(rows[0]) if rows else {}

    def refuse(self, *orders: str) -> None:
        """Have these orders' charges given up."""
        self.provider.refuses |= set(orders)
        for order_id in orders:
            self.pay(order_id)
        wait_for(lambda: all(self.letters(order_id) for order_id in orders), "the dead letters")

    def pay(self, order_id: str) -> None:
        from ensemble.command_line.publishing import publish

        publish(self.access, process_payment(order_id=order_id))

    def letters(self, order_id: str, *more: str) -> list[dict[str, Any]]:
        """Return the order's dead letters that are still open."""
        ran = self.ensemble("dead-letters", "list", "--service", "payment", "--key", order_id, "--json", *more)
        letters: list[dict[str, Any]] = ran.document
        return letters

    def messages(self, order_id: str) -> list[str]:
        """Return the types of all messages of the order."""
        ran = self.ensemble("tail", "--from-beginning", "--until-end", "--order", order_id, "--json")
        return [line["type"] for line in ran.lines]
