"""What has changed, as numbered events for any number of streams: kept for a while, so that a stream can go on."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

from ensemble import EnsembleError

RESET: Final = "reset"
"""After this event a browser reads everything anew."""
HEARTBEAT: Final = b": still here\n\n"
_LIMIT: Final = 10_000
_PART: Final = 500
Head = Callable[[int, int], "Sequence[LiveEvent]"]
"""Returns the events behind the first position, up to the second one."""
_ID: Final = re.compile(r"([0-9a-f]{8})-([0-9]{1,18})")


@dataclass(frozen=True)
class LiveEvent:
    """Something that has changed. `key` is the id of what it is about; `data` is JSON."""

    name: str
    key: str
    data: str


@dataclass(frozen=True)
class Interest:
    """Which events a stream carries: all of these names, or all if there are none; of one key alone if it is given."""

    names: frozenset[str] = frozenset()
    key: str | None = None

    def takes(self, event: LiveEvent) -> bool:
        """Return whether a stream carries the event; all carry a reset."""
        is_named = not self.names or event.name in self.names
        return event.name == RESET or (is_named and self.key in {None, event.key})


class TooManyStreams(EnsembleError):
    """So many streams are open already that no other one is opened."""

    def __init__(self, count: int) -> None:
        super().__init__(f"{count} live streams are open, and no more are allowed; close some pages")


class Taken(NamedTuple):
    """Events behind a position, and how many between them and the position are lost."""

    lost: int
    position: int
    """Where the next ones follow."""
    events: list[tuple[LiveEvent, bytes]]
    is_all: bool


class LiveEvents:
    """The latest events. Any thread publishes; streams belong to the event loop that opened them.

    No stream has a queue of its own, so a slow one holds nobody up and takes no memory: what it has not sent when it
    falls out of the latest events is lost to it, and it is told how many those were.
    """

    def __init__(self, limit: int = _LIMIT, max_streams: int = 1_000, head: Head | None = None) -> None:
        """Keep so many events, for so many streams at most. With a `head`, which has those before, none is lost."""
        self._head = head
        self._epoch, self._last, self._limit, self._max_streams = secrets.token_hex(4), 0, limit, max_streams
        self._events: deque[tuple[LiveEvent, bytes]] = deque(maxlen=limit)
        self._lock = threading.Lock()
        self._streams: set[LiveStream] = set()
        self._is_closed = False

    @property
    def open_streams(self) -> int:
        """How many pages, and requests that wait, listen."""
        return len(self._streams)

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    def publish(self, events: Iterable[LiveEvent]) -> None:
        """Add the events and wake the streams, without waiting for any of them."""
        with self._lock:
            for event in events:
                self._last += 1
                self._events.append((event, encode(event, self.id_at(self._last))))
            streams = list(self._streams)
        for stream in streams:
            stream.wake()

    @property
    def published(self) -> int:
        """How many events there were."""
        return self._last

    def open(self, interest: Interest, last_event_id: str | None = None, *, from_start: bool = False) -> LiveStream:
        """Return a stream of what follows, or of what came after `last_event_id`, or of all. Raises TooManyStreams."""
        with self._lock:
            if len(self._streams) >= self._max_streams:
                raise TooManyStreams(len(self._streams))
            position = self._position(last_event_id)
            begin = 0 if from_start else self._last
            stream = LiveStream(self, interest, begin if position is None else position)
            stream.is_behind = last_event_id is not None and position is None and not from_start
            self._streams.add(stream)
            return stream

    def close(self) -> None:
        """End all streams; browsers open them again somewhere else, or later."""
        self._is_closed = True
        with self._lock:
            streams = list(self._streams)
        for stream in streams:
            stream.wake()

    def after(self, position: int) -> Taken:
        """Return the events after a position, some hundreds at most: the next call has those that follow."""
        with self._lock:
            first = self._last - len(self._events)
            if self._head is not None and position < first:
                return self._from_head(self._head, position, min(position + _PART, first))
            start = max(position, first)
            end = min(start + _PART, self._last)
            events = [self._events[number - first] for number in range(start, end)]
            return Taken(start - position, end, events, is_all=end == self._last)

    def _from_head(self, head: Head, start: int, end: int) -> Taken:
        events = [
            (event, encode(event, self.id_at(number))) for number, event in enumerate(head(start, end), start + 1)
        ]
        return Taken(0, end, events, is_all=False)

    def remove(self, stream: LiveStream) -> None:
        """Forget a stream."""
        with self._lock:
            self._streams.discard(stream)

    def id_at(self, position: int) -> str:
        """Return the id of the event at a position."""
        return f"{self._epoch}-{position}"

    def _position(self, event_id: str | None) -> int | None:
        """Return the position of an event of this process; None for that of another one, or none at all."""
        match = _ID.fullmatch(event_id or "")
        if match is None or match[1] != self._epoch or int(match[2]) > self._last:
            return None
        return int(match[2])


class LiveStream:
    """Events for one browser; use it in a `with`, and iterate it in the event loop where it was opened."""

    def __init__(self, events: LiveEvents, interest: Interest, position: int) -> None:
        self._events, self._interest, self._position = events, interest, position
        self._loop, self._woken = asyncio.get_running_loop(), asyncio.Event()
        self.is_behind = False
        """Whether it cannot go on from where the browser was."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._events.remove(self)

    def wake(self) -> None:
        """Have it look for events; called by any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._woken.set)

    async def parts(self, heartbeat_s: float, first: LiveEvent | None = None) -> AsyncIterator[bytes]:
        """Yield the events as they go over the wire, and a heartbeat when nothing happens, until all streams end.

        `first` goes before them: what is so at the beginning.
        """
        if first is not None:
            yield encode(first, self._events.id_at(self._position))
        if self.is_behind:
            yield self._reset(0, "the control room was started anew, or the browser was away for too long")
        while not self._events.is_closed:
            taken = self._take()
            if taken.lost:
                yield self._reset(taken.lost, "the browser reads more slowly than things change")
            if part := b"".join(wire for event, wire in taken.events if self._interest.takes(event)):
                yield part
            if taken.is_all and not await self.wait(heartbeat_s):
                yield HEARTBEAT

    async def wait(self, limit_s: float) -> bool:
        """Wait for events of any kind, or the end of all streams; return whether there was one in time."""
        try:
            async with asyncio.timeout(limit_s):
                await self._woken.wait()
        except TimeoutError:
            return False
        return True

    def forget(self) -> None:
        """Leave out what has come, for a caller that only waits."""
        while not self._take().is_all:
            pass

    def _take(self) -> Taken:
        self._woken.clear()
        taken = self._events.after(self._position)
        self._position = taken.position
        return taken

    def _reset(self, lost: int, reason: str) -> bytes:
        """Return the event that has a browser read everything anew."""
        return encode(reset_event(lost, reason), self._events.id_at(self._position))


def reset_event(lost: int, reason: str) -> LiveEvent:
    """Return the event that has a browser read everything anew: so many are lost, and why."""
    return LiveEvent(RESET, "", json.dumps({"lost": lost, "reason": reason}))


def encode(event: LiveEvent, event_id: str) -> bytes:
    """Return an event as `text/event-stream` has it."""
    data = "".join(f"data: {line}\n" for line in event.data.split("\n"))  # JSON may hold U+2028
    return f"id: {event_id}\nevent: {event.name}\n{data}\n".encode()
