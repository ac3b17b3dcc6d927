"""ETags: whoever has an answer already is told that it is still so, and is sent none."""

from __future__ import annotations

import re
from hashlib import blake2b
from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_TAG: Final = re.compile(r'(?:W/)?"([^"]*)"')
_JSON: Final = "application/json"


class ConditionalRequests:
    """Gives each answer of JSON to a GET an ETag, and answers 304 to an `If-None-Match` that has it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, with the body or without."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, _Sender(send, Headers(scope=scope).get("if-none-match")))


class _Sender:
    """Keeps an answer of JSON back until all of it is there, since its tag goes before it."""

    def __init__(self, send: Send, condition: str | None) -> None:
        self._send, self._condition = send, condition
        self._start: Message | None = None
        self._body = bytearray()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_tagged(message):
            self._start = message
        elif self._start is not None and message["type"] == "http.response.body":
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._answer(self._start, bytes(self._body))
        else:
            await self._send(message)

    async def _answer(self, start: Message, body: bytes) -> None:
        tag = blake2b(body, digest_size=12).hexdigest()
        headers = MutableHeaders(scope=start)
        headers["ETag"] = f'"{tag}"'
        if self._is_known(tag):
            start["status"] = HTTPStatus.NOT_MODIFIED.value
            for name in ("content-length", "content-type"):
                del headers[name]
            body = b""
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})

    def _is_known(self, tag: str) -> bool:
        return self._condition is not None and (self._condition.strip() == "*" or tag in _TAG.findall(self._condition))


def _is_tagged(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    return start["status"] == HTTPStatus.OK and headers.get("content-type", "").startswith(_JSON)
