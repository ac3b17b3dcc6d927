"""The small server under health and metrics: what it answers, and whom it does not wait for."""

import gc
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from http import HTTPStatus

import pytest

from ensemble.clock import until
from ensemble.free_ports import free_ports
from ensemble.observability.http_server import HttpServer, Request, Response

Serve = Callable[..., int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    with ExitStack() as at_end:

        def start(limit_s: float = 5.0, body: bytes = b"well", most_connections: int = 100) -> int:
            server = HttpServer(
                lambda request: Response(HTTPStatus.OK, describe(request) or body),
                "test",
                limit_s,
                most_connections=most_connections,
            )
            [port] = free_ports(1)
            server.start("127.0.0.1", port)
            at_end.callback(server.stop)
            return port

        yield start


def describe(request: Request) -> bytes:
    return f"{request.method} {request.path} {request.headers['X-Name']}".encode() if request.headers["X-Name"] else b""


def end_of(connection: socket.socket) -> bytes:
    """Return all that comes until the server hangs up, politely or not."""
    with suppress(ConnectionResetError):
        return b"".join(iter(lambda: connection.recv(65_536), b""))
    return b""


def send(port: int, request: bytes) -> bytes:
    """Send bytes, and return all that comes back until the server hangs up."""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=60)) as connection:
        connection.sendall(request)
        connection.settimeout(60)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_method_path_and_headers_arrive(serve: Serve) -> None:
    answer = send(serve(), b"GET /metrics?name=a HTTP/1.1\r\nHost: here\r\nx-name: all\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nContent-Length: 16\r\nConnection: close\r\n" in answer
    assert answer.endswith(b"\r\n\r\nGET /metrics all")


def test_head_is_answered_without_the_body(serve: Serve) -> None:
    answer = send(serve(), b"HEAD /livez HTTP/1.1\r\n\r\n")
    assert b"Content-Length: 4" in answer
    assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "request_",
    [
        b"\r\n\r\n",
        b"GET /livez\r\n\r\n",
        b"GET /livez SPDY/3\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nContent-Length: much\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n" + b"X: y\r\n" * 500 + b"\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused_and_does_no_harm(serve: Serve, request_: bytes) -> None:
    port = serve()
    assert send(port, request_).startswith(b"HTTP/1.1 400 ")
    assert send(port, b"GET /livez HTTP/1.1\r\n\r\n").endswith(b"well")


@pytest.mark.parametrize("beginning", [b"", b"GET /livez HTTP/1.1\r\nX: y\r\n"])
def test_nobody_holds_a_connection_by_sending_nothing_more(serve: Serve, beginning: bytes) -> None:
    assert send(serve(limit_s=0.05), beginning) == b""


def test_connections_that_ask_nothing_take_no_more_than_their_number(serve: Serve) -> None:
    """Two thousand of them left the process no open file for its brokers."""
    port = serve(limit_s=60.0, most_connections=2)
    with ExitStack() as at_end:
        idle = [at_end.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60)) for _ in range(3)]
        assert send(port, b"GET /livez HTTP/1.1\r\n\r\n").endswith(b"well")
        assert [end_of(connection) for connection in idle[:2]] == [b"", b""]
        idle[2].sendall(b"GET /livez HTTP/1.1\r\n\r\n")
        assert end_of(idle[2]).endswith(b"well")


def test_who_hangs_up_in_the_middle_of_a_request_is_not_logged(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    # given a client that hangs up before its request is whole
    port = serve()
    with closing(socket.create_connection(("127.0.0.1", port), timeout=60)) as client:
        client.sendall(b"GET /livez HTTP/1.1\r\n")

    # when another one is answered after it
    assert send(port, b"GET /livez HTTP/1.1\r\n\r\n").endswith(b"well")
    gc.collect()

    # then no error of the first one is left to be reported
    assert [record.getMessage() for record in caplog.records if record.name != "librdkafka"] == []


def test_a_large_answer_arrives_whole(serve: Serve) -> None:
    body = b"line\n" * 400_000
    assert send(serve(body=body), b"GET /metrics HTTP/1.1\r\n\r\n").endswith(b"\r\n\r\n" + body)


def until_nobody_listens(port: int) -> None:
    for _ in until(30, 0.01):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=60).close()
        except ConnectionRefusedError:
            return
    pytest.fail("the server listens on")


def test_a_request_that_has_begun_when_the_server_stops_is_answered() -> None:
    # given half of a request, and a server that is told to stop
    server = HttpServer(lambda _: Response(HTTPStatus.OK, b"well"), "test", 30, grace_s=30)
    [port] = free_ports(1)
    server.start("127.0.0.1", port)
    with closing(socket.create_connection(("127.0.0.1", port), timeout=60)) as client:
        client.sendall(b"GET /livez HTTP/1.1\r\n")
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        until_nobody_listens(port)

        # when the other half comes, then it is answered, and the server ends
        client.sendall(b"\r\n")
        assert b"".join(iter(lambda: client.recv(65_536), b"")).endswith(b"well")
    stopping.join(30)
    assert not stopping.is_alive()


def test_a_server_that_stops_hangs_up_and_gives_its_port_back() -> None:
    server = HttpServer(lambda _: Response(HTTPStatus.OK, b""), "test")
    [port] = free_ports(1)
    server.start("127.0.0.1", port)
    with closing(socket.create_connection(("127.0.0.1", port), timeout=60)) as idle:
        server.stop()
        with suppress(ConnectionResetError):
            assert idle.recv(1) == b""
    with closing(socket.create_server(("127.0.0.1", port))):
        pass


def test_what_was_sent_beyond_the_head_is_read_up_to_a_limit_then_the_server_hangs_up(serve: Serve) -> None:
    # given a client that never ends
    with closing(socket.create_connection(("127.0.0.1", serve(limit_s=60)), timeout=60)) as client:
        # when it sends as much beyond the head as is dropped
        client.sendall(b"GET /livez HTTP/1.1\r\n\r\n" + b"x" * 65_536)

        # then the answer arrives whole, and no more is taken
        assert b"".join(iter(lambda: client.recv(65_536), b"")).endswith(b"well")
        for _ in until(30, 0.01):
            try:
                client.sendall(b"x")
            except (BrokenPipeError, ConnectionResetError):
                return
    pytest.fail("the server reads on")


def test_whoever_sends_nothing_more_does_not_hold_up_the_stop() -> None:
    server = HttpServer(lambda _: Response(HTTPStatus.OK, b""), "held up", 60, grace_s=0.05)
    [port] = free_ports(1)
    server.start("127.0.0.1", port)
    with closing(socket.create_connection(("127.0.0.1", port), timeout=60)) as idle:
        idle.sendall(b"GET /livez HTTP/1.1\r\n")
        server.stop()
        for thread in threads_called("held up"):
            thread.join(30)
        assert threads_called("held up") == []


def threads_called(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == name]


def test_its_thread_ends_with_it_or_where_the_port_is_taken_and_holds_no_process_up() -> None:
    first, second = (HttpServer(lambda _: Response(HTTPStatus.OK, b""), name) for name in ("first", "second"))
    [port] = free_ports(1)
    first.start("127.0.0.1", port)
    assert [thread.daemon for thread in threads_called("first")] == [True]
    with pytest.raises(OSError, match="in use"):
        second.start("127.0.0.1", port)
    assert threads_called("second") == []
    first.stop()
    assert threads_called("first") == []
