"""Dead letters, parked keys and wide pauses: planned, rehearsed, edited and run, over HTTP and from pages."""

from __future__ import annotations

import html
import json
import re
import time
from threading import Event
from typing import Any

import pytest

from tests.component.control_room.conftest import RoomInMemory
from tests.support.order_messages import place_order

CLUSTER = "memory:9092"
REASON = {"reason": "the provider is back"}


@pytest.fixture
def failed(room: RoomInMemory) -> RoomInMemory:
    """Give a control room after two charges that payment gave up while its provider was away; it is back."""
    flow = room.flow
    flow.gateway.available = False
    for name in ("o-1", "o-2"):
        flow.flow.publish(place_order(order_id=name))
    flow.settle()
    flow.stopped = {"orchestrator"}
    flow.advance(60)
    flow.gateway.available = True
    flow.stopped = set()
    room.update()
    return room


def letters(room: RoomInMemory) -> list[str]:
    rows = room.browser.get("/api/dead-letters").json()["dead_letters"]
    return ["/".join(str(part) for part in row["position"].values()) for row in rows]


def plan(room: RoomInMemory, **action: Any) -> Any:
    return room.browser.post("/api/plans", json={"action": action})


def run(room: RoomInMemory, plan_id: str, **more: Any) -> Any:
    """Run a plan, and return its summary once it has ended."""
    started = room.browser.post("/api/runs", json={"plan": plan_id, **REASON, **more})
    assert started.status_code == 202, started.text
    return ended(room, started.headers["Location"])


def ended(room: RoomInMemory, path: str) -> Any:
    limit = time.monotonic() + 20
    while (summary := room.browser.get(path).json())["state"] not in {"finished", "stopped"}:
        assert time.monotonic() < limit, summary
        Event().wait(0.02)
    room.update()
    return summary


def status(room: RoomInMemory, order_id: str) -> str:
    return str(room.browser.get(f"/api/orders/{order_id}").json()["order"]["status"])


def rehearse(room: RoomInMemory, plan_id: str) -> Any:
    return room.browser.post(f"/api/plans/{plan_id}/rehearsal?wait=20")


# -- over HTTP --------------------------------------------------------------------------------------------------------


def test_dead_letters_of_a_cause_are_planned_rehearsed_and_redriven(failed: RoomInMemory) -> None:
    group = failed.browser.get("/api/dead-letters/groups").json()[0]["group"]
    calls = len(failed.flow.gateway.calls)

    planned = plan(failed, kind="redrive", where={"group": group}).json()
    tried = rehearse(failed, planned["id"]).json()
    asked = len(failed.flow.gateway.calls)
    summary = run(failed, planned["id"], rollout={"probe": 0, "wave": 10, "rate": 50})

    assert (planned["total"], planned["description"]) == (2, "redrive 2 dead letters")
    assert {item["key"] for item in planned["items"]} == {"o-1", "o-2"}
    assert (tried["state"], {each["stops_at"][0] for each in tried["records"]}) == (
        "done", {"gateway.charge(o-1:charge)", "gateway.charge(o-2:charge)"},
    )  # fmt: skip
    assert asked == calls
    assert (summary["succeeded"], summary["action"]["kind"]) == (2, "redrive")
    assert {status(failed, name) for name in ("o-1", "o-2")} == {"completed"}


def test_an_edit_leaves_what_is_hidden_as_it_was_and_no_answer_has_the_token(failed: RoomInMemory) -> None:
    place = letters(failed)[0]
    fields = failed.browser.get(f"/api/dead-letters/{place}/record").json()["fields"]

    planned = plan(failed, kind="redrive", dead_letters=[place], edit={**fields, "attempt": 7})
    summary = run(failed, planned.json()["id"])

    assert fields["payment_token"] == "(hidden)"
    assert planned.json()["is_edited"]
    assert "tok_approve" not in planned.text + json.dumps(summary)
    assert getattr(failed.flow.gateway.calls[-1], "payment_token") == "tok_approve"  # noqa: B009  no refund has one
    assert summary["succeeded"] == 1


def test_a_discarded_letter_is_settled_and_planned_again_left_out(failed: RoomInMemory) -> None:
    place = letters(failed)[0]
    run(failed, plan(failed, kind="discard", dead_letters=[place]).json()["id"])

    again = plan(failed, kind="redrive", dead_letters=[place]).json()

    assert [(each["name"], each["why"]) for each in again["skipped"]] == [(place, "discarded")]
    assert again["total"] == 0


