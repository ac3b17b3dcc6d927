"""Refusals as RFC 9457 problem documents."""

import json

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import ValidationError


class Problem(Exception):
    """A request that was not carried out; the middleware answers it as a problem document."""

    def __init__(self, status: int, title: str, detail: str, field: str | None = None) -> None:
        super().__init__(f"{title}: {detail}")
        self.status, self.title, self.detail, self.field = status, title, detail, field

    def response(self) -> web.Response:
        """Return the problem as an HTTP response; `field` names what the caller has to change."""
        document = {"type": "about:blank", "title": self.title, "status": self.status, "detail": self.detail}
        if self.field is not None:
            document["field"] = self.field
        headers = {"Retry-After": "1"} if self.status in {409, 503} else None
        return web.Response(
            status=self.status, text=json.dumps(document), headers=headers, content_type="application/problem+json"
        )


def invalid(error: ValidationError) -> Problem:
    """Return the first error of a validated body or query, with its field."""
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return Problem(400, "Body is not JSON", first["msg"], "body")
    field = ".".join(str(part) for part in first["loc"]) or "body"
    return Problem(400, "Invalid request", f"{field}: {first['msg']}", field)


@web.middleware
async def answer_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every refusal, the framework's own (unknown path, body too large) included, is a problem document."""
    try:
        return await handler(request)
    except Problem as problem:
        return problem.response()
    except web.HTTPRequestEntityTooLarge as refused:
        return Problem(413, "Body too large", refused.text or "", "body").response()
    except web.HTTPException as refused:
        detail = f"{request.method} {request.path}: see the table of requests in the sandbox's README"
        return Problem(refused.status, refused.reason, detail).response()
