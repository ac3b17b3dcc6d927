"""Proxies of the environment: requests to this machine never take one; others name it when they fail."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ensemble.errors import SchemasUnavailable
from ensemble.kafka.registry.client import open_registry
from ensemble.proxies import exempt_loopback, proxy_variable
from ensemble.settings import RegistrySettings
from verifier.provider import read_ledger

NOBODY = "http://127.0.0.1:9"


class Ledger(BaseHTTPRequestHandler):
    """Answers as a registry without subjects, and as a provider without entries."""

    def do_GET(self) -> None:
        content = {"entries": [], "next": None} if "ledger" in self.path else []
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Ledger) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture(autouse=True)
def proxied(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("HTTP_PROXY", NOBODY)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("exempt", ["", "localhost", ".example.org"])
def test_loopback_is_asked_directly(host: str, exempt: str, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", exempt)
    url = f"http://{host}:{port}"

    registry = open_registry(RegistrySettings(url=url))

    assert registry.versions("any") == []
    assert list(read_ledger(url, 5.0)) == []


def test_another_host_names_the_variable() -> None:
    registry = open_registry(RegistrySettings(url="http://registry.example.org:8081"))
    with pytest.raises(SchemasUnavailable, match=r"through the proxy that HTTP_PROXY names; NO_PROXY exempts hosts"):
        registry.versions("any")


def test_no_variable_is_named_where_none_is_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    assert proxy_variable("http://registry:8081") == "HTTP_PROXY"
    assert proxy_variable("https://registry:8081") == ""
    monkeypatch.setenv("ALL_PROXY", NOBODY)
    assert proxy_variable("https://registry:8081") == "ALL_PROXY"
    monkeypatch.setenv("no_proxy", "registry")
    assert proxy_variable("http://registry:8081") == ""


def test_what_was_exempt_stays_so() -> None:
    environment = {"NO_PROXY": "a.example.org, localhost"}
    exempt_loopback(environment)
    exempt_loopback(environment)
    assert environment["NO_PROXY"] == environment["no_proxy"]
    assert environment["NO_PROXY"].split(",") == [
        "a.example.org", "localhost", "127.0.0.1", "127.0.0.0/8", "::1", "[::1]",
    ]  # fmt: skip
