"""Runs a service as a process: settings, logs, topics, health, signals, and the loop.

Exit codes: 0 stopped, 1 failed, 2 misconfigured.
"""

from __future__ import annotations

import gc
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from functools import partial
from math import inf
from typing import Any

import structlog
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from ensemble.clock import SystemClock
from ensemble.engine.compiled import CompiledService, compile_service
from ensemble.engine.routes import Limits
from ensemble.errors import (
    ConfigurationError,
    EnsembleError,
    FatalError,
    LostState,
    RegistryRefusal,
    SchemasUnavailable,
    UnreadableState,
)
from ensemble.escaping import escape_controls
from ensemble.interceptors import Interceptor
from ensemble.kafka import client_config as clients
from ensemble.kafka.admin import topics
from ensemble.kafka.admin.permissions import Permissions
from ensemble.kafka.authorization import principal
from ensemble.kafka.client_config import Clients
from ensemble.kafka.connection import connect
from ensemble.kafka.errors import client_error
from ensemble.kafka.registry.sources import schema_sources
from ensemble.kafka.worker.broker_clock import BrokerClock
from ensemble.kafka.worker.loop import Loop
from ensemble.kafka.worker.slots import take_slot
from ensemble.kafka.worker.stopping import end_when_idle, stop_on_signals
from ensemble.kafka.worker.watchdog import watch
from ensemble.messages.schema_set import SchemaSourceSelector
from ensemble.observability.health import Guard, HealthServer
from ensemble.observability.log_stream import tell
from ensemble.observability.logs import configure_logging
from ensemble.observability.metrics import LoopMetrics
from ensemble.observability.tracing_switch import ServiceTracing
from ensemble.policies.loading import load_policies
from ensemble.service.ports import Clock
from ensemble.service.service import Service
from ensemble.settings import KafkaSettings, RuntimeSettings, Settings
from ensemble.waiting import HEARD_S, OnWait, ignore, wait_for

log = structlog.get_logger()

_LIVE_LIMIT_S = 45.0
"""The loop may be silent for so long beyond what it says that it waits for."""
_COLLECT_EVERY = 50_000
"""Threshold of the garbage collector's youngest generation."""
_RETRY_S = 1.0


def run_services(
    services: Sequence[Service],
    settings: Settings | None = None,
    interceptors: Sequence[Interceptor] = (),
    *,
    open_loop: Callable[..., Loop] | None = None,
) -> int:
    """Run until a signal stops it: one service in this thread, several in a thread each, and none outlives another.

    Returns the exit code; what an operator can put right is a message on stderr, never a traceback. `open_loop` is
    called like `loop_of`, which it is if it is not given.
    """
    if fault := _fault(services):
        tell(fault)
        return 2
    statuses = [ProcessStatus(LoopMetrics(service.name)) for service in services]

    def stop() -> None:
        for status in statuses:
            status.stop()

    stop_on_signals(stop, lambda: min(status.idle_s for status in statuses), lambda: end(statuses))
    run_one = partial(_run_service, settings=settings, interceptors=interceptors, open_loop=open_loop or loop_of)
    if len(services) == 1:
        return run_one(services[0], statuses[0])
    return _run_side_by_side(services, statuses, run_one, stop)


def _fault(services: Sequence[Any]) -> str:
    """Return why these cannot run in one process, or ""."""
    if not services:
        return "no service to run: run(order_service())"
    for service in services:
        if not isinstance(service, Service):
            what = f"the class {service.__name__}" if isinstance(service, type) else f"a {type(service).__name__}"
            return f"run takes services, not {what}: run(order_service())"
    names = Counter(service.name for service in services)
    twice = [name for name, times in names.items() if times > 1]
    if twice:
        return (
            f"run was given {twice[0]} more than once; one process runs a service once, start another for a second one"
        )
    return ""


def _run_side_by_side(
    services: Sequence[Service],
    statuses: Sequence[ProcessStatus],
    run: Callable[[Service, ProcessStatus], int],
    stop: Callable[[], None],
) -> int:
    """Return the highest exit code. When one ends, another that hangs on its way out is cut short as after a signal."""
    has_ended = threading.Event()

    def run_one(service: Service, status: ProcessStatus) -> None:
        structlog.contextvars.bind_contextvars(service=service.name)
        code = 1
        try:
            code = run(service, status)
        finally:
            status.exit_code = code
            stop()
            has_ended.set()

    threads = [
        threading.Thread(target=run_one, args=pair, name=pair[0].name) for pair in zip(services, statuses, strict=True)
    ]
    for thread in threads:
        thread.start()
    while not has_ended.wait(HEARD_S):
        pass  # here a signal is heard

    def end_if_any_hangs() -> None:
        if any(thread.is_alive() for thread in threads):
            end(statuses)

    watch_the_end = partial(end_when_idle, lambda: min(status.idle_s for status in statuses), end_if_any_hangs)
    threading.Thread(target=watch_the_end, name="end", daemon=True).start()
    for thread in threads:
        thread.join()
    return worst_exit_code(statuses)


