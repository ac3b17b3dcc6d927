"""`ensemble stock`: goods in, what is there, and every fact behind it."""

from __future__ import annotations

from typing import Annotated

import typer

from ensemble.command_line.options import NoCache, Output
from ensemble.command_line.output_format import TABLE

group = typer.Typer(help="Receive goods, show stock and audit its ledger.")

Sku = Annotated[str, typer.Argument(metavar="SKU", help="Stock keeping unit.")]
Quantity = Annotated[int, typer.Argument(metavar="QUANTITY", help="Number of pieces.")]
Warehouse = Annotated[str, typer.Option("--warehouse", help="Warehouse id.")]
OneWarehouse = Annotated[str | None, typer.Option("--warehouse", help="Only this warehouse.")]
OneSku = Annotated[str | None, typer.Option("--sku", help="Only this sku.")]


@group.command(epilog="Example: `ensemble stock receive grinder 20`.")
def receive(sku: Sku, quantity: Quantity, warehouse: Warehouse = "main", output: Output = TABLE) -> None:
    """Report received goods to inventory (ReceiveStock)."""
    from cli.receipts import show_receipt
    from contracts import ReceiveStock
    from ensemble.command_line.connection import connect
    from ensemble.command_line.fields import make
    from ensemble.command_line.publishing import publish
    from ensemble.program import command

    fields = {"warehouse_id": warehouse, "sku": sku, "quantity": quantity}
    message = make(ReceiveStock, fields, f"see `{command('stock receive --help')}`")
    show_receipt(publish(connect(), message), message.model_dump(), output=output)


@group.command(epilog="Example: `ensemble stock show --warehouse main`.")
def show(warehouse: OneWarehouse = None, sku: OneSku = None, no_cache: NoCache = False, output: Output = TABLE) -> None:
    """Show the stock of each warehouse and sku, folded from the ledger."""
    from cli.stock import StockFilter, levels
    from ensemble.command_line.connection import connect
    from ensemble.command_line.output import Sheet
    from ensemble.command_line.output import show as show_sheet
    from ensemble.program import command

    rows_by_sku = levels(connect(), StockFilter(warehouse, sku), use_file=not no_cache)
    columns = ("warehouse", "sku", "received", "on_hand", "reserved", "dispatched")
    rows = [tuple(row[name] for name in columns) for row in rows_by_sku]
    nothing = f"no stock {_of(warehouse, sku)}has been received; receive some: {command('stock receive grinder 20')}"
    show_sheet(Sheet(columns, rows, nothing=nothing), rows_by_sku, output=output)


@group.command(epilog="Example: `ensemble stock audit --sku grinder`.")
def audit(warehouse: OneWarehouse = None, sku: OneSku = None, output: Output = TABLE) -> None:
    """List every fact of the ledger and the stock after it. Exits 1 if the ledger does not add up."""
    from cli.stock import StockFilter
    from cli.stock import audit as read_ledger
    from ensemble.command_line.connection import connect
    from ensemble.command_line.output import Sheet, show

    facts = read_ledger(connect(), StockFilter(warehouse, sku))
    moved = ("time", "warehouse", "sequence", "fact", "sku", "quantity", "order")
    columns = (*moved, "on_hand", "reserved", "dispatched", "wrong")
    rows = [tuple(row[name] for name in columns) for row in facts]
    spare = ("warehouse", "dispatched", "reserved", "sequence", "time")
    show(
        Sheet(columns, rows, spare=spare, nothing=f"the ledger has no fact {_of(warehouse, sku)}".rstrip()),
        facts,
        output=output,
    )
    if any(row["wrong"] for row in facts):
        raise typer.Exit(1)


def _of(warehouse: str | None, sku: str | None) -> str:
    """Return what was asked for, as a part of a sentence; empty if it was everything."""
    return (f"of {sku} " if sku else "") + (f"in warehouse {warehouse} " if warehouse else "")
