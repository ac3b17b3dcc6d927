"""The record layer: everything one record's handlers stage, discarded as a whole when they fail.

What is staged is encoded at once, so that nothing can fail when the layer is merged into its partition's batch, but for
the check of an aggregate's entries, which comes before anything moves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from hashlib import blake2b
from operator import attrgetter
from typing import Any, Protocol

from ensemble.errors import OutOfScope, OversizedOutput, UndeclaredOutput, UnencodableMessage
from ensemble.messages.cloud_events import type_headers
from ensemble.messages.message import Event, Message
from ensemble.messages.records import (
    MAX_KEY_BYTES,
    ConsumedRecord,
    Headers,
    RecordPlace,
    bounded_id,
    place_name,
    trace_in,
)
from ensemble.messages.schema_set import SchemaSourceSelector
from ensemble.service.catalogue import MAX_RECORD_BYTES, Topic
from ensemble.service.codecs import codec_of

Output = tuple[str, bytes | None, bytes | None, Headers, int]
"""Topic, value, key, headers, partition (-1: by the key)."""
current_layer: ContextVar[RecordLayer | None] = ContextVar("current_layer", default=None)
"""The layer at work, for log lines."""


class StagedPort(Protocol):
    """A port over one store, with the writes of one record; it is on its layer's `staged` while it has some."""

    def merge(self) -> None:
        """Move the writes to the store's batch, which cannot fail."""

    def discard(self) -> None:
        """Forget the writes."""


class OutputRoute:
    """Where one type of message goes, and how it is encoded: looked up once, at start."""

    __slots__ = ("encode", "headers", "key_of", "topic")

    def __init__(
        self, topic: str, key_of: Callable[[Message], str], encode: Callable[[Message], bytes], headers: Headers
    ) -> None:
        self.topic, self.key_of, self.encode, self.headers = topic, key_of, encode, headers


def output_route(source: bytes, message: type[Message], topic: Topic, sources: SchemaSourceSelector) -> OutputRoute:
    """Return how `message` is written to `topic` by `source`, a service or an outsider."""
    codec = codec_of(topic, sources)
    headers = type_headers(message, source, codec.content_type)
    return OutputRoute(topic.name, attrgetter(topic.key), codec.encoder_for(message), headers)


