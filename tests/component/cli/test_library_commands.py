"""Commands of the library alone, as any application has them, on all services in memory."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ensemble.command_line import selection
from ensemble.command_line.__main__ import run
from ensemble.messages import encoder_for
from ensemble.operations import now
from ensemble.system_messages import IncidentClosed, IncidentOpened
from tests.support.terminal import terminal

FLOW = ("--app", "services.app:APP")


@pytest.fixture(autouse=True)
def _selection(monkeypatch: pytest.MonkeyPatch, shop: Any) -> None:
    """Forget what a command has selected, and have services in memory to connect to."""
    monkeypatch.setattr(selection, "_selections", [*selection._selections])
    monkeypatch.setenv("COLUMNS", "200")


def write(shop: Any, event: IncidentOpened | IncidentClosed) -> None:
    shop.flow.write("payment.operations", b"k", encoder_for(type(event))(event))


def test_publishes_any_message_and_says_where_it_lies(shop: Any, capsys: pytest.CaptureFixture[str]) -> None:
    shop.stopped = set()
    fields = {"--warehouse-id": "w-1", "--sku": "nut", "--quantity": "5"}
    assert run([*FLOW, "publish", "ReceiveStock", *(each for pair in fields.items() for each in pair), "--json"]) == 0
    receipt = json.loads(capsys.readouterr().out)
    assert (receipt["topic"], receipt["key"]) == ("inventory.commands", "w-1")
    assert run([*FLOW, "publish", "ReceiveStock", "--sku", "nut"]) == 2
    assert "give --warehouse-id --quantity" in capsys.readouterr().err


def test_outages_are_listed_while_they_are_open_with_advice_for_a_person(
    shop: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    about = {"service": "payment", "handler": "Charger", "cause": "HTTP 503"}
    write(shop, IncidentOpened(incident_id="i-1", failures=20, at=now() - 60_000, **about))
    assert run([*FLOW, "incidents", "list", "--json"]) == 0
    (incident,) = json.loads(capsys.readouterr().out)
    assert (incident["service"], incident["cause"], incident["failures"]) == ("payment", "HTTP 503", 20)
    with terminal() as shown:
        run([*FLOW, "incidents", "list", "--service", "payment"])
    assert any(line.endswith("pauses start step STEP --reason '...'") for line in shown.lines)
    write(shop, IncidentClosed(incident_id="i-1", since=now() - 60_000, at=now(), **about))
    with terminal() as shown:
        run([*FLOW, "incidents", "list"])
    assert shown.lines == ["no incident is open; --all shows those that have ended"]
    assert run([*FLOW, "incidents", "list", "--all", "-o", "name"]) == 0
    assert capsys.readouterr().out == "i-1\n"


def test_what_memory_cannot_answer_the_doctor_says_was_not_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*FLOW, "doctor", "--json"]) in {1, 5}
    verdicts = {check["name"]: check["verdict"] for check in json.loads(capsys.readouterr().out)}
    assert verdicts["topics"] == verdicts["clocks"] == "unasked"
    assert verdicts["pauses"] == "ok"
    assert (verdicts["failures"], verdicts["services"]) == ("problem", "problem")


def test_the_status_names_services_and_what_waits_in_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*FLOW, "status", "--json"]) == 0
    services = {row["service"]: row for row in json.loads(capsys.readouterr().out)["services"]}
    assert services["inventory"]["state"] == "stopped"
    assert services["payment"]["parked_keys"] == 1
    assert run([*FLOW, "status"]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert ["inventory", "stopped"] in [row[:2] for row in rows]
    assert [row[3] for row in rows if row[:2] == ["problem", "inventory"]] == [
        "ensemble --app services.app:APP run inventory"
    ]