def _run_service(
    service: Service,
    status: ProcessStatus,
    *,
    settings: Settings | None,
    interceptors: Sequence[Interceptor],
    open_loop: Callable[..., Loop],
) -> int:
    try:
        settings = settings or Settings()
        runtime, kafka = settings.runtime, settings.kafka
        configure_logging(service.name, runtime)
        sources = schema_sources(settings.registry, kafka)
        slot = take_slot(service.name, runtime.instance_id)
        runtime = runtime.model_copy(update={"instance_id": slot.name})
        limits = _limits(service, runtime)
        _serve_health(service, runtime, status)
        tracing = ServiceTracing(settings.telemetry, service.name, runtime.instance_id)
        interceptors, clock = (*tracing.interceptors, *interceptors), BrokerClock(SystemClock())
        plan = _await_schemas(
            lambda: compile_service(service, clock, limits, sources, interceptors=interceptors), status
        )
        status.loop = open_loop(plan, runtime, kafka, status.metrics, on_wait=status.wait) if plan else None
    except (ConfigurationError, RegistryRefusal) as error:
        if status.stopping.is_set():
            return 0
        tell(f"{service.name}: " + escape_controls(str(error), keep="\n"))
        return 2
    with slot, closing(tracing):
        return _run(service, status, runtime)


class ProcessStatus:
    """Answers /livez, /readyz and signals for the process: at first by what it waits for, then by its loop."""

    def __init__(self, metrics: LoopMetrics) -> None:
        self.metrics = metrics
        self.loop: Loop | None = None
        self.waits_for = "starting"
        self.stopping = threading.Event()
        self.exit_code: int | None = None
        """None while the service runs: one of several services of a process may end before the others."""

    @property
    def why_not_ready(self) -> str:
        return self.loop.why_not_ready if self.loop else self.waits_for

    @property
    def why_not_live(self) -> str:
        heartbeat = self.loop.heartbeat if self.loop else None
        return heartbeat.describe() if heartbeat and heartbeat.overdue_s > _LIVE_LIMIT_S else ""

    @property
    def idle_s(self) -> float:
        """For how long the process has not moved. A batch in hand is finished however long its handlers take."""
        if self.loop is None or self.exit_code is not None:
            return inf
        heartbeat = self.loop.heartbeat
        return 0.0 if heartbeat.activity.is_work else heartbeat.silent_s

    def wait(self, reason: str) -> None:
        """Tell what the process waits for before it has a loop."""
        log.warning("service.delayed", reason=reason)
        self.waits_for = reason

    def stop(self) -> None:
        """Stop waiting, or the loop. May be called from any thread."""
        self.stopping.set()
        if self.loop:
            self.loop.stop()

    @property
    def activity(self) -> str:
        """What the service does at the moment."""
        return self.loop.heartbeat.activity.name if self.loop else self.waits_for


def worst_exit_code(statuses: Iterable[ProcessStatus]) -> int:
    """Return the highest exit code of the services that have ended. One that runs has been told to stop."""
    return max(status.exit_code or 0 for status in statuses)


def end(statuses: Sequence[ProcessStatus], exit_process: Callable[[int], object] = os._exit) -> None:
    """End the process at once. What it has not committed did not happen, and the next one does it.

    A service that has not ended counts as stopped.
    """
    activities = ", ".join(status.activity or "polling" for status in statuses if status.exit_code is None)
    log.warning("service.stopped", reason=f"ended without waiting any longer; it was {activities}")
    exit_process(worst_exit_code(statuses))


def _await_schemas(make: Callable[[], CompiledService], status: ProcessStatus) -> CompiledService | None:
    """Return the plan once the schema registry gives every id; None if the process is stopped before."""
    while not status.stopping.is_set():
        try:
            return make()
        except RegistryRefusal:
            raise
        except SchemasUnavailable as error:
            if status.waits_for != str(error):
                status.wait(str(error))
            status.stopping.wait(_RETRY_S)
    return None


