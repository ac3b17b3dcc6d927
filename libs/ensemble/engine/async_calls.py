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

from ensemble.engine.compiled import Target
from ensemble.errors import AttemptTimedOut
from ensemble.messages.message import Message
from ensemble.messages.records import ConsumedRecord
from ensemble.state.unit_of_work import Layer


@dataclass(eq=False)
class Call:
    """One record in the hands of its handlers."""

    key: bytes
    record: ConsumedRecord
    target: Target
    is_parked: bool = False
    """Its record is the head of a parked key."""
    layer: Layer = field(default_factory=Layer)
    error: Exception | None = None
    is_duplicate: bool = False
    in_flight: bool = False
    is_committed: bool = False
    """The batch that left it in flight has committed."""
    running: asyncio.Task[None] | None = None


class Owner(Protocol):
    """What `Calls` asks of the partition's task."""

    def holds_back(self, call: Call) -> bool:
        """True when it must not begin now: its record is parked instead."""

    async def call(self, call: Call) -> None:
        """Run the handlers; effects stay on the call's layer."""

    def ended(self, call: Call) -> None:
        """It has come back: keep its effects, or deal with its error."""

    def left(self, call: Call) -> None:
        """It stays in flight: park its record."""

    def behind(self, call: Call) -> None:
        """It was not begun and its key is parked: let its record wait there."""

    def cancelled(self, call: Call) -> None:
        """Its outcome is not wanted any more."""

    def is_parked(self, key: bytes) -> bool: ...


class Calls:
    """The calls of one partition."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self.lines: dict[bytes, deque[Call]] = {}
        """What this batch still has to do, by key."""
        self.flights: dict[bytes, Call] = {}
        """What is under way since an earlier batch."""
        self._at_work: dict[bytes, Call] = {}

    def add(self, call: Call) -> None:
        """Let it run after what this batch has of its key already."""
        self.lines.setdefault(call.key, deque()).append(call)

    def has(self, key: bytes) -> bool:
        """Something of this key waits to be called, or is in flight."""
        return bool(self.lines.get(key)) or key in self.flights

    async def finish(self, wait_s: float | None) -> None:
        """Run what this batch has, for `wait_s` at most; what is not back then stays in flight."""
        workers = [asyncio.create_task(self._work(key)) for key in self.lines]
        if workers:
            await asyncio.wait(workers, timeout=wait_s)
        for worker in workers:
            if worker.done():
                worker.result()  # a FatalError ends the process
        for key, call in list(self._at_work.items()):
            self._leave(key, call)

    def land(self) -> None:
        """Settle the flights that have come back."""
        for key in [key for key, call in self.flights.items() if call.running and call.running.done()]:
            self._owner.ended(self.flights.pop(key))

    @property
    def have_landed(self) -> bool:
        """Some flight waits to be settled."""
        return any(call.running and call.running.done() for call in self.flights.values())

    def cancel(self, key: bytes) -> None:
        """The outcome of its parked head is not wanted any more, whether in flight or about to be called."""
        heads = [call for call in self.lines.get(key, ()) if call.is_parked]
        for head in heads:
            self.lines[key].remove(head)
        self._cancel([*heads, *([self.flights.pop(key)] if key in self.flights else [])])

    def commit(self) -> None:
        """The batch is committed, and with it the entries of what it left in flight."""
        for call in self.flights.values():
            call.is_committed = True

    def drop(self) -> None:
        """The batch is gone: so are the entries of what it left in flight, and their records come again."""
        lost = [key for key, call in self.flights.items() if not call.is_committed]
        self._cancel([self.flights.pop(key) for key in lost])
        self._clear_lines()

    def close(self) -> None:
        """The partition is gone."""
        self._cancel([self.flights.pop(key) for key in list(self.flights)])
        self._clear_lines()

    # -- one key --------------------------------------------------------------------------------------------------

    async def _work(self, key: bytes) -> None:
        line = self.lines[key]
        while line:
            call = line.popleft()
            if call.is_parked or not self._owner.holds_back(call):
                await self._make(key, call)
                if call.in_flight:
                    return
                self._owner.ended(call)
            self._park_rest(key)
        self.lines.pop(key, None)

    async def _make(self, key: bytes, call: Call) -> None:
        call.running, self._at_work[key] = asyncio.current_task(), call
        try:
            await self._owner.call(call)
        except Exception as error:  # noqa: BLE001  whatever a handler raises is settled by the owner
            call.error = error
        if not call.in_flight:
            del self._at_work[key]

    def _leave(self, key: bytes, call: Call) -> None:
        del self._at_work[key]
        call.in_flight = True
        self.flights[key] = call
        self._owner.left(call)
        self._park_rest(key)
        self.lines.pop(key, None)

    def _park_rest(self, key: bytes) -> None:
        """Once a key is parked, what came after waits there; a parked head alone goes on by itself."""
        line = self.lines[key]
        if self._owner.is_parked(key):
            waiting = [call for call in line if not call.is_parked]
            for call in waiting:
                line.remove(call)
                self._owner.behind(call)

    def _clear_lines(self) -> None:
        self._cancel([call for line in self.lines.values() for call in line])
        self.lines.clear()

    def _cancel(self, calls: list[Call]) -> None:
        for call in calls:
            self._owner.cancelled(call)
            if call.running is not None and not call.running.done():
                call.running.cancel()


async def first_landing(flights: list[Call], wait_s: float) -> None:
    """Wait until one of them is back, `wait_s` at most."""
    running = [call.running for call in flights if call.running is not None]
    if running:
        await asyncio.wait(running, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)


async def attempted(target: Target, layer: Layer, message: Message, bind: Callable[[type], Any]) -> None:
    """Run the handlers of one message, in order; AttemptTimedOut when they take longer than their policy says."""
    limit = target.duty.policy.attempt_timeout_s
    try:
        async with asyncio.timeout(limit):
            for seed, handler in zip(target.seeds, target.handlers, strict=True):
                layer.seed = f"{seed}{layer.input_id}/"
                result = getattr(bind(handler.role), handler.method)(message)
                if isinstance(result, Awaitable):
                    await result
    except TimeoutError as error:
        raise AttemptTimedOut(f"no answer within {limit} s") from error
