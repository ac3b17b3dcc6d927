"""What health and metrics answer to each request, to the last header."""

from __future__ import annotations

import json
from contextlib import closing
from http.client import HTTPConnection
from typing import NamedTuple

import pytest
from prometheus_client import CollectorRegistry, Gauge
from pydantic import SecretStr

from ensemble.free_ports import free_ports
from ensemble.observability.health import Guard, HealthServer

JSON = "application/json; charset=utf-8"


class Answer(NamedTuple):
    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def told(self) -> tuple[int, object, dict[str, str]]:
        """Status, reason and the headers that are not in each answer."""
        assert self.headers["Content-Type"] == JSON
        more = {name: text for name, text in self.headers.items() if name not in {"Content-Type", "Content-Length"}}
        return self.status, json.loads(self.body), {name: text for name, text in more.items() if name != "Connection"}


def answer(
    path: str = "/metrics", method: str = "GET", *, length: int = 0, header: str = "", guard: Guard | None = None
) -> Answer:
    registry = CollectorRegistry()
    Gauge("ensemble_answer", "Test", registry=registry).set(42)
    server = HealthServer(
        lambda: "a thread hangs", str, registry, guard, note=lambda: "a clock is wrong", clock=lambda: 0.0
    )
    [port] = free_ports(1)
    server.start("127.0.0.1", port)
    try:
        with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
            connection.request(method, path, b"x" * length, {"Authorization": header} if header else {})
            response = connection.getresponse()
            return Answer(response.status, response.read(), dict(response.getheaders()))
    finally:
        server.stop()


def test_each_path_says_what_it_is_there_for() -> None:
    live = {"status": "unavailable", "reason": "a thread hangs"}
    ready = {"status": "ok", "reason": "", "note": "a clock is wrong"}
    assert answer("/livez").told == (503, live, {})
    assert answer("/readyz").told == (200, ready, {})
    assert answer("/else").told == (404, {"reason": "there are /livez, /readyz and /metrics"}, {})
    metrics = answer("/metrics")
    assert (metrics.status, metrics.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    assert b"\nensemble_answer 42.0\n" in metrics.body
    head = answer("/metrics", "HEAD")
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(len(metrics.body)))


@pytest.mark.parametrize(("length", "status"), [(1_024, 200), (1_025, 413)])
def test_no_body_above_a_kilobyte_is_read(length: int, status: int) -> None:
    assert answer(length=length).status == status


def test_whoever_is_refused_is_told_what_to_do() -> None:
    without = {"reason": "send the token of ENSEMBLE_HTTP_TOKEN as `Authorization: Bearer ...`"}
    wrong = answer(header="Bearer b", guard=Guard(SecretStr("a")))
    assert wrong.told == (401, without, {"WWW-Authenticate": "Bearer"})
    assert answer(header="Bearer a", guard=Guard(SecretStr("a"))).status == 200
    many = answer(guard=Guard(requests_per_s=0.49))
    assert many.told == (429, {"reason": "too many requests"}, {"Retry-After": "1"})
    assert answer(guard=Guard(requests_per_s=0.5)).status == 200
    posted = answer(method="POST")
    assert posted.told == (405, {"reason": "only GET and HEAD are answered"}, {"Allow": "GET, HEAD"})
    large = answer("/livez", length=9_999)
    assert large.told == (413, {"reason": "nothing of that size is read here"}, {})
