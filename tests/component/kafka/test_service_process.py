"""The process of one service, and of several: what it serves, logs and ends with. Loops that do nothing stand in."""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import structlog

from ensemble import OUTSIDE, Catalogue, Event, Service, Topic, subscribe_event
from ensemble.clock import until
from ensemble.errors import ConfigurationError, FatalError, RegistryRefusal
from ensemble.free_ports import free_ports
from ensemble.kafka.worker.heartbeat import Heartbeat
from ensemble.kafka.worker.process import run_services
from ensemble.kafka.worker.stopping import SILENCE_S
from ensemble.settings import KafkaSettings, RegistrySettings, RuntimeSettings, Settings, TelemetrySettings
from tests.support.forks import start_function

LIMIT_S = 30.0


class Announced(Event):
    place: str


NEWS = Catalogue([Topic("news", OUTSIDE, key="place", messages=[Announced])])
SERVICES = {name: Service(name, NEWS, roles=[subscribe_event(Announced, print)]) for name in ("shop", "bank")}


class Beside(NamedTuple):
    """What a loop does once another one runs."""

    how: Exception | str


How = Beside | Exception | str


class IdleLoop:
    """Runs until it is told to stop, or as `how` says: fails, ends, works on, or hangs and hears nothing."""

    one_runs = threading.Event()
    note = "a note"
    why_not_ready = "restoring state"

    def __init__(self, how: How) -> None:
        self.heartbeat, self._how, self._stopped = Heartbeat(), how, threading.Event()

    def run(self) -> None:
        how = self._how
        if isinstance(how, Beside):
            assert self.one_runs.wait(LIMIT_S)
            how = how.how
        if isinstance(how, Exception):
            raise how
        if how == "work":
            self._work()
        elif how != "end":
            self._turn(hangs=how == "hang")

    def _work(self) -> None:
        with self.heartbeat.during("handling a batch", 5, is_work=True):
            self.one_runs.set()
            structlog.get_logger().info("loop.turns")
            self._stopped.wait(LIMIT_S)
            time.sleep(SILENCE_S + 0.5)

    def _turn(self, *, hangs: bool) -> None:
        with self.heartbeat.during("committing", 5):
            self.one_runs.set()
            threads = {thread.name for thread in threading.enumerate()}
            structlog.get_logger().info("loop.turns", watched="watchdog" in threads, frozen=gc.get_freeze_count() > 0)
            while hangs or not self._stopped.wait(0.01):
                time.sleep(LIMIT_S if hangs else 0)
                self.heartbeat.beat()

    def stop(self) -> None:
        self._stopped.set()


class Forked:
    """`run_services` in a process of its own, with a file for its errors."""

    def __init__(self, directory: Path, how: dict[str, How], *services: str) -> None:
        self._errors, (self.port,) = directory / "errors", free_ports(1)
        port = self.port if len(services) == 1 else 0
        runtime = RuntimeSettings(http_port=port, http_host="127.0.0.1", log_format="json", instance_id="3")
        kafka = KafkaSettings(bootstrap_servers="127.0.0.1:1")
        settings = Settings(kafka, runtime, RegistrySettings(), TelemetrySettings())
        self._process = start_function(run_here, self._errors, services, how, settings)

    def ask(self, path: str) -> tuple[int, str]:
        for _ in until(LIMIT_S, 0.02):
            connection = HTTPConnection("127.0.0.1", self.port, timeout=LIMIT_S)
            with closing(connection), suppress(ConnectionError):
                connection.request("GET", path)
                answer = connection.getresponse()
                return answer.status, answer.read().decode()
        return 0, "no answer"

    def await_log(self, event: str) -> None:
        for _ in until(LIMIT_S, 0.02):
            if self._errors.exists() and f'"{event}"' in self._errors.read_text(encoding="utf-8"):
                return
        raise AssertionError(f"it never said {event}")

    def send(self, number: signal.Signals) -> None:
        os.kill(self._process.pid or 0, number)

    def end(self) -> tuple[int | None, str]:
        """Return the exit code and what it wrote."""
        self._process.join(LIMIT_S)
        return self._process.exitcode, self._errors.read_text(encoding="utf-8")

    def kill(self) -> None:
        """End it in any case."""
        self._process.kill()
        self._process.join(LIMIT_S)


Fork = Callable[..., Forked]


@pytest.fixture
def fork(tmp_path: Path) -> Iterator[Fork]:
    """Return what runs services in a process, of which none is left."""
    started = list[Forked]()

    def start(*services: str, **how: How) -> Forked:
        started.append(Forked(tmp_path, how, *services))
        return started[-1]

    yield start
    for each in started:
        each.kill()


