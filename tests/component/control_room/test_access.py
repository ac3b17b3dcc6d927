"""Who gets in, from where, and what they may do."""

from __future__ import annotations

import base64
from contextlib import closing
from dataclasses import replace
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from ensemble.errors import ConfigurationError
from services.control_room.access import Access, RateLimiter, Role
from services.control_room.application import create_app
from services.control_room.problems import Problem
from services.control_room.settings import ControlRoomSettings
from tests.component.control_room.conftest import RoomInMemory
from tests.component.control_room.test_placing import ORDER
from tests.support.room_server import serve_room

PROXY: dict[str, Any] = {"proxy_user_header": "X-Forwarded-Email", "actors": "ann@example.com"}
POST = "/api/orders"


def browser(room: RoomInMemory, address: str = "127.0.0.1", **settings: Any) -> TestClient:
    """Return a browser of a control room with these settings."""
    app = create_app(replace(room.room, access=Access(ControlRoomSettings(**settings), "me")))
    return TestClient(app, base_url="http://127.0.0.1:8100", client=(address, 50_000))


def basic(name: str, token: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{token}".encode()).decode()}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "room.example.com"])  # noqa: S104  what it refuses
def test_is_open_to_no_other_machine_without_a_login(host: str) -> None:
    with pytest.raises(ConfigurationError, match="set CONTROL_ROOM_TOKEN"):
        Access(ControlRoomSettings(host=host))

    Access(ControlRoomSettings(host=host, token="t"))
    Access(ControlRoomSettings(host=host, proxy_user_header="X-User"))
    Access(ControlRoomSettings(host=host, login="none"))


def test_on_loopback_nobody_logs_in() -> None:
    person = Access(ControlRoomSettings(), "me").person({}, "127.0.0.1")

    assert (person.name, person.role) == ("me", Role.ACT)


def test_whoever_connects_without_an_address_is_no_proxy() -> None:
    access = Access(ControlRoomSettings(**PROXY, proxy_addresses="127.0.0.0/8"))
    with pytest.raises(Problem, match="log in"):
        access.person({"x-forwarded-email": "ann@example.com"}, "a socket")


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [("127.0.0.1:8100", True), ("room.example.com", True), ("evil.example.com", False), ("[::1", False), ("", False)],
)
def test_a_request_names_a_host_of_ours(host: str, *, is_ours: bool) -> None:
    access = Access(ControlRoomSettings(token="t", allowed_hosts="room.example.com"))
    assert access.is_host(host) is is_ours


@pytest.mark.parametrize("header", ["Basic no-base64!", "Basic /w==", "Basic", "Digest abc", "act-secret"])
def test_credentials_that_cannot_be_read_are_none(room: RoomInMemory, header: str) -> None:
    client = browser(room, token="act-secret", see_token="see-secret")
    assert client.get("/api/topology", headers={"Authorization": header}).status_code == 401


def test_a_token_lets_in_and_says_what_may_be_done(room: RoomInMemory) -> None:
    client = browser(room, token="act-secret", see_token="see-secret")

    without = client.get("/api/topology")

    assert (without.status_code, client.get("/api/topology", headers=basic("ann", "wrong")).status_code) == (401, 401)
    assert without.headers["WWW-Authenticate"].startswith("Basic ")
    assert client.get("/api/topology", headers=basic("bob", "see-secret")).status_code == 200
    assert client.get("/api/topology", headers={"Authorization": "Bearer act-secret"}).status_code == 200
    assert client.get("/healthz").status_code == 200


def test_who_may_only_see_cannot_act(room: RoomInMemory) -> None:
    client = browser(room, token="act-secret", see_token="see-secret")
    key = {"Idempotency-Key": "k-1"}

    refused = client.post(POST, headers={**basic("bob", "see-secret"), **key}, json=ORDER)
    accepted = client.post(POST, headers={**basic("ann", "act-secret"), **key}, json=ORDER)

    assert (refused.status_code, accepted.status_code) == (403, 202)
    assert "bob may see but not act" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("address", "user", "role"),
    [
        ("127.0.0.1", "ann@example.com", Role.ACT),
        ("127.0.0.1", "bob@example.com", Role.SEE),
        ("127.0.0.1", "", None),
        ("10.0.0.7", "ann@example.com", None),
    ],
)
def test_a_proxy_names_people_and_nobody_else_does(
    room: RoomInMemory, address: str, user: str, role: Role | None
) -> None:
    response = browser(room, address, **PROXY).get("/api/topology", headers={"X-Forwarded-Email": user})

    assert response.status_code == (200 if role else 401)
    if role:
        access = Access(ControlRoomSettings(**PROXY), "me")
        assert access.person({"x-forwarded-email": user}, address).role is role


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:9999"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://127.0.0.1:8100", "Sec-Fetch-Site": "same-origin"}, 422),
        ({}, 422),
    ],
)
def test_no_page_of_another_site_acts(room: RoomInMemory, headers: dict[str, str], status: int) -> None:
    assert room.browser.post(POST, headers=headers, json={}).status_code == status


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        ("127.0.0.1:8100", True),
        ("localhost", True),
        ("[::1]:8100", True),
        ("room.example", True),
        ("evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("[", False),
        ("", False),
    ],
)
def test_hosts_are_those_that_the_deployment_names(host: str, is_ours: bool) -> None:
    assert Access(ControlRoomSettings(allowed_hosts="room.example, other.example"), "me").is_host(host) is is_ours


def test_a_page_that_was_pointed_here_is_refused(room: RoomInMemory) -> None:
    response = room.browser.get("/api/topology", headers={"Host": "evil.example"})

    assert response.status_code == 400
    assert "CONTROL_ROOM_ALLOWED_HOSTS" in response.json()["detail"]


def test_a_body_that_is_too_large_is_not_read(room: RoomInMemory) -> None:
    said = room.browser.post(POST, content=b"x" * 10_000_000, headers={"Content-Type": "application/json"})
    unsaid = room.browser.post(
        POST, content=(b"x" * 100_000 for _ in range(100)), headers={"Content-Type": "application/json"}
    )

    assert (said.status_code, unsaid.status_code) == (413, 413)
    assert "larger than 1000000 bytes" in said.json()["detail"]
    assert unsaid.headers["Content-Type"] == "application/problem+json"


def test_who_asks_too_often_waits_and_others_do_not() -> None:
    now = [0.0]
    limiter = RateLimiter(2, lambda: now[0])

    allowed = [limiter.take("a") for _ in range(30)].count(True)
    now[0] += 1

    assert allowed == 20
    assert [limiter.take("a") for _ in range(3)] == [True, True, False]
    assert limiter.take("b")


def test_a_client_that_asks_too_often_is_told(room: RoomInMemory) -> None:
    client = browser(room, requests_per_s=0.1)

    statuses = [client.get("/nowhere") for _ in range(2)]

    assert [response.status_code for response in statuses] == [404, 429]
    assert statuses[1].headers["Retry-After"] == "1"


@pytest.mark.parametrize(("proxies", "status"), [("127.0.0.0/8", 200), ("203.0.113.7", 401)])
def test_who_connects_counts_and_not_whom_a_header_says(proxies: str, status: int) -> None:
    settings = ControlRoomSettings(**PROXY, proxy_addresses=proxies)
    headers = {"X-Forwarded-Email": "ann@example.com", "X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}

    with (
        capture_logs(),
        serve_room(settings) as server,
        closing(HTTPConnection(urlsplit(server.url).netloc, timeout=20)) as connection,
    ):
        connection.request("GET", "/api/topology", headers=headers)
        answered = connection.getresponse().status

    assert answered == status
