"""What is answered where a request fails: documents of RFC 9457, whose `detail` says what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import Match

from ensemble import EnsembleError
from ensemble.operations import Ambiguous, Forbidden, Invalid, NotFound, NotPossible, Unreachable

MEDIA_TYPE: Final = "application/problem+json"
_LOG: Final = structlog.get_logger()
_STATUSES: Final[Mapping[type[EnsembleError], HTTPStatus]] = {
    NotFound: HTTPStatus.NOT_FOUND,
    Invalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    Ambiguous: HTTPStatus.CONFLICT,
    NotPossible: HTTPStatus.CONFLICT,
    Forbidden: HTTPStatus.FORBIDDEN,
    Unreachable: HTTPStatus.SERVICE_UNAVAILABLE,
}
_RETRY_AFTER_S: Final = "2"
_UNREAD: Final = "There was an error parsing the body"
"""What the framework says of JSON that Python does not read."""
_WHY_UNREAD: Final = (
    "the body cannot be read: it is no UTF-8, it is nested too deeply, or it has a number of thousands of digits"
)
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


class FieldProblem(BaseModel):
    """What is wrong with one part of a request."""

    field: str
    message: str


class ProblemDocument(BaseModel):
    """Why a request was not carried out (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    field: str | None = None
    """The part of the request that is to be changed."""
    hint: str | None = None
    """What to do."""
    errors: list[FieldProblem] | None = None
    """All that is wrong with the request, if it does not have the documented form."""


class Problem(Exception):
    """Ends a request with a problem document."""

    def __init__(
        self, status: HTTPStatus, detail: str, *, field: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.document = ProblemDocument(title=status.phrase, status=status.value, detail=detail, field=field or None)
        self.headers = dict(headers or {})


def answer_problems(app: FastAPI) -> None:
    """Have each failed request end with a problem document, and no request with a traceback."""
    app.add_exception_handler(Problem, _answer_problem)
    app.add_exception_handler(EnsembleError, _answer_operations_error)
    app.add_exception_handler(RequestValidationError, _answer_invalid_request)
    app.add_exception_handler(HTTPException, _answer_http_exception)
    app.add_exception_handler(sqlite3.Error, _answer_storage_error)
    app.add_exception_handler(Exception, _answer_mistake)


def respond(document: ProblemDocument, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return the response of a problem."""
    content = document.model_dump(exclude_none=True)
    return JSONResponse(content, document.status, dict(headers or {}), media_type=MEDIA_TYPE)


def document_of(error: EnsembleError) -> ProblemDocument:
    """Return the document of an error of the operators' library; one of the runtime says that Kafka does not answer."""
    status = next((s for kind, s in _STATUSES.items() if isinstance(error, kind)), HTTPStatus.SERVICE_UNAVAILABLE)
    return ProblemDocument(
        title=status.phrase,
        status=status.value,
        detail=str(error),
        field=getattr(error, "field", "") or None,
        hint=getattr(error, "hint", "") or None,
    )


async def _answer_problem(_: Request, problem: Exception) -> Response:
    assert isinstance(problem, Problem), "it is registered for problems"
    return respond(problem.document, problem.headers)


async def _answer_operations_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, EnsembleError), "it is registered for these errors"
    document = document_of(error)
    is_passing = document.status == HTTPStatus.SERVICE_UNAVAILABLE
    return respond(document, {"Retry-After": _RETRY_AFTER_S} if is_passing else None)


async def _answer_invalid_request(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError), "it is registered for these errors"
    problems = [_field_problem(each) for each in error.errors()]
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    detail = "; ".join(f"{each.field}: {each.message}" for each in problems)
    first = problems[0].field if problems else None
    document = ProblemDocument(title=status.phrase, status=status.value, detail=detail, field=first, errors=problems)
    return respond(document)


async def _answer_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException), "it is registered for these errors"
    status = HTTPStatus(error.status_code)
    details = {
        HTTPStatus.NOT_FOUND: f"there is nothing at {request.url.path}",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.method} is not answered at {request.url.path}",
    }
    detail = _WHY_UNREAD if error.detail == _UNREAD else details.get(status, str(error.detail))
    headers = dict(error.headers or {})
    if status is HTTPStatus.METHOD_NOT_ALLOWED and (methods := _methods_at(request)):
        headers["Allow"] = ", ".join(methods)
    return respond(ProblemDocument(title=status.phrase, status=status.value, detail=detail), headers)


def _methods_at(request: Request) -> list[str]:
    """Return the methods that are answered at a path, by whichever route: the router names those of one alone."""
    scopes = {method: {**request.scope, "method": method} for method in _METHODS}
    routes = request.app.routes
    return [name for name, scope in scopes.items() if any(each.matches(scope)[0] is Match.FULL for each in routes)]


async def _answer_storage_error(_: Request, error: Exception) -> Response:
    status = HTTPStatus.SERVICE_UNAVAILABLE
    detail = f"the control room's own file cannot be used: {error}; is its disk full?"
    document = ProblemDocument(title=status.phrase, status=status.value, detail=detail)
    return respond(document, {"Retry-After": _RETRY_AFTER_S})


async def _answer_mistake(request: Request, error: Exception) -> Response:
    """Answer for a mistake of the program; the log has its traceback, the answer none."""
    _LOG.error("request.failed", path=request.url.path, method=request.method, exc_info=error)
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    detail = "the control room made a mistake; its log says more"
    return respond(ProblemDocument(title=status.phrase, status=status.value, detail=detail))


def _field_problem(error: Mapping[str, Any]) -> FieldProblem:
    if error["type"] == "json_invalid":  # its location is a place in the text
        return FieldProblem(field="body", message=f"this is no JSON: {error.get('ctx', {}).get('error', error['msg'])}")
    return FieldProblem(field=_name(error["loc"]), message=str(error["msg"]))


def _name(location: tuple[Any, ...] | list[Any]) -> str:
    """Return the name of a field, such as `limit` or `lines.0.sku`, without where it stands in the request."""
    parts = [str(part) for part in location]
    return ".".join(parts[1:]) or parts[0] if parts else ""
