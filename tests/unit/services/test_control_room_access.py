"""Who asks, and what is let through to the pages and the API."""

from __future__ import annotations

import asyncio
import base64
import getpass
from typing import Any

import pytest
from starlette.exceptions import HTTPException

from ensemble.errors import ConfigurationError
from services.control_room.access import Access, Gate, Person, RateLimiter, Role, is_loopback, is_same_origin
from services.control_room.problems import Problem
from services.control_room.settings import ControlRoomSettings

TOKENS = {"token": "t", "see_token": "s"}
PROXY = {"proxy_user_header": "X-User", "actors": "ann"}
HERE = "127.0.0.1"
HOST = (b"host", b"localhost")
ME = Person("me", Role.ACT)
LOG_IN = "log in: your name, and the token as the password (or `Authorization: Bearer TOKEN`)"


def basic(text: str) -> dict[str, str]:
    return {"authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}


def bearer(token: str, **more: str) -> dict[str, str]:
    return {"authorization": f"bearer  {token} ", **more}


@pytest.mark.parametrize(
    ("settings", "headers", "client", "person"),
    [
        ({}, {}, HERE, Person("me", Role.ACT)),
        ({}, {"x-operator": " ann "}, HERE, Person("ann", Role.ACT)),
        ({}, {"x-operator": "ann\x1b"}, HERE, Person("me", Role.ACT)),
        ({}, {"x-operator": "a" * 200}, HERE, Person("a" * 200, Role.ACT)),
        ({}, {"x-operator": "a" * 201}, HERE, Person("me", Role.ACT)),
        ({}, {"x-user": "eve"}, HERE, Person("me", Role.ACT)),
        (TOKENS, bearer("t"), HERE, Person("token", Role.ACT)),
        (TOKENS, bearer("s"), "", Person("token", Role.SEE)),
        (TOKENS, bearer("t", **{"x-operator": "ann"}), HERE, Person("ann", Role.ACT)),
        (TOKENS, basic("ann:t"), HERE, Person("ann", Role.ACT)),
        (TOKENS, basic("ann:s"), HERE, Person("ann", Role.SEE)),
        (TOKENS, basic(":t") | {"x-operator": "bob"}, HERE, Person("bob", Role.ACT)),
        (TOKENS, basic("ann:t") | {"x-operator": "bob"}, HERE, Person("ann", Role.ACT)),
        (TOKENS, basic("ann\n1:t"), HERE, Person("token", Role.ACT)),
        ({"see_token": "s"}, bearer("s"), HERE, Person("token", Role.SEE)),
        ({"token": "a:b"}, basic("ann:a:b"), HERE, Person("ann", Role.ACT)),
        (PROXY, {"x-user": " ann "}, HERE, Person("ann", Role.ACT)),
        (PROXY, {"x-user": "bob"}, "::1", Person("bob", Role.SEE)),
        (PROXY | {"actors": "*"}, {"x-user": "bob"}, HERE, Person("bob", Role.ACT)),
        (PROXY, {"x-user": "b" * 200}, HERE, Person("b" * 200, Role.SEE)),
        (PROXY | TOKENS, bearer("t", **{"x-user": "bob"}), HERE, Person("bob", Role.SEE)),
        (PROXY | TOKENS, bearer("t", **{"x-user": "bob"}), "10.0.0.7", Person("token", Role.ACT)),
    ],
)
def test_who_asks_is_known(settings: dict[str, Any], headers: dict[str, str], client: str, person: Person) -> None:
    assert Access(ControlRoomSettings(**settings), "me").person(headers, client) == person


@pytest.mark.parametrize(
    ("settings", "headers", "client", "why"),
    [
        (TOKENS, {}, HERE, LOG_IN),
        ({"see_token": "s"}, {}, HERE, LOG_IN),
        ({"token": "t"}, bearer("s"), HERE, LOG_IN),
        (TOKENS, basic("ann:"), HERE, LOG_IN),
        (TOKENS, {"authorization": basic(":t")["authorization"] + "!"}, HERE, LOG_IN),
        (TOKENS, {"authorization": basic(":t")["authorization"].replace("Basic", "Digest")}, HERE, LOG_IN),
        (TOKENS, {"authorization": "Basic /w=="}, HERE, LOG_IN),
        (PROXY, {"x-user": "ann"}, "10.0.0.7", LOG_IN),
        (PROXY, {"x-user": "ann"}, "", LOG_IN),
        (PROXY, {}, HERE, "the proxy names nobody in X-User; log in there"),
        (PROXY, {"x-user": "b" * 201}, HERE, "the proxy names nobody in X-User; log in there"),
        (PROXY, {"x-user": "b\x07"}, HERE, "the proxy names nobody in X-User; log in there"),
    ],
)
def test_who_is_not_known_is_told_to_log_in(
    settings: dict[str, Any], headers: dict[str, str], client: str, why: str
) -> None:
    with pytest.raises(Problem) as refused:
        Access(ControlRoomSettings(**settings), "me").person(headers, client)
    assert (refused.value.document.status, refused.value.document.detail) == (401, why)
    asks = {"WWW-Authenticate": 'Basic realm="control room", charset="UTF-8"'} if why == LOG_IN else {}
    assert refused.value.headers == asks


@pytest.mark.parametrize(
    ("host", "is_closed"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("192.168.1.7", False),
        ("a", False),
    ],
)
def test_only_this_machine_reaches_a_loopback_address(host: str, is_closed: bool) -> None:
    assert is_loopback(host) is is_closed
    if is_closed:
        assert Access(ControlRoomSettings(host=host)).is_host(host if ":" not in host else f"[{host}]")
        return
    with pytest.raises(ConfigurationError) as refused:
        Access(ControlRoomSettings(host=host))
    assert str(refused.value) == (
        f"CONTROL_ROOM_HOST {host} is open to other machines: set CONTROL_ROOM_TOKEN (who has it may act), or "
        "CONTROL_ROOM_PROXY_USER_HEADER behind a proxy that logs people in, or CONTROL_ROOM_LOGIN=none if only this "
        "machine reaches the port"
    )
    assert Access(ControlRoomSettings(host=host, login="none")).is_host(f"{host}:8100")


def test_on_this_machine_its_user_acts_under_the_name_that_the_machine_has() -> None:
    assert Access(ControlRoomSettings()).person({}, HERE) == Person(getpass.getuser(), Role.ACT)


@pytest.mark.parametrize(
    ("headers", "is_same"),
    [
        ({}, True),
        ({"origin": "http://here:1"}, True),
        ({"origin": "https://here:1"}, True),
        ({"origin": "http://here:1", "sec-fetch-site": "cross-site"}, True),
        ({"origin": "http://here"}, False),
        ({"origin": ""}, False),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "same-site"}, False),
    ],
)
def test_what_changes_something_comes_from_here_or_from_no_page(headers: dict[str, str], is_same: bool) -> None:
    assert is_same_origin(headers, "here:1") is is_same


