"""The life of a control room's process: what it refuses to start with, and what it leaves when it ends."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from sqlite3 import ProgrammingError
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.testclient import TestClient

from backoffice.order_placement import NewOrder
from ensemble.clock import until
from ensemble.errors import ConfigurationError
from ensemble.operations import Endpoints, Unreachable
from services.control_room.__main__ import (
    Server,
    _directory,
    _endpoints,
    _listen,
    _say_waiting,
    _url,
    main,
    server_config,
)
from services.control_room.application import create_app
from services.control_room.connections import BoundedConnection
from services.control_room.idempotency import Answer
from services.control_room.live_events import LiveEvents
from services.control_room.settings import ControlRoomSettings
from tests.component.control_room.conftest import RoomInMemory
from tests.component.control_room.test_placing import ORDER


def test_the_control_room_works_as_long_as_its_server_and_leaves_nothing_open(room: RoomInMemory) -> None:
    with TestClient(create_app(room.room), base_url="http://127.0.0.1:8100"):
        assert any(room.room.updates.status.as_of is not None for _ in until(60.0, 0.01))

    assert room.room.live.is_closed
    with pytest.raises(Unreachable, match="closed database"):
        room.room.orders.find(["o-1"])


def test_a_setting_that_is_wrong_ends_it_in_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CONTROL_ROOM_PORT", "no")
    assert main() == 2
    assert capsys.readouterr().err.startswith("control room: settings: CONTROL_ROOM_PORT: ")


def test_a_port_that_is_taken_is_named_with_a_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert _url(taken) == f"http://127.0.0.1:{port}"
        with pytest.raises(ConfigurationError, match=f"^cannot listen on 127.0.0.1:{port} .*set CONTROL_ROOM_PORT"):
            _listen(ControlRoomSettings(port=port))


def test_its_files_lie_where_they_are_to_or_it_is_said_why_not(tmp_path: Path) -> None:
    settings = ControlRoomSettings(data_dir=tmp_path / "new" / "deep")
    assert _directory(settings) == _directory(settings) == tmp_path / "new" / "deep"
    assert (tmp_path / "new" / "deep").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=f"^CONTROL_ROOM_DATA_DIR: {tmp_path}/file/below: Not a directory"):
        _directory(ControlRoomSettings(data_dir=tmp_path / "file" / "below"))


def test_a_control_room_that_would_be_open_to_others_ends_in_words_before_it_waits_for_kafka(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CONTROL_ROOM_HOST", "192.0.2.1")
    assert main() == 2
    assert capsys.readouterr().err.startswith(
        "control room: CONTROL_ROOM_HOST 192.0.2.1 is open to other machines: set "
    )


def test_its_files_lie_beside_those_of_the_broker_unless_it_is_said_where(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ENSEMBLE_DATA_DIR", str(tmp_path))
    assert _directory(ControlRoomSettings()) == tmp_path / "control-room"


def test_it_knows_where_services_say_how_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _endpoints() == Endpoints()
    monkeypatch.setenv("ENSEMBLE_HEALTH_URLS", '{"payment": ["http://127.0.0.1:9"]}')
    monkeypatch.setenv("ENSEMBLE_HTTP_TOKEN", "secret")
    assert _endpoints() == Endpoints({"payment": ("http://127.0.0.1:9",)}, "secret")


def test_what_it_waits_for_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    _say_waiting("Kafka")
    assert capsys.readouterr() == ("", "control room: waiting for Kafka\n")


def test_its_server_counts_connections_writes_no_log_of_its_own_and_believes_no_proxy(room: RoomInMemory) -> None:
    config = vars(server_config(room.room))
    names = "http backlog log_config access_log server_header proxy_headers timeout_graceful_shutdown"
    assert [config[name] for name in names.split()] == [BoundedConnection, 128, None, False, False, False, 3]
    assert config["app"].state.room is room.room


def test_its_streams_and_runs_end_before_its_server_waits_for_answers(room: RoomInMemory) -> None:
    # given a server that listens, whose next step is to wait
    server, seen = Server(server_config(room.room), room.room), list[bool]()
    run = SimpleNamespace(stop=lambda: seen.append(room.room.live.is_closed))
    started: Any = SimpleNamespace(run=run, events=LiveEvents())
    room.room.actions._runs["r-1"] = started
    listening: Any = SimpleNamespace(close=lambda: seen.append(started.events.is_closed), wait_closed=_nothing)
    server.servers, server.lifespan = [listening], SimpleNamespace(shutdown=_nothing)

    # when
    asyncio.run(server.shutdown())

    # then the streams have ended before the runs, and the runs before it waits
    assert seen == [True, True]


async def _nothing() -> None: ...


def test_what_it_has_opened_is_closed_as_a_whole(room: RoomInMemory) -> None:
    it = room.room
    it.start()
    it.placement.place(NewOrder(**ORDER), "k-1")
    stopped, run = list[str](), SimpleNamespace(stop=lambda: stopped.append("the run"))
    started: Any = SimpleNamespace(run=run, events=LiveEvents())
    it.actions._runs["r-1"] = started
    it.close()
    assert (stopped, started.events.is_closed) == (["the run"], True)
    assert (it.updates._repetition._thread.is_alive(), it.sampling._thread.is_alive()) == (False, False)
    assert it.live.is_closed
    assert it.placement._client is None
    for use in (it.history.runs, lambda: it.requests.answer("s", "k", "{}", lambda _: Answer(200, ""))):
        with pytest.raises(ProgrammingError, match="closed database"):
            use()