def test_a_parked_key_is_tried_again(failed: RoomInMemory) -> None:
    planned = plan(failed, kind="retry_parked", key="o-1", service="payment").json()

    assert run(failed, planned["id"])["succeeded"] == 1
    assert status(failed, "o-1") == "completed"
    assert [key["key"] for key in failed.browser.get("/api/parked-keys").json()] == ["o-2"]


def test_a_wide_pause_holds_orders_and_its_end_lets_them_go_in_waves(room: RoomInMemory) -> None:
    run(room, plan(room, kind="start_pause", scope="step", name="reservation").json()["id"])
    room.flow.flow.publish(place_order())
    room.update()
    held = status(room, "o-1")

    planned = plan(room, kind="end_pause", scope="step", name="reservation").json()
    summary = run(room, planned["id"], rollout={"probe": 1, "wave": 5, "timeout_s": 5})

    assert (held, [item["name"] for item in planned["items"]]) == ("payment_pending", ["o-1"])
    assert (summary["state"], summary["failed"]) == ("finished", 0)
    assert status(room, "o-1") == "completed"
    assert room.browser.get("/api/pauses").json() == []


TERMS = {"customer_id": "c-1", "lines": [{"sku": "bolt", "quantity": 1, "unit_price": 250}], "currency": "EUR",
         "payment_token": "tok_approve", "warehouse_id": "w-1"}  # fmt: skip


def test_a_burst_is_placed_at_a_rate_and_its_token_is_shown_to_nobody(room: RoomInMemory) -> None:
    planned = plan(room, kind="place", order=TERMS, count=3)

    began = time.monotonic()
    summary = run(room, planned.json()["id"], rollout={"rate": 10})
    took = time.monotonic() - began

    orders = room.browser.get("/api/orders").json()["orders"]
    assert (summary["succeeded"], len(orders), took >= 0.2) == (3, 3, True)
    assert "tok_approve" not in planned.text + json.dumps(summary)


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({"action": {"kind": "redrive"}}, (422, "dead_letters")),
        ({"action": {"kind": "redrive", "where": {}}}, (422, "dead_letter")),
        ({"action": {"kind": "redrive", "where": {"colour": "red"}}}, (422, "action.redrive.where.colour")),
        ({"action": {"kind": "redrive", "where": {"since": "soon"}}}, (422, "since")),
        ({"action": {"kind": "redrive", "where": {"group": "none"}}}, (404, "group_filter")),
        ({"action": {"kind": "redrive", "dead_letters": ["payment.dead-letter/0/99"]}}, (404, None)),
        ({"action": {"kind": "redrive", "dead_letters": ["x"]}}, (422, "dead_letter")),
        ({"action": {"kind": "discard", "where": {"key": "o-1"}}, "order": "o-1"}, (422, "order")),
        ({"action": {"kind": "retry_parked", "key": "o-9"}}, (404, "parked_key")),
        ({"action": {"kind": "start_pause", "scope": "step", "name": "tea"}}, (404, "step")),
        ({"action": {"kind": "place", "order": {**TERMS, "order_id": "o-1"}, "count": 2}}, (422, "order_id")),
        ({"action": {"kind": "pause", "past_pause": True}, "order": "o-1"}, (422, "action.pause.past_pause")),
        ({"action": {"kind": "pause"}, "order": "o-1", "force": True}, (422, "force")),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_name_of_its_field(
    failed: RoomInMemory, body: dict[str, Any], answer: tuple[int, str | None]
) -> None:
    response = failed.browser.post("/api/plans", json=body)

    assert (response.status_code, response.json().get("field")) == answer


def test_an_edit_that_is_not_valid_names_the_field(failed: RoomInMemory) -> None:
    response = plan(failed, kind="redrive", dead_letters=letters(failed)[:1], edit={"order_id": "o-1"})

    assert (response.status_code, response.json()["field"]) == (422, "edit")
    assert "amount" in response.json()["detail"]


def test_only_a_redrive_is_rehearsed(failed: RoomInMemory) -> None:
    discard = plan(failed, kind="discard", dead_letters=letters(failed)[:1]).json()["id"]

    assert rehearse(failed, discard).status_code == 409
    assert rehearse(failed, "none").status_code == 404
    assert failed.browser.get(f"/api/plans/{discard}/rehearsal").status_code == 404


# -- from pages -------------------------------------------------------------------------------------------------------


def open_plan(room: RoomInMemory, path: str) -> tuple[str, str]:
    """Follow a link to a plan, and return its address and its text."""
    answer = room.browser.get(path, follow_redirects=False)
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"], html.unescape(room.browser.get(answer.headers["Location"]).text)


def link(page: str, label: str) -> str:
    match = re.search(rf'<a class="button[^"]*" href="([^"]+)"[^>]*>{label}<', page)
    assert match is not None, page
    return html.unescape(match[1])