# -- the gate ---------------------------------------------------------------------------------------------------------


def ask(*bodies: bytes, gate: Gate | None = None, **changes: Any) -> tuple[int, Any]:
    """Send a request through the gate; return the status, and who asked."""
    chunks = [{"type": "http.request", "body": body} for body in bodies] or [{"type": "http.request"}]
    scope: dict[str, Any] = {
        "type": "http", "method": "POST", "path": "/api/orders", "client": (HERE, 1),
        "headers": [HOST],
    } | changes  # fmt: skip
    sent: list[Any] = []

    async def receive() -> Any:
        return chunks.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run((gate or gate_of())(scope, receive, send))
    return sent[0]["status"], scope.get("state", {}).get("person")


def gate_of(**settings: Any) -> Gate:
    async def app(_: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("body"):
            pass
        await send({"status": 200})

    access = Access(ControlRoomSettings(max_body_bytes=1_000, **settings), "me")
    return Gate(app, access, lambda: 0.0)


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({}, (200, ME)),
        ({"client": None}, (200, ME)),
        ({"type": "websocket", "headers": []}, (200, None)),
        ({"path": "/healthz", "headers": []}, (200, None)),
        ({"headers": []}, (400, None)),
        ({"headers": [HOST, (b"content-length", b"1000")]}, (200, ME)),
        ({"headers": [HOST, (b"content-length", b"1001")]}, (413, None)),
        ({"headers": [HOST, (b"content-length", b"-1")]}, (200, ME)),
        ({"headers": [HOST, (b"origin", b"http://elsewhere")]}, (403, None)),
        ({"headers": [HOST, (b"origin", b"http://elsewhere")], "method": "GET"}, (200, ME)),
        ({"headers": [HOST, (b"origin", b"http://elsewhere")], "method": "HEAD"}, (200, ME)),
        ({"headers": [HOST, (b"origin", b"http://localhost")]}, (200, ME)),
    ],
)
def test_what_is_let_through(changes: dict[str, Any], answer: tuple[int, Person | None]) -> None:
    assert ask(**changes) == answer


def test_a_body_is_read_up_to_its_limit_whatever_its_headers_say() -> None:
    assert ask(b"x" * 999, b"x", b"") == (200, ME)
    with pytest.raises(HTTPException) as refused:
        ask(b"x" * 999, b"xx", b"")
    assert (refused.value.status_code, refused.value.detail) == (
        413, "the body is larger than 1000 bytes, which is the most that is read here",
    )  # fmt: skip


def test_each_client_has_its_own_allowance() -> None:
    gate = gate_of(requests_per_s=0.1)
    clients = [(HERE, 1), (HERE, 2), ("::1", 1), None, None]
    assert [ask(gate=gate, client=client)[0] for client in clients] == [200, 429, 200, 200, 429]


def test_the_client_that_has_not_asked_for_longest_is_forgotten_when_there_are_too_many() -> None:
    limiter = RateLimiter(0.1, lambda: 0.0)
    assert [limiter.take("a"), limiter.take("a")] == [True, False]
    assert all(limiter.take(str(number)) for number in range(9_999))
    assert not limiter.take("0")
    assert not limiter.take("a")
    assert limiter.take("another")
    assert [limiter.take("1"), limiter.take("a")] == [True, False]
