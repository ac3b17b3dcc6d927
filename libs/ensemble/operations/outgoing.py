"""Messages that operators write to the runtime."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ensemble.messages import Envelope, Message, type_headers

if TYPE_CHECKING:
    from ensemble.messages import Headers


def headers_of(message: Message, message_id: str, via: str) -> Headers:
    """Return the headers of a message of the runtime's own, without a cause: it begins a trace.

    `via` is the program that operators use.
    """
    return [*type_headers(type(message), f"/{via}".encode()), *Envelope(message_id).headers_at(now())]


def now() -> int:
    """Return the time in epoch milliseconds."""
    return time.time_ns() // 1_000_000
