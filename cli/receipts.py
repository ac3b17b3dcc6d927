"""What is said after a message about an order was written."""

from __future__ import annotations

from collections.abc import Mapping
from shlex import quote
from typing import Any

from ensemble.command_line import receipts
from ensemble.command_line.output_format import OutputFormat
from ensemble.command_line.streams import say
from ensemble.kafka import Receipt
from ensemble.program import command


def show_receipt(receipt: Receipt, fields: Mapping[str, Any], *, output: OutputFormat) -> None:
    """Show the place of a published message, and how to follow its order."""
    receipts.show_receipt(receipt, fields, output=output)
    if "order_id" in fields and not output.is_json:
        say(f"follow it: {command('orders watch')} {quote(fields['order_id'])}")
