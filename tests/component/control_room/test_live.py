"""Live updates over HTTP: of all and of one order, after a break, to slow browsers, and to many of them."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from threading import Event
from typing import Any

import pytest

from backoffice.orders import Orders
from ensemble.operations import Unreachable
from ensemble.operations.view import Change
from services.control_room.__main__ import Server, server_config
from services.control_room.change_events import ChangeEvents
from services.control_room.live_events import LiveEvent, encode
from tests.component.control_room.conftest import RoomInMemory
from tests.support.order_messages import place_order

STREAMS = 500


class Browser:
    """One connection that reads a stream, or does not."""

    def __init__(self, address: tuple[str, int], path: str, last_event_id: str = "", window: int | None = None) -> None:
        self._socket = socket.socket()
        if window is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        self._socket.settimeout(20)
        self._socket.connect(address)
        last = f"Last-Event-ID: {last_event_id}\r\n" if last_event_id else ""
        host = f"{address[0]}:{address[1]}"
        self._socket.sendall(f"GET {path} HTTP/1.0\r\nHost: {host}\r\n{last}\r\n".encode())
        self._file, self._length = self._socket.makefile("rb"), 0

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def status(self) -> int:
        """Return the status, and read on to the body."""
        status = int(self._file.readline().split()[1])
        while line := self._file.readline().strip().lower():
            if line.startswith(b"content-length:"):
                self._length = int(line.split(b":")[1])
        return status

    def body(self) -> bytes:
        """Return what follows the headers, to the end."""
        return self._file.read(self._length)

    def lines(self) -> Iterator[str]:
        for line in self._file:
            yield line.decode().rstrip("\r\n")

    def event(self) -> tuple[str, str, Any]:
        """Return id, name and data of the next event."""
        fields: dict[str, str] = {}
        for line in self.lines():
            name, _, value = line.partition(": ")
            if name in {"id", "event", "data"}:
                fields[name] = value
            elif not line and "event" in fields:
                return fields["id"], fields["event"], json.loads(fields["data"])
        raise AssertionError("the stream has ended")


@contextmanager
def served(room: RoomInMemory) -> Iterator[tuple[str, int]]:
    """Run the real server in a thread."""
    with socket.create_server(("127.0.0.1", 0), backlog=STREAMS) as listener:
        config = server_config(room.room)
        config.lifespan = "off"
        server = Server(config, room.room)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        yield listener.getsockname()
        server.should_exit = True
        thread.join(60)
        assert not thread.is_alive(), "the server does not stop"


@pytest.fixture
def address(room: RoomInMemory) -> Iterator[tuple[str, int]]:
    room.update()
    with served(room) as address:
        yield address


def wait_for_streams(room: RoomInMemory, count: int) -> None:
    deadline = time.monotonic() + 30
    while room.room.live.open_streams != count:
        assert time.monotonic() < deadline, f"{room.room.live.open_streams} streams are open"
        threading.Event().wait(0.02)


@contextmanager
def browser(address: tuple[str, int], path: str, *more: Any) -> Iterator[Browser]:
    browser = Browser(address, path, *more)
    try:
        assert browser.status() == 200
        yield browser
    finally:
        browser.close()


def place(room: RoomInMemory, order_id: str) -> None:
    room.flow.flow.publish(place_order(order_id=order_id))
    room.update()


def test_one_order_is_told_its_state_and_no_other_s(room: RoomInMemory, address: tuple[str, int]) -> None:
    place(room, "o-1")
    with browser(address, "/api/orders/o-1/events") as page, browser(address, "/api/orders/o-2/events") as other:
        _, name, order = page.event()
        wait_for_streams(room, 2)
        place(room, "o-2")

        assert (name, order["order_id"], order["status"]) == ("order", "o-1", "completed")
        assert other.event()[2]["order_id"] == "o-2"


def test_all_are_told_of_orders_and_of_what_went_where(room: RoomInMemory, address: tuple[str, int]) -> None:
    with browser(address, "/api/events?event=order&event=traffic") as page:
        wait_for_streams(room, 1)
        place(room, "o-1")
        (_, first, order), (_, second, traffic) = page.event(), page.event()

    assert (first, order["order_id"], second) == ("order", "o-1", "traffic")
    assert {"sender": "order", "type": "OrderPlaced", "topic": "orders.events", "messages": 1} in traffic


def test_lists_are_told_once_however_many_orders_have_changed(room: RoomInMemory) -> None:
    ids = [f"o-{number}" for number in range(5)]
    for order_id in ids:
        place(room, order_id)

    events = ChangeEvents(room.room.view).events_of([Change("orders", order_id) for order_id in ids * 2])

    assert sorted(event.key for event in events if event.name == "order") == ids
    assert [json.loads(event.data) for event in events if event.name == "change"] == [
        {"projection": "orders", "key": ""}
    ]


def test_a_broken_stream_goes_on_from_where_it_was(room: RoomInMemory, address: tuple[str, int]) -> None:
    with browser(address, "/api/events?event=order") as page:
        wait_for_streams(room, 1)
        place(room, "o-1")
        last, _, _ = page.event()
    place(room, "o-2")

    with browser(address, "/api/events?event=order", last) as page:
        assert page.event()[2]["order_id"] == "o-2"
    with browser(address, "/api/events?event=order", "00000000-7") as page:
        assert page.event()[1:] == (
            "reset", {"lost": 0, "reason": "the control room was started anew, or the browser was away for too long"},
        )  # fmt: skip


def test_a_slow_browser_loses_updates_is_told_and_catches_up(room: RoomInMemory, address: tuple[str, int]) -> None:
    text = json.dumps("x" * 2_000)
    with browser(address, "/api/events?event=order", "", 4_096) as slow:
        wait_for_streams(room, 1)
        for _ in range(60):
            room.room.live.publish(LiveEvent("order", "o", text) for _ in range(500))
        room.room.live.publish([LiveEvent("order", "last", json.dumps("the last"))])
        events = [slow.event()]
        while events[-1][2] != "the last":
            events.append(slow.event())

    lost = [data["lost"] for _, name, data in events if name == "reset"]  # it may catch up, and fall behind again
    assert lost
    assert sum(lost) + len(events) - len(lost) == 60 * 500 + 1


def test_five_hundred_streams_are_served_and_end_with_the_process(room: RoomInMemory) -> None:
    room.update()
    with ExitStack() as stack:
        with served(room) as address:
            browsers = [stack.enter_context(browser(address, "/api/events?event=order")) for _ in range(STREAMS)]
            wait_for_streams(room, STREAMS)
            place(room, "o-1")

            assert {browser.event()[2]["order_id"] for browser in browsers} == {"o-1"}
        assert room.room.live.open_streams == 0


def test_a_quiet_stream_says_that_it_is_still_there(room: RoomInMemory) -> None:
    object.__setattr__(room.room, "settings", room.room.settings.model_copy(update={"heartbeat_s": 0.05}))
    room.update()
    with served(room) as address, browser(address, "/api/events") as page:
        lines = page.lines()
        assert ": still here" in (next(lines) for _ in range(20))


def test_waits_for_the_end_of_an_order(room: RoomInMemory, address: tuple[str, int]) -> None:
    with closing(Browser(address, "/api/orders/o-1?wait=completed&timeout=30")) as page:
        wait_for_streams(room, 1)
        place(room, "o-1")

        assert page.status() == 200
        assert json.loads(page.body())["order"]["status"] == "completed"


def test_waits_no_longer_than_it_is_asked_to(room: RoomInMemory) -> None:
    room.update()

    response = room.browser.get("/api/orders/o-9?wait=completed&timeout=0.05")

    assert response.status_code == 404


@pytest.mark.parametrize("text", ["a\u2028b", "a\u0085b"])
def test_a_text_that_unicode_breaks_into_lines_is_one_line_of_a_stream(text: str) -> None:
    data = json.dumps({"reason": text}, ensure_ascii=False)

    assert encode(LiveEvent("order", "o-1", data), "1") == f"id: 1\nevent: order\ndata: {data}\n\n".encode()


def test_a_stream_that_cannot_begin_is_not_left_open(room: RoomInMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise Unreachable("the view's file cannot be read")

    monkeypatch.setattr(Orders, "find", fail)

    response = room.browser.get("/api/orders/o-1/events")

    assert (response.status_code, room.room.live.open_streams) == (503, 0)


def test_more_changes_than_are_kept_have_browsers_read_anew(room: RoomInMemory) -> None:
    room.update()
    before = room.room.live.published
    room.room.view.feed.publish([Change("stock", "w-1")] * 20_000)
    room.update()

    [data] = [json.loads(event.data) for event, _ in room.room.live.after(before).events if event.name == "reset"]
    assert data["lost"] > 0


def test_a_fault_that_nobody_expected_is_the_view_s_problem_until_it_is_over(
    room: RoomInMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    room.update()

    def fail(*_: object) -> None:
        raise RuntimeError("a fault of its own")

    with monkeypatch.context() as faulty:
        faulty.setattr(type(room.room.view), "sync", fail)
        room.room.updates.start()
        during = problem_once(room, is_there=True)
    after = problem_once(room, is_there=False)

    assert (during, after) == ("the view failed: RuntimeError: a fault of its own", None)


def problem_once(room: RoomInMemory, *, is_there: bool) -> str | None:
    """Return the view's problem once there is one, or once there is none."""
    limit = time.monotonic() + 20
    while ((problem := room.room.updates.status.problem) is not None) is not is_there:
        assert time.monotonic() < limit, problem
        Event().wait(0.02)
    return problem
