"""One order is one trace: spans of all services, by the conventions for messaging, as a collector receives them."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="needs the extra `otel`")

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from contracts import OrderCompleted
from ensemble.interceptors import InterceptedCommit, NotCommitted
from ensemble.messages.records import Headers, StoredRecord
from ensemble.observability.tracing import Tracing
from ensemble.testing.driver import ServiceTestDriver
from tests.support.order_flow import OrderFlow
from tests.support.order_messages import place_order
from tests.support.otlp_collector import OtlpCollector, ReceivedSpan, otlp_collector, why_not_one_trace
from tests.support.scripted_service.controlled_service import Controls, controlled_service, limits
from tests.support.scripted_service.controlled_service import slow as slow_call
from tests.support.scripted_service.drivers import script, slow
from tests.support.scripted_service.service import scripted_service

TRACE, SENDER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
NAMES = ("order", "payment", "inventory", "shipping", "orchestrator")


class Traces:
    """Tracings of services in this process, and the collector that they export to."""

    def __init__(self, collector: OtlpCollector, at_end: ExitStack) -> None:
        self._collector, self._at_end, self._providers = collector, at_end, list[TracerProvider]()

    def of(self, service: str) -> Tracing:
        provider = TracerProvider(resource=Resource({"service.name": service}), shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{self._collector.url}/v1/traces")))
        self._at_end.callback(provider.shutdown)
        self._providers.append(provider)
        return Tracing(provider)

    def spans(self, beginning: str = "", trace: str | None = None) -> list[ReceivedSpan]:
        """Return what the collector has received, of one trace if it is given, in the order of time."""
        for provider in self._providers:
            provider.force_flush()
        spans = [span for span in self._collector.named(beginning) if trace in {None, span.trace_id}]
        return sorted(spans, key=lambda span: span.start)


@pytest.fixture
def traces() -> Iterator[Traces]:
    with otlp_collector() as collector, ExitStack() as at_end:
        yield Traces(collector, at_end)


@pytest.fixture
def shop(traces: Traces, tmp_path: Path) -> ServiceTestDriver:
    return ServiceTestDriver(scripted_service("shop", tmp_path), interceptors=[traces.of("shop")])


def traced(record: StoredRecord, flags: str = "01", state: str = "") -> StoredRecord:
    """Return a record as a sender with a span of its own has written it."""
    headers: Headers = [*record.raw_headers, ("traceparent", f"00-{TRACE}-{SENDER}-{flags}")]
    if state:
        headers.append(("tracestate", state))
    place = record.at_topic, record.at_partition, record.at_offset
    return StoredRecord(*place, record.raw_key, record.raw_value, headers)


def test_an_order_is_one_trace_through_five_services(traces: Traces) -> None:
    # given
    flow = OrderFlow(stock={"bolt": 10}, interceptors={name: [traces.of(name)] for name in NAMES})
    flow.run()

    # when
    flow.publish(place_order())
    flow.run_until(lambda: flow.messages(OrderCompleted))

    # then
    (trace, sender), *others = {_context_of(line.record) for line in flow.story("o-1") if line.sender == "/outside"}
    spans = traces.spans(trace=trace)
    assert others == []
    assert {span.service for span in spans} == set(NAMES)
    assert why_not_one_trace(spans, sender) == []
    assert [span.name for span in spans if span.parent_id == sender] == ["process orders.commands"]
    sent = {span.span_id for span in spans if span.kind == "producer"}
    written = [line.record for line in flow.story("o-1") if line.sender != "/outside"]
    assert {_context_of(record) for record in written} <= {(trace, span_id) for span_id in sent}
    assert len(written) > 12


def test_spans_say_what_the_conventions_ask_for(shop: ServiceTestDriver, traces: Traces) -> None:
    shop.receive_records([traced(shop.record_of(script("a", "tell x"), "one"))])
    process, send = *traces.spans("process"), *traces.spans("send")
    (record,) = shop.records("shop.events")
    assert (process.kind, process.parent_id, process.trace_id) == ("consumer", SENDER, TRACE)
    assert process.attributes == {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "shop.commands",
        "messaging.destination.partition.id": str(shop.process.partition_of(b"a")),
        "messaging.consumer.group.name": "shop",
        "messaging.kafka.offset": 0,
        "messaging.kafka.message.key": "a",
        "messaging.message.id": "one",
        "messaging.message.conversation_id": "one",
        "messaging.message.body.size": process.attributes["messaging.message.body.size"],
        "code.function.name": "Clerk.on_script",
    }
    assert (send.name, send.kind, send.parent_id) == ("send shop.events", "producer", process.span_id)
    assert (send.trace_id, send.span_id) == _context_of(record)
    assert send.span_id == send.message_id[:16]


def test_a_batch_is_received_and_committed_in_a_trace_of_its_own_linked_with_its_messages(
    shop: ServiceTestDriver, traces: Traces
) -> None:
    shop.receive_records([traced(shop.record_of(script(key, "tell x"), f"m-{key}")) for key in "ab"])
    receive, commit = *traces.spans("receive"), *traces.spans("commit")
    assert (receive.name, receive.kind, receive.parent_id) == ("receive shop.commands", "consumer", "")
    assert receive.links == ((TRACE, SENDER), (TRACE, SENDER))
    assert receive.attributes["messaging.batch.message_count"] == 2
    assert (commit.parent_id, commit.trace_id) == (receive.span_id, receive.trace_id)
    assert commit.attributes["messaging.operation.type"] == "settle"
    assert receive.start <= commit.start <= commit.end


def test_each_attempt_at_a_parked_record_is_a_span_of_its_trace(shop: ServiceTestDriver, traces: Traces) -> None:
    shop.receive_records([traced(shop.record_of(script("a", "tell x", "flaky 2"), "one"))])
    shop.advance(600)
    attempts, (send,) = traces.spans("process"), traces.spans("send")
    assert [(span.trace_id, span.parent_id) for span in attempts] == [(TRACE, SENDER)] * 3
    assert [span.has_failed for span in attempts] == [True, True, False]
    assert attempts[0].attributes["error.type"] == "RetryableError"
    assert send.parent_id == attempts[2].span_id


def test_a_redriven_record_keeps_its_trace(shop: ServiceTestDriver, traces: Traces) -> None:
    shop.receive_records([traced(shop.record_of(script("a", "fail"), "one"))])
    shop.redrive(shop.dead_letters[0], edited=script("a", "tell x"))
    failed, redriven = traces.spans("process")
    report, told = traces.spans("send")
    assert (failed.trace_id, failed.parent_id) == (redriven.trace_id, redriven.parent_id) == (TRACE, SENDER)
    assert (report.parent_id, told.parent_id) == (failed.span_id, redriven.span_id)


def test_a_timer_goes_on_with_the_trace_of_what_set_it(shop: ServiceTestDriver, traces: Traces) -> None:
    shop.receive_records([traced(shop.record_of(script("a", "remind alarm 5 tell x"), "one"))])
    shop.restart()
    shop.advance(6)
    spans = traces.spans(trace=TRACE)
    assert [span.name for span in spans] == [
        "process shop.commands",
        "schedule alarm",
        "process timer",
        "send shop.events",
    ]
    assert "messaging.kafka.offset" not in spans[2].attributes, "it lies nowhere"
    assert why_not_one_trace(spans, SENDER) == []


def test_a_timer_of_a_record_that_fails_was_not_scheduled(shop: ServiceTestDriver, traces: Traces) -> None:
    shop.receive(script("a", "remind alarm 5 tell x", "fail"), script("c", "tell y"))
    assert (shop.timers, traces.spans("schedule")) == ([], [])


def test_a_call_that_outlives_its_batch_stays_in_its_trace(traces: Traces) -> None:
    world = Controls()
    world.hang("x")
    interceptors = [traces.of("shop")]
    driver = ServiceTestDriver(controlled_service(world), call_wait_s=0.01, limits=limits(), interceptors=interceptors)
    driver.receive_records([traced(driver.record_of(slow_call("a", "x"), "one"))])
    world.let_go("x")
    driver.land()
    assert why_not_one_trace(traces.spans(trace=TRACE), SENDER) == []
    assert [span.name for span in traces.spans(trace=TRACE)] == ["process shop.commands", "send shop.events"]


def test_calls_side_by_side_do_not_mix_their_traces(shop: ServiceTestDriver, traces: Traces) -> None:
    shop.receive(*(slow(key, "tell x", "tell y") for key in "abc"))
    processes = {span.span_id: span for span in traces.spans("process")}
    assert len({span.trace_id for span in processes.values()}) == 3
    for send in traces.spans("send"):
        cause = processes[send.parent_id].attributes["messaging.kafka.message.key"]
        assert cause == send.attributes["messaging.kafka.message.key"]


def test_what_was_not_committed_was_not_sent(shop: ServiceTestDriver, traces: Traces) -> None:
    shop.abort(script("a", "tell x"), message_id="one")
    shop.restart()
    shop.receive(script("a", "tell x"), message_id="one")
    (send,) = traces.spans("send")
    assert (send.trace_id, send.span_id) == _context_of(shop.records("shop.events")[0])


def test_nothing_is_kept_of_outputs_that_did_not_leave(traces: Traces, tmp_path: Path) -> None:
    """Or a service that refuses records for weeks would run out of memory."""
    tracing = traces.of("shop")
    driver = ServiceTestDriver(scripted_service("shop", tmp_path), interceptors=[tracing])
    driver.receive(script("a", "tell x", "fail"), slow("b", "tell x", "fail"), script("c", "tell x"))
    assert tracing._unsent == {}


def test_a_transaction_that_does_not_take_effect_has_sent_and_scheduled_nothing(traces: Traces, tmp_path: Path) -> None:
    # given a batch whose commit fails after its outputs were made
    tracing = traces.of("shop")
    driver = ServiceTestDriver(scripted_service("shop", tmp_path), interceptors=[tracing])
    driver.process.handle([driver.record_of(script("a", "tell x", "remind alarm 5 tell x"), "one")])
    [message_id] = tracing._unsent
    commit = InterceptedCommit(
        service="shop", batch_s=0.0, offsets={("shop.commands", 0): 1}, outputs=[("shop.events", message_id)]
    )

    # when
    with pytest.raises(NotCommitted), tracing.intercept_commit(commit):
        raise NotCommitted("fenced")

    # then
    assert (tracing._unsent, tracing._scheduled, traces.spans("send"), traces.spans("schedule")) == ({}, {}, [], [])
    (span,) = traces.spans("commit")
    assert (span.attributes["error.type"], span.name) == ("NotCommitted", "commit shop.commands")


def test_nothing_is_kept_of_timers_that_were_scheduled(traces: Traces, tmp_path: Path) -> None:
    tracing = traces.of("shop")
    driver = ServiceTestDriver(scripted_service("shop", tmp_path), interceptors=[tracing])
    driver.receive(script("a", "remind alarm 5 tell x"))
    assert tracing._scheduled == {}


def test_a_record_without_a_trace_begins_the_one_that_its_outputs_say(shop: ServiceTestDriver, traces: Traces) -> None:
    shop.receive(script("a", "tell x"), message_id="one")
    process, send = *traces.spans("process"), *traces.spans("send")
    assert (process.parent_id, send.parent_id) == ("", process.span_id)
    assert (process.trace_id, send.span_id) == _context_of(shop.records("shop.events")[0])


def test_the_state_of_a_trace_is_handed_on(shop: ServiceTestDriver, traces: Traces) -> None:
    shop.receive_records([traced(shop.record_of(script("a", "tell x"), "one"), state="vendor=abc")])
    (record,) = shop.records("shop.events")
    assert dict(record.headers())["tracestate"] == b"vendor=abc"


def test_what_the_sender_does_not_sample_is_not_exported_and_said_to_the_next_one(
    shop: ServiceTestDriver, traces: Traces
) -> None:
    shop.receive_records([traced(shop.record_of(script("a", "tell x"), "one"), flags="00")])
    (record,) = shop.records("shop.events")
    assert dict(record.headers())["traceparent"].endswith(b"-00")
    assert traces.spans(trace=TRACE) == []


def test_with_tracing_ids_and_traces_are_those_of_before(traces: Traces, tmp_path: Path) -> None:
    """So a service can be switched over in place, and an input that is done again writes the same."""
    plain = ServiceTestDriver(scripted_service("shop", tmp_path))
    with_spans = ServiceTestDriver(scripted_service("shop", tmp_path), interceptors=[traces.of("shop")])
    for driver in (plain, with_spans):
        driver.receive(script("a", "tell x", "book tea 1", "forward y"), message_id="one")
    for topic in ("shop.events", "shop.ledger", "shop.outbox"):
        assert [record.headers() for record in plain.records(topic)] == [
            record.headers() for record in with_spans.records(topic)
        ]


def _context_of(record: StoredRecord) -> tuple[str, str]:
    _, trace, span, _ = dict(record.headers())["traceparent"].decode().split("-")
    return trace, span
