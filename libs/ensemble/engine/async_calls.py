"""Async handlers at work: side by side across keys, in order within one.

What has not come back when the batch has waited long enough stays *in flight*: its record is parked, the batch commits
without it, and its end is one more input of a later batch. After a restart it is called again, so calls to the outside
carry an idempotency key.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from ensemble.engine.routes import Route
from ensemble.errors import AttemptTimedOut
from ensemble.messages.message import Message
from ensemble.messages.records import ConsumedRecord
from ensemble.state.unit_of_work import RecordLayer


@dataclass(eq=False)
class AsyncCall:
    """One record in the hands of its handlers."""

    key: bytes
    record: ConsumedRecord
    route: Route
    is_parked: bool = False
    """Its record is the head of a parked key."""
    layer: RecordLayer = field(default_factory=RecordLayer)
    error: Exception | None = None
    is_duplicate: bool = False
    is_in_flight: bool = False
    is_committed: bool = False
    """The batch that left it in flight has committed."""
    running: asyncio.Task[None] | None = None


class Owner(Protocol):
    """What `AsyncCalls` asks of the partition's task."""

    def holds_back(self, call: AsyncCall) -> bool:
        """Return True if the call must not begin now; its record is parked instead."""

    async def call(self, call: AsyncCall) -> None:
        """Run the handlers; effects stay on the call's layer."""

    def ended(self, call: AsyncCall) -> None:
        """Keep the effects of a call that has come back, or settle its error."""

    def left(self, call: AsyncCall) -> None:
        """Park the record of a call that stays in flight."""

    def behind(self, call: AsyncCall) -> None:
        """Park the record of a call that was not started because its key is parked."""

    def cancelled(self, call: AsyncCall) -> None:
        """Forget the attempt of a cancelled call."""

    def is_parked(self, key: bytes) -> bool: ...


class AsyncCalls:
    """The calls of one partition."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self.queued: dict[bytes, deque[AsyncCall]] = {}
        """What this batch still has to do, by key."""
        self.in_flight: dict[bytes, AsyncCall] = {}
        """What is under way since an earlier batch."""
        self._at_work: dict[bytes, AsyncCall] = {}

    def add(self, call: AsyncCall) -> None:
        """Queue the call behind those of its key in this batch."""
        self.queued.setdefault(call.key, deque()).append(call)

    def has(self, key: bytes) -> bool:
        """Return True if a call of this key is queued or in flight."""
        return bool(self.queued.get(key)) or key in self.in_flight

    async def finish(self, wait_s: float | None) -> None:
        """Run what this batch has, for `wait_s` at most; what is not back then stays in flight."""
        workers = [asyncio.create_task(self._work(key)) for key in self.queued]
        if workers:
            await asyncio.wait(workers, timeout=wait_s)
        for worker in workers:
            if worker.done():
                worker.result()  # a FatalError ends the process
        for key, call in list(self._at_work.items()):
            self._leave(key, call)

    def collect_finished(self) -> None:
        """Settle the calls in flight that have come back."""
        for key in [key for key, call in self.in_flight.items() if call.running and call.running.done()]:
            self._owner.ended(self.in_flight.pop(key))

    @property
    def has_finished(self) -> bool:
        """Some flight waits to be settled."""
        return any(call.running and call.running.done() for call in self.in_flight.values())

    def cancel(self, key: bytes) -> None:
        """Cancel the call of the key's parked head, whether in flight or about to begin."""
        heads = [call for call in self.queued.get(key, ()) if call.is_parked]
        for head in heads:
            self.queued[key].remove(head)
        self._cancel([*heads, *([self.in_flight.pop(key)] if key in self.in_flight else [])])

    def commit(self) -> None:
        """Note that the batch has committed, and with it the entries of the calls in flight."""
        for call in self.in_flight.values():
            call.is_committed = True

    def drop(self) -> None:
        """Cancel the calls that the dropped batch left in flight; their records come again."""
        lost = [key for key, call in self.in_flight.items() if not call.is_committed]
        self._cancel([self.in_flight.pop(key) for key in lost])
        self._clear_lines()

    def close(self) -> None:
        """Cancel all calls, because the partition is gone."""
        self._cancel([self.in_flight.pop(key) for key in list(self.in_flight)])
        self._clear_lines()

    # -- one key --------------------------------------------------------------------------------------------------

    async def _work(self, key: bytes) -> None:
        line = self.queued[key]
        while line:
            call = line.popleft()
            if call.is_parked or not self._owner.holds_back(call):
                await self._make(key, call)
                if call.is_in_flight:
                    return
                self._owner.ended(call)
            self._park_rest(key)
        self.queued.pop(key, None)

    async def _make(self, key: bytes, call: AsyncCall) -> None:
        call.running, self._at_work[key] = asyncio.current_task(), call
        try:
            await self._owner.call(call)
        except Exception as error:  # noqa: BLE001  whatever a handler raises is settled by the owner
            call.error = error
        if not call.is_in_flight:
            del self._at_work[key]

    def _leave(self, key: bytes, call: AsyncCall) -> None:
        del self._at_work[key]
        call.is_in_flight = True
        self.in_flight[key] = call
        self._owner.left(call)
        self._park_rest(key)
        self.queued.pop(key, None)

    def _park_rest(self, key: bytes) -> None:
        """Park the rest of a parked key's queue; only a parked head goes on by itself."""
        line = self.queued[key]
        if self._owner.is_parked(key):
            waiting = [call for call in line if not call.is_parked]
            for call in waiting:
                line.remove(call)
                self._owner.behind(call)

    def _clear_lines(self) -> None:
        self._cancel([call for line in self.queued.values() for call in line])
        self.queued.clear()

    def _cancel(self, calls: list[AsyncCall]) -> None:
        for call in calls:
            self._owner.cancelled(call)
            if call.running is not None and not call.running.done():
                call.running.cancel()


async def first_finished(in_flight: list[AsyncCall], wait_s: float) -> None:
    """Wait until one of them is back, `wait_s` at most."""
    running = [call.running for call in in_flight if call.running is not None]
    if running:
        await asyncio.wait(running, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)


async def attempted(route: Route, layer: RecordLayer, message: Message, bind: Callable[[type], Any]) -> None:
    """Run the handlers of one message, in order; AttemptTimedOut when they take longer than their policy says."""
    limit = route.rule.policy.attempt_timeout_s
    try:
        async with asyncio.timeout(limit):
            for seed, handler in zip(route.seeds, route.handlers, strict=True):
                layer.seed = f"{seed}{layer.input_id}/"
                result = getattr(bind(handler.role), handler.method)(message)
                if isinstance(result, Awaitable):
                    await result
    except TimeoutError as error:
        raise AttemptTimedOut(f"no answer within {limit} s") from error
