"""Sends commands and publishes events from outside of any service: from an HTTP handler, a script, a test."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self, TypedDict, Unpack

from ensemble.clock import SystemClock
from ensemble.engine.interception import Interception, interception_of, output_of
from ensemble.errors import ConfigurationError, OversizedOutput
from ensemble.interceptors import Interceptor
from ensemble.kafka import client_config as clients
from ensemble.kafka.client.access import ClusterClient, KafkaException, open_client
from ensemble.kafka.client.outbox import Outbox, Promise
from ensemble.kafka.errors import ClusterError
from ensemble.kafka.registry.sources import schema_sources
from ensemble.messages.cloud_events import Envelope
from ensemble.messages.message import Command, Event, Message
from ensemble.messages.records import MAX_KEY_BYTES
from ensemble.messages.schema_set import SchemaSourceSelector
from ensemble.observability.tracing_switch import sender_tracing
from ensemble.service.catalogue import MAX_RECORD_BYTES, Catalogue, Topic
from ensemble.settings import Settings, TelemetrySettings
from ensemble.state.unit_of_work import Output, OutputRoute, output_route

if TYPE_CHECKING:
    from ensemble.observability.tracing import SenderSpan, SenderTracing

_BY_KEY: Final = -1
_GRACE_S: Final = 2.0


@dataclass(frozen=True)
class Receipt:
    """Where a message lies, acknowledged by all replicas in sync; `trace` is its trace id."""

    type: str
    message_id: str
    key: str
    topic: str
    partition: int
    offset: int
    trace: str


class Unacknowledged(ClusterError):
    """Kafka did not acknowledge every message of a call: the others may or may not be written.

    `receipts` are those of the messages that are safe. To try again without doing anything twice, give each message
    its `message_id`, and write to a topic whose readers drop duplicates (`from_outside`).
    """

    def __init__(self, reason: str, receipts: Sequence[Receipt]) -> None:
        super().__init__(reason)
        self.receipts = tuple(receipts)


@dataclass(frozen=True)
class Outgoing:
    """A message of a batch with what is said of it: its envelope, and its topic if it lives on several."""

    message: Message
    envelope: Envelope = field(default_factory=Envelope)
    topic: str = ""


class Options(TypedDict, total=False):
    """What may be said of one message: the fields of `Envelope`, and its topic if it lives on several."""

    topic: str
    message_id: str
    correlation_id: str
    traceparent: str
    headers: Mapping[str, bytes]


class _Routes:
    """Finds how a message is written: topic, key, Avro, headers. Each type's route is made once."""

    def __init__(
        self, catalogue: Catalogue, sources: SchemaSourceSelector, name: str, require: Callable[[list[str]], object]
    ) -> None:
        """Take routes from the catalogue; `require` raises ConfigurationError if a topic does not exist."""
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name):
            raise ConfigurationError(f"client name {name!r}: 1 to 64 letters, digits, ., - and _ only")
        self._catalogue, self._sources, self._source = catalogue, sources, f"/{name}".encode()
        self._require = require
        self._routes: dict[tuple[type[Message], str], OutputRoute] = {}

    def of(self, outgoing: Outgoing) -> OutputRoute:
        """Return the message's route; at first its topic is looked up in the cluster.

        Raises ConfigurationError if there is no one topic for it, and ClusterError if the cluster does not answer.
        """
        way = type(outgoing.message), outgoing.topic
        if (route := self._routes.get(way)) is None:
            route = self._routes[way] = self._make(*way)
        return route

    def _make(self, kind: type[Message], name: str) -> OutputRoute:
        topic = self._topic(kind, name)
        try:
            self._require([topic.name])
        except KafkaException as error:
            raise ClusterError(f"{topic.name}: {error.args[0].str()}; nothing was written") from None
        return output_route(self._source, kind, topic, self._sources)

    def _topic(self, kind: type[Message], name: str) -> Topic:
        homes = {topic.name: topic for topic in self._catalogue.homes(kind)}
        if name in homes or (len(homes) == 1 and not name):
            return homes.get(name) or next(iter(homes.values()))
        problem = f"is not on topic {name}" if name else "lives on several topics"
        raise ConfigurationError(f"{kind.__name__} {problem}; pass topic= as one of {', '.join(homes)}")


