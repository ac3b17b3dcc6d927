"""Runs a service on Kafka: what its `__main__` calls."""

from __future__ import annotations

from ensemble.kafka.worker.process import run_service
from ensemble.service.service import Service

__all__ = ["run"]


def run(service: Service) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code. Settings come from the environment."""
    return run_service(service)
