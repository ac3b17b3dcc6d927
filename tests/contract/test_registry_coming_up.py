"""The job that registers, and a service that starts, before a schema registry that is still coming up.

The registry speaks HTTP, so the client's own time limits and errors are part of it. No broker is needed: a service asks
for its schemas first.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain, repeat
from pathlib import Path

import pytest

from ensemble.command_line.exit_codes import ExitCode
from ensemble.free_ports import HOST, free_ports
from ensemble.testing.on_kafka import ServiceProcess
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
    assert result.code is ExitCode.UNREACHABLE
    assert f"{registry.url}: {status}: see SCHEMA_REGISTRY_BASIC_AUTH_USER_INFO" in result.err
    assert "waiting" not in result.err, "nothing comes of it"


def test_the_job_hears_ctrl_c_though_the_registry_is_silent(tmp_path: Path) -> None:
    """The first ids are still to come; nothing waits for the threads that ask for them."""
    with HttpRegistry(lambda: time.sleep(SLOW_S)) as registry:
        job = ServiceProcess([sys.executable, "-m", "cli", "schemas", "register"], tmp_path / "job.log", "")
        job.environment["SCHEMA_REGISTRY_URL"] = registry.url
        with job:
            job.until_logged("waiting for schema registry", 60)
            began_at = time.monotonic()
            job.send_signal(signal.SIGINT)
            assert job.wait(30) == 130, job.log
            assert time.monotonic() - began_at < SLOW_S, "two seconds, and some for a busy machine"


@contextmanager
def starting_service(url: str, log: Path) -> Iterator[ServiceProcess]:
    """Start the order service before this registry; whatever it then does, it is gone at the end."""
    command, nobody = [sys.executable, "-m", "services.order"], f"{HOST}:{free_ports(1)[0]}"
    service = ServiceProcess(command, log, nobody, settings={"http_port": 0, "log_format": "json"})
    service.environment["SCHEMA_REGISTRY_URL"] = url
    with service:
        yield service


def test_a_service_ends_where_the_registry_refuses_it(tmp_path: Path) -> None:
    with (
        HttpRegistry(lambda: (401, {"error_code": 401, "message": "no"})) as registry,
        starting_service(registry.url, tmp_path / "order.log") as process,
    ):
        assert process.wait(60) == 2, process.log
        assert f"order: schema registry {registry.url}: 401" in process.log


@pytest.mark.parametrize(
    ("obstacle", "reason"),
    [(lambda: STARTING, "503: starting"), (lambda: NO_REGISTRY, "404"), (lambda: time.sleep(SLOW_S), "timed out")],
    ids=["503", "404", "slow"],
)
def test_a_service_waits_for_a_registry_with_words_and_hears_sigterm(
    obstacle: Callable[[], Answer | None], reason: str, tmp_path: Path
) -> None:
    with HttpRegistry(obstacle) as registry, starting_service(registry.url, tmp_path / "order.log") as process:
        process.until_logged("service.delayed", 60)
        began_at = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, process.log
        assert time.monotonic() - began_at < 20, "two seconds, and some for a busy machine"
        assert f"schema registry {registry.url}: {reason}" in process.log


def test_a_service_waits_for_a_broker_with_words(tmp_path: Path) -> None:
    with starting_service("", tmp_path / "order.log") as process:
        process.until_logged("Kafka at 127.0.0.1:", 60)
        assert not process.has_ended
        assert "refused" in process.log
