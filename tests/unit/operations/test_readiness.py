"""A process that is not ready says why; one that does not answer, or answers something else, is not ready either."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from ensemble.free_ports import free_ports
from ensemble.observability.health import Guard, HealthServer
from ensemble.operations import Endpoints
from ensemble.operations.readiness import ask_readiness

TOKEN = "s3cret"


@contextmanager
def serving(why_not_ready: Callable[[], str], note: str = "") -> Iterator[str]:
    [port] = free_ports(1)
    server = HealthServer(str, why_not_ready, CollectorRegistry(), Guard(SecretStr(TOKEN)), note=lambda: note)
    server.start("127.0.0.1", port)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()


@contextmanager
def elsewhere(body: bytes) -> Iterator[str]:
    """Serve something else than a service."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name that its base class calls
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_all_processes_are_asked_with_the_token_and_tell_where_they_are_stuck() -> None:
    with serving(lambda: "stuck at shop.events/0/7 for 31 s: no") as stuck, serving(str, "a clock is wrong") as ready:
        answers = ask_readiness(Endpoints({"shop": (stuck, ready)}, TOKEN))["shop"]
    assert [(answer.url, answer.is_ready, answer.reason, answer.note) for answer in answers] == [
        (stuck, False, "stuck at shop.events/0/7 for 31 s: no", ""),
        (ready, True, "", "a clock is wrong"),
    ]


def test_an_answer_that_cannot_be_read_is_no_answer() -> None:
    with elsewhere(b"[" * 30_000) as url:
        [answer] = ask_readiness(Endpoints({"shop": (url,)}))["shop"]
    assert not answer.is_ready
    assert answer.reason.startswith(f"{url} does not answer: ")


@pytest.mark.parametrize(
    ("body", "is_ready", "reason", "note"),
    [
        (b"{}", False, "not ready", ""),
        (b'{"status": "ok"}', True, "", ""),
        (b'{"status": "ok", "reason": "soon", "note": "3 s behind"}', True, "soon", "3 s behind"),
        (b'{"status": "no", "reason": "restoring", "note": null}', False, "restoring", ""),
    ],
)
def test_an_answer_is_ready_only_where_it_says_ok(body: bytes, *, is_ready: bool, reason: str, note: str) -> None:
    with elsewhere(body) as url:
        [answer] = ask_readiness(Endpoints({"shop": (f"{url}/",)}), 60)["shop"]
    assert answer.model_dump() == {"url": f"{url}/", "is_ready": is_ready, "reason": reason, "note": note}


def test_another_document_is_no_service_of_this_kind() -> None:
    with elsewhere(b"[1]") as url:
        [answer] = ask_readiness(Endpoints({"shop": (url,)}), 60)["shop"]
    assert (answer.is_ready, answer.reason) == (False, f"{url} does not answer: it is no service of this kind")


def test_a_refusal_is_a_reason() -> None:
    with serving(str) as url:
        [answer] = ask_readiness(Endpoints({"shop": (url,)}, "wrong"))["shop"]
    assert not answer.is_ready
    assert "ENSEMBLE_HTTP_TOKEN" in answer.reason


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "nonsense", "http://127.0.0.1:notaport"])
def test_what_does_not_answer_is_named(url: str) -> None:
    [answer] = ask_readiness(Endpoints({"shop": (url,)}))["shop"]
    assert not answer.is_ready
    assert answer.reason.startswith(f"{url} does not answer: ")
