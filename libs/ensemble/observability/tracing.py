"""Spans of services and clients by OpenTelemetry's conventions for messaging, and their export by OTLP.

Only this module imports OpenTelemetry, and only `tracing_switch` imports this module. The id of a message's span is the
one that its `traceparent` had all along: derived from the message's id, so the same whenever the input is done again.
"""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from hashlib import blake2b
from typing import Any, Final, cast

from ensemble import __version__
from ensemble.extras import imports_of_extra
from ensemble.interceptors import (
    InterceptedCommit,
    InterceptedInput,
    InterceptedOutput,
    InterceptedTimer,
    Interceptor,
)

with imports_of_extra("otel", "tracing"):
    from opentelemetry import context as otel
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
    from opentelemetry.trace import (
        Link,
        NonRecordingSpan,
        Span,
        SpanContext,
        SpanKind,
        StatusCode,
        TraceFlags,
        TraceState,
    )

_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_MOST_LINKS: Final = 128
"""As many messages a batch's spans are linked with at most; the SDK keeps no more by default."""
_MOST_FAILURES: Final = 1_000
_MOST_UNSENT: Final = 50_000
"""Outputs that are not committed yet, of more batches than a process has in hand: beyond that the oldest never left."""
_CLOSE_S: Final = 2.0
"""How long a process waits at its end for a collector that does not answer."""
_ROOT: Final = otel.Context()
_open_ids: ContextVar[list[str] | None] = ContextVar("open_ids", default=None)
"""The ids of the messages and timers that the handlers at work have put out so far."""


class DerivedIds:
    """An IdGenerator that gives a span the ids it was promised in a header, and random ones without a promise."""

    def __init__(self) -> None:
        self._random, self._next = RandomIdGenerator(), threading.local()

    @contextmanager
    def promised(self, *, trace_id: int, span_id: int = 0) -> Iterator[None]:
        """Have the span that this thread starts meanwhile take these ids; 0: a random one."""
        self._next.trace_id, self._next.span_id = trace_id, span_id
        try:
            yield
        finally:
            self._next.trace_id = self._next.span_id = 0

    def generate_span_id(self) -> int:
        """Return the promised id of a span, or a random one."""
        return int(getattr(self._next, "span_id", 0) or self._random.generate_span_id())

    def generate_trace_id(self) -> int:
        """Return the promised id of a trace, or a random one."""
        return int(getattr(self._next, "trace_id", 0) or self._random.generate_trace_id())

    def is_trace_id_random(self) -> bool:
        """Return False: a derived one is not."""
        return False


class SpanFactory:
    """Starts spans whose ids may be promised."""

    def __init__(self, provider: TracerProvider) -> None:
        """Take over how `provider` makes ids."""
        earlier: Any = provider.id_generator
        self._ids = earlier if isinstance(earlier, DerivedIds) else DerivedIds()
        provider.id_generator = cast("Any", self._ids)  # it is typed as the one of its default
        self._tracer = provider.get_tracer("ensemble", __version__)

    def start(
        self, name: str, kind: SpanKind, parent: otel.Context, attributes: Mapping[str, Any], **more: Any
    ) -> Span:
        """Start a span with random ids, or those of its parent."""
        return self._tracer.start_span(name, parent, kind, dict(attributes), **more)

    def start_promised(
        self, name: str, parent: otel.Context, attributes: Mapping[str, Any], *, trace_id: int, span_id: int
    ) -> Span:
        """Start the span, of a message or timer, that has these ids already."""
        with self._ids.promised(trace_id=trace_id, span_id=span_id):
            return self._tracer.start_span(name, parent, SpanKind.PRODUCER, dict(attributes))

    def start_in_trace(self, name: str, kind: SpanKind, trace_id: int, attributes: Mapping[str, Any]) -> Span:
        """Start the first span of a trace that has its id already."""
        with self._ids.promised(trace_id=trace_id):
            return self._tracer.start_span(name, _ROOT, kind, dict(attributes))


