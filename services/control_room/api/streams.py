"""Live updates as server-sent events, for all that changes or for one order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from services.control_room.api.orders import OrderId
from services.control_room.api.parameters import problems
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
    return respond(room, room.live.open(Interest(frozenset(event or ())), last_event_id))


@router.get("/orders/{order_id}/events", responses=EVENT_STREAM)
async def stream_order(room: Room, order_id: OrderId, *, last_event_id: LastEventId = None) -> StreamingResponse:
    """Send the state of one order now, and whenever it changes, like all events."""
    stream = room.live.open(Interest(key=order_id), last_event_id)
    orders = () if last_event_id else await run_in_threadpool(room.orders.find, [order_id])
    return respond(room, stream, *map(order_event, orders))


def respond(room: ControlRoom, stream: LiveStream, first: LiveEvent | None = None) -> StreamingResponse:
    """Return the response that sends a stream, what is so now before all others."""
    parts = _parts(stream, room.settings.heartbeat_s, first)
    return StreamingResponse(parts, media_type="text/event-stream", headers=_HEADERS)


async def _parts(stream: LiveStream, heartbeat_s: float, first: LiveEvent | None) -> AsyncIterator[bytes]:
    with stream:
        yield _RETRY
        async for part in stream.parts(heartbeat_s, first):
            yield part
