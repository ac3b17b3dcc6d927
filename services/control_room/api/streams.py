"""Live updates as server-sent events, for all that changes or for one order."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from services.control_room.api.parameters import OrderId, problems
from services.control_room.change_events import order_event
from services.control_room.control_room import ControlRoom, Room
from services.control_room.live_events import Interest, LiveEvent, LiveStream

EVENT_STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "Events until either side ends them", "content": {"text/event-stream": {}}}
}
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_RETRY: Final = b"retry: 2000\n\n"

router = APIRouter(tags=["live"], responses=problems(), default_response_class=StreamingResponse)

LastEventId = Annotated[str | None, Header(max_length=64, description="The id of the last event that was received.")]
Names = Annotated[
    list[Literal["order", "traffic", "change", "run", "view"]] | None,
    Query(max_length=5, description="Events of these names only."),
]


@router.get("/events", responses=EVENT_STREAM)
async def stream_events(room: Room, *, event: Names = None, last_event_id: LastEventId = None) -> StreamingResponse:
    """Send what changes: `order`, `traffic`, `change` (something else, by projection and key), `view` (how far it is).

    After `reset` a browser reads everything anew: it was too slow, or away for too long. `Last-Event-ID` goes on from
    where a broken stream was.
    """
    return LiveResponse(room, lambda: room.live.open(Interest(frozenset(event or ())), last_event_id))


@router.get("/orders/{order_id}/events", responses=EVENT_STREAM)
async def stream_order(room: Room, order_id: OrderId, *, last_event_id: LastEventId = None) -> StreamingResponse:
    """Send the state of one order now, and whenever it changes, like all events."""

    def read_first() -> LiveEvent | None:
        orders = () if last_event_id else room.orders.find([order_id])
        return next(map(order_event, orders), None)

    return LiveResponse(room, lambda: room.live.open(Interest(key=order_id), last_event_id), read_first)


class LiveResponse(StreamingResponse):
    """A stream, what is so now before all others. It is open while it is sent, and no longer."""

    def __init__(
        self,
        room: ControlRoom,
        open_stream: Callable[[], LiveStream],
        read_first: Callable[[], LiveEvent | None] | None = None,
    ) -> None:
        """Open nothing yet: what is never sent is never open."""
        super().__init__((), media_type="text/event-stream", headers=_HEADERS)
        self._heartbeat_s, self._open_stream, self._read_first = room.settings.heartbeat_s, open_stream, read_first

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it until either side ends it. Raises TooManyStreams and what `read_first` raises, with nothing sent."""
        with self._open_stream() as stream:
            first = None if self._read_first is None else await run_in_threadpool(self._read_first)
            self.body_iterator = _parts(stream, self._heartbeat_s, first)
            await super().__call__(scope, receive, send)


async def _parts(stream: LiveStream, heartbeat_s: float, first: LiveEvent | None) -> AsyncIterator[bytes]:
    yield _RETRY
    async for part in stream.parts(heartbeat_s, first):
        yield part
