"""Answers for pages that fail: a page that says why, where a program gets a problem document."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from ensemble import EnsembleError
from services.control_room.pages.rendering import render
from services.control_room.problems import Problem, ProblemDocument, document_of

_FILES: Final = (".json", ".svg", ".css")
_FOR_PROGRAMS: Final = ("/api/", "/healthz", "/static/")


class PageRoute(APIRoute):
    """A route whose failures are pages. Files that programs ask for keep their problem documents."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        if self.path.endswith(_FILES):
            return handle

        async def handle_page(request: Request) -> Response:
            try:
                return await handle(request)
            except (EnsembleError, Problem, RequestValidationError, sqlite3.Error) as error:
                code, detail = _describe(error)
                return render(request, request.app.state.room, "nothing.html", code=code, what=detail)

        return handle_page


def answer_browsers(app: FastAPI) -> None:
    """Have browsers be answered with a page where there is none, and where a page ends with a mistake."""
    for kind in (HTTPException, Exception):
        app.add_exception_handler(kind, _page_instead_of(app.exception_handlers[kind]))


def _page_instead_of(answer_program: Any) -> Callable[[Request, Exception], Coroutine[Any, Any, Response]]:
    async def answer(request: Request, error: Exception) -> Response:
        response: Response = await answer_program(request, error)
        if not _is_browser(request):
            return response
        problem = ProblemDocument.model_validate_json(bytes(response.body))
        code = HTTPStatus(problem.status)
        return render(request, request.app.state.room, "nothing.html", code=code, what=problem.detail)

    return answer


def _is_browser(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith(_FOR_PROGRAMS)


def _describe(error: Exception) -> tuple[HTTPStatus, str]:
    match error:
        case Problem():
            return HTTPStatus(error.document.status), error.document.detail
        case EnsembleError():
            document = document_of(error)
            return HTTPStatus(document.status), document.detail
        case RequestValidationError():
            detail = "; ".join(f"{'.'.join(map(str, each['loc'][1:]))}: {each['msg']}" for each in error.errors())
            return HTTPStatus.UNPROCESSABLE_ENTITY, detail
        case _:
            return HTTPStatus.SERVICE_UNAVAILABLE, f"the control room's own file cannot be used: {error}"