class _Desk:
    """Turns messages into records as services write them, hands these over, and makes out the receipts."""

    def __init__(
        self,
        routes: _Routes,
        outbox: Outbox,
        interception: Interception | None = None,
        tracing: SenderTracing | None = None,
    ) -> None:
        self._routes, self._outbox, self._interception, self._tracing = routes, outbox, interception, tracing
        self._lock, self._clock = threading.Lock(), SystemClock()
        self.patience_s = outbox.limit_s + _GRACE_S

    def put(self, batch: Sequence[Outgoing]) -> tuple[Sequence[Outgoing], list[Promise]]:
        """Encode all messages, then hand all over; return them as they are written, and their promises.

        Raises before anything is written if one of them is not valid.
        """
        routes = list(map(self._routes.of, batch))  # not under the lock: a topic may have to be looked up
        spans = [] if self._tracing is None else list(map(partial(_start_span, self._tracing), batch, routes))
        batch = list(map(_continue_trace, batch, spans)) if spans else batch
        try:
            with self._lock:  # an encoder has one buffer
                promises = self._outbox.put(list(map(self._record, batch, routes)))
        except BaseException as error:
            for span in spans:
                span.end(error)
            raise
        for span, promise in zip(spans, promises, strict=False):
            promise.add_done_callback(partial(_end_span, span))
        return batch, promises

    def close(self) -> None:
        """Take no more messages, and wait for those on their way."""
        with self._lock:
            self._outbox.refuse()
        self._outbox.close()
        if self._tracing is not None:
            self._tracing.close()

    def _record(self, outgoing: Outgoing, route: OutputRoute) -> Output:
        message = outgoing.message
        key, value = route.key_of(message).encode(), route.encode(message)
        headers = outgoing.envelope.size
        if len(key) > MAX_KEY_BYTES or len(value) + len(key) + headers > MAX_RECORD_BYTES:
            raise OversizedOutput(
                f"{type(message).__name__} takes {len(value)} bytes, its key {len(key)} and its headers {headers}; the "
                f"limits are {MAX_RECORD_BYTES} together and {MAX_KEY_BYTES} for the key: shorten it"
            )
        own_headers = outgoing.envelope.headers_at(self._clock.now())
        record = route.topic, value, key, [*route.headers, *own_headers], _BY_KEY
        if self._interception is not None:
            self._interception.send(output_of(message, record))
        return record

    def receipts(self, batch: Sequence[Outgoing], promises: Sequence[Promise]) -> list[Receipt]:
        """Return the receipts of all messages. Raises ConfigurationError or Unacknowledged if one is missing."""
        problems = [promise.exception() for promise in promises if promise.done()]
        receipts = [
            self._receipt(outgoing, promise)
            for outgoing, promise in zip(batch, promises, strict=True)
            if promise.done() and promise.exception() is None
        ]
        if len(receipts) == len(batch):
            return receipts
        problem = next(filter(None, problems), None)
        if isinstance(problem, ConfigurationError):
            raise problem
        raise Unacknowledged(
            f"Kafka acknowledged {len(receipts)} of {len(batch)} messages within {self._outbox.limit_s:g} s"
            f"{f' ({problem})' if problem else ''}; the others may yet be written",
            receipts,
        )

    def _receipt(self, outgoing: Outgoing, promise: Promise) -> Receipt:
        (topic, partition), offset = promise.result()
        message, envelope = outgoing.message, outgoing.envelope
        key = self._routes.of(outgoing).key_of(message)
        return Receipt(
            type(message).__name__, envelope.message_id, key, topic, partition, offset, trace=envelope.trace_id
        )


def _routes(access: ClusterClient, catalogue: Catalogue, sources: SchemaSourceSelector, name: str) -> _Routes:
    return _Routes(catalogue, sources, name, partial(access.places, need="WRITE"))


def _open_desk(
    catalogue: Catalogue, settings: Settings | None, *, name: str, timeout_s: float, interceptors: Sequence[Interceptor]
) -> _Desk:
    settings = settings or Settings()
    access = open_client(settings.kafka, timeout_s, quiet=True)
    routes = _routes(access, catalogue, schema_sources(settings.registry, settings.kafka), name)
    outbox = Outbox(clients.plain_producer(access.shared, name), timeout_s)
    return _Desk(routes, outbox, interception_of(name, interceptors), sender_tracing(settings.telemetry, name))


def _start_span(tracing: SenderTracing, outgoing: Outgoing, route: OutputRoute) -> SenderSpan:
    envelope, key = outgoing.envelope, route.key_of(outgoing.message).encode()
    return tracing.start(
        route.topic, key, envelope.message_id, traceparent=envelope.traceparent, begins_trace=envelope.begins_trace
    )


def _continue_trace(outgoing: Outgoing, span: SenderSpan) -> Outgoing:
    state = {"tracestate": span.tracestate.encode()} if span.tracestate else {}
    headers = {**outgoing.envelope.headers, **state}
    return replace(outgoing, envelope=replace(outgoing.envelope, traceparent=span.traceparent, headers=headers))


def _end_span(span: SenderSpan, promise: Promise) -> None:
    span.end(promise.exception())


def _outgoing(message: Message, kind: type[Command | Event], options: Options) -> Outgoing:
    if not isinstance(message, kind):
        other = "publish" if isinstance(message, Event) else "send"
        raise TypeError(f"{type(message).__name__} is no {kind.__name__.lower()}; use `{other}`")
    fields: dict[str, Any] = dict(options)
    topic = fields.pop("topic", "")
    return Outgoing(message, Envelope(**fields), topic)


