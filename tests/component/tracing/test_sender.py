"""The span of a message that a client sends: its ids, and the span that it follows from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="needs the extra `otel`")

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ensemble.observability.tracing import SenderTracing, otlp_provider

TRACE, SPAN = 0xA << 124, 0xB << 60
NAMED = f"00-{TRACE:032x}-{SPAN:016x}-01"


class Sender:
    """A client, and what it has exported."""

    def __init__(self) -> None:
        self.exported, self.provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exported))
        self.tracing = SenderTracing(self.provider)

    def send(self, traceparent: str, error: Exception | None = None, *, begins_trace: bool) -> ReadableSpan:
        span = self.tracing.start("shop.commands", b"k", "m-1", traceparent=traceparent, begins_trace=begins_trace)
        span.end(error)
        return self.exported.get_finished_spans()[-1]


@pytest.fixture
def sender() -> Iterator[Sender]:
    sender = Sender()
    with closing(sender.tracing):
        yield sender


def ids(span: ReadableSpan) -> tuple[int, int]:
    assert span.context is not None
    return span.context.trace_id, span.context.span_id


def test_a_message_without_a_caller_has_the_ids_that_its_header_names(sender: Sender) -> None:
    span = sender.send(NAMED, begins_trace=True)
    assert (ids(span), span.parent) == ((TRACE, SPAN), None)


def test_ids_that_nothing_names_are_random_before_a_named_one_and_after_it(sender: Sender) -> None:
    before = sender.send("", begins_trace=False)
    sender.send(NAMED, begins_trace=True)
    after = sender.send("", begins_trace=False)
    random = [*ids(before), *ids(after)]
    assert len({*random, TRACE, SPAN}) == 6
    assert min(random) > 1_000_000


def test_a_service_names_its_instance_and_a_client_names_none() -> None:
    for instance in ("", "2"):
        provider = otlp_provider("http://127.0.0.1:1/v1/traces", "shop", instance)
        named = provider.resource.attributes.get("service.instance.id", "its own")
        assert (named == "2") == (instance == "2")
        assert named
        provider.shutdown()


def test_a_message_of_a_caller_with_a_span_is_a_child_of_it(sender: Sender) -> None:
    with sender.provider.get_tracer("app").start_as_current_span("caller") as caller:
        spans = [sender.send(NAMED, begins_trace=True), sender.send("", begins_trace=False)]
    assert [span.parent for span in spans] == [caller.get_span_context()] * 2


def test_a_message_that_names_its_cause_is_a_child_of_that_whatever_the_caller_does(sender: Sender) -> None:
    with sender.provider.get_tracer("app").start_as_current_span("caller"):
        span = sender.send(NAMED, begins_trace=False)
    assert span.parent is not None
    assert (span.parent.trace_id, span.parent.span_id, span.parent.is_remote) == (TRACE, SPAN, True)


def test_a_message_that_was_not_written_says_why(sender: Sender) -> None:
    span = sender.send("", ValueError("too large"), begins_trace=False)
    assert (span.status.status_code, span.status.description) == (trace.StatusCode.ERROR, "too large")
    assert (span.attributes or {})["error.type"] == "ValueError"
