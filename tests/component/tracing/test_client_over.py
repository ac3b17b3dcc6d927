"""A client of a cluster that was reached already exports its spans as any other does."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="needs the extra `otel`")

from contracts.catalogue import CATALOGUE
from ensemble.kafka import Client
from ensemble.messages.schema_set import DirectorySourceSelector
from ensemble.settings import TelemetrySettings
from tests.support.flow_in_memory import FlowInMemory
from tests.support.order_messages import place_order
from tests.support.otlp_collector import otlp_collector


def test_a_client_over_a_connection_exports_what_it_sends() -> None:
    flow: Any = FlowInMemory()
    with otlp_collector() as collector:
        telemetry = TelemetrySettings(exporter_otlp_endpoint=collector.url)
        with Client.over(flow, CATALOGUE, DirectorySourceSelector(), name="web", telemetry=telemetry) as client:
            receipt = client.send(place_order())
    [span] = collector.named("send orders.commands")
    assert (span.service, span.trace_id) == ("web", receipt.trace)
