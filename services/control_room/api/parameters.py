"""Parameters that several routes take, and the answers that all of them may give."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import Depends, Path, Query, Request, Response

from ensemble.clock import epoch_ms, rfc3339
from ensemble.operations import Invalid, Unreachable, moment_ms, now
from services.control_room.control_room import ControlRoom, Room
from services.control_room.problems import MEDIA_TYPE, Problem, ProblemDocument

MAX_PAGE: Final = 500
_TEXT: Final = 256

Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="At most so many.")]
Cursor = Annotated[str | None, Query(max_length=_TEXT, description="The `next` of the page before.")]
Since = Annotated[
    str | None, Query(max_length=_TEXT, description="An age such as `10m` or `1d`, or a date and time (UTC).")
]
ServiceName = Annotated[str | None, Query(max_length=_TEXT, description="Of this service only.")]
Text = Annotated[str | None, Query(max_length=_TEXT)]
OrderId = Annotated[str, Path(min_length=1, max_length=_TEXT)]
RunId = Annotated[str, Path(max_length=64)]
TopicName = Annotated[str, Path(max_length=_TEXT)]
PartitionNumber = Annotated[int, Path(ge=0, le=2**31 - 1)]
Offset = Annotated[int, Path(ge=0, le=2**63 - 1)]

_JSON: Final = "application/json"


def problems(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Return the documented answers of routes that may end with these statuses, and with those that any route may."""
    always = (
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
    )
    content = {MEDIA_TYPE: {"schema": ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")}}
    documented: dict[int | str, dict[str, Any]] = {
        status.value: {"description": status.phrase, "content": content} for status in (*always, *statuses)
    }
    return {304: {"description": "What the caller has is still so"}, **documented}


def require_json(request: Request) -> None:
    """Raise Problem 415 for a body that says it is something else than JSON."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    has_body = "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"
    if kind and has_body and kind != _JSON and not kind.endswith("+json"):
        reason = f"the body is {kind}; send it as {_JSON}"
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, reason, field="Content-Type", headers={"Accept": _JSON})


def require_view(room: Room, response: Response) -> ControlRoom:
    """Return the control room, if its view is complete; the answer says as of when. Raises Problem if it is not."""
    status = room.updates.status
    if status.as_of is None:
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, _progress_of(room), headers={"Retry-After": "1"})
    response.headers["View-As-Of"] = rfc3339(epoch_ms(status.as_of))
    return room


RoomWithView = Annotated[ControlRoom, Depends(require_view)]
"""The control room, whose view is complete."""


def require_kafka(room: ControlRoom) -> None:
    """Raise Unreachable if the view was not updated the last time: the caller is told at once, not after a limit."""
    status = room.updates.status
    if status.problem is not None:
        since = "" if status.problem_since is None else f" since {rfc3339(epoch_ms(status.problem_since))}"
        raise Unreachable(f"what is known is not up to date{since}: {status.problem}")


def since_ms(text: str | None, field: str) -> int:
    """Return epoch milliseconds, 0 for none. Raises Problem naming the parameter."""
    if text is None:
        return 0
    try:
        return moment_ms(text, now())
    except Invalid as error:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), field=field) from None


def _progress_of(room: ControlRoom) -> str:
    status = room.updates.status
    if status.problem is not None:
        return f"the view is not complete yet, and cannot be read on: {status.problem}"
    if status.reading is None:
        return "the view is not complete yet: reading the topics begins"
    share = 100 * status.reading.read // max(status.reading.total, 1)
    return f"the view is being built: {share} % of {status.reading.total} records are read"
