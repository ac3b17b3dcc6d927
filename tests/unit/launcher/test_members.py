"""Members of a local system as values: names, addresses, settings, and what their log and their exit say."""

from __future__ import annotations

import errno
import json
import os
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from ensemble.clock import until
from launcher import ALL, CONTROL_ROOM, SANDBOX, SERVICES, Fleet, FleetError, Member, UnexpectedExit, with_free_port
from launcher.fleet import describe_exit, format_log_line
from launcher.service_process import describe_bind_failure


class Health(BaseHTTPRequestHandler):
    """Answers as a member does: whoever has the token is told the state."""

    answers: ClassVar = {
        "/readyz": (200, ""), "/livez": (503, '{"reason": "ledger is locked"}'), "/healthz": (503, "[]"),
    }  # fmt: skip

    def do_GET(self) -> None:
        is_known = self.headers.get("Authorization") == "Bearer secret"
        status, body = self.answers.get(self.path, (404, "nothing here")) if is_known else (401, "{}")
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def health() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Health) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize(
    ("service", "reason"), [("payment", ""), (SANDBOX, "ledger is locked"), (CONTROL_ROOM, "not ready")]
)
def test_a_member_is_asked_where_it_says_how_it_is(health: ThreadingHTTPServer, service: str, reason: str) -> None:
    member = Member(service, health.server_port)
    assert answer_of(member, "secret") == reason
    assert answer_of(member, "") == "not ready"
    assert member.port_problem == "is in use; stop its program"


def answer_of(member: Member, token: str) -> str:
    """Return what the member answers; where it takes longer than a start is waited for, it is asked again."""
    for _ in until(30.0):
        if (answer := member.why_not_ready(token)) != "starting":
            return answer
    return "starting"


def test_a_member_that_does_not_listen_is_starting() -> None:
    member = with_free_port("payment", 2)
    assert member.why_not_ready() == "starting"
    assert member.port_problem == ""


def test_a_port_of_connections_that_have_just_ended_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            server.accept()[0].close()
            assert client.recv(1) == b""
    assert Member("order", port).port_problem == ""


def test_a_port_that_needs_a_permission_is_not_said_to_be_in_use() -> None:
    """Nobody would find the program that has it."""
    denied = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    assert describe_bind_failure(denied) == "cannot be listened on (Permission denied); let this user do so"


@pytest.mark.parametrize(
    ("member", "name", "module", "settings"),
    [
        (Member(SANDBOX, 81), "payment-sandbox", "services.payment_sandbox",
         {"SANDBOX_PORT": "81", "SANDBOX_HOST": "127.0.0.1"}),
        (Member(CONTROL_ROOM, 82), "control-room", "services.control_room",
         {"CONTROL_ROOM_PORT": "82", "CONTROL_ROOM_HOST": "127.0.0.1", "ENSEMBLE_LOG_FORMAT": "json"}),
        (Member("order", 83), "order", "services.order",
         {"ENSEMBLE_HTTP_PORT": "83", "ENSEMBLE_INSTANCE_ID": "0", "ENSEMBLE_LOG_FORMAT": "json"}),
        (Member("order", 84, 1), "order-1", "services.order",
         {"ENSEMBLE_HTTP_PORT": "84", "ENSEMBLE_INSTANCE_ID": "1", "ENSEMBLE_LOG_FORMAT": "json"}),
    ],
    ids=lambda value: value.name if isinstance(value, Member) else "",
)  # fmt: skip
def test_a_member_is_told_its_port_and_which_instance_it_is(
    member: Member, name: str, module: str, settings: dict[str, str]
) -> None:
    assert (member.name, member.module, member.settings()) == (name, module, settings)


@pytest.mark.parametrize(
    ("code", "text"), [(0, "ended with exit code 0"), (2, "ended with exit code 2"), (-9, "was ended by SIGKILL")]
)
def test_an_exit_is_told_in_words(code: int, text: str) -> None:
    assert describe_exit(code) == text


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (
            '{"event": "left", "level": "info", "service": "order", "at": 3, "timestamp": "12:00"}',
            "12:00 info left at=3",
        ),
        ("Traceback", "Traceback"),
        ("[1, 2]", "[1, 2]"),
    ],
)
def test_a_line_of_a_log_is_readable(line: str, text: str) -> None:
    assert format_log_line(line) == text


def test_an_unexpected_exit_shows_the_end_of_the_log() -> None:
    assert str(UnexpectedExit("order", 2, ["why"])) == "order ended with exit code 2; last lines of its log:\n    why"
    assert str(UnexpectedExit("order", 2, [])).endswith("log:\n    (its log is empty)")


def test_a_fleet_gives_each_member_a_port_of_its_own_and_keeps_a_given_one(tmp_path: Path) -> None:
    fleet = Fleet(None, tmp_path, [*ALL, Member(CONTROL_ROOM, 82)])
    assert list(fleet.members) == [SANDBOX, *SERVICES, CONTROL_ROOM]
    assert len({member.port for member in fleet.members.values()}) == len(fleet.members)
    assert fleet.control_room_url == "http://127.0.0.1:82"
    assert fleet.provider_url == fleet.members[SANDBOX].url
    assert fleet.log("order") == tmp_path / "logs" / "order.log"


def test_a_fleet_without_provider_or_pages_has_no_address_of_them(tmp_path: Path) -> None:
    fleet = Fleet(None, tmp_path, ["order"])
    assert (fleet.control_room_url, fleet.provider_url) == ("", "")
    assert not fleet.is_alive("order")
    assert fleet.unexpected_exits() == []


def test_a_member_on_the_port_of_another_program_is_not_started(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        with pytest.raises(FleetError, match=f"port {taken}, for order, is in use"):
            Fleet(None, tmp_path, [Member("order", taken)]).launch()
    assert not (tmp_path / "logs").exists()


@pytest.mark.parametrize("member", ["order", "payment-1"])
def test_a_member_has_the_cluster_the_addresses_of_all_and_what_it_alone_was_given(tmp_path: Path, member: str) -> None:
    # given
    members = [Member("order", 81), Member("payment", 82), Member("payment", 83, 1), Member(SANDBOX, 84)]
    fleet = Fleet("broker:9092", tmp_path, members, {"A": "of all", "B": "of all"})
    fleet.give("order", {"B": "of order"})

    # when
    variables = fleet._variables(member)

    # then
    urls = {"order": ["http://127.0.0.1:81"], "payment": ["http://127.0.0.1:82", "http://127.0.0.1:83"]}
    assert json.loads(variables["ENSEMBLE_HEALTH_URLS"]) == urls
    assert variables["KAFKA_BOOTSTRAP_SERVERS"] == "broker:9092"
    assert variables["PAYMENT_PROVIDER_URL"] == "http://127.0.0.1:84"
    assert variables["SANDBOX_LEDGER"] == str(tmp_path / "payment-ledger.db")
    assert (variables["A"], variables["B"]) == ("of all", "of order" if member == "order" else "of all")
