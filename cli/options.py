"""Flags that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
AsJsonLines = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]
Timeout = Annotated[float, typer.Option("--timeout", min=0.1, max=86_400, help="Give up after so many seconds.")]
OrderId = Annotated[str, typer.Argument(metavar="ORDER_ID", help="The order.")]
