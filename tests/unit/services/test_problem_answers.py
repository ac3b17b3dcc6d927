"""How each error is answered: with its status, its words, the field that it is about, and when to ask again."""

from __future__ import annotations

import sqlite3
from http import HTTPStatus
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from ensemble import EnsembleError
from ensemble.operations import Invalid, NotFound, NotPossible, Unreachable
from services.control_room.problems import Problem, _name, answer_problems

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
