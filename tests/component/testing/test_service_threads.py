"""A service's loop in a thread of the test: it is ready, it stops, and what ended it is told."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from ensemble.testing.on_kafka import LoopThread

MOST_QUESTIONS = 400


class LoopDouble:
    """Runs until it is stopped, or fails at once, or when it is told to."""

    def __init__(self, *, fails: bool = False) -> None:
        self.has_begun, self.fails, self.partitions = False, fails, [0, 1]
        self.end, self._questions = threading.Event(), iter(range(MOST_QUESTIONS))

    @property
    def is_ready(self) -> bool:
        assert next(self._questions, None) is not None, "it is asked without end"
        return self.has_begun

    def run(self) -> None:
        if not self.fails:
            self.has_begun = True
            assert self.end.wait(20)
        if self.fails:
            raise RuntimeError("the loop has failed")

    def stop(self) -> None:
        self.end.set()


def thread_of(loop: Any) -> LoopThread:
    return LoopThread(loop, limit_s=30.0)


def test_it_is_ready_when_its_block_begins_and_has_ended_behind_it() -> None:
    loop = LoopDouble()
    with thread_of(loop) as thread:
        assert (loop.is_ready, loop.end.is_set(), thread.partitions, thread.error) == (True, False, [0, 1], None)
    assert loop.end.is_set()
    thread.join()


def test_what_ends_it_at_its_start_is_raised_where_the_block_begins() -> None:
    with pytest.raises(RuntimeError, match="the loop has failed"), thread_of(LoopDouble(fails=True)):
        pytest.fail("it is not ready")


def test_what_ends_it_later_is_raised_at_the_end_with_what_the_test_met() -> None:
    loop = LoopDouble()

    def meet() -> None:
        with thread_of(loop):
            loop.fails = True
            raise KeyError("met")

    with pytest.raises(RuntimeError, match="the loop has failed") as raised:
        meet()
    assert isinstance(raised.value.__cause__, KeyError)


def test_a_service_that_is_to_fail_at_its_start_is_not_waited_for() -> None:
    thread = thread_of(LoopDouble(fails=True))
    thread.start()
    thread.join()
    assert str(thread.error) == "the loop has failed"
