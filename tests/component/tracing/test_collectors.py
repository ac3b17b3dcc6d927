"""A collector that is down, or takes spans and never answers, costs spans: no record waits for it, and no end."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="needs the extra `otel`")

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from ensemble.observability.tracing import Tracing, close_provider
from ensemble.testing.driver import ServiceTestDriver
from tests.support.otlp_collector import otlp_collector
from tests.support.scripted_service.drivers import script
from tests.support.scripted_service.service import scripted_service

RECORDS = 200
SOON_S = 10.0
"""Far less than one export to such a collector may take."""


@contextmanager
def url_of(kind: str) -> Iterator[str]:
    if kind == "hangs":
        with otlp_collector(hangs=True) as collector:
            yield collector.url
    else:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # nobody listens there
            yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def end_export(exporter: OTLPSpanExporter) -> None:
    """What still tries to export after the close ends now, not within another test half a minute later."""
    exporter.shutdown()  # type: ignore[no-untyped-call]  # it has no types
    for thread in threading.enumerate():
        if thread.name == "tracing-close":
            thread.join(60)
            assert not thread.is_alive()


@pytest.mark.parametrize("kind", ["hangs", "is down"])
def test_a_service_does_not_wait_for_its_collector(tmp_path: Path, kind: str) -> None:
    with url_of(kind) as url:
        # given a queue that is full at once
        provider = TracerProvider(shutdown_on_exit=False)
        exporter = OTLPSpanExporter(f"{url}/v1/traces", timeout=60)
        provider.add_span_processor(
            BatchSpanProcessor(exporter, max_queue_size=20, max_export_batch_size=10, schedule_delay_millis=1)
        )
        driver = ServiceTestDriver(scripted_service("shop", tmp_path), interceptors=[Tracing(provider)])

        # when
        began = time.monotonic()
        for number in range(RECORDS):
            driver.receive(script(f"k-{number}", "tell x"))
        handled = time.monotonic()
        close_provider(provider)
        closed = time.monotonic()
    end_export(exporter)

    # then
    assert len(driver.outputs) == RECORDS
    assert handled - began < SOON_S
    assert closed - handled < SOON_S / 2
