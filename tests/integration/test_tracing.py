"""Spans of processes on a real Kafka, from a client to the last event; and a collector that never answers."""

import signal
import sys
import time
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="needs the extra `otel`")

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from contracts.catalogue import CATALOGUE
from ensemble.kafka import Client
from ensemble.settings import KafkaSettings, Settings, TelemetrySettings
from ensemble.testing.on_kafka import ServiceProcess, wait_for
from tests.integration.conftest import Shop
from tests.support.forks import CHECKOUT
from tests.support.order_messages import place_order, receive_stock
from tests.support.otlp_collector import OtlpCollector, ReceivedSpan, otlp_collector, why_not_one_trace
from tests.support.payment_on_kafka import PaymentOnKafka
from tests.support.scripted_service.drivers import script

SERVICES = {"order", "payment", "inventory", "shipping", "orchestrator"}
READY_S = 180.0


def settings_of(bootstrap: str, collector: str) -> Settings:
    telemetry = TelemetrySettings(exporter_otlp_endpoint=collector)
    return Settings(kafka=KafkaSettings(bootstrap_servers=bootstrap), telemetry=telemetry)


def test_an_order_is_one_trace_from_the_client_to_its_last_event(payment: PaymentOnKafka, tmp_path: Path) -> None:
    command, log = [sys.executable, "-m", "tests.support.traced_flow"], tmp_path / "flow.log"
    flow = ServiceProcess(command, log, payment.bootstrap, directory=CHECKOUT, settings={"http_port": 0})
    with otlp_collector() as collector:
        # given
        flow.environment |= {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
        with flow, Client(CATALOGUE, settings_of(payment.bootstrap, collector.url), name="web") as client:
            client.send(receive_stock(sku="bolt", quantity=10))

            # when
            receipt = client.send(place_order(order_id=f"o-{time.time_ns()}"))
            told = partial(sent_by, collector, "order", "orders.events", receipt.trace)
            wait_for(lambda: len(told()) == 2, "the order to be placed and completed", READY_S)
            assert flow.stop() == 0

    # then
    spans = [span for span in collector.spans if span.trace_id == receipt.trace]
    (sent,) = sent_by(collector, "web", "orders.commands", receipt.trace)
    assert (sent.kind, sent.parent_id) == ("producer", "")
    assert {span.service for span in spans} == {"web", *SERVICES}
    assert why_not_one_trace(spans, "") == []
    assert {span.service for span in collector.named("commit")} >= SERVICES


def sent_by(collector: OtlpCollector, service: str, topic: str, trace_id: str) -> list[ReceivedSpan]:
    spans = collector.named(f"send {topic}")
    return [span for span in spans if (span.service, span.trace_id) == (service, trace_id)]


def test_a_client_goes_on_with_the_span_of_its_caller(shop: Shop) -> None:
    caller = TracerProvider(shutdown_on_exit=False).get_tracer("caller")
    with otlp_collector() as collector:
        client = Client(shop.service.catalogue, settings_of(shop.bootstrap, collector.url), name="web")
        with client, caller.start_as_current_span("request") as span:
            receipt = client.send(script("a", "tell x"))
            passed = client.send(script("a", "tell x"), traceparent=f"00-{'a' * 32}-{'b' * 16}-01")
    context = span.get_span_context()
    first, second = collector.named("send")
    assert (first.trace_id, first.parent_id) == (trace.format_trace_id(context.trace_id), f"{context.span_id:016x}")
    assert receipt.trace == first.trace_id
    assert (second.trace_id, second.parent_id, passed.trace) == ("a" * 32, "b" * 16, "a" * 32)


def test_a_collector_that_never_answers_neither_slows_nor_stops_a_service(shop: Shop) -> None:
    with otlp_collector(hangs=True) as collector:
        process = shop.prepare_process()
        process.environment |= {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "10"}
        with process:
            shop.outsider.send(script("a", "tell x"))
            shop.outsider.await_texts("a", "x")
            wait_for(lambda: collector.requests, "spans to be exported")
            shop.outsider.send(script("a", "tell y"))
            shop.outsider.await_texts("a", "x", "y")
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait() == 0
    assert time.monotonic() - began < 20
