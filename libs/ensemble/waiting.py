"""Waits for what is still coming up: in words, up to a limit, and so that a signal is heard meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from functools import partial
from typing import Final, TypeVar, cast

A = TypeVar("A")
T = TypeVar("T")

OnWait = Callable[[str], None]
"""Called with what is waited for, and why, once that takes long."""

FIRST_S: Final = 2.0
EVERY_S: Final = 10.0
HEARD_S: Final = 0.5
"""So late at most a signal is heard that the system has given to another thread: it wakes nobody who waits."""


def ignore(_: str) -> None:
    """Report nothing."""


class Reminder:
    """Lets a report of a wait through when it has lasted two seconds, and then every ten."""

    def __init__(self, report: OnWait, now: Callable[[], float] = time.monotonic) -> None:
        self._report, self._now = report, now
        self.restart()

    def restart(self) -> None:
        """Note that the wait is over, and that another one may begin."""
        self._due_at = self._now() + FIRST_S

    @property
    def due_in_s(self) -> float:
        """In how many seconds the next report is due; negative if it is overdue."""
        return self._due_at - self._now()

    def remind(self, reason: str) -> None:
        """Report the reason if it is time to."""
        if self.due_in_s <= 0:
            self._due_at = self._now() + EVERY_S
            self._report(reason)


def wait_for(call: Callable[[], T], limit_s: float, describe: Callable[[], str], report: OnWait = ignore) -> T:
    """Return or raise as `call` does, which is made in a thread of its own; report what `describe` says meanwhile.

    Raises TimeoutError after `limit_s`: the call is abandoned then and may still take effect.
    """
    answer, reminder, deadline = start(call), Reminder(report), time.monotonic() + limit_s
    while not wait([answer], min(reminder.due_in_s, deadline - time.monotonic(), HEARD_S)).done:
        reminder.remind(describe())
        if time.monotonic() >= deadline:
            raise TimeoutError(f"no answer within {limit_s:g} s: {describe()}")
    return answer.result()


def start(call: Callable[[], T]) -> Future[T]:
    """Make a call in a thread of its own, which does not keep the process from ending."""
    answer: Future[T] = Future()
    threading.Thread(target=_make, args=(call, answer), name="waiting", daemon=True).start()
    return answer


def map_at_once(call: Callable[[A], T], items: Iterable[A], at_once: int) -> list[T]:
    """Return what the call returns for each item, in their order; `at_once` of them are made at the same time.

    Their threads do not keep the process from ending, so an interrupt is heard while none of them moves. Raises what
    the call raises for the first item for which it fails; the other calls are made all the same.
    """
    answers = [(item, Future[T]()) for item in items]
    queue, lock = iter(answers), threading.Lock()

    def work() -> None:
        while True:
            with lock:
                item, answer = next(queue, (None, None))
            if answer is None:
                return
            _make(partial(call, cast("A", item)), answer)

    for _ in range(min(at_once, len(answers))):
        threading.Thread(target=work, name="at-once", daemon=True).start()
    return [_result(answer) for _, answer in answers]


def _result(answer: Future[T]) -> T:
    while not wait([answer], HEARD_S).done:
        pass  # here a signal is heard
    return answer.result()


def _make(call: Callable[[], T], answer: Future[T]) -> None:
    try:
        answer.set_result(call())
    except BaseException as error:  # noqa: BLE001  raised again in the thread that waits
        answer.set_exception(error)
