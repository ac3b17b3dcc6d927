"""Work that is repeated: no fault ends it, and it is done less often while it cannot be done."""

from __future__ import annotations

from threading import Event, Timer
from typing import Any

import pytest
from structlog.testing import capture_logs

from services.control_room.repetition import Repetition


class Work:
    """Fails at first, then is done."""

    def __init__(self) -> None:
        self.times, self.is_done = 0, Event()

    def __call__(self) -> bool:
        self.times += 1
        if self.times == 1:
            raise RuntimeError("a fault of its own")
        self.is_done.set()
        return True


def test_work_goes_on_after_a_fault_that_nobody_expected_and_who_hears_of_it_may_fail_as_well() -> None:
    work, heard = Work(), list[str]()

    def hear(error: Exception) -> None:
        heard.append(str(error))
        raise RuntimeError("nobody listens")

    repetition = Repetition("work", work, lambda: 0.001, on_fault=hear)
    with capture_logs() as logs:
        repetition.start()
        is_done = work.is_done.wait(60)
        repetition.stop()

    assert is_done
    assert heard == ["a fault of its own"]
    assert [log["event"] for log in logs] == ["work.failed"]


def test_the_pause_is_asked_for_after_each_time() -> None:
    work, pauses = Work(), iter([0.001, 0.001, 600.0])

    repetition = Repetition("work", work, lambda: next(pauses))
    with capture_logs():
        repetition.start()
        is_done = work.is_done.wait(60)
        repetition.stop()

    assert is_done
    assert (work.times, list(pauses)) == (2, [])


def test_what_is_under_way_is_waited_for_when_it_is_stopped() -> None:
    begun, release, ended = Event(), Event(), Event()

    def work() -> bool:
        begun.set()
        release.wait(60)
        ended.set()
        return True

    repetition = Repetition("work", work, lambda: 600.0)
    repetition.start()
    assert begun.wait(60)
    Timer(0.02, release.set).start()
    repetition.stop(60)

    assert ended.is_set()


def test_what_never_began_is_stopped_at_once() -> None:
    Repetition("work", lambda: True, lambda: 600.0).stop()


class Pauses:
    """Remembers how long each pause would be, and ends the work after so many."""

    def __init__(self, count: int) -> None:
        self.lengths, self._count, self._asked = list[float](), count, 0

    def is_set(self) -> bool:
        self._asked += 1
        return len(self.lengths) == self._count or self._asked > 50

    def wait(self, pause_s: float) -> None:
        self.lengths.append(pause_s)


@pytest.mark.parametrize(
    ("longest_s", "lengths"), [(5.0, [2.0, 4.0, 5.0, 5.0, 1.0, 2.0]), (0.0, [1.0] * 6), (1.5, [1.5] * 4 + [1.0, 1.5])]
)
def test_the_pause_doubles_while_the_work_cannot_be_done(longest_s: float, lengths: list[float]) -> None:
    done = iter([False] * 4 + [True, False])
    repetition: Any = Repetition("work", lambda: next(done), lambda: 1.0, longest_pause_s=longest_s)
    repetition._stopping = Pauses(6)
    repetition._run()
    assert repetition._stopping.lengths == lengths
