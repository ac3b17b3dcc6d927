"""Spans are exported if an endpoint is set and nothing speaks against it; what does is said once, and nothing stops."""

import os
import subprocess
import sys
from typing import Any

import pytest
from structlog.testing import capture_logs

from ensemble.clock import until
from ensemble.observability.tracing_switch import ServiceTracing, is_on, sender_tracing
from ensemble.settings import TelemetrySettings

ENDPOINT = "http://collector:4318"


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({"exporter_otlp_endpoint": ENDPOINT}, f"{ENDPOINT}/v1/traces"),
        ({"exporter_otlp_endpoint": f"{ENDPOINT}/base/"}, f"{ENDPOINT}/base/v1/traces"),
        ({"exporter_otlp_endpoint": "http://other", "exporter_otlp_traces_endpoint": ENDPOINT}, ENDPOINT),
    ],
)
def test_an_endpoint_switches_tracing_on(settings: dict[str, Any], url: str) -> None:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="needs the extra `otel`")
    telemetry = TelemetrySettings(**settings)
    assert is_on(telemetry)
    assert telemetry.traces_url == url


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"exporter_otlp_endpoint": ENDPOINT, "sdk_disabled": "TRUE"},
        {"exporter_otlp_endpoint": ENDPOINT, "traces_exporter": "none"},
    ],
)
def test_without_an_endpoint_or_switched_off_it_is_off_and_says_nothing(settings: dict[str, Any]) -> None:
    with capture_logs() as lines:
        assert not is_on(TelemetrySettings(**settings))
    assert lines == []


def test_a_service_without_tracing_has_no_interceptor_of_it_and_closes_nothing() -> None:
    tracing = ServiceTracing(TelemetrySettings(), "payment", "0")
    tracing.close()
    assert tracing.interceptors == ()


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"traces_exporter": "zipkin"}, "OTEL_TRACES_EXPORTER is 'zipkin'; set otlp, or none"),
        ({"exporter_otlp_protocol": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc'; set http/protobuf"),
        ({"exporter_otlp_endpoint": "collector:4318"}, "'collector:4318/v1/traces' is no http(s) URL"),
    ],
)
def test_what_cannot_be_exported_is_said_and_the_service_runs_without(settings: dict[str, Any], reason: str) -> None:
    with capture_logs() as lines:
        assert not is_on(TelemetrySettings(**({"exporter_otlp_endpoint": ENDPOINT} | settings)))
    assert [line["event"] for line in lines] == ["tracing.unavailable"]
    assert reason in lines[0]["reason"]


def run_python(script: str, **environment: str) -> str:
    variables = {**os.environ, **environment}
    return subprocess.run(
        [sys.executable, "-c", script], env=variables, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize("missing", ["opentelemetry.exporter.otlp.proto", "opentelemetry.exporter.otlp.proto.http"])
def test_without_the_extra_it_says_what_to_install(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "opentelemetry.exporter.otlp.proto.http", raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    with capture_logs() as lines:
        assert ServiceTracing(TelemetrySettings(exporter_otlp_endpoint=ENDPOINT), "shop", "0").interceptors == ()
    [line] = lines
    assert line["reason"].endswith("install ensemble-kafka[otel], or set OTEL_SDK_DISABLED=true")


def test_a_process_that_exports_nothing_imports_nothing_for_it() -> None:
    script = """
import sys
import ensemble.kafka.client.messages, ensemble.kafka.worker.process
from ensemble.observability.tracing_switch import ServiceTracing, sender_tracing
from ensemble.settings import Settings
assert ServiceTracing(Settings().telemetry, "shop", "0").interceptors == ()
assert sender_tracing(Settings().telemetry, "web") is None
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""
    assert run_python(script).strip() == "[]"


@pytest.fixture
def no_global_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in this process has set one, and nothing names the service."""
    trace = pytest.importorskip("opentelemetry.trace", reason="needs the extra `otel`")
    once = pytest.importorskip("opentelemetry.util._once").Once()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", once)
    for name in ("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "600000")  # in milliseconds: what is exported is so by the end alone


@pytest.mark.usefixtures("no_global_provider")
def test_libraries_export_by_the_service_s_provider_unless_there_is_one_and_until_it_is_closed() -> None:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider

    from tests.support.otlp_collector import otlp_collector

    with otlp_collector() as collector:
        # given two services of one process
        telemetry = TelemetrySettings(exporter_otlp_endpoint=collector.url)
        services = [ServiceTracing(telemetry, name, "7") for name in ("shop", "other")]

        # when a library makes a span, and the services end
        trace.get_tracer("library").start_span("query").end()
        for service in services:
            service.close()
        assert any(collector.spans for _ in until(30, 0.01))

    # then the first service has exported it
    assert [(span.service, span.name) for span in collector.spans] == [("shop", "query")]
    assert [[type(each).__name__ for each in service.interceptors] for service in services] == [["Tracing"]] * 2
    provider = trace.get_tracer_provider()
    assert isinstance(provider, TracerProvider)
    assert provider.resource.attributes["service.instance.id"] == "7"


def test_without_an_endpoint_a_client_has_no_tracing() -> None:
    assert sender_tracing(TelemetrySettings(), "web") is None
