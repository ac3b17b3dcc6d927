"""All spans of a service's story, and of a client's messages: name, kind, attributes, parent, links, status.

`python -m tests.component.tracing.test_whole_spans > tests/component/tracing/whole_spans.txt` writes them again.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="needs the extra `otel`")

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ensemble.interceptors import InterceptedInput, InterceptedOutput
from ensemble.messages.records import Headers, StoredRecord
from ensemble.observability.tracing import SenderTracing, Tracing
from ensemble.testing.driver import ServiceTestDriver
from tests.support.scripted_service.drivers import script
from tests.support.scripted_service.messages import Told
from tests.support.scripted_service.service import scripted_service

RECORDED = Path(__file__).with_name("whole_spans.txt")
TRACE, SENDER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
NAMED = f"00-{TRACE}-{SENDER}-01"
_DERIVED = re.compile("[0-9a-f]{32}")


class Spans:
    """A provider of spans, and what it has exported, in the order in which the spans ended."""

    def __init__(self) -> None:
        self._exporter, self.provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def lines(self) -> Iterator[str]:
        spans = self._exporter.get_finished_spans()
        names = {span.context.span_id: span.name for span in spans if span.context}
        for span in spans:
            yield f"{span.name} ({span.kind.name}, {span.status.status_code.name}) in {_parent(span, names)}"
            links = [names.get(link.context.span_id, f"{link.context.span_id:x}") for link in span.links]
            yield from [f"  linked with {', '.join(links)}"] if links else []
            attributes = sorted((span.attributes or {}).items())
            yield from (f"  {name}: {_DERIVED.sub('derived', str(value))}" for name, value in attributes)
            yield from (f"  event {event.name}" for event in span.events)
            yield from [f"  because: {span.status.description}"] if span.status.description else []


def _parent(span: ReadableSpan, names: dict[int, str]) -> str:
    if span.parent is None:
        return "a trace of its own"
    return names.get(span.parent.span_id, f"{span.parent.trace_id:032x} {span.parent.span_id:016x}")


def traced(record: StoredRecord) -> StoredRecord:
    headers: Headers = [*record.raw_headers, ("traceparent", NAMED)]
    return StoredRecord(record.at_topic, record.at_partition, record.at_offset, record.key(), record.value(), headers)


def of_a_service() -> Iterator[str]:
    spans = Spans()
    shop = ServiceTestDriver(scripted_service("shop", Path()), interceptors=[Tracing(spans.provider)])
    shop.receive_records([traced(shop.record_of(script("a", "tell x", "forward y", "book tea 1"), "one"))])
    shop.receive(script("b", "remind alarm 5 tell z"), message_id="two")
    shop.advance(6)
    shop.receive(script("c", "tell gone", "fail no"), message_id="three")
    shop.receive_records([traced(shop.record_of(script("a", "tell 1"), "four")), shop.record_of(script("b"), "five")])
    return spans.lines()


def of_a_client() -> Iterator[str]:
    spans = Spans()
    tracing = SenderTracing(spans.provider)

    def send(name: str, traceparent: str, *, begins_trace: bool) -> str:
        span = tracing.start("shop.commands", b"k\xff", name, traceparent=traceparent, begins_trace=begins_trace)
        parent = span.traceparent
        span.end(ValueError("too large") if name == "refused" else None)
        assert span.tracestate == ""
        return parent

    assert send("own", NAMED, begins_trace=True) == NAMED
    assert send("child", NAMED, begins_trace=False).startswith(f"00-{TRACE}-")
    assert TRACE not in send("of nothing", "what is no trace", begins_trace=False)
    assert TRACE not in send("of nothing either", "", begins_trace=True)
    send("refused", NAMED, begins_trace=False)
    with spans.provider.get_tracer("app").start_as_current_span("caller"):
        send("of a caller", NAMED, begins_trace=True)
        send("of its cause", NAMED, begins_trace=False)
    return spans.lines()


STORIES = {"of a service": of_a_service, "of a client": of_a_client}


def lines() -> Iterator[str]:
    for name, story in STORIES.items():
        yield f"== {name}"
        yield from story()


def test_all_spans_are_as_they_were() -> None:
    assert list(lines()) == RECORDED.read_text(encoding="utf-8").splitlines()


def attempt(number: int) -> InterceptedInput:
    return InterceptedInput(
        service="shop", handler="Clerk.do", message=None, message_id=f"m-{number}", correlation_id="", trace_id=TRACE,
        topic="shop.commands", partition=0, offset=number, key=b"", value=b"", published_value=b"", headers={},
    )  # fmt: skip


def test_of_a_thousand_failed_attempts_their_reports_still_know() -> None:
    # given a thousand and one records that have failed
    spans = Spans()
    tracing = Tracing(spans.provider)
    for number in range(1_001):
        with pytest.raises(ValueError, match="no"), tracing.intercept_handling(attempt(number)):
            raise ValueError("no")
    failed = [span.context.span_id for span in spans._exporter.get_finished_spans() if span.context]

    # when the first two and the last one are reported
    parents = []
    for number in (0, 1, 1_000):
        headers: Headers = [("ce_causationid", f"m-{number}"), ("traceparent", NAMED)]
        told = Told(account_id="a", text="x")
        report = InterceptedOutput(
            sender="/services/shop",
            message=told,
            message_id=f"r-{number}",
            topic="t",
            key=b"",
            value=b"",
            _headers=headers,
        )
        tracing.intercept_sending(report)
        parent = getattr(tracing._unsent[f"r-{number}"], "parent", None)
        parents.append(parent.span_id if parent else None)

    # then the first one is forgotten
    assert parents == [None, failed[1], failed[1_000]]


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in lines())
