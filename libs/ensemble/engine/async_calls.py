"""Calls of async handlers: side by side across keys, in order within one.

A call that has not come back when the batch has waited long enough stays *in flight*: its record is parked, the batch
commits without it, and its end is one more input of a later batch. After a restart it is made again, so requests to the
outside carry an idempotency key.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from ensemble.engine.compiled import CompiledService
from ensemble.engine.items import RecordItem
from ensemble.errors import AttemptTimedOut, HandlerExit
from ensemble.state.unit_of_work import RecordLayer
from ensemble.system_messages.dead_letters import text_of

EXITS: Final = (SystemExit, asyncio.CancelledError, BaseExceptionGroup)
"""What a handler may raise beside an Exception. It must not end the process: the next one would meet the same record.

Ctrl-C is left out: a person means the process.
"""


@dataclass(eq=False)
class AsyncCall:
    """One record whose handlers are called in turn with others of its key."""

    item: RecordItem
    layer: RecordLayer
    is_parked: bool = False
    """Whether its record is the head of a parked key."""
    error: Exception | None = None
    is_duplicate: bool = False
    is_withheld: bool = False
    """Whether its handlers were not called, because their circuit had opened by the time it had a slot."""
    is_in_flight: bool = False
    is_committed: bool = False
    """Whether the batch that left it in flight has committed."""
    running: asyncio.Task[None] | None = None
    key: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.key = self.item.key

    @property
    def has_finished(self) -> bool:
        """Whether the handlers have returned."""
        return self.running is not None and self.running.done()


class AsyncCalls:
    """Keeps the calls of one partition: queued, running, in flight. The task applies what they come to."""

    def __init__(self) -> None:
        self.queued: dict[bytes, deque[AsyncCall]] = {}
        """The calls that this batch still has to make, by key."""
        self.in_flight: dict[bytes, AsyncCall] = {}
        """The calls under way since an earlier batch."""
        self._running: dict[bytes, AsyncCall] = {}

    def add(self, call: AsyncCall) -> None:
        """Queue a call behind those of its key."""
        self.queued.setdefault(call.key, deque()).append(call)

    def has(self, key: bytes) -> bool:
        """Return whether a call of this key is queued or in flight."""
        return bool(self.queued.get(key)) or key in self.in_flight

    def take_next(self, key: bytes) -> AsyncCall | None:
        """Remove the next queued call of `key` and return it, or None when there is none left."""
        queue = self.queued.get(key)
        if queue:
            return queue.popleft()
        self.queued.pop(key, None)
        return None

    def take_waiting(self, key: bytes) -> list[AsyncCall]:
        """Remove the queued calls of `key` and return them, but leave the call of a parked head."""
        queue = self.queued[key]
        waiting = [call for call in queue if not call.is_parked]
        for call in waiting:
            queue.remove(call)
        return waiting

    async def make(self, call: AsyncCall, handlers: Coroutine[Any, Any, None]) -> None:
        """Await the handlers of a call. Their error is noted on the call."""
        call.running, self._running[call.key] = asyncio.current_task(), call
        try:
            await handlers
        except (Exception, *EXITS) as error:
            if _is_cancelled(call):
                raise
            call.error = failure_of(error)
        if not call.is_in_flight:
            del self._running[call.key]

    def leave_running(self) -> list[AsyncCall]:
        """Let the calls that still run stay in flight, and return them."""
        calls = list(self._running.values())
        for call in calls:
            call.is_in_flight = True
        self.in_flight.update(self._running)
        self._running.clear()
        return calls

    def take_finished(self) -> list[AsyncCall]:
        """Remove the calls in flight that have come back, and return them."""
        finished = [key for key, call in self.in_flight.items() if call.has_finished]
        return [self.in_flight.pop(key) for key in finished]

    @property
    def has_finished(self) -> bool:
        """Whether a call in flight has come back."""
        return any(call.has_finished for call in self.in_flight.values())

    # -- calls that are given up: each returns them --------------------------------------------------------------

    def cancel(self, key: bytes) -> list[AsyncCall]:
        """Cancel the call of a parked head, whether in flight or queued."""
        heads = [call for call in self.queued.get(key, ()) if call.is_parked]
        for head in heads:
            self.queued[key].remove(head)
        return _cancel([*heads, *([self.in_flight.pop(key)] if key in self.in_flight else [])])

    def commit(self) -> None:
        """Note that the batch is committed, and with it the entries of the calls that it left in flight."""
        for call in self.in_flight.values():
            call.is_committed = True

    def abort(self) -> list[AsyncCall]:
        """Cancel the calls of an aborted batch: their entries are gone, and their records come again."""
        keys = [key for key, call in self.in_flight.items() if not call.is_committed]
        return _cancel([*(self.in_flight.pop(key) for key in keys), *self._take_queued()])

    def close(self) -> list[AsyncCall]:
        """Cancel all calls of a partition that was taken away."""
        in_flight = list(self.in_flight.values())
        self.in_flight.clear()
        return _cancel([*in_flight, *self._take_queued()])

    def _take_queued(self) -> list[AsyncCall]:
        calls = [call for queue in self.queued.values() for call in queue]
        self.queued.clear()
        return calls


def failure_of(error: BaseException) -> Exception:
    """Return what a handler has raised as something that a policy can judge."""
    if isinstance(error, Exception):
        return error
    raised = f"{type(error).__name__}({text_of(error)})"
    failure = HandlerExit(f"the handler raised {raised}; it ends by returning, or by raising an Exception")
    failure.__cause__ = error
    return failure


def _is_cancelled(call: AsyncCall) -> bool:
    """Return whether the runtime has cancelled the call. A handler may also raise CancelledError by itself."""
    return call.running is not None and call.running.cancelling() > 0


def _cancel(calls: list[AsyncCall]) -> list[AsyncCall]:
    for call in calls:
        if call.running is not None and not call.running.done():
            call.running.cancel()
    return calls


def call_slots(compiled: CompiledService) -> asyncio.Semaphore:
    """Return as many slots as a process of the service may make calls side by side."""
    return asyncio.Semaphore(compiled.limits.policies.calls.at_once)


async def first_finished(in_flight: Iterable[AsyncCall], wait_s: float) -> None:
    """Wait until one of the calls is back, `wait_s` at most."""
    running = [call.running for call in in_flight if call.running is not None]
    if running:
        await asyncio.wait(running, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)


async def call_handlers(item: RecordItem, layer: RecordLayer, bind: Callable[[type], Any]) -> None:
    """Call the handlers of one message, in order. Raises AttemptTimedOut if they take longer than their policy says."""
    route = item.route
    limit = route.rule.policy.attempt_timeout_s
    attempt = asyncio.timeout(limit)
    try:
        async with attempt:
            for seed, handler in zip(route.seeds, route.handlers, strict=True):
                layer.seed = f"{seed}{layer.origin}/"
                result = getattr(bind(handler.role), handler.method)(item.message)
                if isinstance(result, Awaitable):
                    await result
    except TimeoutError as error:
        if not attempt.expired():
            raise  # the handler's own words: what it waited for did not answer
        raise AttemptTimedOut(f"no answer within {limit} s") from error
