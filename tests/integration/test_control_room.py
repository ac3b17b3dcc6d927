"""The control room on a real cluster: redrives rehearsed in a child process and run, and what brokers alone know."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from starlette.testclient import TestClient

from ensemble.command_line.connection import session_on
from ensemble.testing.on_kafka import wait_for
from services.control_room.application import create_app
from services.control_room.control_room import ControlRoom
from services.control_room.settings import ControlRoomSettings
from tests.support.payment_on_kafka import PaymentOnKafka


@pytest.fixture
def browser(payment: PaymentOnKafka) -> Iterator[TestClient]:
    room = ControlRoom.open(session_on(payment.access), ControlRoomSettings())
    assert room.updates.update(), room.updates.status
    yield TestClient(create_app(room), base_url="http://127.0.0.1:8100")
    room.close()


def test_a_dead_letter_is_rehearsed_in_a_child_process_and_redriven(
    payment: PaymentOnKafka, browser: TestClient, unique: Callable[[str], str]
) -> None:
    order_id = unique("order")
    with payment.running():
        payment.refuse(order_id)
        action = {"kind": "redrive", "where": {"key": order_id}}
        plan = browser.post("/api/plans", json={"action": action}).json()

        rehearsal = browser.post(f"/api/plans/{plan['id']}/rehearsal?wait=120").json()
        charged = list(payment.provider.charged)
        payment.provider.refuses.clear()
        run = browser.post("/api/runs", json={"plan": plan["id"], "reason": "the vault is open"}).json()
        wait_for(lambda: browser.get(f"/api/runs/{run['id']}").json()["state"] == "finished", "the end of the run")

    assert (rehearsal["state"], rehearsal["records"][0]["stops_at"]) == ("done", [f"gateway.charge({order_id}:charge)"])
    assert order_id not in charged
    assert browser.get(f"/api/runs/{run['id']}").json()["succeeded"] == 1
    assert order_id in payment.provider.charged


def test_topics_doctor_and_status_say_what_only_brokers_know(payment: PaymentOnKafka, browser: TestClient) -> None:
    topics, checks = browser.get("/api/topics").json(), browser.get("/api/doctor").json()
    with payment.running():
        status = browser.get("/api/status").json()

    assert {topic["topic"] for topic in topics} >= {"orders.events", "payments.commands"}
    assert {check["name"] for check in checks} >= {"cluster", "topics", "orders"}
    assert next(check for check in checks if check["name"] == "cluster")["verdict"] == "ok"
    assert {service["service"] for service in status["services"]} >= {"payment", "inventory"}
    assert status["cluster"]["brokers"] == 1
