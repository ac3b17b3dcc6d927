"""Makes client calls that overrun their timeout where they can be abandoned (librdkafka workaround).

`send_offsets_to_transaction` never looks at its timeout once it waits for the group's coordinator, and waits endlessly
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
        """Return or raise as `call` does. Raises KafkaException if it takes longer than `limit_s`.

        The call is abandoned then and may still take effect: its objects must not be used again.
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
        """Stop the thread."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.calls.put(_END)


class _Worker:
    """A daemon thread that makes calls until it gets the end marker."""

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
    except BaseException as error:  # noqa: BLE001  raised again in the thread that made the call
        return error
    return None
