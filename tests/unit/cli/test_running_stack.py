"""Where `status` and `doctor` ask the services of a running `up`."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cli.foreground import port_in_up, port_of
from cli.running_stack import endpoints
from cli.up import _noted
from cli.verification import lock_of_up, note_of_up
from ensemble.free_ports import free_ports
from launcher import CONTROL_ROOM, SANDBOX
from launcher.fleet import format_log_line
from launcher.service_process import reason_in

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


def test_a_service_that_died_under_up_is_run_again_where_status_looks_for_it(home: Path) -> None:
    [port] = free_ports(1)
    note_of_up(home).write_text(json.dumps({"health": {"order": f"http://127.0.0.1:{port}"}}))
    with lock_of_up(home).open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert (port_in_up("order"), port_in_up("payment")) == (port, None)
        assert (port_of("order", None, None), port_of("order", "1", None)) == (port, None), "it may be a second one"
        assert (port_of("order", None, 8000), port_of("order", "1", 8000)) == (8000, 8000)
        with socket.create_server(("127.0.0.1", port)):
            assert port_in_up("order") is None, "the one of `up` lives"
    assert port_in_up("order") is None, "no `up` runs"


@pytest.mark.parametrize("note", ["{", "[]", "5", "{}", '{"health": 1}', '{"health": ["order"]}'])
def test_a_note_that_is_none_names_no_service(home: Path, note: str) -> None:
    note_of_up(home).write_text(note)
    with lock_of_up(home).open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert endpoints().urls == {}
        note_of_up(home).unlink()
        assert endpoints().urls == {}


def test_where_the_environment_names_services_those_of_up_are_not_asked(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENSEMBLE_HEALTH_URLS", '{"payment": ["http://h:1"]}')
    note_of_up(home).write_text(json.dumps({"health": {"order": URL}}))
    with lock_of_up(home).open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert endpoints().urls == {"payment": ("http://h:1",)}


@pytest.mark.parametrize("text", ["[" * 100_000, "5", "[]", "{"], ids=["deep", "a number", "a list", "half"])
def test_what_others_write_is_no_log_line_and_no_reason(text: str) -> None:
    assert format_log_line(text) == text
    assert reason_in(text.encode()) == "not ready"
