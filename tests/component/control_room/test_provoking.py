"""What a demonstration may provoke, through the launcher's remote control; elsewhere there is no such thing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from ensemble.messages.schema_set import DirectorySourceSelector
from ensemble.operations import Session, Unreachable, now
from launcher import CONTROL_ROOM, RemoteControl
from services.app import APP
from services.control_room.application import create_app
from services.control_room.control_room import ControlRoom
from services.control_room.demonstration import Demonstration
from services.control_room.settings import ControlRoomSettings
from tests.component.control_room.conftest import RoomInMemory
from tests.support.flow_in_memory import FlowInMemory
from tests.support.order_messages import place_order


class FleetInMemory:
    """Members that live and die by word alone; they have no provider."""

    provider_url = "http://127.0.0.1:9"

    def __init__(self) -> None:
        self.members = dict.fromkeys(("inventory", "payment", CONTROL_ROOM))
        self.dead = set[str]()

    def is_alive(self, name: str) -> bool:
        return name not in self.dead

    def state_of(self, name: str) -> str:
        return "was ended by SIGKILL" if name in self.dead else ""

    def kill(self, name: str) -> None:
        self.dead.add(name)

    def restart(self, name: str) -> None:
        self.dead.discard(name)


@pytest.fixture
def fleet() -> FleetInMemory:
    return FleetInMemory()


@pytest.fixture
def demo(fleet: Any) -> Iterator[RoomInMemory]:
    """Give a control room that a launcher has started."""
    control, flow = RemoteControl(fleet), FlowInMemory()
    settings = ControlRoomSettings(
        launcher_url=control.settings["CONTROL_ROOM_LAUNCHER_URL"],
        launcher_token=SecretStr(control.settings["CONTROL_ROOM_LAUNCHER_TOKEN"]),
    )
    with capture_logs():
        shared: Any = flow
        room = ControlRoom.open(Session(APP, shared, DirectorySourceSelector()), settings)
        yield RoomInMemory(flow, room, TestClient(create_app(room), base_url="http://127.0.0.1:8100"))
        room.close()
    control.close()


def provoke(room: RoomInMemory, does: str, subject: str) -> Any:
    return room.browser.post("/provoke", data={"does": does, "subject": subject}, follow_redirects=False)


def test_a_killed_service_is_shown_on_each_page_and_is_started_again(demo: RoomInMemory, fleet: FleetInMemory) -> None:
    demo.flow.flow.publish(place_order())
    demo.flow.flow.hold("inventory.commands")
    demo.update()

    killed = provoke(demo, "kill", "inventory")
    page, order = demo.browser.get("/provoke").text, demo.browser.get("/orders/o-1").text
    again = provoke(demo, "kill", "inventory")
    provoke(demo, "restart", "inventory")

    assert killed.status_code == 303
    assert "was ended by SIGKILL" in page
    assert "No process of inventory runs" in order
    assert '<a class="button primary" href="/provoke"' in order
    assert (again.status_code, "inventory does not run" in again.text) == (409, True)
    assert fleet.dead == set()


def test_the_stage_and_the_consumers_say_since_when_a_service_does_not_run(demo: RoomInMemory) -> None:
    demo.update()
    demo.room.samples.take(now() - 60_000)
    provoke(demo, "kill", "inventory")
    demo.room.samples.take(now() - 30_000)
    demo.room.samples.take(now())

    badges = demo.browser.get("/stage.json").json()["nodes"]["inventory"]
    page = demo.browser.get("/consumers").text
    past = demo.browser.get("/stage.json?ago=40").json()["nodes"]["inventory"]

    assert [badge["text"] for badge in badges] == ["not running: 30 s"]
    assert badges[0]["url"] == "/consumers?service=inventory"
    assert "No process of inventory runs, since <time" in page
    assert past == []


def test_what_cannot_be_provoked_is_said(demo: RoomInMemory) -> None:
    demo.update()

    answers = [provoke(demo, *order) for order in
               (("kill", CONTROL_ROOM), ("kill", "tea"), ("outage", "down"), ("burn", "payment"))]  # fmt: skip

    assert [answer.status_code for answer in answers] == [409] * 4
    assert "members are inventory, payment" in answers[0].text
    assert "is it running?" in answers[2].text
    assert "give one of kill, restart and outage" in answers[3].text
    assert "It does not answer." in answers[2].text


def test_the_page_is_absent_where_no_launcher_runs_it(room: RoomInMemory, demo: RoomInMemory) -> None:
    room.update()
    demo.update()

    assert room.browser.get("/provoke").status_code == 404
    assert provoke(room, "kill", "payment").status_code == 404
    assert "/provoke" not in room.browser.get("/orders").text
    assert "/provoke" in demo.browser.get("/orders").text


def test_who_has_no_token_provokes_nothing(fleet: Any) -> None:
    control = RemoteControl(fleet)
    stranger = Demonstration(control.settings["CONTROL_ROOM_LAUNCHER_URL"], SecretStr("guess"))

    with pytest.raises(Exception, match="the token is missing or wrong"):
        stranger.provoke("kill", "payment")
    control.close()
    with pytest.raises(Unreachable, match="the launcher does not answer"):
        stranger.state()
    assert fleet.dead == set()