def make_loop(
    service: Service,
    settings: RuntimeSettings,
    kafka: KafkaSettings,
    *,
    clock: Clock | None = None,
    sources: SchemaSourceSelector | None = None,
    metrics: LoopMetrics | None = None,
) -> Loop:
    """Return a loop for `service`: on the brokers' clock, with the ids of the schema files and with metrics of its own.

    Others may be passed. Raises ConfigurationError if the cluster cannot be reached or its topics are not as declared.
    """
    plan = compile_service(service, clock or BrokerClock(SystemClock()), _limits(service, settings), sources)
    return loop_of(plan, settings, kafka, metrics)


def loop_of(
    plan: CompiledService,
    settings: RuntimeSettings,
    kafka: KafkaSettings,
    metrics: LoopMetrics | None = None,
    *,
    on_wait: OnWait = ignore,
    open_connection: Callable[..., tuple[dict[str, Any], AdminClient]] = connect,
) -> Loop:
    """Return a loop that runs `plan`. Raises ConfigurationError like `make_loop`.

    `on_wait` is told of a broker that is slow or still coming up; `open_connection` is called like `connect`.
    """
    limit_s = settings.startup_timeout_s
    shared, admin = open_connection(kafka, limit_s, quiet=True, on_wait=on_wait)
    reason = f"Kafka at {shared['bootstrap.servers']}: no answer yet about the service's topics"
    if kafka.security_protocol != "PLAINTEXT":
        permissions = Permissions(plan.service, admin, principal(shared))
        wait_for(permissions.require, inf, lambda: reason, on_wait)
    wait_for(partial(topics.require, admin, plan.service, limit_s), inf, lambda: reason, on_wait)
    clients = _clients(plan.service, settings, shared, admin)
    return Loop(plan=plan, settings=settings, clients=clients, metrics=metrics or LoopMetrics(plan.service.name))


def _limits(service: Service, settings: RuntimeSettings) -> Limits:
    return Limits(load_policies(service, settings))


def _clients(service: Service, settings: RuntimeSettings, shared: dict[str, Any], admin: AdminClient) -> Clients:
    return Clients(
        consumer=clients.group_consumer(shared, service.name, settings),
        producer=clients.transactional_producer(shared, service.name, settings),
        reader=clients.assigned_reader(shared, f"{service.name}-{settings.instance_id}-restore", service.name),
        admin=admin,
        make_admin=partial(AdminClient, shared),
    )


def _serve_health(service: Service, settings: RuntimeSettings, status: ProcessStatus) -> None:
    port = settings.http_port if settings.http_port is not None else service.http_port
    if port:
        guard = Guard(settings.http_token, settings.http_requests_per_s)
        server = HealthServer(
            lambda: status.why_not_live,
            lambda: status.why_not_ready,
            status.metrics.registry,
            guard,
            note=lambda: status.loop.note if status.loop else "",
        )
        server.start(settings.http_host, port)


def calm_collector() -> None:
    """Let Python look for reference cycles seldom: a batch makes thousands of objects, and reference counts free them.

    With its defaults the collector takes a quarter of a loaded service's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_EVERY, 10, 20)


def _run(service: Service, status: ProcessStatus, settings: RuntimeSettings) -> int:
    loop = status.loop
    if loop is None or status.stopping.is_set():
        return 0
    watch(loop.heartbeat, settings.watchdog_s)
    calm_collector()
    log.info("service.started", slot=settings.instance_id, inputs=[topic.name for topic in service.inputs])
    try:
        loop.run()
    except Exception as error:  # noqa: BLE001  told, and the process ends
        return _exit_code(error, is_stopping=status.stopping.is_set())
    log.info("service.stopped")
    return 0


def _exit_code(error: Exception, *, is_stopping: bool) -> int:
    """Log why the loop has failed, and return the exit code. A process that was to stop anyway has stopped."""
    if isinstance(error, SystemError):
        with suppress(SystemError):
            error = client_error(error)
    if is_stopping and isinstance(error, FatalError) and not isinstance(error, LostState | UnreadableState):
        log.warning("service.stopped", reason=str(error))
        return 0
    match error:
        case ConfigurationError():
            log.critical("service.failed", error="ConfigurationError", reason=str(error))
            return 2
        case EnsembleError():
            log.critical("service.failed", error=type(error).__name__, reason=str(error))
        case KafkaException():
            log.critical("service.failed", error="KafkaException", reason=error.args[0].str())
        case _:
            log.critical("service.failed", exc_info=error)
    return 1
