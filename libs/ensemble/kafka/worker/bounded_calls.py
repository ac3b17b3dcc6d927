"""Client calls that do not keep their own timeout, made where they can be left behind.

`send_offsets_to_transaction` never looks at its timeout once it waits for the group's coordinator, and waits for ever
for one that has left the cluster or restarts (https://github.com/confluentinc/librdkafka/issues/5456 and 5511).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Final

from confluent_kafka import KafkaError, KafkaException

Call = Callable[[], object]

_END: Final = None


class BoundedCalls:
    """Makes calls one after another, in a thread that stays ready for the next one."""

    def __init__(self) -> None:
        self._worker: _Worker | None = None

    def make(self, call: Call, limit_s: float) -> None:
        """Return or raise as `call` does; KafkaException when it takes longer.

        Then it is left behind, and may still take effect: whatever it works on is not to be used again.
        """
        worker = self._worker or _Worker()
        self._worker = None
        worker.calls.put(call)
        try:
            error = worker.ends.get(timeout=limit_s)
        except Empty:
            worker.calls.put(_END)
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "the client gave no answer in time")) from None
        self._worker = worker
        if error is not None:
            raise error

    def close(self) -> None:
        """Let the thread end."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.calls.put(_END)


class _Worker:
    """A thread that makes calls until told to end. It keeps no process alive."""

    def __init__(self) -> None:
        self.calls: SimpleQueue[Call | None] = SimpleQueue()
        self.ends: SimpleQueue[BaseException | None] = SimpleQueue()
        threading.Thread(target=self._work, name="client calls", daemon=True).start()

    def _work(self) -> None:
        while (call := self.calls.get()) is not _END:
            self.ends.put(_error_of(call))


def _error_of(call: Call) -> BaseException | None:
    try:
        call()
    except BaseException as error:  # noqa: BLE001  it is raised again where the call was asked for
        return error
    return None
