"""The record layer: everything one record's handlers stage, thrown away as a whole when they fail.

A layer is sealed (state encoded, so that nothing can fail later) and then folded into its partition's batch.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from hashlib import blake2b
from typing import Any, Protocol

from ensemble.errors import OutOfScope, OversizedOutput
from ensemble.messages.message import Message
from ensemble.messages.records import Headers
from ensemble.service.catalogue import MAX_RECORD_BYTES

Output = tuple[str, bytes | None, bytes | None, Headers, int]
"""Topic, value, key, headers, partition (-1: by the key)."""
current_layer: ContextVar[RecordLayer | None] = ContextVar("current_layer", default=None)
"""The layer at work, for log lines."""


class Staging(Protocol):
    """What a store lends to a layer: a place for uncommitted writes."""

    def seal(self) -> None: ...
    def fold(self) -> None: ...
    def drop(self) -> None: ...


class OutputRoute:
    """Where one type of message goes: found once, used for every message."""

    __slots__ = ("encode", "headers", "key_of", "topic")

    def __init__(
        self, topic: str, key_of: Callable[[Message], str], encode: Callable[[Message], bytes], headers: Headers
    ) -> None:
        self.topic, self.key_of, self.encode, self.headers = topic, key_of, encode, headers


class RecordLayer:
    """Effects of one record. `begin` sets it up for a record; `seal` then `fold`, or `drop`, ends it."""

    __slots__ = (
        "correlation_id",
        "input_id",
        "key",
        "offset",
        "ordinal",
        "outputs",
        "partition",
        "ports",
        "seed",
        "staged",
        "time",
        "topic",
        "trace",
    )

    def __init__(self) -> None:
        self.outputs: list[Output] = []
        self.staged: list[Staging] = []
        self.ports: dict[int, Any] = {}
        self.seed = ""
        self.place("", -1, -1)
        self.begin(b"", "", "", "", "")

    def begin(  # noqa: PLR0917  one call a record; a value object would be made only to be taken apart
        self, key: bytes, input_id: str, correlation_id: str, trace: str, time: str
    ) -> None:
        """Start on the record with this identity; `time` is the batch's, as a header value."""
        self.key, self.input_id, self.correlation_id, self.trace, self.time = key, input_id, correlation_id, trace, time
        self.ordinal = 0

    def place(self, topic: str, partition: int, offset: int) -> None:
        """Where the record lies."""
        self.topic, self.partition, self.offset = topic, partition, offset

    def port(self, store: object, make: Callable[[], Any]) -> Any:
        """Return the layer's one port over `store`, so that all roles see each other's writes."""
        if id(store) not in self.ports:
            self.ports[id(store)] = make()
        return self.ports[id(store)]

    @property
    def message_id(self) -> str:
        return self.input_id

    def scoped(self, key: str) -> bytes:
        """`key` in bytes, when it is the record's own or below it; OutOfScope otherwise."""
        raw = key.encode()
        if raw != self.key and not raw.startswith(self.key + b"/"):
            raise OutOfScope(
                f"state of key {key!r} touched while handling key {self.key.decode(errors='replace')!r}: only "
                "that key, or keys below it, are this partition's"
            )
        return raw

    def stage(self, route: OutputRoute, message: Message) -> None:
        """Encode `message` and stage it.

        Its id is a hash of handler, input and ordinal, so a second run makes it again.
        """
        value = route.encode(message)
        if len(value) > MAX_RECORD_BYTES:
            raise OversizedOutput(f"{type(message).__name__} takes {len(value)} bytes, the limit is {MAX_RECORD_BYTES}")
        self.ordinal = ordinal = self.ordinal + 1
        message_id = blake2b(f"{self.seed}{ordinal}".encode(), digest_size=16).hexdigest()
        headers = [
            *route.headers,
            ("ce_id", message_id),
            ("ce_time", self.time),
            ("ce_correlationid", self.correlation_id),
            ("ce_causationid", self.input_id),
            ("traceparent", f"00-{self.trace}-{message_id[:16]}-01"),
        ]
        self.outputs.append((route.topic, value, route.key_of(message).encode(), headers, -1))

    def seal(self) -> None:
        """Encode what was written to state; raises here rather than at the commit."""
        for staging in self.staged:
            staging.seal()

    def fold(self, outputs: list[Output]) -> None:
        """Hand everything to the batch. Cannot fail after `seal`."""
        if self.outputs:
            outputs += self.outputs
            self.outputs.clear()
        for staging in self.staged:
            staging.fold()

    def drop(self) -> None:
        """Forget everything."""
        self.outputs.clear()
        for staging in self.staged:
            staging.drop()
        self.ordinal = 0
