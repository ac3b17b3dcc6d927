"""Stands between the broker and its owner, so that the broker never outlives the owner, whatever ended it.

Run as a script of its own: `supervisor.py NOTE COMMAND...`. Its standard input is a pipe that the owner holds open:
when that closes, by intent or because the owner died, the broker is stopped. The first line of its output is the
broker's pid.
"""

import contextlib
import os
import pathlib
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

STOP_LIMIT_S = 15.0
MOST_OPEN_FILES = 10_000


class System:
    """What a supervisor uses of its operating system."""

    owner, reader = 0, 1
    """The pipe that its owner holds open, and that on which it tells the owner the broker's pid."""
    set_mask = staticmethod(signal.pthread_sigmask)
    on_signal = staticmethod(signal.signal)
    limits_of = staticmethod(resource.getrlimit)
    set_limit = staticmethod(resource.setrlimit)
    start: "type[subprocess.Popen[bytes]]" = subprocess.Popen


def main(note: str, command: list[str], stop_limit_s: float = STOP_LIMIT_S, system: type[System] = System) -> int:
    system.set_mask(signal.SIG_SETMASK, ())
    for ignored in (signal.SIGINT, signal.SIGHUP):
        system.on_signal(ignored, signal.SIG_IGN)
    allow_open_files(*system.limits_of(resource.RLIMIT_NOFILE), system.set_limit)
    early = list[int]()
    system.on_signal(signal.SIGTERM, lambda number, _: early.append(number))
    broker = system.start(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    system.on_signal(signal.SIGTERM, lambda *_: broker.terminate())
    if early:  # whoever asks while the broker starts would end its supervisor alone
        broker.terminate()
    threading.Thread(target=_stop_when_alone, args=(broker, stop_limit_s, system.owner), daemon=True).start()
    with contextlib.suppress(BrokenPipeError):
        os.write(system.reader, b"%d\n" % broker.pid)
    code = broker.wait()
    with contextlib.suppress(OSError):
        pathlib.Path(note).unlink()
    return code


def allow_open_files(soft: int, hard: int, set_limit: Callable[[int, tuple[int, int]], None]) -> None:
    """Raise the limit if the broker needs that: some systems refuse any change, one to the same value included."""
    if (limit := open_files(soft, hard)) != soft:
        set_limit(resource.RLIMIT_NOFILE, (limit, hard))


def open_files(soft: int, hard: int) -> int:
    """Return how many files the broker may open: as many as it needs, as far as this user may, and never fewer."""
    if soft == resource.RLIM_INFINITY:
        return soft
    return max(soft, MOST_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_OPEN_FILES))


def _stop_when_alone(broker: "subprocess.Popen[bytes]", limit_s: float, owner: int) -> None:
    while os.read(owner, 1024):
        pass
    broker.terminate()
    try:
        broker.wait(limit_s)
    except subprocess.TimeoutExpired:
        broker.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