class Tracing(Interceptor):
    """Spans of a service.

    `process` for each attempt at an input, child of the span that made the message; `send` for each output, from the
    moment it is staged to its commit; `receive` and `commit` for each batch, in a trace of their own, linked with the
    messages. What was not committed was not sent: it leaves no `send`.
    """

    def __init__(self, provider: TracerProvider) -> None:
        self._spans = SpanFactory(provider)
        self._unsent: dict[str, Span] = {}
        """The spans of outputs that are not committed yet, by message id."""
        self._scheduled: dict[str, Span] = {}
        """The spans of timers that are not committed yet, by timer id."""
        self._failed: OrderedDict[str, SpanContext] = OrderedDict()
        """The latest failed attempt of an input, by its message id: what CommandFailed follows from."""
        self._links: list[Link] = []
        self._handled = 0
        """How many inputs this batch has handled."""

    # -- handling -------------------------------------------------------------------------------------------------

    @contextmanager
    def intercept_handling(self, record: InterceptedInput) -> Iterator[None]:
        span = self._process_span(record)
        ids: list[str] = []
        in_span, earlier = otel.attach(trace.set_span_in_context(span)), _open_ids.set(ids)
        try:
            yield
        except BaseException as error:
            self._fail(record, span, error, ids)
            raise
        finally:
            _open_ids.reset(earlier)
            otel.detach(in_span)
            span.end()

    def _process_span(self, record: InterceptedInput) -> Span:
        parent = _timer_context(record) if record.topic == "timer" else _context_in(record.headers)
        name, kind, attributes = f"process {record.topic}", SpanKind.CONSUMER, _attributes_of(record)
        self._handled += 1
        if parent is None:
            return self._spans.start_in_trace(name, kind, int(record.trace_id or "0", 16), attributes)
        if len(self._links) < _MOST_LINKS:
            self._links.append(Link(parent))
        return self._spans.start(name, kind, _remote(parent), attributes)

    def _fail(self, record: InterceptedInput, span: Span, error: BaseException, ids: Sequence[str]) -> None:
        span.set_attribute("error.type", type(error).__qualname__)
        span.set_status(StatusCode.ERROR, str(error))
        span.record_exception(error)
        for message_id in ids:
            self._unsent.pop(message_id, None)  # of a record that is given up, nobody would
            self._scheduled.pop(message_id, None)
        self._failed[record.message_id] = span.get_span_context()
        if len(self._failed) > _MOST_FAILURES:
            self._failed.popitem(last=False)

    # -- sending --------------------------------------------------------------------------------------------------

    def intercept_sending(self, record: InterceptedOutput) -> None:
        own = _context_in(dict(record.headers))
        if own is None:
            return
        name, parent = f"send {record.topic}", self._cause_of(record)
        attributes = _send_attributes(record.topic, record.key, record.message_id, len(record.value))
        span = self._spans.start_promised(name, parent, attributes, trace_id=own.trace_id, span_id=own.span_id)
        context = span.get_span_context()
        record.set_trace(_traceparent(context), context.trace_state.to_header())
        self._unsent[record.message_id] = span
        if len(self._unsent) > _MOST_UNSENT:
            del self._unsent[next(iter(self._unsent))]
        if (ids := _open_ids.get()) is not None:
            ids.append(record.message_id)

    def _cause_of(self, record: InterceptedOutput) -> otel.Context:
        """Return the span at work, or the failed attempt that a report of a failed command follows from."""
        if _open_ids.get() is not None:
            return otel.get_current()
        causation = _text(dict(record.headers).get("ce_causationid"))
        return _remote(self._failed.get(causation, trace.INVALID_SPAN_CONTEXT))

    def intercept_scheduling(self, timer: InterceptedTimer) -> None:
        name, trace_id = f"schedule {timer.name}", trace.get_current_span().get_span_context().trace_id
        attributes = {**_SYSTEM, "messaging.operation.name": "schedule", "ensemble.timer": timer.name}
        self._scheduled[timer.timer_id] = self._spans.start_promised(
            name, otel.get_current(), attributes, trace_id=trace_id, span_id=_timer_span(timer.timer_id)
        )
        if (ids := _open_ids.get()) is not None:
            ids.append(timer.timer_id)

    # -- committing -----------------------------------------------------------------------------------------------

    @contextmanager
    def intercept_commit(self, commit: InterceptedCommit) -> Iterator[None]:
        if not (self._handled or commit.outputs):
            yield
            return
        span = self._commit_span(commit)
        try:
            yield
        except BaseException as error:
            span.set_attribute("error.type", type(error).__qualname__)
            span.set_status(StatusCode.ERROR, str(error))
            self._forget(commit)
            raise
        else:
            self._end_sent(commit)
        finally:
            span.end()

    def _commit_span(self, commit: InterceptedCommit) -> Span:
        links, count, now = self._links, self._handled, time.time_ns()
        self._links, self._handled = [], 0
        topics = sorted({topic for topic, _ in commit.offsets})
        place = f" {topics[0]}" if len(topics) == 1 else ""
        attributes = {**_SYSTEM, "messaging.consumer.group.name": commit.service}
        if place:
            attributes["messaging.destination.name"] = topics[0]
        receive = {**attributes, **_operation("receive", "receive"), "messaging.batch.message_count": count}
        began = now - round(commit.batch_s * 1e9)
        received = self._spans.start(
            f"receive{place}", SpanKind.CONSUMER, _ROOT, receive, links=links, start_time=began
        )
        settle = {**attributes, **_operation("commit", "settle"), "messaging.batch.message_count": count}
        span = self._spans.start(
            f"commit{place}", SpanKind.CLIENT, trace.set_span_in_context(received, _ROOT), settle, start_time=now
        )
        received.end(now)
        return span

    def _end_sent(self, commit: InterceptedCommit) -> None:
        for _, message_id in commit.outputs:
            if (span := self._unsent.pop(message_id, None)) is not None:
                span.end()
        for span in self._scheduled.values():
            span.end()
        self._scheduled.clear()

    def _forget(self, commit: InterceptedCommit) -> None:
        for _, message_id in commit.outputs:
            self._unsent.pop(message_id, None)
        self._scheduled.clear()


