"""Runs services on Kafka: all of the runtime that needs the Kafka client, but for one question of `embedded`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ensemble.kafka.connection import connect

if TYPE_CHECKING:
    from ensemble.service.service import Service

__all__ = ["connect", "run"]


def run(service: Service) -> int:
    """Run the service until SIGTERM or SIGINT and return the exit code. Settings come from the environment."""
    from ensemble.kafka.worker.process import run_service  # loads all of the runtime, which a CLI command does without

    return run_service(service)
