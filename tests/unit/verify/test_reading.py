"""What the check makes of raw records, of keys, and of the payment provider's answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.verify.placement import partition_of
from cli.verify.provider import read_ledger
from cli.verify.reader import CannotCheck
from ensemble import partitioning
from tests.support.recorded_flow.flow import RecordedFlow
from tests.support.recorded_flow.orders import clean_flow, place
from tests.support.recorded_flow.records import PARTITIONS, TOPICS, gathered

ENTRY = {
    "seq": 1,
    "kind": "charge",
    "key": "o-1:charge",
    "order_id": "o-1",
    "amount": 5,
    "currency": "EUR",
    "status": "captured",
    "reason": None,
    "id": "ch-1",
    "charge_key": None,
    "at": 1,
}


@contextmanager
def provider(*answers: Any) -> Iterator[str]:
    """Gives these answers, one a request, and the last one for ever."""
    remaining = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(remaining.pop(0) if len(remaining) > 1 else remaining[0]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@given(st.binary(min_size=1, max_size=40), st.integers(1, 50))
def test_places_keys_as_the_runtime_and_java_do(key: bytes, partitions: int) -> None:
    assert partition_of(key, partitions) == partitioning.partition_of(key, partitions)


def test_reads_all_pages_of_the_ledger() -> None:
    with provider({"entries": [ENTRY], "next": 1}, {"entries": [ENTRY | {"key": "k2"}], "next": None}) as url:
        assert [booking.key for booking in read_ledger(url, 5)] == ["o-1:charge", "k2"]


@pytest.mark.parametrize("answer", [{}, [], {"entries": [{}], "next": None}, {"entries": [], "next": "never"}])
def test_something_else_that_answers_is_no_provider(answer: Any) -> None:
    with provider(answer) as url, pytest.raises(CannotCheck, match="no payment provider"):
        read_ledger(url, 5)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "file:///etc/passwd", "http://"])
def test_a_provider_that_cannot_be_reached_is_said(url: str) -> None:
    with pytest.raises(CannotCheck, match="payment provider"):
        read_ledger(url, 5)


def test_hostile_headers_and_keys_do_no_harm() -> None:
    flow = clean_flow()
    record = place(flow, "o-new")
    record.raw_key = b"\xff\xfe"
    record.headers_now |= {"ce_id": b"\xff", "traceparent": b"\xff" * 55, "x": b""}
    flow.last("OrderState", "o-new").raw_key = b"\xff"

    assert "OrderPlaced" in flow.violation_lines("inputs")


def test_state_that_cannot_be_read_is_told() -> None:
    flow = RecordedFlow()
    place(flow, "o-new")
    flow.last("OrderState").raw_value = b"\0garbage"

    read = gathered(flow.records, dict.fromkeys(TOPICS, PARTITIONS), flow.ends)

    assert read.states == {}
    assert "orchestrator.order-state" in read.unreadable[0]
