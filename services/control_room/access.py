"""Who may see, who may act, and from where: each request passes here first."""

from __future__ import annotations

import base64
import binascii
import getpass
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from ipaddress import ip_address
from typing import Annotated, Final
from urllib.parse import urlsplit

from fastapi import Depends, Request
from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ensemble.errors import ConfigurationError
from ensemble.operations import Forbidden
from services.control_room.problems import Problem, respond
from services.control_room.settings import ControlRoomSettings

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OPEN: Final = "/healthz"
_ELSEWHERE: Final = "the request was made by a page of another site"
_LOCAL_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_MOST_CLIENTS: Final = 10_000
_BURST_S: Final = 10.0
_NAME_LIMIT: Final = 200


class Role(StrEnum):
    """What a person may do."""

    SEE = "see"
    ACT = "act"


@dataclass(frozen=True)
class Person:
    """Who asks. The name goes into the audit with each action."""

    name: str
    role: Role


def _local_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user id without a name, as in containers
        return "operator"


@dataclass(frozen=True)
class Access:
    """What a deployment allows. Raises ConfigurationError if it would let in whoever reaches the port."""

    settings: ControlRoomSettings
    local_name: str = field(default_factory=_local_name)

    def __post_init__(self) -> None:
        """Refuse to be open to other machines."""
        settings = self.settings
        is_guarded = settings.token is not None or settings.proxy_user_header is not None
        if not is_guarded and settings.login == "required" and not is_loopback(settings.host):
            raise ConfigurationError(
                f"CONTROL_ROOM_HOST {settings.host} is open to other machines: set CONTROL_ROOM_TOKEN (who has it may "
                "act), or CONTROL_ROOM_PROXY_USER_HEADER behind a proxy that logs people in, or "
                "CONTROL_ROOM_LOGIN=none if only this machine reaches the port"
            )

    def person(self, headers: Mapping[str, str], client: str) -> Person:
        """Return who asks. Raises Problem 401 if that is not known."""
        settings = self.settings
        if settings.proxy_user_header is not None and self._is_proxy(client):
            return self._person_of_proxy(headers.get(settings.proxy_user_header.lower(), "").strip())
        if settings.token is None and settings.see_token is None and settings.proxy_user_header is None:
            return Person(_text(headers.get("x-operator", "")) or self.local_name, Role.ACT)
        return self._person_of_token(headers)

    def is_host(self, host: str) -> bool:
        """Return whether a request may name this host: another one is a page elsewhere that was pointed here."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name in _LOCAL_NAMES or name == self.settings.host or name in self.settings.allowed_hosts

    def _is_proxy(self, client: str) -> bool:
        try:
            address = ip_address(client)
        except ValueError:
            return False
        return any(address in network for network in self.settings.proxy_addresses)

    def _person_of_proxy(self, name: str) -> Person:
        if not name or len(name) > _NAME_LIMIT or not name.isprintable():
            header = self.settings.proxy_user_header
            raise Problem(HTTPStatus.UNAUTHORIZED, f"the proxy names nobody in {header}; log in there")
        may_act = name in self.settings.actors or "*" in self.settings.actors
        return Person(name, Role.ACT if may_act else Role.SEE)

    def _person_of_token(self, headers: Mapping[str, str]) -> Person:
        name, token = _credentials(headers.get("authorization", ""))
        name = name or _text(headers.get("x-operator", "")) or "token"
        roles = ((self.settings.token, Role.ACT), (self.settings.see_token, Role.SEE))
        for secret, role in roles:
            if secret is not None and token and _is_equal(secret, token):
                return Person(name, role)
        raise Problem(
            HTTPStatus.UNAUTHORIZED,
            "log in: your name, and the token as the password (or `Authorization: Bearer TOKEN`)",
            headers={"WWW-Authenticate": 'Basic realm="control room", charset="UTF-8"'},
        )


class Gate:
    """Refuses what comes from elsewhere, too often, too large, or from nobody known; names the person to the rest."""

    def __init__(self, app: ASGIApp, access: Access, clock: Callable[[], float] = time.monotonic) -> None:
        self._app, self._access = app, access
        settings = access.settings
        self._max_body, self._limiter = settings.max_body_bytes, RateLimiter(settings.requests_per_s, clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse with a problem document."""
        if scope["type"] != "http" or scope["path"] == _OPEN:
            await self._app(scope, receive, send)
            return
        try:
            scope.setdefault("state", {})["person"] = self._admit(scope)
        except Problem as problem:
            await respond(problem.document, problem.headers)(scope, receive, send)
            return
        await self._app(scope, _limited(receive, self._max_body), send)

    def _admit(self, scope: Scope) -> Person:
        headers = Headers(scope=scope)
        client = str(scope["client"][0]) if scope.get("client") else ""
        host = headers.get("host", "")
        if not self._access.is_host(host):
            reason = f"this is no host of the control room: {host!r}; CONTROL_ROOM_ALLOWED_HOSTS names others"
            raise Problem(HTTPStatus.BAD_REQUEST, reason)
        if not self._limiter.take(client):
            raise Problem(HTTPStatus.TOO_MANY_REQUESTS, "too many requests; slow down", headers={"Retry-After": "1"})
        if scope["method"] not in _SAFE and not is_same_origin(headers, host):
            raise Problem(HTTPStatus.FORBIDDEN, _ELSEWHERE)
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._max_body:
            raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _too_large(self._max_body))
        return self._access.person(headers, client)