def _batch(messages: Iterable[Message | Outgoing]) -> list[Outgoing]:
    return [item if isinstance(item, Outgoing) else Outgoing(item) for item in messages]


class Client:
    """Writes messages as services do, and returns when Kafka has them; close it, or use it in a `with`.

        with Client(CATALOGUE) as client:
            receipt = client.send(PlaceOrder(order_id="o-1", ...))

    One client serves all threads of a process for as long as it runs. Each call returns when all replicas in sync have
    the message, and raises otherwise: Unacknowledged, after `timeout_s` and two seconds, if it may or may not be
    written; ClusterError if the cluster does not tell of a topic that is new to the client, or takes no records, for so
    long before; ConfigurationError if the topic does not exist, the user may not write to it, or the catalogue has no
    topic for the message; OversizedOutput, UnencodableMessage, ValueError or TypeError if the message itself is wrong:
    then nothing was written. Order per key is the order of the calls of one thread.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        settings: Settings | None = None,
        *,
        name: str = "client",
        timeout_s: float = 15.0,
        interceptors: Sequence[Interceptor] = (),
    ) -> None:
        """Reach the cluster. Raises ConfigurationError if there is none within `timeout_s`.

        Settings that are not passed are those of the environment. `name` becomes the client id, and `/name` the source
        of its messages, within which their ids are unique: two applications must not have the same. `interceptors` see
        each message before it is written, and add headers.
        """
        self._desk = _open_desk(catalogue, settings, name=name, timeout_s=timeout_s, interceptors=interceptors)

    @classmethod
    def over(
        cls,
        access: ClusterClient,
        catalogue: Catalogue,
        sources: SchemaSourceSelector,
        *,
        name: str = "client",
        telemetry: TelemetrySettings | None = None,
    ) -> Self:
        """Return a client of a cluster that was reached already, as `ClusterClient.outbox` writes.

        `telemetry` says whether it exports spans; by default the environment does.
        """
        client = cls.__new__(cls)
        tracing = sender_tracing(TelemetrySettings() if telemetry is None else telemetry, name)
        client._desk = _Desk(_routes(access, catalogue, sources, name), access.outbox(name), tracing=tracing)
        return client

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, command: Command, **options: Unpack[Options]) -> Receipt:
        """Write the command to its owner's topic."""
        return self.write([_outgoing(command, Command, options)])[0]

    def publish(self, event: Event, **options: Unpack[Options]) -> Receipt:
        """Write the event; pass `topic` if it lives on several."""
        return self.write([_outgoing(event, Event, options)])[0]

    def write(self, messages: Iterable[Message | Outgoing]) -> list[Receipt]:
        """Write all messages, wait once for all, and return their receipts in this order. It is no transaction."""
        batch, promises = self._desk.put(_batch(messages))
        wait(promises, self._desk.patience_s)
        return self._desk.receipts(batch, promises)

    def close(self) -> None:
        """Wait for what is on its way, and close the connections."""
        self._desk.close()


def _close_desk(opening: asyncio.Future[_Desk]) -> None:
    """Close what a cancelled caller no longer waits for."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


class AsyncClient:
    """Does what `Client` does without blocking the event loop: use it in an `async with`, from one event loop.

    A call that is cancelled may have written its messages.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        settings: Settings | None = None,
        *,
        name: str = "client",
        timeout_s: float = 15.0,
        interceptors: Sequence[Interceptor] = (),
    ) -> None:
        """Keep the arguments, which are those of `Client`; the cluster is reached on entering."""
        self._open = partial(_open_desk, catalogue, settings, name=name, timeout_s=timeout_s, interceptors=interceptors)

    async def __aenter__(self) -> Self:
        opening = asyncio.get_running_loop().run_in_executor(None, self._open)
        try:
            self._desk = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_desk)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._desk.close)

    async def send(self, command: Command, **options: Unpack[Options]) -> Receipt:
        """Write the command to its owner's topic."""
        return (await self.write([_outgoing(command, Command, options)]))[0]

    async def publish(self, event: Event, **options: Unpack[Options]) -> Receipt:
        """Write the event; pass `topic` if it lives on several."""
        return (await self.write([_outgoing(event, Event, options)]))[0]

    async def write(self, messages: Iterable[Message | Outgoing]) -> list[Receipt]:
        """Write all messages, wait once for all, and return their receipts in this order. It is no transaction."""
        put = partial(self._desk.put, _batch(messages))
        batch, promises = await asyncio.to_thread(put)  # it waits while the producer's buffer is full
        answers = asyncio.gather(*map(asyncio.wrap_future, promises), return_exceptions=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._desk.patience_s):
                await answers
        return self._desk.receipts(batch, promises)
