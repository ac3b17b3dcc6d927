"""What the processes of services say of themselves on /readyz: which record one is stuck at, and since when."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any, Final

from ensemble.operations.values import Result

_LIMIT_S: Final = 1.0
_LONGEST_ANSWER: Final = 65_536


@dataclass(frozen=True)
class Endpoints:
    """Where the processes of each service listen, such as `http://127.0.0.1:8102`, and the token that they ask for."""

    urls: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    token: str = ""


class Readiness(Result):
    """What one process answers. `reason` says why it is not ready, `note` what it tells beside."""

    url: str
    is_ready: bool
    reason: str
    note: str = ""


def ask_readiness(endpoints: Endpoints, limit_s: float = _LIMIT_S) -> dict[str, tuple[Readiness, ...]]:
    """Return what all processes answer, by service: a process that does not answer in time is not ready. Never fails.

    All are asked at once.
    """
    places = [(service, url) for service, urls in endpoints.urls.items() for url in urls]
    with ThreadPoolExecutor(max(len(places), 1)) as threads:
        answers = threads.map(lambda place: _ask(place[1], endpoints.token, limit_s), places)
        pairs = list(zip(places, answers, strict=True))
    return {name: tuple(answer for (of, _), answer in pairs if of == name) for name in endpoints.urls}


def _ask(url: str, token: str, limit_s: float) -> Readiness:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        request = urllib.request.Request(f"{url.rstrip('/')}/readyz", headers=headers)  # noqa: S310  an operator's own
        return _answer(url, _open(request, limit_s))
    except (OSError, ValueError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        return Readiness(url=url, is_ready=False, reason=f"{url} does not answer: {reason}")


def _open(request: urllib.request.Request, limit_s: float) -> bytes:
    """Return the body, also of the status 503, with which a process says that it is not ready."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=limit_s) as response:
            return bytes(response.read(_LONGEST_ANSWER))
    except urllib.error.HTTPError as error:
        with error:
            return error.read(_LONGEST_ANSWER)


def _answer(url: str, body: bytes) -> Readiness:
    fields: Any = json.loads(body)
    if not isinstance(fields, dict):
        raise ValueError("it is no service of this kind")  # noqa: TRY004  it is told like any other wrong answer
    reason, note = str(fields.get("reason") or ""), str(fields.get("note") or "")
    is_ready = fields.get("status") == "ok"
    return Readiness(url=url, is_ready=is_ready, reason=reason if is_ready else reason or "not ready", note=note)
