"""A service as a process: settings, logs, topics, health, signals, and the loop.

Exit codes: 0 stopped, 1 failed, 2 misconfigured.
"""

from __future__ import annotations

import signal
import sys
import time

import structlog
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from ensemble.clock import RuntimeClock, SystemClock
from ensemble.errors import ConfigurationError, EnsembleError
from ensemble.health import HealthServer
from ensemble.kafka import clients, topics
from ensemble.kafka.cluster import connect
from ensemble.kafka.loop import Clients, Loop
from ensemble.kafka.slots import take_slot
from ensemble.kafka.watchdog import watch
from ensemble.logs import configure
from ensemble.metrics import LoopMetrics
from ensemble.plan import Limits, Plan
from ensemble.service import Service
from ensemble.settings import KafkaSettings, RuntimeSettings, load

log = structlog.get_logger()

_LIVE_LIMIT_S = 45.0


def run_service(service: Service) -> int:
    """Run until SIGTERM or SIGINT.

    Words on stderr and an exit code, never a traceback, for what a user can put right.
    """
    try:
        settings = load(RuntimeSettings)
        configure(service.name, settings)
        slot = take_slot(service.name, settings.instance_id)
        settings = settings.model_copy(update={"instance_id": slot.name})
        loop = make_loop(service, settings, load(KafkaSettings))
        _serve_health(service, settings, loop)
    except ConfigurationError as error:
        print(f"{service.name}: {error}", file=sys.stderr)
        return 2
    with slot:
        return _run(service, loop, settings)


def make_loop(
    service: Service, settings: RuntimeSettings, kafka: KafkaSettings, clock: RuntimeClock | None = None
) -> Loop:
    """A loop for `service`, on the machine's clock unless another is given.

    ConfigurationError when the cluster cannot be reached or its topics are not as they must be.
    """
    shared, admin = connect(kafka, settings.startup_timeout_s, quiet=True)
    topics.require(admin, service)
    plan = Plan(service, clock or SystemClock(), Limits(attempt_timeout_s=settings.attempt_timeout_s))
    metrics = LoopMetrics(service.name)
    return Loop(plan, settings, _clients(service, settings, shared, admin), metrics)


def _clients(service: Service, settings: RuntimeSettings, shared: dict[str, object], admin: AdminClient) -> Clients:
    return Clients(
        consumer=clients.group_consumer(shared, service.name, settings),
        producer=clients.transactional_producer(shared, service.name, settings),
        reader=clients.assigned_reader(shared, f"{service.name}-{settings.instance_id}-restore"),
        admin=admin,
    )


def _serve_health(service: Service, settings: RuntimeSettings, loop: Loop) -> None:
    port = settings.http_port if settings.http_port is not None else service.http_port
    if port:
        server = HealthServer(lambda: _why_not_live(loop), lambda: loop.why_not_ready, loop.metrics.registry)
        server.start(settings.http_host, port)


def _why_not_live(loop: Loop) -> str:
    silent = time.monotonic() - loop.beat
    return f"the loop has not turned for {silent:.0f} s" if silent > _LIVE_LIMIT_S else ""


def _run(service: Service, loop: Loop, settings: RuntimeSettings) -> int:
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: loop.stop())
    watch(lambda: loop.beat, settings.watchdog_s)
    log.info("service.started", slot=settings.instance_id, inputs=[topic.name for topic in service.inputs])
    try:
        loop.run()
    except EnsembleError as error:
        log.critical("service.failed", error=type(error).__name__, reason=str(error))
        return 1
    except KafkaException as error:
        log.critical("service.failed", error="KafkaException", reason=error.args[0].str())
        return 1
    except Exception:
        log.critical("service.failed", exc_info=True)
        return 1
    log.info("service.stopped")
    return 0
