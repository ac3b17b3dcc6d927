"""Who may ask for health and metrics, how much, and how often."""

import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from ensemble.errors import ConfigurationError
from ensemble.free_ports import free_ports
from ensemble.observability.health import Guard, HealthServer
from ensemble.settings import RuntimeSettings

Ask = Callable[..., tuple[int, str]]
Serve = Callable[..., Ask]


@pytest.fixture
def serve() -> Iterator[Serve]:
    with ExitStack() as at_end:

        def start(guard: Guard, clock: Callable[[], float] = time.monotonic) -> Ask:
            server = HealthServer(str, lambda: "restoring state", CollectorRegistry(), guard, clock=clock)
            [port] = free_ports(1)
            server.start("127.0.0.1", port)
            at_end.callback(server.stop)
            return lambda path, **more: ask(port, path, **more)

        yield start


def ask(
    port: int, path: str, *, headers: dict[str, str] | None = None, body: bytes | None = None, method: str = "GET"
) -> tuple[int, str]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def test_without_a_token_all_three_are_open_on_loopback(serve: Serve) -> None:
    get = serve(Guard())
    assert [get(path)[0] for path in ("/livez", "/readyz", "/metrics", "/other")] == [200, 503, 200, 404]
    assert RuntimeSettings().http_host == "127.0.0.1"


@pytest.mark.parametrize("header", ["", "Bearer wrong", "Basic s3cret", "Bearer s3cre\u0301t"])
def test_with_a_token_nothing_is_told_without_it(serve: Serve, header: str) -> None:
    get = serve(Guard(SecretStr("s3cret")))
    headers = {"Authorization": header.encode().decode("latin-1")} if header else {}
    for path in ("/readyz", "/metrics", "/other"):
        status, body = get(path, headers=headers)
        assert status == 401
        assert "ENSEMBLE_HTTP_TOKEN" in body
        assert "s3cret" not in body
        assert "restoring" not in body


def test_the_token_opens_them_and_livez_needs_none(serve: Serve) -> None:
    get = serve(Guard(SecretStr("s3cret")))
    headers = {"Authorization": "Bearer s3cret"}
    assert [get(path, headers=headers)[0] for path in ("/readyz", "/metrics")] == [503, 200]
    assert get("/livez")[0] == 200


def test_too_many_questions_are_turned_away_but_livez_answers(serve: Serve) -> None:
    # given two requests a second, and a clock that stands still
    now = [0.0]
    get = serve(Guard(requests_per_s=2), lambda: now[0])

    # when more come than those of two seconds
    # then the others are refused, except those of a supervisor
    assert [get("/metrics")[0] for _ in range(6)] == [200] * 4 + [429] * 2
    assert [get("/livez")[0] for _ in range(10)] == [200] * 10

    # and a second later there is room for two again
    now[0] = 1.0
    assert [get("/metrics")[0] for _ in range(3)] == [200, 200, 429]

    # and a long silence saves no more than two seconds' worth
    now[0] = 1000.0
    assert [get("/metrics")[0] for _ in range(5)] == [200] * 4 + [429]


def test_what_is_too_large_is_not_read(serve: Serve) -> None:
    get = serve(Guard())
    assert get("/metrics", body=b"x" * 2000)[0] == 413
    assert get("/metrics", headers={"X-Large": "x" * 10_000})[0] == 400
    assert get("/" + "x" * 10_000)[0] == 400


def test_a_note_is_told_though_all_is_well() -> None:
    server = HealthServer(str, str, CollectorRegistry(), note=lambda: "the clock is wrong")
    [port] = free_ports(1)
    server.start("127.0.0.1", port)
    status, body = ask(port, "/readyz")
    server.stop()
    assert status == 200
    assert '"note": "the clock is wrong"' in body


def test_without_a_note_a_status_and_its_reason_are_all_that_is_told(serve: Serve) -> None:
    get = serve(Guard())
    assert json.loads(get("/readyz")[1]) == {"status": "unavailable", "reason": "restoring state"}
    assert json.loads(get("/livez")[1]) == {"status": "ok", "reason": ""}


def test_a_port_that_is_taken_is_told_with_the_way_out() -> None:
    server = HealthServer(str, str, CollectorRegistry())
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"cannot listen on 127.0.0.1:{port} .*ENSEMBLE_HTTP_PORT"):
            server.start("127.0.0.1", port)


def test_a_server_that_was_stopped_gives_its_port_back() -> None:
    server = HealthServer(str, str, CollectorRegistry())
    [port] = free_ports(1)
    server.start("127.0.0.1", port)
    server.stop()
    with closing(socket.create_server(("127.0.0.1", port))):
        """Nobody listens there any more."""


def test_only_reading_is_possible(serve: Serve) -> None:
    get = serve(Guard())
    assert get("/livez", method="POST")[0] == 405
