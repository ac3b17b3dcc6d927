"""How an owner ends its broker, and how it takes a directory: from the nearest end to the last resort."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ensemble.embedded import Running, kill_running
from ensemble.embedded.broker import await_start
from ensemble.embedded.errors import EmbeddedKafkaError
from ensemble.embedded.layout import Layout
from ensemble.embedded.os_processes import exists, is_alive, started_at
from ensemble.embedded.process import BrokerProcess, lock, take
from ensemble.embedded.running import write

GONE = 2**22 + 1
"""More processes than a system has."""


class Supervisor:
    """A supervisor that is over, or ends once its broker is waited for often enough."""

    def __init__(self, *, is_over: bool = False, late: int = 0) -> None:
        self.stdin, self.stdout, self.waits = io.BytesIO(), io.BytesIO(), list[object]()
        self._is_over, self._late = is_over, late

    def poll(self) -> int | None:
        return 0 if self._is_over else None

    def wait(self, limit_s: float) -> int:
        self.waits.append((limit_s, self.stdin.closed))
        if len(self.waits) <= self._late:
            raise subprocess.TimeoutExpired("supervisor", limit_s)
        return 0


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process that lives until it is ended."""
    with subprocess.Popen([sys.executable, "-S", "-E", "-c", "input()"], stdin=subprocess.PIPE) as child:
        yield child


@pytest.mark.parametrize(
    ("late", "waits", "lives"), [(0, [(20.0, True)], True), (1, [(20.0, True), (15.0, True)], False)]
)
def test_a_broker_is_left_to_stop_by_itself_and_killed_past_the_limit(
    child: subprocess.Popen[bytes], late: int, waits: list[object], *, lives: bool
) -> None:
    supervisor: Any = Supervisor(late=late)
    BrokerProcess(supervisor, child.pid).stop()
    assert (supervisor.waits, exists(child.pid)) == (waits, lives)
    assert supervisor.stdin.closed
    assert supervisor.stdout.closed


@pytest.mark.parametrize("is_over", [True, False])
def test_a_broker_is_killed_unless_it_is_over_and_another_process_may_have_its_number(
    child: subprocess.Popen[bytes], *, is_over: bool
) -> None:
    supervisor: Any = Supervisor(is_over=is_over)
    broker = BrokerProcess(supervisor, child.pid)
    assert broker.is_over is is_over
    broker.kill()
    assert (supervisor.waits, exists(child.pid)) == ([(15.0, False)], is_over)
    assert supervisor.stdin.closed
    assert supervisor.stdout.closed


def count_openings(file: Path) -> int:
    """Return how often this process has a file open."""
    count = 0
    for descriptor in Path("/dev/fd").iterdir():
        with suppress(OSError):  # the one that looks is closed by now
            count += os.path.samestat(os.fstat(int(descriptor.name)), file.stat())
    return count


def test_a_directory_is_noted_as_that_of_its_owner_alone(tmp_path: Path) -> None:
    # given
    layout = Layout(tmp_path)
    layout.lock.write_text("an owner with a long number: 123456789012345678901234567890")

    # when
    descriptor = lock(layout)

    # then
    assert layout.lock.read_text() == str(os.getpid())
    with pytest.raises(EmbeddedKafkaError, match="is being started"):
        lock(layout)
    assert count_openings(layout.lock) == 1, "who is refused holds nothing"
    os.close(descriptor)
    os.close(lock(layout))


@pytest.mark.parametrize(("late_s", "lives"), [(60.0, True), (0.0, False)])
@pytest.mark.parametrize("end_broker", [lambda place: os.close(lock(Layout(place))), kill_running])
def test_a_process_that_has_a_brokers_number_by_chance_is_left_alone(
    tmp_path: Path, child: subprocess.Popen[bytes], end_broker: Callable[[Path], None], late_s: float, *, lives: bool
) -> None:
    started = started_at(child.pid)
    write(Running("127.0.0.1:1", child.pid, started - late_s, "a-cluster"), Layout(tmp_path))
    end_broker(tmp_path)
    assert is_alive(child.pid, started) is lives


@pytest.mark.parametrize(
    ("owner", "free_at", "looks"),
    [(GONE, 3, 3), ("", 2, 2), (os.getpid(), 3, None), (GONE, None, None)],
    ids=["gone", "not noted", "this process", "gone, and never free"],
)
def test_a_broker_that_stops_is_waited_for_and_one_with_an_owner_is_not(
    tmp_path: Path, owner: object, free_at: int | None, looks: int | None
) -> None:
    # given
    layout, attempts = Layout(tmp_path), list[int]()
    layout.lock.write_text(str(owner))

    def try_lock(descriptor: int) -> bool:
        attempts.append(descriptor)
        assert len(attempts) < 10_000
        return len(attempts) == free_at

    # when
    descriptor = os.open(layout.lock, os.O_RDWR)
    try:
        take(descriptor, layout, try_lock, limit_s=30.0 if free_at else 0.0)
    except EmbeddedKafkaError:
        assert looks is None
    os.close(descriptor)

    # then
    assert attempts == [descriptor] * (looks or 1)
    assert layout.lock.read_text() == (str(owner) if looks is None else str(os.getpid()))


@pytest.mark.parametrize(
    ("serves_at", "over_at", "comes_up", "looks"), [(3, 9, True, 3), (9, 3, False, 3), (1, 1, True, 1)]
)
def test_a_start_is_waited_for_until_the_broker_serves_or_has_ended(
    serves_at: int, over_at: int, looks: int, *, comes_up: bool
) -> None:
    reports = list[str]()
    is_up = await_start(lambda: len(reports) >= serves_at, lambda: len(reports) >= over_at, reports.append)
    assert is_up is comes_up
    assert reports == ["Kafka is still starting, for 0 s now; it has 300 s"] * looks
