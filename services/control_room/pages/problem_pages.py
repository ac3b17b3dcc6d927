"""Answers for pages that fail: a page that says why, where a program gets a problem document."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, Final

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute

from ensemble import EnsembleError
from services.control_room.pages.rendering import render
from services.control_room.problems import Problem, document_of

_FILES: Final = (".json", ".svg", ".css")


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