class RecordLayer:
    """The effects of one record. `begin` sets it up for a record; `merge`, or `discard`, ends it.

    Also the `CurrentRecord` port. `seed` is set before each handler: a text that stands for the handler and the input,
    from which the ids of the handler's messages follow.
    """

    __slots__ = (
        "checks",
        "correlation_id",
        "key",
        "message_id",
        "offset",
        "ordinal",
        "origin",
        "outputs",
        "partition",
        "ports",
        "seed",
        "source",
        "staged",
        "time",
        "topic",
        "trace",
        "window_entry",
    )
    topic: str
    partition: int
    offset: int

    def __init__(self) -> None:
        self.outputs: list[Output] = []
        self.staged: list[StagedPort] = []
        self.checks: list[Callable[[], None]] = []
        """What may still fail the record when its handlers have returned."""
        self.ports: dict[int, Any] = {}
        self.seed = ""
        self.begin(b"", b"", "", correlation_id="", trace="", time="", place=("", -1, -1))

    def take_up(self, record: ConsumedRecord, time: str) -> bytes | None:
        """Set up the layer for a record: its ids, its place, and the batch's `time` as a header value.

        Returns what the record's header `ce_type` says.
        """
        if self.outputs or self.staged:
            self.discard()
        headers = dict(record.headers() or ())
        raw_id, correlation = headers.get("ce_id"), headers.get("ce_correlationid")
        self.key = key = record.key() or b""
        self.source = source = headers.get("ce_source") or b""
        self.message_id = message_id = bounded_id(raw_id) if raw_id else place_name(record)
        self.correlation_id = bounded_id(correlation) if correlation and correlation != raw_id else message_id
        self.origin = origin = f"{key!r}{source!r}{message_id}"  # as in `begin`: a call would cost each record
        self.trace = trace_in(headers) or _trace_of(origin)
        self.time, self.ordinal, self.window_entry = time, 0, b""
        # a consumed record has all three
        self.topic, self.partition, self.offset = record.topic(), record.partition(), record.offset()  # type: ignore[assignment]
        return headers.get("ce_type")

    def begin(  # noqa: PLR0913  the rest is keyword-only
        self,
        key: bytes,
        source: bytes,
        message_id: str,
        *,
        correlation_id: str,
        trace: str,
        time: str,
        place: RecordPlace,
    ) -> None:
        """Set up the layer for the input with this identity and place; `time` is the batch's, as a header value.

        The ids of outputs are derived from key, source and id: an id alone is unique within its source only.

        Whatever an earlier record has staged and not merged is forgotten: no record puts out another one's effects.
        """
        if self.outputs or self.staged:
            self.discard()
        self.key, self.source, self.message_id = key, source, message_id
        self.origin = f"{key!r}{source!r}{message_id}"
        self.correlation_id, self.trace, self.time = correlation_id, trace, time
        self.topic, self.partition, self.offset = place
        self.ordinal = 0
        self.window_entry = b""

    def port(self, store: object, make: Callable[[], Any]) -> Any:
        """Return the layer's one port over `store`, so that all roles see each other's writes."""
        if id(store) not in self.ports:
            self.ports[id(store)] = make()
        return self.ports[id(store)]

    def scoped(self, key: str) -> bytes:
        """Return `key` in bytes. Raises OutOfScope unless it is the record's key or a key below it."""
        raw_key = key.encode()
        if raw_key != self.key:
            self.require_scope(raw_key)
        return raw_key

    def require_scope(self, key: bytes) -> None:
        """Raise OutOfScope unless `key`, which is not the record's, lies below the record's."""
        if not key.startswith(self.key + b"/"):
            raise OutOfScope(
                f"state of key {key.decode()!r} touched while handling key {self.key.decode(errors='replace')!r}: only "
                "that key, or keys below it, are this partition's"
            )

    def stage(self, route: OutputRoute, message: Message, more: Sequence[tuple[str, bytes]] = ()) -> None:
        """Encode `message` and stage it, with `more` headers.

        Raises OversizedOutput if its topic would not take it, and UnencodableMessage if its readers would not.
        Its id is a hash of handler, origin and ordinal, so handling the input again gives it the same id.
        """
        value, key = route.encode(message), route.key_of(message).encode()
        if (size := len(value) + len(key)) > MAX_RECORD_BYTES:
            raise OversizedOutput(f"{type(message).__name__} takes {size} bytes, the limit is {MAX_RECORD_BYTES}")
        if not 0 < len(key) <= MAX_KEY_BYTES:  # whoever reads it would refuse it
            raise UnencodableMessage(
                f"{type(message).__name__}: its key takes {len(key)} bytes, 1 to {MAX_KEY_BYTES} are allowed"
            )
        self.ordinal = ordinal = self.ordinal + 1
        message_id = blake2b(f"{self.seed}{ordinal}".encode(), digest_size=16).hexdigest()
        headers = [
            *route.headers,
            ("ce_id", message_id),
            ("ce_time", self.time),
            ("ce_correlationid", self.correlation_id),
            ("ce_causationid", self.message_id),
            ("traceparent", f"00-{self.trace}-{message_id[:16]}-01"),
            *more,
        ]
        self.outputs.append((route.topic, value, key, headers, -1))

    def stage_report(self, route: OutputRoute, message: Message) -> None:
        """Stage a message that tells of a failure which is settled already."""
        self.stage(route, message)

    def merge(self, outputs: list[Output]) -> None:
        """Move the messages to `outputs`, which are the batch's, and the writes to the stores' batches.

        All of them or none: raises OversizedOutput if a snapshot would not hold what the record has made of an entry.
        """
        if self.checks:
            for check in self.checks:
                check()
            self.checks.clear()
        if self.outputs:
            outputs += self.outputs
            self.outputs.clear()
        if self.staged:
            for port in self.staged:
                port.merge()
            self.staged.clear()

    def discard(self) -> None:
        """Forget the messages and the writes."""
        self.outputs.clear()
        for port in self.staged:
            port.discard()
        self.staged.clear()
        self.checks.clear()
        self.ordinal = 0


def _trace_of(origin: str) -> str:
    """Return a trace for a record without one: the same whenever it is handled."""
    return blake2b(origin.encode(), digest_size=16).hexdigest()


def fact_route(routes: Mapping[type, OutputRoute], fact: Event) -> OutputRoute:
    """Return the route of a ledger's fact. Raises UndeclaredOutput if the ledger does not hold its type."""
    route = routes.get(type(fact))
    if route is None:
        raise UndeclaredOutput(
            f"{type(fact).__name__} is no fact of this ledger; it holds "
            f"{', '.join(sorted(kind.__name__ for kind in routes))}"
        )
    return route
