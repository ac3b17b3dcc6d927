"""The record layer: everything one record's handlers stage, discarded as a whole when they fail.

A layer is sealed (its state encoded, so that nothing can fail later) and then merged into its partition's batch.
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
from ensemble.messages.records import MAX_KEY_BYTES, Headers, RecordPlace
from ensemble.messages.schema_set import SchemaSourceSelector
from ensemble.service.catalogue import MAX_RECORD_BYTES, Topic
from ensemble.service.codecs import codec_of

Output = tuple[str, bytes | None, bytes | None, Headers, int]
"""Topic, value, key, headers, partition (-1: by the key)."""
current_layer: ContextVar[RecordLayer | None] = ContextVar("current_layer", default=None)
"""The layer at work, for log lines."""


class StagedPort(Protocol):
    """A port over one store, with the writes of one record."""

    def seal(self) -> None:
        """Encode the writes, so that `merge` cannot fail."""

    def merge(self) -> None:
        """Move the writes to the store's batch."""

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
    """The effects of one record. `begin` sets it up for a record; `seal` then `merge`, or `discard`, ends it.

    Also the `CurrentRecord` port. `seed` is set before each handler: a text that stands for the handler and the input,
    from which the ids of the handler's messages follow.
    """

    __slots__ = (
        "correlation_id",
        "is_open",
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

    def __init__(self) -> None:
        self.outputs: list[Output] = []
        self.staged: list[StagedPort] = []
        self.ports: dict[int, Any] = {}
        self.seed = ""
        self.is_open = False
        """Whether effects may be staged that are not merged."""
        self.begin(b"", b"", "", correlation_id="", trace="", time="", place=("", -1, -1))

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
        if self.is_open:
            self.discard()
        self.is_open = True
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
        if raw_key != self.key and not raw_key.startswith(self.key + b"/"):
            raise OutOfScope(
                f"state of key {key!r} touched while handling key {self.key.decode(errors='replace')!r}: only "
                "that key, or keys below it, are this partition's"
            )
        return raw_key

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

    def seal(self) -> None:
        """Encode the writes to state. Raises OversizedOutput if a changelog would not take one."""
        for port in self.staged:
            port.seal()

    def merge(self, outputs: list[Output]) -> None:
        """Move the messages to `outputs`, which are the batch's, and the writes to the stores' batches.

        It cannot fail after `seal`.
        """
        if self.outputs:
            outputs += self.outputs
            self.outputs.clear()
        for port in self.staged:
            port.merge()
        self.is_open = False

    def discard(self) -> None:
        """Forget the messages and the writes."""
        self.outputs.clear()
        for port in self.staged:
            port.discard()
        self.ordinal = 0


def fact_route(routes: Mapping[type, OutputRoute], fact: Event) -> OutputRoute:
    """Return the route of a ledger's fact. Raises UndeclaredOutput if the ledger does not hold its type."""
    route = routes.get(type(fact))
    if route is None:
        raise UndeclaredOutput(
            f"{type(fact).__name__} is no fact of this ledger; it holds "
            f"{', '.join(sorted(kind.__name__ for kind in routes))}"
        )
    return route
