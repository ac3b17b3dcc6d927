"""`ensemble orders`: place, find, follow, steer and cancel orders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cli.commands import order_actions
from cli.commands.order_actions import Filters, Watch
from cli.options import OrderId
from ensemble.command_line.flags import expand_flags
from ensemble.command_line.options import Limit, NoCache, Output, Timeout
from ensemble.command_line.output_format import TABLE, OutputFormat

if TYPE_CHECKING:
    from ensemble.kafka import Receipt
    from ensemble.kafka.client import ClusterClient
    from ensemble.messages import Message

group = typer.Typer(help="Place, inspect and control orders.")

Line = Annotated[
    list[str] | None,
    typer.Option("--line", metavar="SKU:QUANTITY[:PRICE]", help="Order line, price in minor units; repeatable."),
]
NewOrderId = Annotated[str | None, typer.Option("--order-id", help="Id of the order (default: a new random one).")]
Customer = Annotated[str, typer.Option("--customer", help="Customer id.")]
Currency = Annotated[str, typer.Option("--currency", help="ISO 4217 code.")]
Token = Annotated[str, typer.Option("--payment-token", help="tok_approve, tok_declined, tok_late, tok_fail_once, ...")]
Warehouse = Annotated[str, typer.Option("--warehouse", help="Warehouse id.")]
Speed = Annotated[Literal["standard", "express"], typer.Option("--speed", help="Shipping speed.")]
CountBy = Annotated[Literal["status", "step", "paused_by", "owed"], typer.Option("--by", help="What to count by.")]
Full = Annotated[bool, typer.Option("--full", help="Read all of the topics, not only the order's lifetime.")]

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
    output: Output = TABLE,
) -> None:
    """Place an order (PlaceOrder to the order service)."""
    from cli.examples import fresh_order_id, lines
    from cli.fields import parse_line
    from contracts import PlaceOrder
    from ensemble.command_line.connection import connect
    from ensemble.command_line.fields import make
    from ensemble.command_line.publishing import publish
    from ensemble.program import command as command_to

    order_id = fresh_order_id() if order_id is None else order_id
    fields = {
        "order_id": order_id,
        "customer_id": customer,
        "lines": [parse_line(text) for text in line] if line else lines(),
        "currency": currency,
        "payment_token": payment_token,
        "warehouse_id": warehouse,
        "shipping_speed": speed,
    }
    command = make(PlaceOrder, fields, f"see `{command_to('orders place --help')}`")
    access = connect()
    if watch:
        raise typer.Exit(_watch_new(access, order_id, command, timeout, output=output))
    _tell(publish(access, command), command, output=output)


@group.command("list", epilog="Examples: `ensemble orders list --status compensating`; `ensemble orders list --owed`.")
@expand_flags
def list_orders(
    filters: Filters,
    limit: Limit = 50,
    no_cache: NoCache = False,
    output: Output = TABLE,
) -> None:
    """List orders, most recently changed first.

    --owed shows their debts, --paused the reasons.
    """
    from cli.orders import list_orders
    from ensemble.command_line.connection import connect
    from ensemble.command_line.output import Sheet, show
    from ensemble.command_line.streams import advise, is_terminal
    from ensemble.program import command

    order_filter, owed = filters.order_filter(), filters.owed
    orders = list_orders(connect(), order_filter, limit, use_file=not no_cache)
    shared = ("order", "status", "step", "customer", "total", "speed", "changed")
    columns = [*shared, "waits_for", "reason", "owed"]
    rows = [tuple(row[name] for name in columns) for row in orders]
    if is_terminal():  # where there is little room: an order waits, or has ended for a reason
        columns = [*shared, "detail", "owed"]
        rows = [(*row[:-3], row[-3] or row[-2], row[-1]) for row in rows]
    nothing = "no order matches" if order_filter.conditions else f"no orders; place one: {command('orders place')}"
    spare = ("speed", "customer", "total", "changed", "step", *(("detail",) if owed else ()))
    show(Sheet(columns, rows, {"status": _STATUS_COLOURS}, spare, nothing), orders, output=output)
    if orders:
        advise(*_advice(orders[0]["order"], owed=owed, paused=filters.paused))


def _advice(order_id: str, *, owed: bool, paused: bool) -> list[tuple[str, str]]:
    """Return what to type next about one of the orders."""
    advice = [("all about one", f"orders show {order_id}")]
    if owed:
        advice += [
            ("ask the service again", f"dead-letters redrive --key {order_id} --reason '...'"),
            ("settled by hand", f"orders settle {order_id} --reason '...'"),
        ]
    if paused:
        advice.append(("let it go on", f"orders resume {order_id} --reason '...'"))
    return advice


@group.command(epilog="Examples: `ensemble orders count`; `ensemble orders count --by step --where idle>1h`.")
@expand_flags
def count(
    filters: Filters,
    by: CountBy = "status",
    no_cache: NoCache = False,
    output: Output = TABLE,
) -> None:
    """Count orders by status, step, pause or debt."""
    from cli.orders import count_orders
    from ensemble.command_line.connection import connect
    from ensemble.command_line.output import Sheet, show

    counts = count_orders(connect(), filters.order_filter(), by, use_file=not no_cache)
    rows = [(row[by] or "(none)", row["orders"]) for row in counts]
    show(Sheet((by, "orders"), rows, {"status": _STATUS_COLOURS}, nothing="no orders"), counts, output=output)


@group.command(epilog="Example: `ensemble orders show order-1`.")
def show(order_id: OrderId, full: Full = False, output: Output = TABLE) -> None:
    """Show an order: history, what holds it back, what is due."""
    from cli.order_outlook import read_outlook
    from cli.order_output import show_order
    from cli.orders import read_history
    from ensemble.command_line.connection import connect, session_on

    access = connect()
    history = read_history(access, order_id, is_complete=full)
    show_order(history, read_outlook(session_on(access), history), output=output)


@group.command(epilog="Example: `ensemble orders watch order-1 --timeout 30`.")
def watch(order_id: OrderId, timeout: Timeout = 60.0, output: Output = TABLE) -> None:
    """Follow an order live until it ends. Exits 1 on timeout."""
    from ensemble.command_line.connection import connect

    raise typer.Exit(_watch(connect(), order_id, timeout, output=output))


def _watch(access: ClusterClient, order_id: str, timeout: float, *, output: OutputFormat) -> int:
    from cli.order_output import watch as follow

    return follow(access, order_id, timeout, output=output)


def _watch_new(access: ClusterClient, order_id: str, command: Message, timeout: float, *, output: OutputFormat) -> int:
    from cli.order_output import watch_new
    from ensemble.command_line.publishing import publish

    return watch_new(access, order_id, lambda: publish(access, command), timeout, output=output)


def _tell(receipt: Receipt, message: Message, *, output: OutputFormat) -> None:
    from cli.receipts import show_receipt

    fields: dict[str, Any] = message.model_dump()
    show_receipt(receipt, fields, output=output)


order_actions.add_to(group)  # after the commands above: the help lists commands in this order
