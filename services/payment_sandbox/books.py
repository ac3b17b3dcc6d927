"""The provider's rules: a key is final once, a refund closes its charge, and waiting requests share one commit."""

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_hex

from services.payment_sandbox.ledger import Entry, Ledger
from services.payment_sandbox.problems import Problem
from services.payment_sandbox.requests import Charge, Refund


class Books:
    """Final results by idempotency key. What was returned is on disk; nothing is booked twice under a key."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._next_seq = ledger.last_seq + 1
        self._running: dict[str, str | None] = {}
        self._staged: list[tuple[Entry, asyncio.Future[Entry]]] = []

    def find(self, key: str, fingerprint: str) -> Entry | None:
        """Return the final result of an equal request; refuse (409, 422) a key that is running or used otherwise."""
        if key in self._running:
            _refuse_other_use(key, self._running[key] or fingerprint, fingerprint)
            raise _still_running(key)
        entry = self._ledger.find(key)
        if entry is not None:
            _refuse_other_use(key, entry.fingerprint, fingerprint)
        return entry

    def is_running(self, key: str) -> bool:
        """Whether the result of this key is still to come."""
        return key in self._running

    @contextmanager
    def running(self, key: str, fingerprint: str | None) -> Iterator[None]:
        """Lock a key: a caller that uses the key meanwhile is refused and has to ask again."""
        self._running[key] = fingerprint
        try:
            yield
        finally:
            del self._running[key]

    async def charge(self, key: str, charge: Charge, declined_because: str | None) -> Entry:
        """Books the verdict, once it is on disk, unless a refund has closed the key. The caller holds the key."""
        reason = "closed" if self._ledger.find_refund_of(key) else declined_because
        return await self._book(
            Entry(
                seq=self._take_seq(), kind="charge", key=key, fingerprint=charge.fingerprint(),
                order_id=charge.order_id, amount=charge.amount, currency=charge.currency,
                status="declined" if reason else "captured", reason=reason,
                entry_id=f"ch_{token_hex(8)}", charge_key=None, at=_now_ms(),
            )
        )  # fmt: skip

    async def refund(self, key: str, refund: Refund) -> Entry:
        """Give back what is captured under the charge key and not yet given back, and close that key."""
        if key == refund.charge_key:
            raise Problem(422, "Not a charge", f"{key} is the key of this refund", "charge_key")
        if self.is_running(refund.charge_key):
            raise _still_running(refund.charge_key)
        captured = self._captured(refund)
        with self.running(key, refund.fingerprint()), self.running(refund.charge_key, None):
            return await self._book(
                Entry(
                    seq=self._take_seq(), kind="refund", key=key, fingerprint=refund.fingerprint(),
                    order_id=refund.order_id, amount=captured.amount if captured else 0,
                    currency=captured.currency if captured else None, status="refunded", reason=refund.reason,
                    entry_id=f"re_{token_hex(8)}", charge_key=refund.charge_key, at=_now_ms(),
                )
            )  # fmt: skip

    def _captured(self, refund: Refund) -> Entry | None:
        charge = self._ledger.find(refund.charge_key)
        if charge is None:
            return None
        if charge.kind != "charge":
            raise Problem(422, "Not a charge", f"{refund.charge_key} is the key of a refund", "charge_key")
        if charge.order_id != refund.order_id:
            raise Problem(422, "Another order", f"{refund.charge_key} charged {charge.order_id}", "order_id")
        returned = self._ledger.find_refund_of(refund.charge_key)
        return charge if charge.status == "captured" and returned is None else None

    def _book(self, entry: Entry) -> asyncio.Future[Entry]:
        loop = asyncio.get_running_loop()
        if not self._staged:
            loop.call_soon(self._commit)
        final: asyncio.Future[Entry] = loop.create_future()
        self._staged.append((entry, final))
        return final

    def _commit(self) -> None:
        staged, self._staged = self._staged, []
        try:
            self._ledger.append([entry for entry, _ in staged])
        except sqlite3.Error as error:
            refusal = Problem(503, "Ledger unavailable", f"nothing was booked: {error}")
            _settle(staged, refusal)
        else:
            _settle(staged, None)

    def _take_seq(self) -> int:
        self._next_seq += 1
        return self._next_seq - 1


def _settle(staged: list[tuple[Entry, asyncio.Future[Entry]]], refusal: Problem | None) -> None:
    for entry, final in staged:
        if final.done():
            continue
        if refusal is None:
            final.set_result(entry)
        else:
            final.set_exception(refusal)


def _refuse_other_use(key: str, first_fingerprint: str, fingerprint: str) -> None:
    if first_fingerprint != fingerprint:
        detail = f"{key} was used for another request: repeat that one, or take a new key"
        raise Problem(422, "Idempotency-Key is already used", detail, "Idempotency-Key")


def _still_running(key: str) -> Problem:
    return Problem(409, "A request is outstanding for this Idempotency-Key", f"{key} is not final yet: ask again")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