class SenderTracing:
    """Spans of a client: `send` for each message, child of the caller's current span, or of the `traceparent` given."""

    def __init__(self, provider: TracerProvider) -> None:
        self._spans, self._provider = SpanFactory(provider), provider

    def close(self) -> None:
        """Export what is left, within two seconds."""
        close_provider(self._provider)

    def start(self, topic: str, key: bytes, message_id: str, *, traceparent: str, begins_trace: bool) -> SenderSpan:
        """Start the span of one message.

        `traceparent` names the caller's span, or with `begins_trace` the message's own, which counts unless the caller
        has a span.
        """
        caller, current = _parse(traceparent, ""), trace.get_current_span().get_span_context()
        name, attributes = f"send {topic}", _send_attributes(topic, key, message_id, None)
        if begins_trace and not current.is_valid and caller is not None:
            ids = {"trace_id": caller.trace_id, "span_id": caller.span_id}
            return SenderSpan(self._spans.start_promised(name, _ROOT, attributes, **ids))
        parent = otel.get_current() if begins_trace or caller is None else _remote(caller)
        return SenderSpan(self._spans.start(name, SpanKind.PRODUCER, parent, attributes))


class SenderSpan:
    """The span of one message on its way."""

    def __init__(self, span: Span) -> None:
        self._span = span

    @property
    def traceparent(self) -> str:
        """The header by which the message's readers go on."""
        return _traceparent(self._span.get_span_context())

    @property
    def tracestate(self) -> str:
        """The header beside it; empty if there is none."""
        return str(self._span.get_span_context().trace_state.to_header())

    def end(self, error: BaseException | None = None) -> None:
        """End the span: the message is acknowledged, or not."""
        if error is not None:
            self._span.set_attribute("error.type", type(error).__qualname__)
            self._span.set_status(StatusCode.ERROR, str(error))
        self._span.end()


# -- providers --------------------------------------------------------------------------------------------------------


def otlp_provider(url: str, name: str, instance: str = "") -> TracerProvider:
    """Return a provider that exports to `url` by OTLP over HTTP, in a thread of its own, as the variables OTEL_... say.

    `name` is the service's unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES name another.
    """
    own = {"service.name": name} | ({"service.instance.id": instance} if instance else {})
    resource = Resource.create().merge(Resource(own)).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(url)))
    return provider


def offer_globally(provider: TracerProvider) -> None:
    """Let libraries that adapters use export by this provider, unless the application has set one."""
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        trace.set_tracer_provider(provider)


def close_provider(provider: TracerProvider) -> None:
    """Export what is left, for two seconds at most: a collector that is down does not hold up the end of a process."""
    closing = threading.Thread(target=provider.shutdown, name="tracing-close", daemon=True)
    closing.start()
    closing.join(_CLOSE_S)


# -- contexts and attributes ------------------------------------------------------------------------------------------

_SYSTEM: Final[Mapping[str, Any]] = {"messaging.system": "kafka"}


def _operation(name: str, kind: str) -> dict[str, str]:
    return {"messaging.operation.name": name, "messaging.operation.type": kind}


def _attributes_of(record: InterceptedInput) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        **_SYSTEM,
        **_operation("process", "process"),
        "messaging.destination.name": record.topic,
        "messaging.consumer.group.name": record.service,
        "messaging.message.id": record.message_id,
        "messaging.message.conversation_id": record.correlation_id,
        "messaging.kafka.message.key": record.key.decode(errors="replace"),
        "code.function.name": record.handler,
    }
    if record.offset >= 0:
        attributes |= {
            "messaging.destination.partition.id": str(record.partition),
            "messaging.kafka.offset": record.offset,
            "messaging.message.body.size": len(record.value),
        }
    return attributes


def _send_attributes(topic: str, key: bytes, message_id: str, size: int | None) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        **_SYSTEM,
        **_operation("send", "send"),
        "messaging.destination.name": topic,
        "messaging.message.id": message_id,
        "messaging.kafka.message.key": key.decode(errors="replace"),
    }
    return attributes if size is None else {**attributes, "messaging.message.body.size": size}


def _context_in(headers: Mapping[str, Any]) -> SpanContext | None:
    return _parse(_text(headers.get("traceparent")), _text(headers.get("tracestate")))


def _parse(traceparent: str, tracestate: str) -> SpanContext | None:
    match = _TRACEPARENT.match(traceparent)
    if match is None:
        return None
    trace_id, span_id, flags = (int(part, 16) for part in match.groups())
    state = TraceState.from_header([tracestate])
    parsed = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags), trace_state=state)
    return parsed if parsed.is_valid else None


def _remote(parent: SpanContext) -> otel.Context:
    return trace.set_span_in_context(NonRecordingSpan(parent), _ROOT)


def _timer_context(record: InterceptedInput) -> SpanContext | None:
    """Return the span that has scheduled the timer."""
    trace_id, span_id = int(record.trace_id or "0", 16), _timer_span(record.message_id)
    scheduled = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return scheduled if scheduled.is_valid else None


def _timer_span(timer_id: str) -> int:
    return int.from_bytes(blake2b(timer_id.encode(), digest_size=8).digest(), "big")


def _traceparent(context: SpanContext) -> str:
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags & 0xFF:02x}"


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value or "")
