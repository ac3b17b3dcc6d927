"""A consumed record, as everybody but the client sees it."""

from __future__ import annotations

from typing import Any, Protocol

Headers = list[tuple[str, Any]]
Place = tuple[str, int, int]
"""Topic, partition and offset that a record was consumed from."""


class Record(Protocol):
    """A consumed record; confluent_kafka's Message has this shape."""

    def topic(self) -> str | None: ...
    def partition(self) -> int | None: ...
    def offset(self) -> int | None: ...
    def key(self) -> Any: ...
    def value(self) -> Any: ...
    def headers(self) -> Any: ...
