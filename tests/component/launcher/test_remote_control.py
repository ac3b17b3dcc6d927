"""The remote control of a demonstration, as the control room asks it: behind HTTP, with its token."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from launcher import CONTROL_ROOM, RemoteControl


class Crew:
    """Members that live and die by word alone."""

    def __init__(self, provider_url: str) -> None:
        self.provider_url = provider_url
        self.members = dict.fromkeys(("inventory", "payment", CONTROL_ROOM))
        self.begin()

    def begin(self) -> None:
        self.done: list[tuple[str, str]] = []
        self.dead = {"payment"}

    def is_alive(self, name: str) -> bool:
        return name not in self.dead

    def state_of(self, name: str) -> str:
        return "was ended by SIGKILL" if name in self.dead else ""

    def kill(self, name: str) -> None:
        self.done.append(("kill", name))
        self.dead.add(name)

    def restart(self, name: str) -> None:
        self.done.append(("restart", name))
        self.dead.discard(name)


class Provider(BaseHTTPRequestHandler):
    """Takes the orders of outages that the sandbox takes; without one it says what holds."""

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        order = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.mode = order["mode"] if order["mode"] in {"up", "down"} else "up"  # type: ignore[attr-defined]
        self._answer()

    def _answer(self) -> None:
        self.send_response(200 if self.path == "/admin/outage" else 404)
        self.end_headers()
        self.wfile.write(json.dumps({"mode": self.server.mode}).encode())  # type: ignore[attr-defined]

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Provider) as server:
        server.mode = "up"  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Remote(NamedTuple):
    """A remote control and the fleet that it serves."""

    control: RemoteControl
    crew: Crew

    def ask(self, order: bytes | None = None, token: str | None = None, length: int | None = None) -> tuple[int, Any]:
        """Return status and document of the answer to an order, or to the question how all are."""
        settings = self.control.settings
        authorization = settings["CONTROL_ROOM_LAUNCHER_TOKEN"] if token is None else token
        headers = {"Authorization": f"Bearer {authorization}"} if authorization else {}
        if length is not None:
            headers["Content-Length"] = str(length)
        connection = HTTPConnection(urlsplit(settings["CONTROL_ROOM_LAUNCHER_URL"]).netloc, timeout=30)
        connection.request("GET" if order is None else "POST", "/", order, headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        assert (answer.headers["Content-Type"], answer.headers["Content-Length"]) == (
            "application/json",
            str(len(body)),
        )
        return answer.status, json.loads(body)

    def order(self, does: str, subject: str) -> tuple[int, Any]:
        return self.ask(json.dumps({"does": does, "subject": subject}).encode())


@pytest.fixture(scope="module")
def served(provider: str) -> Iterator[Remote]:
    crew: Any = Crew(provider)
    control = RemoteControl(crew)
    yield Remote(control, crew)
    control.close()


@pytest.fixture
def remote(served: Remote) -> Remote:
    served.crew.begin()
    served.control.order_outage("up")
    return served


def members(*rows: tuple[str, bool]) -> list[dict[str, Any]]:
    return [
        {"name": name, "is_alive": is_alive, "reason": "" if is_alive else "was ended by SIGKILL"}
        for name, is_alive in rows
    ]


def test_all_but_the_control_room_are_told_with_their_state(remote: Remote) -> None:
    expected = {"members": members(("inventory", True), ("payment", False)), "outage": "up"}
    assert remote.ask() == (200, expected)


def test_an_order_is_answered_with_what_holds_then(remote: Remote) -> None:
    assert remote.order("kill", "inventory")[1]["members"] == members(("inventory", False), ("payment", False))
    assert remote.order("restart", "payment")[1]["members"] == members(("inventory", False), ("payment", True))
    assert remote.order("outage", "down") == (200, remote.ask()[1])
    assert remote.ask()[1]["outage"] == "down"
    assert remote.crew.done == [("kill", "inventory"), ("restart", "payment")]


@pytest.mark.parametrize(
    ("order", "problem"),
    [
        ({"does": "pause", "subject": "payment"}, "'pause' is none of kill, restart, outage"),
        ({"does": "kill", "subject": "payment"}, "payment does not run"),
        ({"does": "kill", "subject": CONTROL_ROOM}, "no member 'control-room'; members are inventory, payment"),
        ({"does": "restart", "subject": CONTROL_ROOM}, "no member 'control-room'; members are inventory, payment"),
        ({"does": "restart", "subject": "else"}, "no member 'else'; members are inventory, payment"),
        ({"does": "outage", "subject": "odd"}, "the provider cannot be told to be 'odd'; is it running?"),
        ({"does": "kill"}, "'subject'"),
        ([], "list indices must be integers or slices, not str"),
    ],
)
def test_an_order_that_cannot_be_carried_out_is_refused_in_words(remote: Remote, order: Any, problem: str) -> None:
    assert remote.ask(json.dumps(order).encode()) == (409, {"problem": problem})
    assert remote.crew.done == []


def test_what_is_no_order_at_all_is_refused(remote: Remote) -> None:
    assert remote.ask(b"{no")[0] == 409
    assert remote.ask(b"")[0] == 409


def test_no_more_is_read_of_a_long_order_than_an_order_may_have(remote: Remote) -> None:
    longest = json.dumps({"does": "kill", "subject": "inventory"}).ljust(10_000).encode()
    assert remote.ask(longest)[0] == 200
    remote.crew.dead.clear()
    assert remote.ask(longest[:-1] + b" }")[0] == 200
    assert remote.ask(b" " + longest[1:-1] + b"  }")[0] == 409


@pytest.mark.parametrize("token", ["", "wrong", "ümlaut"])
@pytest.mark.parametrize("order", [None, b'{"does": "kill", "subject": "inventory"}'])
def test_whoever_lacks_the_token_learns_and_does_nothing(remote: Remote, token: str, order: bytes | None) -> None:
    assert remote.ask(order, token=token) == (401, {"problem": "the token is missing or wrong"})
    assert remote.crew.done == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "", "{}/nowhere"])
def test_a_provider_that_does_not_answer_has_no_mode_and_takes_no_order(provider: str, url: str) -> None:
    crew: Any = Crew(url.format(provider))
    control = RemoteControl(crew)
    try:
        assert control.describe()["outage"] is None
        with pytest.raises(ValueError, match="is it running"):
            control.order_outage("up")
    finally:
        control.close()


def test_a_control_has_a_token_of_its_own_and_listens_until_it_is_closed(remote: Remote) -> None:
    crew: Any = remote.crew
    other = Remote(RemoteControl(crew), crew)
    token, url = (
        other.control.settings["CONTROL_ROOM_LAUNCHER_TOKEN"],
        other.control.settings["CONTROL_ROOM_LAUNCHER_URL"],
    )
    assert (urlsplit(url).port or 0) > 1_023, "a free one"
    assert all(each.daemon for each in threading.enumerate() if each.name == "remote control")

    assert (remote.ask(token=token)[0], other.ask()[0]) == (401, 200)
    other.control.close()
    with pytest.raises(ConnectionRefusedError):
        other.ask()
