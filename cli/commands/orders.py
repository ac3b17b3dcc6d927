"""`ensemble orders`: place, find, follow and cancel orders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cli.options import AsJson, AsJsonLines, OrderId, Timeout

if TYPE_CHECKING:
    from cli.publishing import Receipt
    from ensemble.kafka.outside import Access
    from ensemble.messages import Message

group = typer.Typer(help="Place, find, follow and cancel orders.")

Line = Annotated[
    list[str] | None,
    typer.Option("--line", metavar="SKU:QUANTITY[:PRICE]", help="What is ordered, price in minor units; repeatable."),
]
NewOrderId = Annotated[str | None, typer.Option("--order-id", help="Its id; a fresh one unless given.")]
Customer = Annotated[str, typer.Option("--customer", help="Who orders.")]
Currency = Annotated[str, typer.Option("--currency", help="Three capitals.")]
Token = Annotated[str, typer.Option("--payment-token", help="tok_approve, tok_declined, tok_late, tok_fail_once, ...")]
Warehouse = Annotated[str, typer.Option("--warehouse", help="Who fulfils it.")]
Speed = Annotated[Literal["standard", "express"], typer.Option("--speed", help="How fast it ships.")]
Watch = Annotated[bool, typer.Option("--watch", help="Follow it until it has ended.")]
Status = Annotated[list[str] | None, typer.Option("--status", help="Orders with this status only; repeatable.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="The latest so many.")]
Reason = Annotated[str, typer.Option("--reason", help="Why.")]

_STATUS_COLOURS = {"completed": "green", "cancelled": "yellow", "compensation_failed": "bold red", "fulfilled": "cyan"}


@group.command(epilog="Example: `ensemble orders place --line grinder:1:12900 --speed express --watch`.")
def place(
    line: Line = None,
    order_id: NewOrderId = None,
    customer: Customer = "customer-1",
    currency: Currency = "EUR",
    payment_token: Token = "tok_approve",  # noqa: S107  a test token
    warehouse: Warehouse = "main",
    speed: Speed = "standard",
    watch: Watch = False,
    timeout: Timeout = 60.0,
    as_json: AsJson = False,
) -> None:
    """Send PlaceOrder to the order service."""
    from cli.connection import reach
    from cli.examples import lines
    from cli.fields import make, parse_line
    from cli.publishing import fresh_order_id, publish
    from contracts import PlaceOrder

    fields = {
        "order_id": order_id or fresh_order_id(),
        "customer_id": customer,
        "lines": [parse_line(text) for text in line] if line else lines(),
        "currency": currency,
        "payment_token": payment_token,
        "warehouse_id": warehouse,
        "shipping_speed": speed,
    }
    command, access = make(PlaceOrder, fields), reach()
    receipt = publish(access, command)
    if watch:
        raise typer.Exit(_watch(access, receipt.key, timeout, as_json=as_json))
    _tell(receipt, command, as_json=as_json)


@group.command("list", epilog="Example: `ensemble orders list --status compensating`.")
def list_orders(status: Status = None, limit: Limit = 50, as_json: AsJson = False) -> None:
    """The orders that changed last, and where each stands."""
    from cli.connection import reach
    from cli.mistakes import Mistake
    from cli.orders import STATUSES, listed
    from cli.output import Sheet, show

    if unknown := [name for name in status or () if name not in STATUSES]:
        raise Mistake(f"--status {unknown[0]}: there is no such status; there are {', '.join(STATUSES)}")
    found = listed(reach(), status or (), limit)
    columns = ("order", "status", "step", "customer", "total", "speed", "changed", "waits_for", "reason")
    rows = [tuple(row[name] for name in columns) for row in found]
    nothing = "no orders; place one: ensemble orders place"
    spare = ("speed", "customer", "total", "changed", "step")
    show(Sheet(columns, rows, {"status": _STATUS_COLOURS}, spare, nothing), found, as_json=as_json)


@group.command(epilog="Example: `ensemble orders show order-1`.")
def show(order_id: OrderId, as_json: AsJson = False) -> None:
    """One order's whole story from the topics, and what is expected next."""
    from cli.connection import reach
    from cli.orders import whole
    from cli.showing import show_whole

    show_whole(whole(reach(), order_id), as_json=as_json)


@group.command(epilog="Example: `ensemble orders watch order-1 --timeout 30`.")
def watch(order_id: OrderId, timeout: Timeout = 60.0, as_json: AsJsonLines = False) -> None:
    """One order's story as it happens, until it has ended. Exit code 1 when it has not in time."""
    from cli.connection import reach

    raise typer.Exit(_watch(reach(), order_id, timeout, as_json=as_json))


@group.command(epilog="Example: `ensemble orders cancel order-1 --reason 'changed my mind'`.")
def cancel(
    order_id: OrderId,
    reason: Reason = "cancelled by hand",
    watch: Watch = False,
    timeout: Timeout = 60.0,
    as_json: AsJson = False,
) -> None:
    """Ask the orchestrator to undo an order that has not ended."""
    from cli.cancelling import request
    from cli.connection import reach
    from cli.fields import make
    from contracts import RequestCancellation

    command = make(RequestCancellation, {"order_id": order_id, "reason": reason})
    access = reach()
    receipt = request(access, order_id, command)
    if watch:
        raise typer.Exit(_watch(access, order_id, timeout, as_json=as_json))
    _tell(receipt, command, as_json=as_json)


def _watch(access: Access, order_id: str, timeout: float, *, as_json: bool) -> int:
    from cli.showing import watch as follow

    return follow(access, order_id, timeout, as_json=as_json)


def _tell(receipt: Receipt, message: Message, *, as_json: bool) -> None:
    from cli.receipts import tell

    fields: dict[str, Any] = message.model_dump()
    tell(receipt, fields, as_json=as_json)
