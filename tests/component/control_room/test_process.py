"""The control room as a process that others ask: its health, its headers, and what it answers to what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ensemble.messages.schema_set import DirectorySourceSelector
from ensemble.operations import Session
from services.app import APP
from services.control_room.control_room import ControlRoom
from services.control_room.security import HEADERS
from services.control_room.settings import ControlRoomSettings
from tests.component.control_room.conftest import RoomInMemory
from tests.support.flow_in_memory import FlowInMemory


def test_says_how_far_its_view_is(room: RoomInMemory) -> None:
    before = room.browser.get("/healthz").json()
    room.update()

    after = room.browser.get("/healthz").json()

    assert before["view"]["as_of"] is None
    assert after["status"] == "ok"
    assert after["view"]["as_of"] is not None


@pytest.mark.parametrize("path", ["/", "/healthz", "/nowhere", "/static/control_room.css"])
def test_every_answer_has_the_headers_that_protect_who_looks_at_it(room: RoomInMemory, path: str) -> None:
    headers = room.browser.get(path).headers

    assert {name: headers.get(name) for name in HEADERS} == HEADERS
    assert "unsafe" not in headers["Content-Security-Policy"]


def test_an_unknown_path_is_a_problem_document(room: RoomInMemory) -> None:
    response = room.browser.get("/nowhere")

    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json() == {
        "type": "about:blank", "title": "Not Found", "status": 404, "detail": "there is nothing at /nowhere",
    }  # fmt: skip


def test_what_is_kept_about_two_clusters_lies_apart(tmp_path: Path) -> None:
    """A run of one would be resumed on the other."""
    ids = ("redpanda.1f6e", "redpanda.2a7b")
    for flow_id in ids:
        flow: Any = FlowInMemory()
        flow.id = flow_id
        ControlRoom.open(Session(APP, flow, DirectorySourceSelector()), ControlRoomSettings(), tmp_path).close()
    endings = (".db", ".requests.db", ".runs.db")
    assert {file.name for file in tmp_path.glob("*.db")} == {f"{each}{ending}" for each in ids for ending in endings}
