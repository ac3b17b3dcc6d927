"""Says whether spans are exported, and imports OpenTelemetry only if they are."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import structlog

from ensemble.interceptors import Interceptor
from ensemble.settings import TelemetrySettings

if TYPE_CHECKING:
    from ensemble.observability.tracing import SenderTracing

log = structlog.get_logger()

_PROTOCOL = "http/protobuf"


class ServiceTracing:
    """The tracing of one service process: its interceptors, none if spans are not exported."""

    def __init__(self, settings: TelemetrySettings, name: str, instance: str) -> None:
        self.interceptors: tuple[Interceptor, ...] = ()
        self._provider: Any = None
        if is_on(settings):
            from ensemble.observability.tracing import Tracing, offer_globally, otlp_provider

            self._provider = otlp_provider(settings.traces_url, name, instance)
            offer_globally(self._provider)
            self.interceptors = (Tracing(self._provider),)

    def close(self) -> None:
        """Export what is left, within two seconds."""
        if self._provider is not None:
            from ensemble.observability.tracing import close_provider

            close_provider(self._provider)


def sender_tracing(settings: TelemetrySettings, name: str) -> SenderTracing | None:
    """Return the tracing of a client, or None if spans are not exported."""
    if not is_on(settings):
        return None
    from ensemble.observability.tracing import SenderTracing, otlp_provider

    return SenderTracing(otlp_provider(settings.traces_url, name))


def is_on(settings: TelemetrySettings) -> bool:
    """Return whether spans are exported. If they were to be and cannot be, that is logged (`tracing.unavailable`)."""
    if not settings.traces_url or settings.sdk_disabled.strip().lower() == "true" or settings.traces_exporter == "none":
        return False
    if reason := _why_unavailable(settings):
        log.warning("tracing.unavailable", reason=f"no spans are exported: {reason}")
    return not reason


def _why_unavailable(settings: TelemetrySettings) -> str:
    if settings.traces_exporter != "otlp":
        return f"OTEL_TRACES_EXPORTER is {settings.traces_exporter!r}; set otlp, or none"
    if settings.protocol != _PROTOCOL:
        return f"OTEL_EXPORTER_OTLP_PROTOCOL is {settings.protocol!r}; set {_PROTOCOL}, and the port for it (4318)"
    if not settings.traces_url.startswith(("http://", "https://")):
        return f"{settings.traces_url!r} is no http(s) URL; set OTEL_EXPORTER_OTLP_ENDPOINT=http://host:4318"
    if not _is_installed():
        return "OpenTelemetry is not installed; install ensemble-kafka[otel], or set OTEL_SDK_DISABLED=true"
    return ""


def _is_installed() -> bool:
    try:
        return find_spec("opentelemetry.exporter.otlp.proto.http") is not None  # it brings the SDK
    except ModuleNotFoundError:
        return False
