"""All spans of a service's story, and of a client's messages: name, kind, attributes, parent, links, status.

`python -m tests.component.tracing.test_whole_spans > tests/component/tracing/whole_spans.txt` writes them again.
"""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from queue import Queue
from types import MappingProxyType

import pytest

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="needs the extra `otel`")

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import INVALID_SPAN

from ensemble import __version__
from ensemble.interceptors import InterceptedCommit, InterceptedInput, InterceptedOutput, NotCommitted
from ensemble.messages.records import Headers, StoredRecord
from ensemble.observability.tracing import SenderTracing, Tracing, close_provider, otlp_provider
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

    @property
    def finished(self) -> tuple[ReadableSpan, ...]:
        return self._exporter.get_finished_spans()

    def lines(self) -> Iterator[str]:
        spans = self.finished
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
    place = " of elsewhere" if span.parent.is_remote else ""
    return names.get(span.parent.span_id, f"{span.parent.trace_id:032x} {span.parent.span_id:016x}") + place


def traced(record: StoredRecord) -> StoredRecord:
    headers: Headers = [*record.raw_headers, ("traceparent", NAMED)]
    return StoredRecord(record.at_topic, record.at_partition, record.at_offset, record.key(), record.value(), headers)


def attempt(number: int, headers: Mapping[str, bytes] = MappingProxyType({})) -> InterceptedInput:
    return InterceptedInput(
        service="shop", handler="Clerk.do", message=None, message_id=f"m-{number}", correlation_id="c", trace_id=TRACE,
        topic="shop.commands", partition=0, offset=number, key=b"k", value=b"", published_value=b"", headers=headers,
    )  # fmt: skip


def timer(trace: str) -> InterceptedInput:
    """Return a timer; one that was set by an old version has no trace."""
    return replace(attempt(-1), topic="timer", message_id="timer/a/alarm/5", trace_id=trace)


def output(message_id: str, *headers: tuple[str, str]) -> InterceptedOutput:
    told = Told(account_id="a", text="x")
    return InterceptedOutput(
        sender="/services/shop", message=told, message_id=message_id, topic="t", key=b"", value=b"", _headers=[*headers]
    )


def batch(offsets: Mapping[tuple[str, int], int], outputs: Sequence[tuple[str, str]]) -> InterceptedCommit:
    return InterceptedCommit(service="shop", batch_s=0.0, offsets=offsets, outputs=outputs)


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


def of_batches() -> Iterator[str]:
    spans = Spans()
    tracing = Tracing(spans.provider)
    two_topics = {("shop.commands", 0): 1, ("shop.commands", 1): 1, ("pay.events", 0): 1}
    with tracing.intercept_commit(batch({("shop.commands", 0): 9}, [])):
        """Nothing was handled, and nothing put out."""
    with tracing.intercept_commit(batch({("shop.commands", 0): 9}, [("shop.dead-letters", "d-1")])):
        """A record was given up unread."""
    for number, headers in enumerate([{}, {"traceparent": NAMED.replace(SENDER, "0" * 16).encode()}, None]):
        record = attempt(number, headers) if headers is not None else timer("")
        with tracing.intercept_handling(record):
            tracing.intercept_sending(output("s-1"))  # it has no trace: no reader could go on with it
    with suppress(NotCommitted), tracing.intercept_commit(batch(two_topics, [])):
        raise NotCommitted("fenced")
    return spans.lines()


STORIES = {"of a service": of_a_service, "of a client": of_a_client, "of batches": of_batches}


def lines() -> Iterator[str]:
    for name, story in STORIES.items():
        yield f"== {name}"
        yield from story()


def test_all_spans_are_as_they_were() -> None:
    assert list(lines()) == RECORDED.read_text(encoding="utf-8").splitlines()


def test_of_a_thousand_failed_attempts_their_reports_still_know() -> None:
    # given a thousand and one records that have failed
    spans = Spans()
    tracing = Tracing(spans.provider)
    for number in range(1_001):
        with pytest.raises(ValueError, match="no"), tracing.intercept_handling(attempt(number)):
            raise ValueError("no")
    failed = [span.context.span_id for span in spans.finished if span.context]

    # when the first two and the last one are reported
    parents = []
    for number in (0, 1, 1_000):
        tracing.intercept_sending(output(f"r-{number}", ("ce_causationid", f"m-{number}"), ("traceparent", NAMED)))
        parent = getattr(tracing._unsent[f"r-{number}"], "parent", None)
        parents.append(parent.span_id if parent else None)

    # then the first one is forgotten
    assert parents == [None, failed[1], failed[1_000]]


def test_a_batch_is_linked_with_the_first_of_many_messages() -> None:
    spans = Spans()
    tracing = Tracing(spans.provider)
    for number in range(129):
        with tracing.intercept_handling(attempt(number, {"traceparent": f"00-{TRACE}-{number + 1:016x}-01".encode()})):
            """It does nothing."""
    with tracing.intercept_commit(batch({("shop.commands", 0): 129}, [])):
        """It takes effect."""
    [receive] = [span for span in spans.finished if span.name.startswith("receive")]
    assert [link.context.span_id for link in receive.links] == list(range(1, 129))
    assert (receive.attributes or {})["messaging.batch.message_count"] == 129


def test_spans_of_outputs_that_never_left_are_not_kept_without_end() -> None:
    tracing = Tracing(Spans().provider)
    tracing._unsent.update({f"old-{number}": INVALID_SPAN for number in range(49_999)})
    for name in ("new-1", "new-2"):
        tracing.intercept_sending(output(name, ("traceparent", NAMED)))
    assert len(tracing._unsent) == 50_000
    assert next(iter(tracing._unsent)) == "old-1"
    assert list(tracing._unsent)[-2:] == ["new-1", "new-2"]


def test_spans_name_the_library_that_made_them_and_those_of_one_provider_share_its_ids() -> None:
    spans = Spans()
    sender, _ = SenderTracing(spans.provider), Tracing(spans.provider)
    sender.start("t", b"", "m-1", traceparent=NAMED, begins_trace=True).end()
    [span] = spans.finished
    scope, context = span.instrumentation_scope, span.context
    assert scope is not None
    assert (scope.name, scope.version) == ("ensemble", __version__)
    assert context is not None
    assert f"{context.trace_id:032x} {context.span_id:016x}" == f"{TRACE} {SENDER}"


class ClosingProvider(TracerProvider):
    """Keeps which thread shuts it down."""

    def __init__(self) -> None:
        super().__init__(shutdown_on_exit=False)
        self.closed_by: Queue[threading.Thread] = Queue()

    def shutdown(self) -> None:
        self.closed_by.put(threading.current_thread())


def test_neither_a_provider_nor_its_closing_holds_up_the_end_of_a_process() -> None:
    provider = ClosingProvider()
    close_provider(provider)
    exporting = otlp_provider("http://127.0.0.1:1/v1/traces", "shop")
    exporting.shutdown()
    assert provider.closed_by.get(timeout=60).daemon
    assert exporting._atexit_handler is None


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in lines())
