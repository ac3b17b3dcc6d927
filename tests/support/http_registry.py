"""A schema registry that speaks HTTP on loopback, keeps its schemas in memory, and can be slow, starting, or refuse."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from ensemble.free_ports import HOST, free_ports

Answer = tuple[int, Any]
NOT_FOUND: Answer = (404, {"error_code": 40401, "message": "not found"})


class HttpRegistry:
    """Listens while a `with` lasts. `obstacle` is asked first: for None a request is answered, else as it says."""

    def __init__(self, obstacle: Callable[[], Answer | None] = lambda: None) -> None:
        self._obstacle = obstacle
        self._schemas: dict[int, str] = {}
        self._versions: dict[str, list[int]] = {}
        self._levels: dict[str, str] = {}
        self._lock = threading.Lock()
        [self._port] = free_ports(1)

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer((HOST, self._port), _handler_of(self))
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._port}"

    def answer(self, method: str, path: str, body: Any) -> Answer:
        """Return the status and the document for a request."""
        if (obstacle := self._obstacle()) is not None:
            return obstacle
        with self._lock:
            return self._answer(method, path.partition("?")[0].strip("/").split("/"), body)

    def _answer(self, method: str, path: list[str], body: Any) -> Answer:
        match method, path:
            case _, ["config", subject]:
                return self._answer_level(method, subject, body)
            case "GET", ["schemas", "ids", number]:
                return _found({"schema": self._schemas.get(int(number))}, is_found=int(number) in self._schemas)
            case "POST", ["subjects", subject, "versions"]:
                return 200, {"id": self._register(subject, body["schema"])}
        return self._answer_versions(path, body)

    def _answer_level(self, method: str, subject: str, body: Any) -> Answer:
        if method == "PUT":
            self._levels[subject] = body["compatibility"]
        return _found({"compatibilityLevel": self._levels.get(subject)}, is_found=subject in self._levels)

    def _answer_versions(self, path: list[str], body: Any) -> Answer:
        schemas = [self._schemas[number] for number in self._versions.get(path[1], [])]
        match path:
            case ["subjects", _, "versions"]:
                return _found(list(range(1, len(schemas) + 1)), is_found=bool(schemas))
            case ["subjects", subject, "versions", number]:
                return 200, self._version(subject, int(number))
            case ["subjects", subject] if body["schema"] in schemas:
                return 200, self._version(subject, schemas.index(body["schema"]) + 1)
        return NOT_FOUND

    def _register(self, subject: str, schema: str) -> int:
        number = next((n for n, known in self._schemas.items() if known == schema), len(self._schemas) + 1)
        self._schemas[number] = schema
        versions = self._versions.setdefault(subject, [])
        if number not in versions:
            versions.append(number)
        return number

    def _version(self, subject: str, version: int) -> dict[str, Any]:
        number = self._versions[subject][version - 1]
        return {"subject": subject, "version": version, "id": number, "schema": self._schemas[number]}


def _found(document: Any, *, is_found: bool) -> Answer:
    return (200, document) if is_found else NOT_FOUND


def slow_at_first(limit_s: float, delay_s: float) -> Callable[[], None]:
    """Return an obstacle: requests within `limit_s` of the first one are answered `delay_s` late."""
    first_at: list[float] = []

    def wait() -> None:
        first_at.append(time.monotonic())
        if first_at[-1] - first_at[0] < limit_s:
            time.sleep(delay_s)

    return wait


def _handler_of(registry: HttpRegistry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, document = registry.answer(self.command, self.path, json.loads(body) if body else None)
            content = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST = _serve  # noqa: N815  the names that the server calls

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    return Handler
