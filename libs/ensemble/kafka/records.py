"""Records whose header names are no UTF-8: the client fails at the first look, and at a second one with the process."""

from __future__ import annotations

from operator import methodcaller
from typing import Any, Final

from confluent_kafka import Message

_headers_of: Final = methodcaller("headers")
"""Python itself does not look for the client's error when it has called a method often; this always does."""


class WithoutHeaders:
    """A record, but for headers that nobody can read."""

    def __init__(self, record: Message) -> None:
        self._record = record

    def headers(self) -> list[Any]:
        """None; they cannot be dead-lettered either."""
        return []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._record, name)


def readable(record: Message) -> Any:
    """The record itself, unless its headers would do harm. The client keeps what it has read: to look costs little."""
    try:
        _headers_of(record)
    except (SystemError, UnicodeError):
        return WithoutHeaders(record)
    return record
