"""Reads the payment provider's ledger over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPException
from typing import Any, Final
from urllib.request import urlopen

from ensemble.proxies import exempt_loopback
from verifier.facts import Booking
from verifier.source import CannotCheck

_PAGE: Final = 10_000
_FIELDS: Final = ("kind", "key", "order_id", "amount", "currency", "status", "id", "charge_key")
"""Those of an entry that a `Booking` begins with, in its order."""
_KINDS: Final = (str, str, str, int, str | None, str, str, str | None, int)
"""What a `Booking` consists of."""


def read_ledger(url: str, timeout_s: float) -> Iterator[Booking]:
    """Yield every entry, in order. Raises CannotCheck if the provider's answer is invalid."""
    if not url.startswith(("http://", "https://")):
        raise CannotCheck(f"the payment provider's address {url!r} is no http:// or https:// address")
    after: int | None = 0
    while after is not None:
        page = _page(f"{url.rstrip('/')}/v1/ledger?after={after}&limit={_PAGE}", timeout_s)
        try:
            bookings = [_booking(entry) for entry in page["entries"]]
            after = _following(page["next"], after)
        except (KeyError, TypeError, ValueError):
            raise CannotCheck(f"what answers at {url} is no payment provider: its ledger has no entries") from None
        yield from bookings


def _following(following: int | None, after: int) -> int | None:
    """Return where the next page begins, or None after the last one. Raises CannotCheck if it goes backwards."""
    if following is not None and following <= after:
        raise ValueError(following)
    return following


def _page(url: str, timeout_s: float) -> Any:
    exempt_loopback()
    try:
        with urlopen(url, timeout=timeout_s) as answer:  # noqa: S310  its scheme was checked
            return json.load(answer)
    except (OSError, ValueError, RecursionError, HTTPException) as error:
        why = getattr(error, "reason", error)
        raise CannotCheck(f"the payment provider's ledger at {url} cannot be read: {why}; is the sandbox up?") from None


def _booking(entry: dict[str, Any]) -> Booking:
    """Return the booking of an entry. Raises KeyError or TypeError if it is none."""
    booking = Booking._make([*(entry[name] for name in _FIELDS), entry.get("at", 0)])
    if not all(map(isinstance, booking, _KINDS)):
        raise TypeError(f"{booking} is no entry")
    return booking
