"""Reports on a running service: logs, metrics and health."""

from ensemble.observability.health import HealthServer
from ensemble.observability.logs import configure_logging
from ensemble.observability.metrics import LoopMetrics

__all__ = ["HealthServer", "LoopMetrics", "configure_logging"]
