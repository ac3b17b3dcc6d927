"""Services that a test starts as processes, and how it waits for them."""

import signal
import sys
from pathlib import Path

import pytest

from ensemble.testing.on_kafka import ServiceProcess, paused, wait_for

PROGRAM = "import os, sys; print('up', sorted(n for n in os.environ if n[:6] in ('KAFKA_', 'ENSEMB')), flush=True); "
RUNS = (
    PROGRAM
    + """import signal, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(3)); print('set', flush=True)
while True: time.sleep(0.05)"""
)


def process(program: str, tmp_path: Path, **settings: object) -> ServiceProcess:
    command = [sys.executable, "-S", "-E", "-c", program]
    return ServiceProcess(command, tmp_path / "log", "there:9092", directory=tmp_path, settings=settings, limit_s=30.0)


def test_a_process_knows_the_settings_that_it_was_given_and_none_of_the_tests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    monkeypatch.setenv("KAFKA_SASL_USERNAME", "of the tests")
    monkeypatch.setenv("ENSEMBLE_INSTANCE_ID", "7")

    # when
    with process(PROGRAM + "print(os.getcwd())", tmp_path, session_timeout_s=6) as service:
        assert service.wait() == 0

    # then
    names = ["ENSEMBLE_POLL_S", "ENSEMBLE_SESSION_TIMEOUT_S", "KAFKA_BOOTSTRAP_SERVERS"]
    assert service.log.splitlines() == [f"up {names}", str(tmp_path)]
    assert service.environment["ENSEMBLE_SESSION_TIMEOUT_S"] == "6"
    assert service.environment["KAFKA_BOOTSTRAP_SERVERS"] == "there:9092"


def test_a_process_is_stopped_by_sigterm_and_tells_its_exit_code(tmp_path: Path) -> None:
    with process(RUNS, tmp_path) as service:
        service.until_logged("set")
        assert not service.has_ended
        assert service.stop() == 3
        assert service.has_ended


def test_a_process_is_killed_with_its_block(tmp_path: Path) -> None:
    with process(RUNS, tmp_path) as service:
        service.until_logged("up")
    assert service.wait() == -signal.SIGKILL
    service.kill()  # once more changes nothing


def test_a_process_that_ends_without_its_word_is_not_waited_for(tmp_path: Path) -> None:
    with process(PROGRAM, tmp_path) as service, pytest.raises(AssertionError, match=r"ended without 'ready': up \["):
        service.until_logged("ready", limit_s=20)


def test_a_process_that_was_not_started_is_not_there_to_be_stopped(tmp_path: Path) -> None:
    service = process(PROGRAM, tmp_path)
    assert service.has_ended
    service.kill()
    with pytest.raises(RuntimeError, match="was not started: use it in a `with`"):
        service.stop()


def test_a_wait_returns_the_answer_and_says_what_did_not_come() -> None:
    answers = iter(["", "late"])
    assert wait_for(lambda: next(answers), "an answer") == "late"
    with pytest.raises(AssertionError, match=r"^waited 0\.01 s for the second$"):
        wait_for(lambda: None, "the second", limit_s=0.01)


class BrokerDouble:
    def __init__(self) -> None:
        self.done: list[str] = []

    def kill(self) -> None: ...

    def restart(self) -> None: ...

    def pause(self) -> None:
        self.done.append("pause")

    def resume(self) -> None:
        self.done.append("resume")


def test_a_broker_stands_still_until_the_block_ends_however_it_ends() -> None:
    # given
    broker = BrokerDouble()

    def fail() -> None:
        with paused(broker):
            broker.done.append("fail")
            raise RuntimeError

    # when
    with pytest.raises(RuntimeError):
        fail()

    # then
    assert broker.done == ["pause", "fail", "resume"]
