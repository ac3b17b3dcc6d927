"""Lets the first process of a container end on SIGTERM while it is still importing; the runtime hears it later on.

The kernel ignores what would end process 1 by default, so without a handler a container is only killed after its grace.
"""

from __future__ import annotations

import os
import signal
import threading


def hear_sigterm(pid: int) -> None:
    """End on SIGTERM, if this is process 1 and nothing else hears it yet."""
    is_main = threading.current_thread() is threading.main_thread()
    if pid == 1 and is_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))


hear_sigterm(os.getpid())
