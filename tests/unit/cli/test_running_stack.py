"""Where `status` and `doctor` ask the services of a running `up`."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cli.running_stack import endpoints
from cli.up import _noted
from cli.verification import lock_of_up, note_of_up
from launcher import CONTROL_ROOM, SANDBOX

URL = "http://127.0.0.1:4711"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ENSEMBLE_DATA_DIR", str(tmp_path))
    lock_of_up(tmp_path).write_text("1")
    return tmp_path


def test_an_up_that_was_killed_is_not_asked_although_its_process_id_is_used_again(home: Path) -> None:
    note_of_up(home).write_text(json.dumps({"pid": os.getpid(), "health": {"order": URL}}))
    assert endpoints().urls == {}


def test_the_services_of_an_up_that_runs_are_asked_without_the_sandbox_and_the_control_room(home: Path) -> None:
    members = {name: SimpleNamespace(name=name, url=URL) for name in ("order", SANDBOX, CONTROL_ROOM)}
    stack: Any = SimpleNamespace(fleet=SimpleNamespace(members=members, provider_url=URL))
    with lock_of_up(home).open("a+") as lock, _noted(stack, home):
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert endpoints().urls == {"order": (URL,)}
