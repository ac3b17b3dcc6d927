"""The life of a control room's process: what it refuses to start with, and what it leaves when it ends."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from ensemble.clock import until
from ensemble.errors import ConfigurationError
from ensemble.operations import Unreachable
from services.control_room.__main__ import _directory, _listen, _url, main
from services.control_room.application import create_app
from services.control_room.settings import ControlRoomSettings
from tests.component.control_room.conftest import RoomInMemory


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
