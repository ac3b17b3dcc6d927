"""Where the processes of services answer over HTTP, and how they are asked."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, TypeVar

T = TypeVar("T")
_LONGEST_ANSWER: Final = 262_144


@dataclass(frozen=True)
class Endpoints:
    """Where the processes of each service listen, such as `http://127.0.0.1:8102`, and the token that they ask for."""

    urls: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    token: str = ""


def ask_processes(endpoints: Endpoints, question: Callable[[str], T]) -> dict[str, tuple[T, ...]]:
    """Return what the processes of each service answer to a question about their address; all are asked at once."""
    places = [(service, url) for service, urls in endpoints.urls.items() for url in urls]
    with ThreadPoolExecutor(max(len(places), 1)) as threads:
        pairs = list(zip(places, threads.map(lambda place: question(place[1]), places), strict=True))
    return {name: tuple(answer for (of, _), answer in pairs if of == name) for name in endpoints.urls}


def fetch(url: str, token: str, limit_s: float) -> bytes:
    """Return the body of an address, also of the status 503, with which a process says that it is not ready.

    No proxy is asked. Raises OSError, ValueError or HTTPException without an answer within `limit_s`.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310  an operator's own
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=limit_s) as response:
            return bytes(response.read(_LONGEST_ANSWER))
    except urllib.error.HTTPError as error:
        with error:
            return error.read(_LONGEST_ANSWER)
