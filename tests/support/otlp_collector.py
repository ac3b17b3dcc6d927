"""A collector of spans: takes OTLP over HTTP, as OpenTelemetry's exporters send it, and keeps what came."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

_KINDS = ("", "internal", "server", "client", "producer", "consumer")


@dataclass(frozen=True)
class ReceivedSpan:
    """A span as it was exported; ids in hexadecimal digits, the parent's empty if there is none."""

    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    links: tuple[tuple[str, str], ...]
    has_failed: bool
    state: str
    start: int
    end: int

    @property
    def message_id(self) -> str:
        return str(self.attributes.get("messaging.message.id", ""))


@dataclass
class OtlpCollector:
    """A running collector. One that hangs takes requests and does not answer."""

    url: str = ""
    hangs: bool = False
    spans: list[ReceivedSpan] = field(default_factory=list)
    requests: int = 0
    released: threading.Event = field(default_factory=threading.Event)

    def named(self, beginning: str) -> list[ReceivedSpan]:
        """Return the spans whose names begin so."""
        return [span for span in self.spans if span.name.startswith(beginning)]

    def take(self, body: bytes) -> None:
        """Keep the spans of one request."""
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = _values(group.resource.attributes)
            self.spans += [
                _span(str(resource["service.name"]), span) for scope in group.scope_spans for span in scope.spans
            ]


@contextmanager
def otlp_collector(*, hangs: bool = False) -> Iterator[OtlpCollector]:
    """Run a collector on loopback."""
    collector = OtlpCollector(hangs=hangs)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.requests += 1
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if collector.hangs:
                collector.released.wait(60)
            collector.take(body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        collector.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield collector
        finally:
            collector.released.set()
            server.shutdown()
            thread.join()


def _span(service: str, span: Any) -> ReceivedSpan:
    return ReceivedSpan(
        service,
        span.name,
        _KINDS[span.kind],
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        _values(span.attributes),
        tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        span.status.code == span.status.STATUS_CODE_ERROR,
        span.trace_state,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
    )


def _values(pairs: Sequence[Any]) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


def why_not_one_trace(spans: Sequence[ReceivedSpan], sender: str) -> list[str]:
    """Return what is wrong with the trace of one order, whose first message was written by the span `sender`.

    Each input's parent is the span that sent the message, each output's the input that caused it, and each timer's the
    span that set it.
    """
    by_id = {span.span_id: span for span in spans}
    return [
        f"{span.service}: {span.name} ({span.message_id}) is a child of {_parent_of(span, by_id)}"
        for span in spans
        if span.parent_id != sender and not _is_right(span, by_id.get(span.parent_id))
    ]


def _is_right(span: ReceivedSpan, parent: ReceivedSpan | None) -> bool:
    if parent is None or parent.trace_id != span.trace_id:
        return False
    if span.name == "process timer":
        return parent.name.startswith("schedule ")
    if span.name.startswith("process "):
        return parent.name.startswith("send ") and parent.message_id == span.message_id
    return parent.name.startswith("process ") and parent.service == span.service


def _parent_of(span: ReceivedSpan, by_id: dict[str, ReceivedSpan]) -> str:
    parent = by_id.get(span.parent_id)
    return f"{parent.service}: {parent.name} ({parent.message_id})" if parent else span.parent_id or "no span"
