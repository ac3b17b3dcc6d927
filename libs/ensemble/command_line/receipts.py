"""What is shown after a message was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ensemble.command_line.output import show_json
from ensemble.command_line.streams import write
from ensemble.kafka import Receipt


def show_receipt(receipt: Receipt, fields: Mapping[str, Any], *, as_json: bool) -> None:
    """Show the place of a published message."""
    if as_json:
        show_json({**asdict(receipt), "fields": fields})
        return
    place = f"{receipt.topic}/{receipt.partition}/{receipt.offset}"
    write(f"{receipt.type} {receipt.key} is at {place}, id {receipt.message_id}")
