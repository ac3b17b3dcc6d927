"""Hears what stops a process at every moment, also while its main thread waits inside the Kafka client.

Python runs a handler in the main thread and only between two of its own steps; a client call of 40 s is one step. The
signal's number is therefore read from a pipe, by a thread of its own.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Final

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""SIGHUP comes when a terminal is closed. Unheard, it would be a crash, whose partitions stand still for a while."""
SILENCE_S: Final = 1.5
"""A process that is to stop and does not move for so long is ended: what it has not committed the next one does."""
_LOOK_S: Final = 0.1


def heard_signals(handler_of: Callable[[int], object] = signal.getsignal) -> list[signal.Signals]:
    """Return the signals that stop this process: not SIGHUP where it is ignored, as `nohup` asks for."""
    return [each for each in SIGNALS if each != signal.SIGHUP or handler_of(each) != signal.SIG_IGN]


def stop_on_signals(stop: Callable[[], None], idle_s: Callable[[], float], end: Callable[[], None]) -> None:
    """Call `stop` as soon as a signal comes, in another thread, and `end` once the process hangs on its way out.

    `idle_s` returns for how long the process has not moved; 0 while it does something that has to be finished. Called
    from the main thread.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    for number in heard_signals():
        signal.signal(number, lambda *_: None)  # without a handler Python leaves the signal to the system
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=_listen, args=(reader, stop, idle_s, end), name="signals", daemon=True).start()


def _listen(reader: int, stop: Callable[[], None], idle_s: Callable[[], float], end: Callable[[], None]) -> None:
    while os.read(reader, 1)[0] not in SIGNALS:
        pass
    stop()
    end_when_idle(idle_s, end)


def end_when_idle(
    idle_s: Callable[[], float],
    end: Callable[[], None],
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.monotonic,
) -> None:
    """Call `end` when `idle_s` says that nothing has moved for too long since this was called."""
    began_at = now()
    while min(idle_s(), now() - began_at) < SILENCE_S:
        sleep(_LOOK_S)
    end()
