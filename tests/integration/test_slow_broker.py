"""A broker that takes ten seconds for an answer, as on a busy machine: all wait for it, with words, and then go on.

A proxy delays the answers of the first twelve seconds, which are two in a row. What runs beside each other waits beside
each other.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ensemble.command_line.publishing import publish
from ensemble.kafka.client import open_client
from ensemble.settings import KafkaSettings
from ensemble.testing.pytest import KAFKA_CHOICE
from tests.end_to_end.system import fresh_cluster
from tests.support.order_messages import order_placed
from tests.support.slow_broker import SlowBroker

DELAY_S = 10.0
SLOW_S = 12.0
LIMIT_S = 360.0

pytestmark = pytest.mark.timeout(1200)


@dataclass(frozen=True)
class SlowSystem:
    """A broker behind the proxy, whose topics were made through it."""

    proxy: SlowBroker
    directory: Path
    applied: subprocess.CompletedProcess[str]

    def start(self, *command: str) -> subprocess.Popen[str]:
        return start(self.proxy, self.directory, *command)


def start(proxy: SlowBroker, directory: Path, *command: str) -> subprocess.Popen[str]:
    foreign = ("ENSEMBLE_", "KAFKA_", "SCHEMA_REGISTRY_")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(foreign)},
        "KAFKA_BOOTSTRAP_SERVERS": proxy.address,
        "ENSEMBLE_DATA_DIR": str(directory),
        "ENSEMBLE_LOG_FORMAT": "json",
        "ENSEMBLE_HTTP_PORT": "0",
    }
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip


def ended(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    """Return what the command printed, once it has ended."""
    try:
        out, err = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        pytest.fail(f"not ended within {LIMIT_S:g} s: {process.args!r}: {process.communicate()!r}")
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@pytest.fixture(scope="module")
def system(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlowSystem]:
    directory = tmp_path_factory.mktemp("slow")
    with fresh_cluster(pytestconfig.stash[KAFKA_CHOICE], directory) as cluster:
        port = int(cluster.bootstrap_servers.rpartition(":")[2])
        with SlowBroker(port, DELAY_S) as proxy:
            proxy.be_slow(SLOW_S)
            applied = ended(start(proxy, directory, "cli", "topics", "apply"))
            publish(
                open_client(KafkaSettings(bootstrap_servers=cluster.bootstrap_servers)),
                order_placed(order_id="order-1"),
            )
            yield SlowSystem(proxy, directory, applied)


def assert_waited(said: str, system: SlowSystem) -> None:
    assert f"waiting for Kafka at {system.proxy.address}" in said
    assert "Traceback" not in said


def test_the_job_makes_the_topics(system: SlowSystem) -> None:
    assert system.applied.returncode == 0, system.applied.stderr
    assert_waited(system.applied.stderr, system)
    assert system.applied.stdout.count("\tcreated") > 30


def test_commands_answer(system: SlowSystem) -> None:
    system.proxy.be_slow(SLOW_S)
    show, verify = system.start("cli", "orders", "show", "order-1"), system.start("cli", "verify")
    shown, verified = ended(show), ended(verify)
    assert (shown.returncode, "OrderPlaced" in shown.stdout) == (0, True), shown
    assert_waited(shown.stderr, system)
    assert "messages\torders.events\t1" in verified.stdout, verified
    assert_waited(verified.stderr, system)


def test_a_service_starts_and_hears_sigterm(system: SlowSystem) -> None:
    system.proxy.be_slow(SLOW_S)
    with system.start("services.order") as service:
        try:
            assert f"Kafka at {system.proxy.address}: no answer yet" in until_restored(service)
            assert_is_stopped_soon(service)
        finally:
            service.kill()


def until_restored(service: subprocess.Popen[str]) -> str:
    """Return the log of the service up to its first partition."""
    log, limit = "", time.monotonic() + LIMIT_S
    assert service.stderr is not None
    while "state.restored" not in log:
        line = service.stderr.readline()
        assert line, f"the service has ended: {log}"
        assert time.monotonic() < limit, log
        log += line
    return log


def assert_is_stopped_soon(service: subprocess.Popen[str]) -> None:
    began_at = time.monotonic()
    service.send_signal(signal.SIGTERM)
    assert ended(service).returncode == 0
    assert time.monotonic() - began_at < 30, "two seconds for each step of the way out, and some for a busy machine"
