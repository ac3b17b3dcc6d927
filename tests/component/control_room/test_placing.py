"""Orders placed over HTTP: once for each key, whatever happens in between."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backoffice.order_placement import NewOrder
from contracts import OrderPlaced, PlaceOrder
from ensemble.operations import Unreachable
from services.control_room.api.placing import _claim, place
from services.control_room.idempotency import Answer, IdempotentRequests, StillRunning, fingerprint
from services.control_room.problems import Problem
from tests.component.control_room.conftest import RoomInMemory

ORDER: dict[str, Any] = {
    "customer_id": "c-1",
    "lines": [{"sku": "bolt", "quantity": 2, "unit_price": 250}],
    "currency": "EUR",
    "payment_token": "tok_approve",
    "warehouse_id": "w-1",
}


def post(room: RoomInMemory, key: str | None, **fields: Any) -> Any:
    headers = {} if key is None else {"Idempotency-Key": key}
    return room.browser.post("/api/orders", json={**ORDER, **fields}, headers=headers)


def placed(room: RoomInMemory) -> list[PlaceOrder]:
    room.flow.settle()
    return room.flow.flow.messages(PlaceOrder)


def test_an_order_is_placed_and_completes(room: RoomInMemory) -> None:
    response = post(room, "k-1")
    room.update()
    document = room.browser.get(response.headers["Location"]).json()

    assert response.status_code == 202
    assert document["order"]["order_id"] == response.json()["order_id"]
    assert document["order"]["status"] == "completed"
    assert document["story"]["messages"][0]["sender"] == "control-room"


def test_the_same_request_is_answered_alike_and_placed_once(room: RoomInMemory) -> None:
    first, again = post(room, "k-1"), post(room, "k-1")

    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(placed(room)) == 1


@pytest.mark.parametrize(
    ("kind", "code"),
    [("application/json", 202), ("application/cloudevents+JSON; charset=utf-8", 202), ("text/plain", 415),
     ("application/x-www-form-urlencoded", 415)],
)  # fmt: skip
def test_a_body_that_says_it_is_no_json_is_refused_as_that(room: RoomInMemory, kind: str, code: int) -> None:
    headers = {"Content-Type": kind, "Idempotency-Key": "k-1"}

    body = json.dumps(ORDER).encode()
    response = room.browser.post("/api/orders", content=body, headers=headers)
    in_parts = room.browser.post("/api/orders", content=iter([body[:9], body[9:]]), headers=headers)

    assert (response.status_code, in_parts.status_code) == (code, code)
    if code == 415:
        assert (response.json()["field"], response.headers["Accept"]) == ("Content-Type", "application/json")
        assert f"the body is {kind}; send it as application/json" in response.json()["detail"]


def test_a_body_that_is_no_json_is_refused_with_what_is_wrong_with_it(room: RoomInMemory) -> None:
    headers = {"Content-Type": "application/json", "Idempotency-Key": "k-1"}

    problem = room.browser.post("/api/orders", content='{"customer_id"', headers=headers).json()

    assert (problem["status"], problem["field"]) == (422, "body")
    assert problem["detail"].startswith("body: this is no JSON: Expecting")


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a": ' + b"9" * 5_000 + b"}", b'{"a": "\xff"}'], ids=len)
def test_a_body_that_cannot_be_read_is_refused_in_words(room: RoomInMemory, body: bytes) -> None:
    headers = {"Content-Type": "application/json", "Idempotency-Key": "k-1"}

    response = room.browser.post("/api/orders", content=body, headers=headers)

    assert (response.status_code, "nested too deeply" in response.json()["detail"]) == (400, True)


def test_a_method_that_is_not_answered_is_told_those_that_are(room: RoomInMemory) -> None:
    response = room.browser.delete("/api/orders")

    assert (response.status_code, response.headers["Allow"]) == (405, "GET, POST")


@pytest.mark.parametrize(
    ("key", "fields", "answer"),
    [
        (None, {}, (400, "Idempotency-Key")),
        ("", {}, (400, "Idempotency-Key")),
        ("k-1", {"currency": "USD"}, (422, "Idempotency-Key")),
        ("k-2", {"currency": "euro"}, (422, "currency")),
        ("k-2", {"lines": []}, (422, "lines")),
        ("k-2", {"colour": "red"}, (422, "colour")),
        ("k-2", {"payment_token": "tok_\x1b[2J"}, (422, "payment_token")),
        ("k-2", {"customer_id": "c\n1"}, (422, "customer_id")),
    ],
)
def test_a_wrong_request_places_nothing(
    room: RoomInMemory, key: str | None, fields: dict[str, Any], answer: tuple[int, str]
) -> None:
    post(room, "k-1")

    response = post(room, key, **fields)

    assert (response.status_code, response.json()["field"]) == answer
    assert len(placed(room)) == 1


def test_an_order_id_that_is_in_use_is_refused_with_what_is_known_and_a_repetition_is_not(room: RoomInMemory) -> None:
    room.update()
    first = post(room, "k-1", order_id="o-1")
    room.update()

    again = post(room, "k-1", order_id="o-1")
    other = post(room, "k-2", order_id="o-1", customer_id="c-2")

    assert (first.status_code, again.status_code, other.status_code) == (202, 202, 409)
    assert (other.json()["field"], other.headers["Location"]) == ("order_id", "/api/orders/o-1")
    assert "order o-1 exists already: completed, of c-1" in other.json()["detail"]
    assert len(placed(room)) == 1


def test_an_order_id_is_in_use_from_the_moment_on_when_an_order_of_it_was_placed(room: RoomInMemory) -> None:
    # given an order that no service has read yet
    room.update()
    first = post(room, "k-1", order_id="o-1")

    # when the same is placed by another request, and another one under its id
    same = post(room, "k-2", order_id="o-1")
    other = post(room, "k-3", order_id="o-1", customer_id="c-2")

    # then the one is answered like the first, and the other is refused at once and not dead-lettered later
    assert (same.status_code, same.json(), same.headers["Idempotent-Replayed"]) == (202, first.json(), "true")
    assert (other.status_code, other.json()["field"]) == (409, "order_id")
    assert "order o-1 was placed with other terms" in other.json()["detail"]
    assert len(placed(room)) == 1


def test_an_order_that_is_being_placed_is_not_placed_beside_it() -> None:
    room: Any = SimpleNamespace(requests=IdempotentRequests())
    order, accepted = NewOrder(**ORDER, order_id="o-1"), Answer(202, "{}")
    refused: list[Problem] = []

    def send() -> Answer:
        for body, what in (("1", "is being placed; ask again"), ("2", "was placed with other terms")):
            with pytest.raises(Problem, match=f"order o-1 {what}") as again:
                _claim(room, order, body, lambda: accepted)
            refused.append(again.value)
        return accepted

    assert _claim(room, order, "1", send) == accepted
    assert [(each.document.status, each.document.field) for each in refused] == [(409, "order_id")] * 2
    assert _claim(room, NewOrder(**ORDER), "1", lambda: accepted) is accepted
    room.requests.close()


def test_a_request_that_is_repeated_after_it_failed_is_told_so() -> None:
    requests, told = IdempotentRequests(), list[bool]()

    def fail(is_repeated: bool) -> Answer:
        told.append(is_repeated)
        raise Unreachable("Kafka is away")

    for body in ("{}", "{}", '{"a": 1}'):
        with pytest.raises(Unreachable):
            requests.answer("orders", "k-1", body, fail)

    assert told == [False, True, False]
    requests.close()


@pytest.mark.parametrize("clock_is_set_by_s", [0, 7_200, -7_200, 100_000])
def test_a_request_that_still_runs_is_not_begun_again(clock_is_set_by_s: int) -> None:
    now = [100_000.0]
    requests = IdempotentRequests(clock=lambda: now[0])
    again: list[Problem] = []

    def carry_out(_: bool) -> Answer:
        now[0] += clock_is_set_by_s
        with pytest.raises(StillRunning) as refused:
            requests.answer("orders", "k-1", "{}", carry_out)
        again.append(refused.value)
        return Answer(202, "{}")

    assert requests.answer("orders", "k-1", "{}", carry_out) == Answer(202, "{}")
    assert again[0].document.status == 409
    assert requests.answer("orders", "k-1", "{}", carry_out) == Answer(202, "{}", is_replayed=True)
    requests.close()


@pytest.mark.parametrize("is_answered", [True, False])
def test_a_request_runs_until_what_became_of_it_is_kept(is_answered: bool) -> None:
    """One that was repeated in between could be carried out beside the next."""

    class Overtaken(IdempotentRequests):
        def _keep(self, *what: Any) -> None:
            super()._keep(*what)
            with pytest.raises(StillRunning):  # another one comes just then
                self.answer("orders", "k-1", "{}", carry_out)
            kept.append(what[3])

    def carry_out(_: bool) -> Answer:
        if is_answered:
            return Answer(202, "{}")
        raise Unreachable("Kafka is away")

    requests, kept = Overtaken(), list[Any]()
    with nullcontext() if is_answered else pytest.raises(Unreachable):
        requests.answer("orders", "k-1", "{}", carry_out)
    assert kept == [Answer(202, "{}") if is_answered else None]
    requests.close()


@pytest.mark.parametrize(
    ("body", "later_s", "code"),
    [("{}", 60.0, 409), ("{}", 60.1, None), ("{}", -7_200, None), ('{"a": 1}', 60.1, 422), ('{"a": 1}', 1, 422)],
)
def test_a_request_is_abandoned_after_a_minute_and_only_the_same_one_takes_it_up(
    body: str, later_s: float, code: int | None
) -> None:
    now = [1_000.0]
    requests = IdempotentRequests(clock=lambda: now[0])
    requests._begin("orders", "k-1", fingerprint("{}"))
    now[0] += later_s

    if code is None:
        assert requests._begin("orders", "k-1", fingerprint(body)) is True
    else:
        with pytest.raises(Problem) as refused:
            requests._begin("orders", "k-1", fingerprint(body))
        assert refused.value.document.status == code
    requests.close()


def test_answers_outlive_the_process_for_a_day(tmp_path: Path) -> None:
    now = [1_000.0]
    for answer in ("first", "second"):
        requests = IdempotentRequests(tmp_path / "requests.db", lambda: now[0])
        replayed = requests.answer("orders", "k-1", "{}", lambda _, answer=answer: Answer(202, answer))  # type: ignore[misc]
        assert replayed.document == "first"
        requests.close()

    now[0] += 24 * 3600 + 1
    requests = IdempotentRequests(tmp_path / "requests.db", lambda: now[0])
    assert requests.answer("orders", "k-1", "{}", lambda _: Answer(202, "anew")).document == "anew"
    requests.close()


def test_a_request_that_failed_may_be_repeated_and_one_that_was_abandoned_is(tmp_path: Path) -> None:
    now = [1_000.0]
    requests = IdempotentRequests(tmp_path / "requests.db", lambda: now[0])

    def fail(_: bool) -> Answer:
        raise Unreachable("Kafka is away")

    with pytest.raises(Unreachable):
        requests.answer("orders", "k-1", "{}", fail)
    assert requests.answer("orders", "k-1", "{}", lambda _: Answer(202, "now")).document == "now"

    requests._begin("orders", "k-2", "44136fa355b3678a1146ad16f7e8649e")
    now[0] += 61
    requests._begin("orders", "k-2", "44136fa355b3678a1146ad16f7e8649e")
    requests.close()


def test_a_repetition_after_the_answers_were_lost_places_no_second_order(room: RoomInMemory) -> None:
    first = post(room, "k-1")
    room.room.requests._file._db.execute("DELETE FROM requests")
    second = post(room, "k-1")
    room.update()

    assert second.json()["order_id"] == first.json()["order_id"]
    orders = room.browser.get("/api/orders").json()["orders"]
    assert [order["status"] for order in orders] == ["completed"]
    assert (len(placed(room)), len(room.flow.flow.messages(OrderPlaced))) == (2, 1)


def test_a_key_that_is_used_anew_after_a_day_places_another_order(room: RoomInMemory) -> None:
    first = post(room, "k-1")
    room.room.requests._file._db.execute("DELETE FROM requests")
    second = post(room, "k-1", customer_id="c-2")
    room.update()

    assert second.json()["order_id"] != first.json()["order_id"]
    orders = room.browser.get("/api/orders").json()["orders"]
    assert {order["customer_id"] for order in orders} == {"c-1", "c-2"}


def test_person_and_key_are_told_apart(room: RoomInMemory) -> None:
    order = NewOrder(**ORDER)

    answers = [place(room.room, name, order, key) for name, key in [("ann/a", "b"), ("ann", "a/b")]]

    assert answers[0].document != answers[1].document
    assert len(placed(room)) == 2
    assert len({message.order_id for message in placed(room)}) == 2
