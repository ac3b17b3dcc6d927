"""Which dead letters, parked keys and audit entries a page or an answer has, by what is asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.component.control_room.conftest import RoomInMemory, open_room
from tests.support.order_messages import place_order


@pytest.fixture(scope="module")
def shared() -> Iterator[RoomInMemory]:
    """Give a control room after two charges that payment gave up, and an order that was refused; all only look."""
    with capture_logs(), open_room() as room:
        flow = room.flow
        flow.flow.publish(place_order(order_id="o-1"))
        flow.flow.publish(place_order(order_id="o-1", customer_id="c-2"))
        flow.settle()
        flow.gateway.available = False
        for name in ("o-2", "o-3"):
            flow.flow.publish(place_order(order_id=name))
        flow.settle()
        flow.stopped = {"orchestrator"}
        flow.advance(60)
        room.update()
        yield room


def letters(room: RoomInMemory, **which: Any) -> list[tuple[str, str]]:
    answer = room.browser.get("/api/dead-letters", params=which)
    assert answer.status_code == 200, answer.text
    return sorted((each["service"], each["key"]) for each in answer.json()["dead_letters"])


ORDER, FIRST, SECOND = ("order", "o-1"), ("payment", "o-2"), ("payment", "o-3")


@pytest.mark.parametrize(
    ("which", "found"),
    [
        ({}, [ORDER, FIRST, SECOND]),
        ({"service": "payment"}, [FIRST, SECOND]),
        ({"service": "shipping"}, []),
        ({"key": "o-3"}, [SECOND]),
        ({"type": "PlaceOrder"}, [ORDER]),
        ({"error": "RejectedInput"}, [ORDER]),
        ({"since": "1000d"}, [ORDER, FIRST, SECOND]),
        ({"since": "2100-01-01"}, []),
        ({"open_only": False, "service": "order", "key": "o-1"}, [ORDER]),
        ({"service": "order", "key": "o-2"}, []),
    ],
    ids=str,
)
def test_dead_letters_are_those_that_each_condition_takes(
    shared: RoomInMemory, which: dict[str, Any], found: list[tuple[str, str]]
) -> None:
    assert letters(shared, **which) == found


def test_dead_letters_are_read_page_by_page(shared: RoomInMemory) -> None:
    cursors, seen = list[Any](), list[str]()
    cursor: dict[str, str] = {}
    while not cursors or cursors[-1] is not None:
        answer = shared.browser.get("/api/dead-letters", params={"limit": 1, **cursor}).json()
        seen += [each["key"] for each in answer["dead_letters"]]
        cursors.append(answer["next"])
        cursor = {"cursor": answer["next"]}
    assert (cursors, sorted(seen)) == (["1", "2", None], ["o-1", "o-2", "o-3"])
    assert shared.browser.get("/api/dead-letters?limit=3").json()["next"] is None


def test_causes_are_those_of_a_service(shared: RoomInMemory) -> None:
    groups = {each["group"] for each in shared.browser.get("/api/dead-letters/groups").json()}
    of_order = [each["group"] for each in shared.browser.get("/api/dead-letters/groups?service=order").json()]
    assert len(groups) == 2
    assert len(of_order) == 1
    assert letters(shared, group=of_order[0]) == [ORDER]
    assert shared.browser.get("/api/dead-letters/groups?service=shipping").json() == []


def test_the_record_of_a_dead_letter_says_all_that_is_in_it(shared: RoomInMemory) -> None:
    (letter,) = shared.browser.get("/api/dead-letters?service=order").json()["dead_letters"]
    place = "/".join(str(part) for part in letter["position"].values())
    record = shared.browser.get(f"/api/dead-letters/{place}/record").json()
    assert record["position"] == letter["position"]
    assert (record["type"], record["fields"]["customer_id"], record["fields"]["payment_token"]) == (
        "PlaceOrder", "c-2", "(hidden)",
    )  # fmt: skip
    assert record["came_from"].startswith("orders.commands/")
    assert record["headers"]["ce_id"] == record["id"]
    names = ("disposition", "policy", "redriven_from", "unreadable_because")
    assert [record[name] for name in names] == ["skip", "default", None, None]


@pytest.mark.parametrize(("fields", "words"), [("{", "are no JSON"), ("[]", "are no JSON object"), ("{}", "order_id")])
def test_an_edit_that_is_wrong_comes_back_with_what_was_typed(shared: RoomInMemory, fields: str, words: str) -> None:
    (letter,) = shared.browser.get("/api/dead-letters?service=order").json()["dead_letters"]
    place = "/".join(str(part) for part in letter["position"].values())
    shown = shared.browser.get("/dead-letters/edit", params={"place": place})
    wrong = shared.browser.post("/dead-letters/edit", data={"place": place, "fields": fields})
    assert (shown.status_code, "&#34;customer_id&#34;: &#34;c-2&#34;" in shown.text) == (200, True)
    assert (wrong.status_code, words in wrong.text, "c-2" in wrong.text) == (422, True, False)
    assert f"autofocus>\n{fields}</textarea>" in wrong.text


def keys_on(room: RoomInMemory, path: str) -> set[str]:
    """Return the keys that a page shows, apart from what was typed."""
    page = room.browser.get(path)
    assert page.status_code == 200, page.text
    return set(re.findall(r"\bo-[123]\b", re.sub(r"<(form|input|a)\b[^>]*>", "", page.text)))


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("/parked", {"o-2", "o-3"}),
        ("/parked?key=o-3", {"o-3"}),
        ("/parked?service=payment", {"o-2", "o-3"}),
        ("/parked?service=shipping", set()),
        ("/orders?q=o-2", {"o-2"}),
        ("/orders?status=completed", {"o-1"}),
        ("/orders?status=completed&q=o-2", set()),
    ],
)
def test_a_page_shows_what_was_asked_for(shared: RoomInMemory, path: str, keys: set[str]) -> None:
    assert keys_on(shared, path) == keys


@pytest.mark.parametrize(
    ("query", "places"),
    [
        ("key=o-2", ["payment"]),
        ("key=o-2&service=order", []),
        ("key=o-2&group=none", []),
        ("key=o-1&service=order", ["order"]),
        ("service=payment", []),
    ],
)
def test_dead_letters_of_a_key_or_a_cause_are_listed_below_the_causes(
    shared: RoomInMemory, query: str, places: list[str]
) -> None:
    page = shared.browser.get(f"/dead-letters?{query}").text
    assert re.findall(r'href="/dead-letters/(\w+).dead-letter/\d+/\d+"', page) == places


def test_an_order_that_is_known_by_its_dead_letter_alone_is_found(shared: RoomInMemory) -> None:
    assert shared.browser.get("/api/orders/o-1").json()["dead_letters"][0]["type"] == "PlaceOrder"
    assert shared.browser.get("/api/orders/o-9").status_code == 404