def run_here(errors: Path, services: Sequence[str], how: dict[str, How], settings: Settings) -> None:
    """Run services as the only work of this process."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may have it ignored
    os.dup2(os.open(errors, os.O_CREAT | os.O_WRONLY), 2)
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115  it is open to the end
    sys.exit(run_services([SERVICES[name] for name in services], settings, open_loop=opening(how)))


def opening(how: dict[str, How]) -> Callable[..., Any]:
    """Open loops that run as is said for each service, or fail to open one."""

    def open_loop(plan: Any, runtime: RuntimeSettings, kafka: KafkaSettings, metrics: Any, *, on_wait: Any) -> Any:
        assert (runtime.instance_id, kafka.bootstrap_servers) == ("3", "127.0.0.1:1")
        manner = how.get(plan.service.name, "")
        if isinstance(manner, ConfigurationError | RegistryRefusal):
            raise manner
        on_wait("Kafka does not answer yet")
        return IdleLoop(manner)

    return open_loop


def lines(text: str, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(map(json.loads(line).get, names)) for line in text.splitlines()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_service_runs_until_it_is_told_to_stop(fork: Fork, number: signal.Signals) -> None:
    forked = fork("shop")
    forked.await_log("loop.turns")
    status, body = forked.ask("/readyz")
    assert (status, json.loads(body)["reason"], json.loads(body)["note"]) == (503, "restoring state", "a note")
    assert forked.ask("/livez")[0] == 200
    assert 'ensemble_open_transaction_seconds{service="shop"} 0.0' in forked.ask("/metrics")[1]
    forked.send(number)
    code, text = forked.end()
    assert code == 0
    inputs = [topic.name for topic in SERVICES["shop"].inputs]
    assert lines(text, "event", "service", "slot", "inputs", "reason") == [
        ("service.delayed", "shop", None, None, "Kafka does not answer yet"),
        ("service.started", "shop", "3", inputs, None),
        ("loop.turns", "shop", None, None, None),
        ("service.stopped", "shop", None, None, None),
    ]
    assert lines(text, "watched", "frozen")[2] == (True, True)


@pytest.mark.parametrize("kind", [ConfigurationError, RegistryRefusal])
def test_what_an_operator_can_put_right_is_said_plainly(fork: Fork, kind: type[Exception]) -> None:
    error = kind("no topic \x1b[31m\nnews")
    assert fork("shop", shop=error).end() == (2, "shop: no topic \\x1b[31m\nnews\n")


@pytest.mark.parametrize(("how", "code"), [(FatalError("it is broken"), 1), ("end", 0)])
def test_a_loop_that_fails_makes_its_process_fail(fork: Fork, how: Exception | str, code: int) -> None:
    ended, text = fork("shop", shop=how).end()
    assert ended == code
    event = ("service.failed", "critical", "it is broken") if code else ("service.stopped", "info", None)
    assert lines(text, "event", "level", "reason")[-1] == event


def test_a_service_that_fails_stops_those_beside_it(fork: Fork) -> None:
    code, text = fork("shop", "bank", bank=Beside(FatalError("it is broken"))).end()
    assert code == 1
    told = lines(text, "event", "service", "reason")
    ends = [line for line in told if line[0] in {"service.failed", "service.stopped"}]
    assert sorted(ends, key=str) == [("service.failed", "bank", "it is broken"), ("service.stopped", "shop", None)]


@pytest.mark.parametrize(("how", "services"), [({"bank": Beside("end")}, ("bank", "shop")), ({}, ("shop",))])
def test_a_service_that_hangs_on_its_way_out_is_ended(fork: Fork, how: dict[str, How], services: Sequence[str]) -> None:
    """Beside one that ended by itself, or after a signal."""
    forked = fork(*services, shop="hang", **how)
    forked.await_log("loop.turns")
    if not how:
        forked.send(signal.SIGTERM)
    code, text = forked.end()
    assert code == 0
    assert lines(text, "event", "reason")[-1] == (
        "service.stopped",
        "ended without waiting any longer; it was committing",
    )


def test_a_service_that_works_on_is_left_to_its_work(fork: Fork) -> None:
    """Beside one that has ended, and after a signal."""
    forked = fork("shop", "bank", shop="work", bank=Beside("end"))
    forked.await_log("service.stopped")
    forked.send(signal.SIGTERM)
    code, text = forked.end()
    assert code == 0
    told = lines(text, "event", "service", "reason")
    assert sorted(line for line in told if line[0] == "service.stopped") == [
        ("service.stopped", "bank", None),
        ("service.stopped", "shop", None),
    ]
