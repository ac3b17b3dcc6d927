"""Whoever opens a connection and sends nothing, or half a request, does not keep it; all others are served."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from resource import RLIM_INFINITY, RLIMIT_NOFILE
from typing import Any, Final

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from services.control_room import connections as limited
from services.control_room.connections import (
    REQUEST_S,
    BoundedConnection,
    connections_within,
    enough_files,
    most_connections,
)

GET: Final = b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n"
POST: Final = b"POST /api/orders HTTP/1.1\r\nHost: here\r\nContent-Length: 3\r\n\r\n"


class Transport:
    """The other end; `ended` says how the connection did."""

    ended = ""

    def get_extra_info(self, _: str) -> None:
        return None

    def is_closing(self) -> bool:
        return self.ended != ""

    def close(self) -> None:
        self.ended = "closed"

    def abort(self) -> None:
        self.ended = "aborted"

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Timer:
    def __init__(self, delay_s: float, call: Callable[[], None]) -> None:
        self.delay_s, self.call, self.is_over = delay_s, call, False

    def cancel(self) -> None:
        self.is_over = True


class Loop:
    """An event loop whose timers the test fires, and that runs no request."""

    def __init__(self) -> None:
        self.timers: list[Timer] = []

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Timer:
        self.timers.append(Timer(delay_s, call))
        return self.timers[-1]

    def create_task(self, request: Coroutine[Any, Any, None], **_: Any) -> Any:
        request.close()
        return self

    def add_done_callback(self, _: object) -> None: ...

    def pass_limit(self) -> None:
        """Let the limit of a request pass for all that wait for one."""
        for timer in self.timers:
            if timer.delay_s == REQUEST_S and not timer.is_over:
                timer.call()


class App:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


CONFIG: Final = Config(App(), interface="asgi3", log_config=None)


def connect(loop: Loop, others: int = 0) -> tuple[BoundedConnection, Transport]:
    """Open a connection beside so many other ones."""
    state, transport = ServerState(), Transport()
    stand_ins: Any = (loop, transport, {object() for _ in range(others)})
    connection = BoundedConnection(CONFIG, state, {}, stand_ins[0])
    state.connections.update(stand_ins[2])
    connection.connection_made(stand_ins[1])
    return connection, transport


@pytest.mark.parametrize(
    "parts",
    [(), (GET[:9],), (GET[:9], GET[9:20]), (POST,), (POST, b"{")],
    ids=["nothing", "line", "head", "no body", "body"],
)
def test_half_a_request_is_hung_up_on_however_slowly_it_comes(parts: tuple[bytes, ...]) -> None:
    loop = Loop()
    connection, transport = connect(loop)
    for part in parts:
        connection.data_received(part)
    loop.pass_limit()
    assert transport.ended == "closed"
    assert len(loop.timers) == 1


@pytest.mark.parametrize("parts", [(GET,), (POST, b"{}x")], ids=["GET", "POST"])
def test_the_answer_to_a_whole_request_may_take_any_time(parts: tuple[bytes, ...]) -> None:
    loop = Loop()
    connection, transport = connect(loop)
    for part in parts:
        connection.data_received(part)
    loop.pass_limit()
    assert transport.ended == ""


@pytest.mark.parametrize(("missing", "ended"), [(1, ""), (0, "aborted")])
def test_there_are_no_more_connections_than_files(missing: int, ended: str) -> None:
    _, transport = connect(Loop(), most_connections() - missing)
    assert transport.ended == ended


def test_a_connection_that_has_ended_is_waited_for_no_longer() -> None:
    loop = Loop()
    connection, transport = connect(loop)
    connection.connection_lost(None)
    assert not connection.connections
    transport.ended = ""
    loop.pass_limit()
    assert transport.ended == ""


@pytest.mark.parametrize(
    ("files", "connections"),
    [(RLIM_INFINITY, 10_000), (10_000, 9_800), (400, 200), (399, 199), (1_000, 800), (100, 50)],
)
def test_some_files_are_left_for_all_else(files: int, connections: int) -> None:
    assert connections_within(files) == connections


@pytest.mark.parametrize(
    ("soft", "hard", "enough"),
    [
        (1_024, RLIM_INFINITY, 10_000),
        (1_024, 524_288, 10_000),
        (1_024, 4_096, 4_096),
        (1_024, 1_024, 1_024),
        (10_001, RLIM_INFINITY, 10_001),
        (20_000, 524_288, 20_000),
        (RLIM_INFINITY, RLIM_INFINITY, RLIM_INFINITY),
    ],
)
def test_a_process_asks_for_as_many_files_as_are_enough_and_gives_none_back(soft: int, hard: int, enough: int) -> None:
    assert enough_files(soft, hard) == enough


class Limits:
    """The limits of a process, as the system has them; some systems allow less than they say."""

    RLIMIT_NOFILE, RLIM_INFINITY = RLIMIT_NOFILE, RLIM_INFINITY

    def __init__(self, soft: int, refusal: Exception | None = None) -> None:
        self.limits, self.refusal, self.asked = (soft, RLIM_INFINITY), refusal, list[tuple[int, int]]()

    def getrlimit(self, which: int) -> tuple[int, int]:
        assert which == RLIMIT_NOFILE
        return self.limits

    def setrlimit(self, which: int, limits: tuple[int, int]) -> None:
        assert which == RLIMIT_NOFILE
        self.asked.append(limits)
        if self.refusal is not None:
            raise self.refusal
        self.limits = limits


@pytest.mark.parametrize(
    ("limits", "asked", "connections"),
    [
        (Limits(1_024), [(10_000, RLIM_INFINITY)], 9_800),
        (Limits(1_024, OSError()), [(10_000, RLIM_INFINITY)], 824),
        (Limits(1_024, ValueError()), [(10_000, RLIM_INFINITY)], 824),
        (Limits(10_000), [], 9_800),
    ],
)
def test_a_process_has_as_many_connections_as_the_system_lets_it_have_files(
    limits: Limits, asked: list[tuple[int, int]], connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limited, "resource", limits)
    assert most_connections.__wrapped__() == connections
    assert limits.asked == asked
