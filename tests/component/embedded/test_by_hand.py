"""`python -m ensemble.embedded`: what it prints, and that it stops its broker when it is told to."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import NoReturn

import pytest

from ensemble.clock import until
from ensemble.embedded import EmbeddedKafka, EmbeddedKafkaError, Running, Security
from ensemble.embedded.__main__ import USAGE, main
from ensemble.embedded.jars import JarCache
from ensemble.errors import ConfigurationError
from tests.support import kafka_lookalike as lookalike

LIMIT_S = 30.0


@pytest.fixture
def kafka(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the directory of the project's broker."""
    monkeypatch.setenv("ENSEMBLE_DATA_DIR", str(tmp_path))
    return tmp_path / "kafka"


@pytest.mark.parametrize("arguments", [[], ["walk"], ["run", "now"]])
def test_what_it_does_not_know_is_answered_with_its_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr() == ("", USAGE)


def test_it_says_where_the_broker_lives(kafka: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["path"]) == 0
    assert capsys.readouterr() == (f"{kafka}\n", "")


class Stand:
    """Stands in a broker's place: is asked for, runs, ends."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []

    @contextmanager
    def __call__(self, directory: Path, security: Security | None) -> Iterator[Running]:
        self.calls.append((directory, security))
        yield Running("127.0.0.1:9092", 1, 0.0, "a-cluster")
        self.calls.append(("ended",))


@pytest.fixture
def interrupts() -> Iterator[list[int]]:
    """Keep pytest from ending where an interrupt is not waited for."""
    heard = list[int]()
    before = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    yield heard
    signal.signal(signal.SIGINT, before)


class Pipe(StringIO):
    """Shows what is written to it once it is flushed."""

    shown = ""

    def flush(self) -> None:
        self.shown = self.getvalue()


def what_is_told(command: str, security: Security) -> str:
    environment = security.environment("127.0.0.1:9092").items()
    return (
        "127.0.0.1:9092\n" if command == "run" else "".join(f"export {name}={value}\n" for name, value in environment)
    )


@pytest.mark.parametrize("command", ["run", "secure"])
def test_it_tells_where_its_broker_is_and_waits_for_its_own_end(
    kafka: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # given
    stand, security, told = Stand(), Security(kafka.parent / "secure"), list[object]()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())

    def await_signal(signals: set[signal.Signals]) -> None:
        blocked = signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        told.extend([signals, blocked - set(mask), len(stand.calls), capsys.readouterr().out])

    # when
    code = main([command], stand, await_signal)

    # then
    awaited = {signal.SIGINT, signal.SIGTERM}
    made = {"run": (kafka, None), "secure": (security.directory / "kafka", security)}
    assert (code, told) == (0, [awaited, awaited, 1, what_is_told(command, security)])
    assert stand.calls == [made[command], ("ended",)]


def test_a_signal_ends_it(kafka: Path, interrupts: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    # given
    printed = Pipe()
    monkeypatch.setattr(sys, "stdout", printed)
    stand, codes = Stand(), list[int]()
    thread = threading.Thread(target=lambda: codes.append(main(["run"], stand)), daemon=True)

    # when it has said where the broker is
    thread.start()
    assert any(printed.shown for _ in until(LIMIT_S, 0.01))
    signal.pthread_kill(thread.ident or 0, signal.SIGINT)
    thread.join(LIMIT_S)

    # then
    assert (codes, interrupts) == ([0], [])


def test_a_broker_that_runs_already_is_told_and_none_is_started(
    tmp_path: Path, kafka: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ENSEMBLE_JAVA", str(lookalike.install(tmp_path / "java")))
    stand = Stand()
    with EmbeddedKafka(kafka, JarCache(tmp_path / "cache", ())) as running:
        capsys.readouterr()
        assert main(["run"], stand, bool) == 0
    assert capsys.readouterr().out == f"{running.bootstrap_servers}\n"
    assert stand.calls == []


@pytest.mark.parametrize("command", ["run", "secure"])
def test_a_broker_needs_a_cache_of_the_users(
    kafka: Path, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = kafka.parent / "file"
    file.touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(file))
    assert main([command]) == 1
    assert capsys.readouterr().err == (
        f"The cache {file}/ensemble/kafka-4.3.1 cannot be written (Not a directory). Name another in XDG_CACHE_HOME.\n"
    )


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (EmbeddedKafkaError("no Java"), (1, "no Java\n")),
        (ConfigurationError("no settings"), (1, "no settings\n")),
        (KeyboardInterrupt(), (130, "")),
    ],
)
def test_what_keeps_a_broker_from_starting_is_told(
    kafka: Path, error: BaseException, end: tuple[int, str], capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(directory: Path, security: Security | None) -> NoReturn:
        raise error

    try:
        code = main(["run"], fail)
    except KeyboardInterrupt:  # would end all tests
        pytest.fail("an interrupt is no end of its own")
    assert (code, capsys.readouterr().err) == end
