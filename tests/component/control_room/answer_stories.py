"""What is asked of the control room: of nothing, of orders in every state, of failures, and while Kafka is away."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from contracts import CancelOrder, PauseOrder, RequestCancellation
from tests.component.control_room.answer_record import AnswerRecord
from tests.component.control_room.test_placing import ORDER
from tests.support.order_messages import lines, order_placed, place_order

CLUSTER: Final = "memory:9092"
WHY: Final[Mapping[str, str]] = {"reason": "it is mended", "cluster": CLUSTER}
PAGES: Final = (
    "/orders", "/charts", "/stock", "/stock/ledger", "/place", "/pauses", "/runs", "/dead-letters", "/parked",
    "/incidents", "/consumers", "/audit", "/act", "/view-banner",
)  # fmt: skip
READS: Final = (
    "/healthz", "/api/orders", "/api/orders/counts", "/api/dead-letters", "/api/dead-letters/groups",
    "/api/dead-letters/notes", "/api/parked-keys", "/api/pauses", "/api/incidents", "/api/audit", "/api/traffic",
    "/api/consumers?service=payment", "/api/consumers/services?service=payment", "/api/stock", "/api/stock/ledger",
    "/api/runs", "/api/topics", "/api/topology/problems", "/api/schemas/problems", "/api/status",
)  # fmt: skip
UNKNOWN: Final = (
    "/orders/o-9", "/orders/o-9/pause", "/orders/o-9/diagram.json", "/orders/o-9/diagram.svg", "/api/orders/o-9",
    "/dead-letters/order.dead-letter/0/0", "/dead-letters/edit?place=order.dead-letter/0/0",
    "/api/dead-letters/order.dead-letter/0/0", "/api/dead-letters/order.dead-letter/0/0/record",
    "/api/records/orders.events/0/0", "/api/records/none/0/0", "/api/parked-keys/payment/o-9", "/plans/none",
    "/api/plans/none", "/api/plans/none/rehearsal", "/runs/none", "/api/runs/none", "/api/runs/none/events",
    "/api/consumers?service=none", "/api/policies?service=none", "/api/consumers/services?service=none", "/provoke",
    "/nowhere", "/api/nowhere", "/api/orders?where=colour=red", "/orders?where=colour=red", "/stock?warehouse=none",
    "/act?action=pause&where=colour=red", "/act?action=x", "/api/dead-letters?cursor=x", "/api/audit?since=x",
    "/place?scenario=none", "/place?scenario=express,%20declined", "/pauses/act?verb=start&scope=step&name=none",
)  # fmt: skip


def nothing(record: AnswerRecord) -> None:
    """Ask before the view is complete, and when it is complete and empty."""
    record.get("/healthz", "/api/orders", "/", "/orders", "/view-banner")
    record.room.update()
    record.get(*PAGES, *READS, *UNKNOWN)


def open_shop(record: AnswerRecord) -> None:
    """Have orders in every state: completed, declined, out of stock, paused, waiting, half known, undone."""
    flow = record.room.flow
    flow.flow.publish(place_order(), order_placed(order_id="o-4", currency="JPY", lines=lines(bolt=1, nut=1)))
    flow.flow.publish(place_order(order_id="o-2", shipping_speed="express", payment_token="tok_declined"))
    flow.flow.publish(place_order(order_id="o-3", lines=lines(bolt=50_000)))
    flow.settle()
    flow.flow.publish(CancelOrder(order_id="o-7", reason="nobody knows it"))
    flow.settle()
    flow.advance(30)
    flow.stopped = {"inventory"}
    flow.flow.publish(place_order(order_id="o-5", customer_id="c-2"), place_order(order_id="o-6", customer_id="c-3"))
    flow.settle()
    flow.flow.publish(PauseOrder(order_id="o-5", requested_by="ann", reason="audit"))
    flow.settle()
    flow.flow.publish(RequestCancellation(order_id="o-6", requested_by="bob", reason="changed my mind"))
    record.room.update()


def orders(record: AnswerRecord) -> None:
    """Ask for orders in every way, and for each of them."""
    open_shop(record)
    names = ("o-1", "o-2", "o-3", "o-4", "o-5", "o-6", "o-7")
    record.get(
        "/orders", "/orders?status=cancelled&status=completed&where=customer=c-1&q=o-%20x", "/orders?q=o-1",
        "/orders?where=paused=true&status=fulfilled", "/orders?q=speed=express", "/orders?cursor=1", "/orders?q=%20",
        "/api/orders?limit=2", "/api/orders?paused=true", "/api/orders?owed=false&overdue=false&limit=1",
        "/api/orders?status=completed&where=customer=c-1", "/api/orders/counts?by=step",
        "/api/orders/counts?by=paused_by", "/api/orders/counts?by=owed&where=customer=c-1",
        "/stock", "/stock?sku=bolt", "/stock/ledger?warehouse=w-1&sku=bolt&order=o-1", "/stock/ledger?order=none",
        "/api/stock?sku=nut", "/api/stock/ledger?limit=1", "/api/stock/ledger?warehouse=w-1&order=o-1&limit=2",
        "/stage.json?ago=200&seconds=600", "/consumers?service=inventory",
        "/api/consumers?service=inventory", "/api/traffic?seconds=3600", "/api/status", "/audit",
    )  # fmt: skip
    record.get(*(f"/orders/{name}" for name in names[1:]), "/api/orders/o-6", "/api/orders/o-7")
    answer = record.get("/api/orders/o-1")
    for query in ("?full=true", "?wait=completed&timeout=20"):
        record.note(query, answer.json() == record.room.browser.get(f"/api/orders/o-1{query}").json())
    position = answer.json()["story"]["messages"][3]["position"]
    place = f"{position['topic']}/{position['partition']}/{position['offset']}"
    record.get(
        f"/orders/o-1?message={place}", f"/orders/o-2?full=true&message={place}", f"/api/records/{place}",
        "/orders/o-6/diagram.svg", "/orders/o-3/diagram.json", "/sequence.css",
    )  # fmt: skip


def placing(record: AnswerRecord) -> None:
    """Place orders over HTTP and from the form: well, twice, wrongly, in bursts."""
    record.room.flow.flow.publish(CancelOrder(order_id="o-7", reason="nobody knows it"))
    record.room.update()
    key = {"Idempotency-Key": "k-1"}
    form: dict[str, Any] = {"key": "k-2", "customer_id": " c-1 ", "sku": ["bolt", " ", "nut "],
            "quantity": ["1", "", "2"], "unit_price": ["250", "", " 5"], "currency": "EUR",
            "payment_token": "tok_approve", "warehouse_id": "w-1", "shipping_speed": "express",
            "count": "1"}  # fmt: skip
    for terms in (ORDER, ORDER, {**ORDER, "currency": "USD"}):
        record.post("/api/orders", terms, headers=key)
    record.post("/api/orders", ORDER)
    record.post("/api/orders", {**ORDER, "order_id": "o-1"}, headers={"Idempotency-Key": "k-3"})
    record.post("/api/orders", {**ORDER, "order_id": "o-7"}, headers={"Idempotency-Key": "k-7"})
    record.post("/api/orders", {**ORDER, "order_id": "o-1", "currency": "USD"}, headers={"Idempotency-Key": "k-4"})
    record.room.update()
    record.post("/api/orders", {**ORDER, "order_id": "o-1", "currency": "USD"}, headers={"Idempotency-Key": "k-5"})
    changes: tuple[dict[str, Any], ...] = (
        {}, {}, {"customer_id": "c-2"}, {"key": ""}, {"count": "0", "key": "k"}, {"count": "201", "key": "k"},
        {"count": "x"}, {"count": "2", "order_id": "o-2"}, {"sku": []}, {"rate": "0"}, {"rate": "10001"},
        {"rate": "x"}, {"count": "2", "key": "k-6"}, {"order_id": "o-8", "key": "k-7", "count": ""},
        {"quantity": ["x"], "key": "k-8"}, {"currency": "euro", "key": "k-9"},
        {"quantity": [""], "key": "k-10"}, {"unit_price": [""], "key": "k-11"},
    )  # fmt: skip
    for change in changes:
        record.post("/place", **{**form, **change})
    plan = record.post("/place", **{**form, "count": "3", "rate": "10000"}).headers["Location"]
    record.get(plan, plan.partition("?")[0])
    record.post(f"{plan.partition('?')[0]}/run", **{**WHY, "rate": "x"})
    record.get(f"/runs/{record.run(plan.partition('?')[0] + '/run', **WHY, rate='10000')}", "/runs", "/api/runs")
    record.post("/place", **{**form, "rate": "5", "sku": []})
    burst = {"action": {"kind": "place", "order": ORDER, "count": 2}}
    planned = record.post("/api/plans", burst).json()["id"]
    record.get(f"/api/plans/{planned}")
    record.run("/api/runs", {"plan": planned, "reason": "a drill"})


def acting(record: AnswerRecord) -> None:
    """Act on one order and on many, from pages and over HTTP."""
    open_shop(record)
    for verb in ("pause", "resume", "retry", "cancel", "compensate", "settle"):
        record.get(*(f"/orders/{name}/{verb}" for name in ("o-1", "o-5", "o-6")))
    record.post("/orders/o-5/resume", reason=" ")
    record.post("/orders/o-5/resume", reason="\x1b[2J")
    record.post("/orders/o-6/cancel", reason="no", cluster="production")
    record.post("/orders/o-9/pause", reason="no")
    record.post("/orders/o-1/pause", reason="no")
    record.post("/orders/o-5/resume", reason="audited")
    record.post("/orders/o-5/resume", reason="audited")
    record.post("/orders/o-6/pause", reason="wait")
    record.post("/orders/o-5/cancel", **WHY)
    record.get("/act?action=pause&where=customer=c-*", "/act?action=cancel&where=customer=c-3&where=step=shipment")
    page = record.get("/act?action=pause&where=order=o-5")
    plan = re.findall('name="plan" value="([0-9a-f]+)"', page.text)[0]
    form = {**WHY, "action": "pause", "where": "order=o-5", "plan": plan}
    for change in ({"action": "x"}, {"where": " "}, {"plan": ""}, {"cluster": "x"}, {"probe": "x"}, {"wave": "-1"}):
        record.post("/act", **{**form, **change})
    run = f"/runs/{record.run('/act', **form)}"
    for path in (f"{run}/stop", f"{run}/resume", f"/api{run}/stop", f"/api{run}/resume"):
        record.post(path)
    record.get(run, f"/plans/{plan}", f"/api/plans/{plan}", "/orders/o-5", "/audit")
    record.post("/act", **form)
    for document in (
        {"action": {"kind": "pause"}}, {"action": {"kind": "pause"}, "order": "o-6", "where": ["status=completed"]},
        {"action": {"kind": "start_pause", "scope": "step", "name": "payment"}, "order": "o-6"},
        {"action": {"kind": "start_pause", "scope": "step", "name": "payment"}, "where": ["status=completed"]},
        {"action": {"kind": "pause"}, "where": ["colour=red"]},
    ):  # fmt: skip
        record.post("/api/plans", document)
    planned = record.post("/api/plans", {"action": {"kind": "pause"}, "where": ["order=*"]})
    record.run("/api/runs", {"plan": planned.json()["id"], "reason": "all", "rollout": {"probe": 2, "wave": 2}})
    record.post("/api/runs", {"plan": planned.json()["id"], "reason": "all"})
    record.post("/api/runs", {"plan": "none", "reason": "all"})
    record.get("/runs", "/api/runs", "/api/audit?limit=2", "/api/audit?by=bob", "/audit?by=olga")


def break_payment(record: AnswerRecord) -> None:
    """Give up two charges while the provider is away; it is back then, and one order more waits behind each."""
    flow = record.room.flow
    flow.gateway.available = False
    flow.flow.publish(place_order(), place_order(order_id="o-2"))
    flow.settle()
    flow.stopped = {"orchestrator"}
    flow.advance(60)
    record.room.update()


def failures(record: AnswerRecord) -> None:
    """Look at what failed, note, rehearse, edit, redrive, discard and retry it."""
    break_payment(record)
    letters = record.get("/api/dead-letters").json()["dead_letters"]
    group = letters[0]["group"]
    first, second = ("/".join(map(str, each["position"].values())) for each in letters)
    record.get(
        "/", "/stage.json?seconds=3600", "/dead-letters", f"/dead-letters?group={group}",
        f"/dead-letters?group={group}&start=1&service=payment", "/dead-letters?key=o-1&all=true",
        "/dead-letters?service=order", f"/dead-letters/{first}", f"/dead-letters/edit?place={first}", "/parked",
        "/parked?service=payment&key=o-1", "/parked?service=order", "/incidents", "/incidents?all=true", "/orders/o-1",
        "/consumers", "/api/dead-letters?limit=1", "/api/dead-letters?limit=1&cursor=1", "/api/dead-letters?key=o-2",
        "/api/dead-letters?service=order", "/api/dead-letters?error=none", "/api/dead-letters?type=ProcessPayment",
        f"/api/dead-letters?group={group}&since=1s", "/api/dead-letters/groups", f"/api/dead-letters/{first}",
        f"/api/dead-letters/{first}/record", "/api/parked-keys?service=payment&key=o-1", "/api/parked-keys",
        "/api/parked-keys?status=paused", "/api/parked-keys/payment/o-1", "/api/incidents", "/api/orders/o-1",
        "/api/incidents?service=order", "/api/incidents?open_only=false", "/api/status",
    )  # fmt: skip
    note = f"/api/dead-letters/groups/{group}/note"
    for path, text in ((note, "look at it"), (note, "\x1b"), ("/api/dead-letters/groups/none/note", "x")):
        record.post(path, {"text": text}, method="PUT")
    record.get("/api/dead-letters/notes")
    record.room.flow.gateway.available = True
    record.room.flow.stopped = set()
    record.room.update()
    plan_failures(record, group, first, second)


def plan_failures(record: AnswerRecord, group: str, first: str, second: str) -> None:
    """Plan, rehearse and run what becomes of two dead letters."""
    record.get("/dead-letters/act?verb=redrive", f"/dead-letters/act?verb=discard&place={first}&group={group}")
    redrive = record.get(f"/dead-letters/act?verb=redrive&group={group}&service=payment").headers["Location"]
    one = record.get(f"/dead-letters/act?verb=redrive&place={first}").headers["Location"]
    other = record.get("/dead-letters/act?verb=redrive&key=o-2&limit=1&force=true").headers["Location"]
    discard = record.get(f"/dead-letters/act?verb=discard&place={second}").headers["Location"]
    retry = record.get("/parked/act?verb=retry&key=o-1&service=payment").headers["Location"]
    drop = record.get("/parked/act?verb=discard&key=o-1").headers["Location"]
    none = record.get("/dead-letters/act?verb=discard&service=order").headers["Location"]
    plans = (redrive, one, other, discard, retry, drop, none)
    record.get(*plans, *(f"/api{plan}" for plan in plans), f"/api{redrive}/rehearsal")
    for plan in (redrive, discard, none):
        record.post(f"/api{plan}/rehearsal?wait=20", {})
    record.get(f"/api{redrive}/rehearsal", redrive)
    record.post(f"{discard}/rehearsal")
    record.post(f"{redrive}/rehearsal")
    fields = record.room.browser.get(f"/api/dead-letters/{first}/record").json()["fields"]
    for text in ("{", "[]", '{"attempt": "x"}'):
        record.post("/dead-letters/edit", place=first, fields=text)
    edit = record.post("/dead-letters/edit", place=first, fields=json.dumps({**fields, "attempt": 2}), force="on")
    record.get(edit.headers["Location"], f"/api{edit.headers['Location']}")
    for plan in (redrive, discard, one, retry, drop):
        record.post(f"{plan}/run", reason=" ", cluster=CLUSTER)
        record.post(f"{plan}/run", reason="no", rate="x", stop_on_failure="on", cluster="x")
    record.get(f"/runs/{record.run(f'{one}/run', **WHY)}")
    record.get(f"/runs/{record.run(f'{discard}/run', **WHY)}")
    record.get(f"/runs/{record.run(f'{retry}/run', **WHY)}")
    record.run(f"{redrive}/run", **WHY, rate="50", stop_on_failure="on")
    record.get("/dead-letters?all=true", "/dead-letters", "/parked", "/runs", "/api/audit", "/audit?service=payment")
    record.get(f"/dead-letters/{first}", f"/dead-letters/{second}", f"/dead-letters?group={group}&all=true")


def settled(record: AnswerRecord) -> None:
    """Redrive dead letters in vain, and discard them: what is settled is left out of a plan."""
    break_payment(record)
    letters = record.room.browser.get("/api/dead-letters").json()["dead_letters"]
    first, second = ("/".join(map(str, each["position"].values())) for each in letters)
    both = f"place={first}&place={second}"
    redrive = record.post("/api/plans", {"action": {"kind": "redrive", "dead_letters": [first]}}).json()["id"]
    record.room.flow.stopped = set()
    record.run("/api/runs", {"plan": redrive, "reason": "try", "rollout": {"probe": 0, "wave": 3}})
    record.room.flow.advance(60)
    record.room.update()
    again = record.room.browser.get("/api/dead-letters?open_only=false").json()["dead_letters"]
    for each in again:
        path = f"/api/dead-letters/{'/'.join(map(str, each['position'].values()))}/record"
        record.note(each["position"], each["status"], record.room.browser.get(path).json()["redriven_from"])
    discard = record.get(f"/dead-letters/act?verb=discard&{both}&group=").headers["Location"]
    record.get(f"/runs/{record.run(f'{discard}/run', **WHY)}")
    closed = "&".join(f"place={'/'.join(map(str, again[place]['position'].values()))}" for place in (0, 2))
    for which in (both, closed):
        record.get(record.get(f"/dead-letters/act?verb=redrive&{which}").headers["Location"])
    conditions: tuple[dict[str, Any], ...] = ({"where": {"service": "payment"}}, {"where": {"since": "soon"}}, {})
    for condition in conditions:
        record.post("/api/plans", {"action": {"kind": "redrive", **condition}})
    record.room.flow.stopped = {"order"}
    record.room.flow.flow.publish(place_order(order_id="o-8"))
    record.room.update()
    record.get("/orders/o-8", "/orders/o-8/diagram.json", "/api/orders/o-8", "/orders/o-8/pause")
    record.get("/nowhere", "/api/nowhere", Accept="text/html,*/*")


def pauses(record: AnswerRecord) -> None:
    """Pause a step and a service for all orders, and end that."""
    record.room.flow.flow.publish(place_order())
    record.room.update()
    start = record.get("/pauses/act?verb=start&scope=step&name=payment").headers["Location"]
    record.get(start, f"/api{start}", "/pauses/act?verb=start&scope=service&name=payments", "/pauses/act?verb=x")
    record.post(f"{start}/run", reason="no")
    record.get(f"/runs/{record.run(f'{start}/run', **WHY)}", "/pauses", "/api/pauses", "/api/audit")
    record.room.flow.flow.publish(place_order(order_id="o-2"))
    record.room.update()
    record.get("/stage.json?seconds=3600", "/orders/o-2", "/api/orders?paused=true", "/orders?where=paused=true")
    end = record.get("/pauses/act?verb=end&scope=step&name=payment").headers["Location"]
    record.get(end, f"/api{end}")
    record.post(f"{end}/run", **{**WHY, "probe": "x"})
    record.get(f"/runs/{record.run(f'{end}/run', **WHY, probe='1', wave='3')}", "/pauses", "/orders/o-2", "/runs")
    planned = record.post("/api/plans", {"action": {"kind": "start_pause", "scope": "service", "name": "shipping"}})
    record.run("/api/runs", {"plan": planned.json()["id"], "reason": "holidays"})
    record.get("/pauses", "/api/pauses", "/api/status")


def away(record: AnswerRecord) -> None:
    """Ask for all of it while Kafka does not answer."""
    break_payment(record)
    letter = record.room.browser.get("/api/dead-letters").json()["dead_letters"][0]["position"]
    place = "/".join(map(str, letter.values()))
    plan = record.get("/pauses/act?verb=start&scope=step&name=payment").headers["Location"]
    record.room.room.updates._note_problem("Kafka is away")
    record.get(
        "/healthz", "/view-banner", "/orders/o-1", "/orders/o-9", "/consumers", "/stock/ledger", "/api/orders/o-1",
        "/api/orders?limit=1", "/api/status", "/api/doctor", "/api/consumers", "/api/consumers/services", "/api/topics",
        "/api/stock/ledger", f"/api/records/{place}", "/api/parked-keys/payment/o-1", "/api/dead-letters/notes",
        f"/api/dead-letters/{place}/record", f"/dead-letters/act?verb=redrive&place={place}",
        "/parked/act?verb=retry&key=o-1", "/pauses/act?verb=end&scope=step&name=payment", plan,
    )  # fmt: skip
    record.post(f"{plan}/run", **WHY)
    record.post(f"{plan}/rehearsal")
    record.post(f"/api{plan}/rehearsal", {})
    record.post("/api/runs", {"plan": plan.rpartition("/")[2], "reason": "no"})
    record.post("/api/runs/none/resume", {})
    record.post("/runs/none/resume")
    record.post("/api/plans", {"action": {"kind": "pause"}, "order": "o-1"})
    record.post("/api/orders", ORDER, headers={"Idempotency-Key": "k-1"})
    record.post("/api/dead-letters/groups/none/note", {"text": "x"}, method="PUT")


STORIES: Final = (nothing, orders, placing, acting, failures, settled, pauses, away)