def test_a_cause_is_redriven_from_its_page(failed: RoomInMemory) -> None:
    url, page = open_plan(failed, link(failed.browser.get("/dead-letters").text, "Redrive"))
    failed.browser.post(f"{url}/rehearsal")
    failed.room.actions.rehearsal_of(url.rpartition("/")[2], 20)
    rehearsed = failed.browser.get(url).text
    refused = failed.browser.post(f"{url}/run", data={**REASON, "cluster": "production"})
    started = failed.browser.post(
        f"{url}/run", data={**REASON, "cluster": CLUSTER, "rate": "50"}, follow_redirects=False
    )
    ended(failed, f"/api{started.headers['Location']}")
    run_page = failed.browser.get(started.headers["Location"]).text

    assert "Redrive 2 dead letters" in page
    assert "stop at gateway.charge(o-1:charge)" in rehearsed
    assert (refused.status_code, "type the name of the cluster, memory:9092" in refused.text) == (409, True)
    assert "2 went well, 0 did not" in run_page
    assert "Redrive 2 dead letters" in failed.browser.get("/runs").text
    assert "No open dead letters." in failed.browser.get("/dead-letters").text


def test_one_letter_is_edited_on_its_page(failed: RoomInMemory) -> None:
    place = letters(failed)[0]
    form = html.unescape(
        failed.browser.get(link(failed.browser.get(f"/dead-letters/{place}").text, "Edit and redrive")).text
    )
    fields = form.partition("autofocus>\n")[2].partition("</textarea>")[0]

    broken = failed.browser.post("/dead-letters/edit", data={"place": place, "fields": fields[:-1]})
    wrong = failed.browser.post("/dead-letters/edit", data={"place": place, "fields": '{"order_id": "o-1"}'})
    right = failed.browser.post("/dead-letters/edit", data={"place": place, "fields": fields}, follow_redirects=False)

    assert (broken.status_code, "are no JSON" in broken.text) == (422, True)
    assert (wrong.status_code, "amount" in wrong.text, "{&#34;order_id&#34;" in wrong.text) == (422, True, True)
    assert "Redrive 1 dead letter, edited" in failed.browser.get(right.headers["Location"]).text
    assert "tok_approve" not in form


def test_a_parked_key_is_tried_from_its_page_and_a_discard_asks_for_the_cluster(failed: RoomInMemory) -> None:
    page = failed.browser.get("/parked?key=o-1").text
    url, _ = open_plan(failed, link(page, "Try now"))
    started = failed.browser.post(f"{url}/run", data=REASON, follow_redirects=False)
    ended(failed, f"/api{started.headers['Location']}")
    discard, _ = open_plan(failed, link(failed.browser.get("/parked?key=o-2").text, "Discard"))

    assert status(failed, "o-1") == "completed"
    assert failed.browser.post(f"{discard}/run", data=REASON).status_code == 409


def test_a_plan_that_cannot_be_made_is_a_page_with_words(failed: RoomInMemory) -> None:
    assert failed.browser.get("/dead-letters/act?verb=redrive").status_code == 422
    assert failed.browser.get("/parked/act?verb=retry&key=o-9").status_code == 404
    assert failed.browser.get("/plans/none").status_code == 404


@pytest.mark.parametrize("fields", ["[" * 100_000, '{"a":' * 20_000])
def test_fields_that_are_nested_too_deeply_come_back_with_words(failed: RoomInMemory, fields: str) -> None:
    page = failed.browser.post("/dead-letters/edit", data={"place": letters(failed)[0], "fields": fields})

    assert page.status_code == 422
    assert "nested too deeply" in page.text


def test_an_edit_of_a_place_that_none_can_be_is_refused_with_a_page(failed: RoomInMemory) -> None:
    page = failed.browser.post("/dead-letters/edit", data={"place": "x" * 257, "fields": "{}"})

    assert page.status_code in {404, 422}
    assert page.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize(
    "path",
    [
        "/dead-letters/act?verb=redrive&service=payment",
        "/parked/act?verb=retry&key=o-1",
        "/pauses/act?verb=start&scope=step&name=payment",
    ],
)
def test_a_page_of_another_site_has_no_plan_be_kept(failed: RoomInMemory, path: str) -> None:
    pages = {
        site: failed.browser.get(path, headers={"Sec-Fetch-Site": site}, follow_redirects=False)
        for site in ("cross-site", "same-site", "same-origin", "none")
    }

    assert [page.status_code for page in pages.values()] == [403, 403, 303, 303]
    assert "a page of another site" in pages["cross-site"].text
    assert len(failed.room.actions._plans) == 2
