"""Work in a copy of the process, which nothing remembers."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")
_FORK: Final = multiprocessing.get_context("fork")
_LIMIT_S: Final = 3600


def in_fork(work: Callable[[], T]) -> T | None:
    """Do the work in a copy of this process, which is thrown away. Return None if the copy has no end or dies."""
    receiver, sender = _FORK.Pipe(duplex=False)
    process = _FORK.Process(target=lambda: sender.send(work()))
    process.start()
    sender.close()
    try:
        return receiver.recv() if receiver.poll(_LIMIT_S) else None
    except EOFError:
        return None
    finally:
        process.kill()
        process.join()
