"""A process that is to stop ends at once if it hangs, and in its own time if it moves."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from ensemble.kafka.worker.stopping import (
    SIGNALS,
    SILENCE_S,
    _listen,
    end_when_idle,
    heard_signals,
    stop_on_signals,
)


class Looks:
    """How long the process was silent at each look, and when it was ended."""

    def __init__(self, *silences: float) -> None:
        self._silences, self.count, self.is_ended = list(silences), 0, False

    def idle_s(self) -> float:
        self.count += 1
        return self._silences.pop(0) if len(self._silences) > 1 else self._silences[0]

    def end(self) -> None:
        self.is_ended = True


def test_what_hangs_is_ended_but_not_before_it_had_the_time_to_end_itself() -> None:
    looks = Looks(3600.0)
    slept: list[float] = []
    end_when_idle(looks.idle_s, looks.end, slept.append, now=lambda: 1_000 + sum(slept))
    assert looks.is_ended
    assert SILENCE_S <= sum(slept) < SILENCE_S + 0.2


def test_what_moves_is_not_ended() -> None:
    looks = Looks(*[0.5] * 100, 3600.0)
    slept: list[float] = []
    end_when_idle(looks.idle_s, looks.end, slept.append, now=lambda: sum(slept))
    assert looks.count == 101


class Stopped(Exception):
    """The loop was told to stop."""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_other_signals_than_those_that_stop_a_process_are_passed_over(number: signal.Signals) -> None:
    # given the numbers that Python writes
    reader, writer = os.pipe()
    os.write(writer, bytes([signal.SIGALRM, signal.SIGCHLD, number, signal.SIGUSR1]))

    def stop() -> None:
        raise Stopped

    # then it stops at the first one of its own
    with pytest.raises(Stopped):
        _listen(reader, stop, float, stop)
    assert os.read(reader, 9) == bytes([signal.SIGUSR1])
    os.close(reader)
    os.close(writer)


@pytest.fixture
def _handlers() -> Iterator[None]:
    """Give signals the handlers again that they had."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    os.close(signal.set_wakeup_fd(-1))


@pytest.mark.usefixtures("_handlers")
def test_a_signal_stops_the_process_in_a_thread_of_its_own_and_ends_it_once_it_hangs() -> None:
    # given
    called, has_ended = list[tuple[str, bool]](), threading.Event()
    heard = heard_signals()
    before = [signal.getsignal(number) for number in heard]

    def stop() -> None:
        thread = threading.current_thread()
        called.append((thread.name, thread.daemon))

    # when
    stop_on_signals(stop, lambda: 3600.0, has_ended.set)
    assert not set(before).intersection(map(signal.getsignal, heard)), "Python hears all of them"
    os.kill(os.getpid(), signal.SIGTERM)

    # then
    assert has_ended.wait(60)
    assert called == [("signals", True)]


def test_under_nohup_a_terminal_that_is_closed_stops_nothing() -> None:
    assert heard_signals(lambda _: signal.SIG_IGN) == [signal.SIGTERM, signal.SIGINT]
    assert heard_signals(lambda _: signal.SIG_DFL) == list(SIGNALS)
