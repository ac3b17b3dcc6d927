"""Lets the first process of a container end on SIGTERM while it is still importing; the runtime hears it later on.

The kernel ignores what would end process 1 by default, so without a handler a container is only killed after its grace.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable


def _end(*_: object) -> None:
    os._exit(0)


def hear_sigterm(pid: int, end: Callable[[], object] = _end) -> None:
    """End on SIGTERM, if this is process 1 and nothing else hears it yet; also while a call of a client lasts."""
    is_main = threading.current_thread() is threading.main_thread()
    if pid == 1 and is_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _end)
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        threading.Thread(target=_listen, args=(reader, end), name="process one", daemon=True).start()


def _listen(reader: int, end: Callable[[], object]) -> None:
    """End as soon as the signal comes: Python runs its handler only between two steps of the main thread."""
    while os.read(reader, 1)[0] != signal.SIGTERM or signal.getsignal(signal.SIGTERM) is not _end:
        pass
    end()


hear_sigterm(os.getpid())
