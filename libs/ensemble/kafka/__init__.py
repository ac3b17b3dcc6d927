"""Runs services on Kafka: all of the runtime that needs the Kafka client, but for one question of `embedded`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ensemble.kafka.connection import connect
from ensemble.lazy import import_on_first_use

if TYPE_CHECKING:
    from ensemble.interceptors import Interceptor
    from ensemble.kafka.client.messages import AsyncClient, Client, Outgoing, Receipt, Unacknowledged
    from ensemble.service.service import Service
    from ensemble.settings import Settings

__all__ = ["AsyncClient", "Client", "Outgoing", "Receipt", "Unacknowledged", "connect", "run"]


def run(*services: Service, settings: Settings | None = None, interceptors: Sequence[Interceptor] = ()) -> int:
    """Run the service until SIGTERM or SIGINT and return the exit code: 0 stopped, 1 failed, 2 misconfigured.

    Settings that are not passed come from the environment. Several services run in one process, each in a thread of its
    own, for development: the first one that ends stops the others. `interceptors` surround those of each service.
    """
    from ensemble.kafka.worker.process import run_services  # loads all of the runtime, which a CLI command does without

    return run_services(services, settings, interceptors)


if not TYPE_CHECKING:  # a type checker knows each name by its import above, and no other
    __getattr__ = import_on_first_use(
        __name__,
        dict.fromkeys(
            ["AsyncClient", "Client", "Outgoing", "Receipt", "Unacknowledged"], "ensemble.kafka.client.messages"
        ),
    )
