"""What is shown after a message was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ensemble.command_line.output import show_json
from ensemble.command_line.output_format import OutputFormat
from ensemble.command_line.streams import write
from ensemble.kafka import Receipt


def show_receipt(receipt: Receipt, fields: Mapping[str, Any], *, output: OutputFormat) -> None:
    """Show the place of a published message."""
    if output.is_json:
        show_json({**asdict(receipt), "fields": fields}, output)
        return
    place = f"{receipt.topic}/{receipt.partition}/{receipt.offset}"
    write(f"{receipt.type} {receipt.key} is at {place}, id {receipt.message_id}")
