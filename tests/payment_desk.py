"""The payment service in a thread, with a provider that does what a test tells it, and a command line beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from structlog.testing import capture_logs

from ensemble import TerminalError
from ensemble.kafka.outside import Access
from services.payment.ports import Captured, ChargeRequest, Refunded, RefundRequest
from services.payment.service import payment_service
from tests.command_line import CommandLine
from tests.order_messages import process_payment
from tests.workshop.on_kafka import ServiceThread, wait_for


@dataclass
class Provider:
    """Refuses for good what `refuses` holds, and captures everything else."""

    refuses: set[str] = field(default_factory=set)
    charged: list[str] = field(default_factory=list)

    async def charge(self, request: ChargeRequest) -> Captured:
        if request.order_id in self.refuses:
            raise TerminalError(f"the vault is locked for {request.key}")
        self.charged.append(request.order_id)
        return Captured(f"ch_{request.order_id}", request.amount)

    async def refund(self, request: RefundRequest) -> Refunded:
        return Refunded(0)


@dataclass(frozen=True)
class Desk:
    ensemble: CommandLine
    access: Access
    provider: Provider
    bootstrap: str

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Its log lines would mix with what commands print."""
        with capture_logs(), ServiceThread(payment_service(self.provider), self.bootstrap):
            yield

    def refuse(self, *orders: str) -> None:
        """Have these orders' charges given up."""
        self.provider.refuses |= set(orders)
        for order_id in orders:
            self.pay(order_id)
        wait_for(lambda: all(self.letters(order_id) for order_id in orders), "the dead letters")

    def pay(self, order_id: str) -> None:
        from cli.publishing import publish

        publish(self.access, process_payment(order_id=order_id))

    def letters(self, order_id: str, *more: str) -> list[dict[str, Any]]:
        """The order's dead letters that are still open."""
        ran = self.ensemble("dead-letters", "list", "--service", "payment", "--key", order_id, "--json", *more)
        found: list[dict[str, Any]] = ran.document
        return found

    def messages(self, order_id: str) -> list[str]:
        """The types of all messages of the order."""
        ran = self.ensemble("tail", "--from-beginning", "--until-end", "--order", order_id, "--json")
        return [line["type"] for line in ran.lines]
