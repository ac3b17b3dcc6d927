"""The job that registers, and a service that starts, before a schema registry that is still coming up.

The registry speaks HTTP, so the client's own time limits and errors are part of it. No broker is needed: a service asks
for its schemas first.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain, repeat
from pathlib import Path

import pytest

from tests.support.command_line import CommandLine
from tests.support.http_registry import Answer, HttpRegistry, slow_at_first

SLOW_S = 10.0
STARTING: Answer = (503, {"error_code": 50301, "message": "starting"})
NO_REGISTRY: Answer = (404, "no such page")


def in_turn(*obstacles: Answer) -> Callable[[], Answer | None]:
    """Meet requests with these answers, one after the other, and then with none of them."""
    answers, lock = chain(obstacles, repeat(None)), threading.Lock()

    def next_one() -> Answer | None:
        with lock:
            return next(answers)

    return next_one


@pytest.fixture
def ensemble(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.setenv("ENSEMBLE_STARTUP_TIMEOUT_S", "60")
    return CommandLine(capsys)


def test_the_job_registers_with_a_registry_that_takes_ten_seconds_for_an_answer(
    ensemble: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HttpRegistry(slow_at_first(SLOW_S / 2, SLOW_S)) as registry:
        monkeypatch.setenv("SCHEMA_REGISTRY_URL", registry.url)
        result = ensemble("schemas", "register")
    assert result.code == 0, result.err
    assert f"waiting for schema registry {registry.url}: no answer yet" in result.err
    assert " registered, 0 were there" in result.err


def test_the_job_registers_with_a_registry_that_is_starting(
    ensemble: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HttpRegistry(in_turn(STARTING, NO_REGISTRY, STARTING)) as registry:
        monkeypatch.setenv("SCHEMA_REGISTRY_URL", registry.url)
        assert ensemble("schemas", "register").code == 0


def test_the_job_registers_once_somebody_listens(ensemble: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = HttpRegistry()
    monkeypatch.setenv("SCHEMA_REGISTRY_URL", registry.url)
    with ExitStack() as at_end:
        threading.Timer(3, at_end.enter_context, [registry]).start()
        result = ensemble("schemas", "register")
    assert result.code == 0, result.err
    assert f"waiting for schema registry {registry.url}: [Errno 111] Connection refused" in result.err


@pytest.mark.parametrize("status", [401, 403])
def test_the_job_ends_at_once_where_it_is_refused(
    ensemble: CommandLine, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    with HttpRegistry(lambda: (status, {"error_code": status, "message": "no"})) as registry:
        monkeypatch.setenv("SCHEMA_REGISTRY_URL", registry.url)
        result = ensemble("schemas", "register")
    assert result.code == 1
    assert f"{registry.url}: {status}: see SCHEMA_REGISTRY_BASIC_AUTH_USER_INFO" in result.err
    assert "waiting" not in result.err, "nothing comes of it"


@contextmanager
def starting_service(url: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start the order service before this registry; whatever it then does, it is gone at the end."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        kafka = free.getsockname()[1]
    environment = {
        **os.environ,
        "SCHEMA_REGISTRY_URL": url,
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{kafka}",
        "ENSEMBLE_HTTP_PORT": "0",
        "ENSEMBLE_LOG_FORMAT": "json",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.order"], stdout=output, stderr=output, env=environment
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait(30)


def until_logged(log: Path, text: str) -> None:
    limit = time.monotonic() + 60
    while text not in log.read_text():
        assert time.monotonic() < limit, log.read_text()[-2000:]
        time.sleep(0.1)


def test_a_service_ends_where_the_registry_refuses_it(tmp_path: Path) -> None:
    log = tmp_path / "order.log"
    with (
        HttpRegistry(lambda: (401, {"error_code": 401, "message": "no"})) as registry,
        starting_service(registry.url, log) as process,
    ):
        assert process.wait(60) == 2, log.read_text()
        assert f"order: schema registry {registry.url}: 401" in log.read_text()


@pytest.mark.parametrize(
    ("obstacle", "reason"),
    [(lambda: STARTING, "503: starting"), (lambda: NO_REGISTRY, "404"), (lambda: time.sleep(SLOW_S), "timed out")],
    ids=["503", "404", "slow"],
)
def test_a_service_waits_for_a_registry_with_words_and_hears_sigterm(
    obstacle: Callable[[], Answer | None], reason: str, tmp_path: Path
) -> None:
    log = tmp_path / "order.log"
    with HttpRegistry(obstacle) as registry, starting_service(registry.url, log) as process:
        until_logged(log, "service.delayed")
        began_at = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, log.read_text()
        assert time.monotonic() - began_at < 6, "two seconds, and some for a busy machine"
        assert f"schema registry {registry.url}: {reason}" in log.read_text()


def test_a_service_waits_for_a_broker_with_words(tmp_path: Path) -> None:
    log = tmp_path / "order.log"
    with starting_service("", log) as process:
        until_logged(log, "Kafka at 127.0.0.1:")
        assert process.poll() is None
        assert "refused" in log.read_text()
