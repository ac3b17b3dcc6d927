"""`ensemble orders`: place, find, follow, steer and cancel orders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cli.commands import order_actions
from cli.commands.order_actions import Doing, Orders, Preview, Where
from cli.options import OrderId
from ensemble.command_line.flags import expand_flags
from ensemble.command_line.options import AsJson, AsJsonLines, By, NoCache, Timeout, Yes

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
Watch = Annotated[bool, typer.Option("--watch", help="Follow the order until it ends.")]
Status = Annotated[list[str] | None, typer.Option("--status", help="Only orders with this status; repeatable.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="Show at most N, newest first.")]
Owed = Annotated[bool, typer.Option("--owed", help="Only orders with an unsettled refund, reservation or shipment.")]
Paused = Annotated[bool, typer.Option("--paused", help="Only paused orders.")]
Overdue = Annotated[bool, typer.Option("--overdue", help="Only orders whose deadline has passed.")]
CountBy = Annotated[Literal["status", "step", "paused_by", "owed"], typer.Option("--by", help="What to count by.")]
Full = Annotated[bool, typer.Option("--full", help="Read all of the topics, not only the order's lifetime.")]
Reason = Annotated[str, typer.Option("--reason", help="Reason for the audit trail.")]

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
        raise typer.Exit(_watch_new(access, order_id, command, timeout, as_json=as_json))
    _tell(publish(access, command), command, as_json=as_json)


@group.command("list", epilog="Examples: `ensemble orders list --status compensating`; `ensemble orders list --owed`.")
def list_orders(
    status: Status = None,
    owed: Owed = False,
    paused: Paused = False,
    overdue: Overdue = False,
    where: Where = None,
    limit: Limit = 50,
    no_cache: NoCache = False,
    as_json: AsJson = False,
) -> None:
    """List orders, most recently changed first. --owed shows their debts, --paused the reasons."""
    from cli.order_filter import parse_conditions, texts_of
    from cli.orders import list_orders
    from ensemble.command_line.connection import connect
    from ensemble.command_line.output import Sheet, show
    from ensemble.command_line.streams import advise
    from ensemble.program import command

    texts = [*texts_of(status or (), owed=owed, paused=paused, overdue=overdue), *(where or ())]
    order_filter = parse_conditions(texts)
    orders = list_orders(connect(), order_filter, limit, use_file=not no_cache)
    columns = ("order", "status", "step", "customer", "total", "speed", "changed", "waits_for", "reason", "owed")
    rows = [tuple(row[name] for name in columns) for row in orders]
    nothing = "no order matches" if texts else f"no orders; place one: {command('orders place')}"
    spare = ("speed", "customer", "total", "changed", "step", *(("waits_for",) if owed else ()))
    show(Sheet(columns, rows, {"status": _STATUS_COLOURS}, spare, nothing), orders, as_json=as_json)
    if orders:
        advise(*_advice(orders[0]["order"], owed=owed, paused=paused))


def _advice(order_id: str, *, owed: bool, paused: bool) -> list[tuple[str, str]]:
    """Return what to type next about one of the orders."""
    advice = [("all about one", f"orders show {order_id}")]
    if owed:
        advice += [
            ("ask the service again", f"dead-letters redrive --key {order_id} --reason '...'"),
            ("settled by hand", f"orders settle {order_id} --step STEP --reason '...'"),
        ]
    if paused:
        advice.append(("let it go on", f"orders resume {order_id} --reason '...'"))
    return advice


@group.command(epilog="Examples: `ensemble orders count`; `ensemble orders count --by step --where idle>1h`.")
def count(
    by: CountBy = "status",
    where: Where = None,
    no_cache: NoCache = False,
    as_json: AsJson = False,
) -> None:
    """Count orders by status, step, pause or debt."""
    from cli.order_filter import parse_conditions
    from cli.orders import count_orders
    from ensemble.command_line.connection import connect
    from ensemble.command_line.output import Sheet, show

    order_filter = parse_conditions(where or ())
    counts = count_orders(connect(), order_filter, by, use_file=not no_cache)
    rows = [(row[by] or "(none)", row["orders"]) for row in counts]
    show(Sheet((by, "orders"), rows, {"status": _STATUS_COLOURS}, nothing="no orders"), counts, as_json=as_json)


@group.command(epilog="Example: `ensemble orders show order-1`.")
def show(order_id: OrderId, full: Full = False, as_json: AsJson = False) -> None:
    """Show an order's history, why it does not go on, what to type then, and what is due."""
    from cli.order_outlook import read_outlook
    from cli.order_output import show_order
    from cli.orders import read_history
    from ensemble.command_line.connection import connect, session_on

    access = connect()
    history = read_history(access, order_id, is_complete=full)
    show_order(history, read_outlook(session_on(access), history), as_json=as_json)


@group.command(epilog="Example: `ensemble orders watch order-1 --timeout 30`.")
def watch(order_id: OrderId, timeout: Timeout = 60.0, as_json: AsJsonLines = False) -> None:
    """Follow an order live until it ends. Exits 1 on timeout."""
    from ensemble.command_line.connection import connect

    raise typer.Exit(_watch(connect(), order_id, timeout, as_json=as_json))


@group.command(epilog="Examples: `ensemble orders cancel order-1 --preview`; `ensemble orders cancel order-1`.")
@expand_flags
def cancel(
    orders: Orders,
    reason: Reason = "cancelled by hand",
    by: By = None,
    preview: Preview = False,
    yes: Yes = False,
    watch: Watch = False,
    timeout: Timeout = 60.0,
    as_json: AsJson = False,
) -> None:
    """Cancel orders that have not ended. The orchestrator undoes finished steps; --preview shows which."""
    from backoffice.order_actions import Cancel
    from cli.order_commands import act
    from ensemble.command_line.connection import connect

    target, access = orders.target(), connect()
    code = act(access, Cancel(), target, Doing(by, reason, yes, preview).manner(10, as_json=as_json))
    if watch and not preview and target.order_id is not None:
        code = _watch(access, target.order_id, timeout, as_json=as_json)
    raise typer.Exit(code)


def _watch(access: ClusterClient, order_id: str, timeout: float, *, as_json: bool) -> int:
    from cli.order_output import watch as follow

    return follow(access, order_id, timeout, as_json=as_json)


def _watch_new(access: ClusterClient, order_id: str, command: Message, timeout: float, *, as_json: bool) -> int:
    from cli.order_output import watch_new
    from ensemble.command_line.publishing import publish

    return watch_new(access, order_id, lambda: publish(access, command), timeout, as_json=as_json)


def _tell(receipt: Receipt, message: Message, *, as_json: bool) -> None:
    from cli.receipts import show_receipt

    fields: dict[str, Any] = message.model_dump()
    show_receipt(receipt, fields, as_json=as_json)


order_actions.add_to(group)  # after the commands above: the help lists commands in this order
