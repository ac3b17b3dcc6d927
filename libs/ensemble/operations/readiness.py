"""What the processes of services say of themselves on /readyz: which record one is stuck at, and since when."""

from __future__ import annotations

import json
from http.client import HTTPException
from typing import Any, Final

from ensemble.operations.endpoints import Endpoints, ask_processes, fetch
from ensemble.operations.values import Result

_LIMIT_S: Final = 1.0


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
    return ask_processes(endpoints, lambda url: _ask(url, endpoints.token, limit_s))


def _ask(url: str, token: str, limit_s: float) -> Readiness:
    try:
        return _answer(url, fetch(f"{url.rstrip('/')}/readyz", token, limit_s))
    except (OSError, ValueError, RecursionError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        reason = getattr(reason, "strerror", None) or reason
        return Readiness(url=url, is_ready=False, reason=f"{url} does not answer: {reason}")


def _answer(url: str, body: bytes) -> Readiness:
    fields: Any = json.loads(body)
    if not isinstance(fields, dict):
        raise ValueError("it is no service of this kind")  # noqa: TRY004  it is told like any other wrong answer
    reason, note = str(fields.get("reason") or ""), str(fields.get("note") or "")
    is_ready = fields.get("status") == "ok"
    return Readiness(url=url, is_ready=is_ready, reason=reason if is_ready else reason or "not ready", note=note)