class RateLimiter:
    """A bucket of requests for each client, filled at a rate up to the requests of ten seconds."""

    def __init__(self, requests_per_s: float, clock: Callable[[], float]) -> None:
        self._rate, self._capacity, self._clock = requests_per_s, requests_per_s * _BURST_S, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str) -> bool:
        """Return whether the client may ask once more now."""
        now = self._clock()
        available, filled_at = self._buckets.pop(client, (self._capacity, now))
        available = min(self._capacity, available + (now - filled_at) * self._rate)
        is_allowed = available >= 1
        self._buckets[client] = (available - is_allowed, now)
        if len(self._buckets) > _MOST_CLIENTS:
            self._buckets.popitem(last=False)
        return is_allowed


def is_same_origin(headers: Mapping[str, str], host: str) -> bool:
    """Return whether a request that changes something comes from our own page, or from no page at all."""
    origin = headers.get("origin")
    if origin is not None:
        return origin in {f"http://{host}", f"https://{host}"}
    return headers.get("sec-fetch-site", "none") in {"none", "same-origin"}


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _person_of(request: Request) -> Person:
    person = request.state.person
    assert isinstance(person, Person), "the gate sets it"
    return person


def _actor_of(request: Request) -> Person:
    person = _person_of(request)
    if person.role is not Role.ACT:
        raise Forbidden(f"{person.name} may see but not act", hint="ask for the role that may")
    return person


def _refuse_other_sites(request: Request) -> None:
    if not is_same_origin(request.headers, request.headers.get("host", "")):
        raise Problem(HTTPStatus.FORBIDDEN, _ELSEWHERE)


FROM_HERE: Final = Depends(_refuse_other_sites)
"""For a page that keeps something although it is a GET, which the gate lets pass whatever page has led to it."""
ActingPerson = Annotated[Person, Depends(_actor_of)]
"""Who asks for something to be done, and may."""


def _limited(receive: Receive, limit: int) -> Receive:
    """Return the same, ending the request when its body is larger than it may be, whatever its headers said."""
    read = 0

    async def receive_within_limit() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > limit:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _too_large(limit))
        return message

    return receive_within_limit


def _too_large(limit: int) -> str:
    return f"the body is larger than {limit} bytes, which is the most that is read here"


def _credentials(authorization: str) -> tuple[str, str]:
    """Return name and token of an `Authorization` header; empty texts where there are none."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return "", value.strip()
    if scheme.lower() != "basic":
        return "", ""
    try:
        name, _, token = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return _text(name), token


def _text(name: str) -> str:
    """Return a name as the audit takes it, or an empty text."""
    name = name.strip()
    return name if name.isprintable() and len(name) <= _NAME_LIMIT else ""


def _is_equal(secret: SecretStr, token: str) -> bool:
    return hmac.compare_digest(secret.get_secret_value().encode(), token.encode(errors="surrogateescape"))
