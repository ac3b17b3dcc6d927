"""How each error is answered: with its status, its words, the field that it is about, and when to ask again."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from ensemble import EnsembleError
from ensemble.operations import Invalid, NotFound, NotPossible, Unreachable
from services.control_room.api.parameters import require_kafka, require_view
from services.control_room.pages.problem_pages import _describe, _is_browser
from services.control_room.problems import Problem, _name, answer_problems
from services.control_room.view_updates import ReadingProgress, ViewStatus

UNPROCESSABLE = HTTPStatus.UNPROCESSABLE_ENTITY.phrase


class Order(BaseModel):
    lines: list[int]


def asked(error: Exception, method: str = "GET", path: str = "/fail", **more: Any) -> Any:
    """Return the answer of an application whose route raises the error."""
    app = FastAPI()
    answer_problems(app)

    @app.get("/fail")
    def fail() -> None:
        raise error

    @app.post("/orders")
    def place(order: Order, limit: int = 1) -> int:
        return len(order.lines) + limit

    @app.delete("/orders")
    def remove() -> None: ...

    return TestClient(app, raise_server_exceptions=False).request(method, path, **more)


def problem(status: int, title: str, detail: str, **more: Any) -> dict[str, Any]:
    return {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}


UNAVAILABLE = "Service Unavailable"


@pytest.mark.parametrize(
    ("error", "document", "retry_after"),
    [
        (NotFound("no order", field="order", hint="look"),
         problem(404, "Not Found", "no order; look", field="order", hint="look"), None),
        (Invalid("no id", field="id"), problem(422, UNPROCESSABLE, "no id", field="id"), None),
        (NotPossible("too late"), problem(409, "Conflict", "too late"), None),
        (Unreachable("away"), problem(503, UNAVAILABLE, "away"), "2"),
        (EnsembleError("odd"), problem(503, UNAVAILABLE, "odd"), "2"),
        (Problem(HTTPStatus.CONFLICT, "used", field="id"), problem(409, "Conflict", "used", field="id"), None),
        (Problem(HTTPStatus.TOO_MANY_REQUESTS, "slow", headers={"Retry-After": "9"}),
         problem(429, "Too Many Requests", "slow"), "9"),
        (sqlite3.OperationalError("full"),
         problem(503, UNAVAILABLE, "the control room's own file cannot be used: full; is its disk full?"), "2"),
        (HTTPException(418, "short and stout"), problem(418, HTTPStatus.IM_A_TEAPOT.phrase, "short and stout"), None),
        (HTTPException(404), problem(404, "Not Found", "there is nothing at /fail"), None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)  # fmt: skip
def test_an_error_is_a_problem_document(error: Exception, document: dict[str, Any], retry_after: str | None) -> None:
    answer = asked(error)
    assert (answer.status_code, answer.json()) == (document["status"], document)
    assert (answer.headers["Content-Type"], answer.headers.get("Retry-After")) == (
        "application/problem+json", retry_after,
    )  # fmt: skip


def test_a_mistake_of_the_program_is_logged_and_not_told() -> None:
    with capture_logs() as logs:
        answer = asked(KeyError("secret"))
    expected = problem(500, "Internal Server Error", "the control room made a mistake; its log says more")
    assert (answer.status_code, answer.json()) == (500, expected)
    assert [(log["event"], log["path"], log["method"]) for log in logs] == [("request.failed", "/fail", "GET")]


def test_all_that_is_wrong_with_a_request_is_told_by_field() -> None:
    answer = asked(KeyError(), "POST", "/orders?limit=x", json={"lines": [1, "x"]}).json()
    fields = [each["field"] for each in answer["errors"]]
    assert (answer["status"], answer["field"], fields) == (422, fields[0], ["limit", "lines.1"])
    assert answer["detail"] == "; ".join(f"{each['field']}: {each['message']}" for each in answer["errors"])


def test_what_is_no_json_is_told_as_that() -> None:
    answer = asked(KeyError(), "POST", "/orders", content=b"{no", headers={"Content-Type": "application/json"}).json()
    assert (answer["field"], answer["detail"].partition(": ")[2].startswith("this is no JSON: ")) == ("body", True)


def test_a_method_that_is_not_answered_is_told_all_those_that_are() -> None:
    answer = asked(KeyError(), "PUT", "/orders")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST, DELETE")
    assert answer.json()["detail"] == "PUT is not answered at /orders"


@pytest.mark.parametrize(
    ("location", "name"),
    [(("query", "limit"), "limit"), (("body", "lines", 0, "sku"), "lines.0.sku"), (("body",), "body"), ((), "")],
)
def test_a_field_is_named_without_where_it_stands(location: tuple[Any, ...], name: str) -> None:
    assert _name(location) == name


@pytest.mark.parametrize(
    ("error", "code", "detail"),
    [
        (Problem(HTTPStatus.TOO_MANY_REQUESTS, "slow down"), 429, "slow down"),
        (NotFound("no order 'o-9'", hint="look at the list"), 404, "no order 'o-9'; look at the list"),
        (EnsembleError("Kafka is away"), 503, "Kafka is away"),
        (
            RequestValidationError([{"loc": ("query", "a", 0), "msg": "no b"}, {"loc": ("path", "c"), "msg": "no d"}]),
            422, "a.0: no b; c: no d",
        ),
        (sqlite3.Error("disk I/O error"), 503, "the control room's own file cannot be used: disk I/O error"),
    ],
)  # fmt: skip
def test_a_page_that_fails_says_what_a_document_would(error: Exception, code: int, detail: str) -> None:
    assert _describe(error) == (code, detail)


@pytest.mark.parametrize(
    ("accept", "path", "is_browser"),
    [("text/html,*/*", "/a", True), ("*/*", "/a", False), ("text/html", "/api/a", False), ("text/html", "/apis", True),
     ("text/html", "/healthz", False), ("text/html", "/static/a", False)],
)  # fmt: skip
def test_a_browser_asks_for_pages(accept: str, path: str, is_browser: bool) -> None:
    request: Any = SimpleNamespace(headers={"accept": accept}, url=SimpleNamespace(path=path))
    assert _is_browser(request) is is_browser


SINCE = datetime(2025, 6, 15, 15, 6, 40, tzinfo=UTC)
STATUSES: Any = [
    (ViewStatus(), "the view is not complete yet: reading the topics begins"),
    (ViewStatus(problem="Kafka is away"), "the view is not complete yet, and cannot be read on: Kafka is away"),
    (ViewStatus(reading=ReadingProgress(read=1, total=3)), "the view is being built: 33 % of 3 records are read"),
    (ViewStatus(reading=ReadingProgress(read=0, total=0)), "the view is being built: 0 % of 0 records are read"),
    (ViewStatus(reading=ReadingProgress(read=1, total=1)), "the view is being built: 100 % of 1 records are read"),
]


def room_of(status: ViewStatus) -> Any:
    return SimpleNamespace(updates=SimpleNamespace(status=status))


@pytest.mark.parametrize(("status", "detail"), STATUSES)
def test_nothing_is_answered_from_a_view_that_was_never_complete(status: ViewStatus, detail: str) -> None:
    with pytest.raises(Problem) as refused:
        require_view(room_of(status), Response())
    answer = refused.value
    assert (answer.document.status, answer.document.detail, answer.headers) == (503, detail, {"Retry-After": "1"})


def test_an_answer_from_the_view_says_as_of_when_it_is() -> None:
    room, response = room_of(ViewStatus(as_of=SINCE, problem="Kafka is away")), Response()
    assert require_view(room, response) is room
    assert response.headers["View-As-Of"] == "2025-06-15T15:06:40.000Z"


@pytest.mark.parametrize(("since", "words"), [(None, ""), (SINCE, " since 2025-06-15T15:06:40.000Z")])
def test_what_needs_kafka_is_refused_at_once_while_it_is_away(since: datetime | None, words: str) -> None:
    require_kafka(room_of(ViewStatus()))
    with pytest.raises(Unreachable) as refused:
        require_kafka(room_of(ViewStatus(problem="Kafka is away", problem_since=since)))
    assert str(refused.value) == f"what is known is not up to date{words}: Kafka is away"
