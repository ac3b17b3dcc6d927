"""What the provider holds is what is due: all of it for a completed order, nothing for a cancelled one, never twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from backoffice.currencies import money
from verifier.case import Case
from verifier.facts import Booking


class Account:
    """The provider's entries of one order."""

    def __init__(self, bookings: list[Booking]) -> None:
        self.captured = [booking for booking in bookings if booking.status == "captured"]
        self.refunded = [each for each in bookings if each.kind == "refund" and each.status != "captured"]
        self.returned = sum(booking.amount for booking in self.refunded)
        self.net = sum(booking.amount for booking in self.captured) - self.returned
        self.currency = next((booking.currency for booking in self.captured if booking.currency), "")


def check_money(case: Case) -> Iterator[str]:
    """Compare an order's account at the provider with its terms and its messages."""
    if not (case.order_id and (case.bookings or case.by_type)):
        return
    account = Account(case.bookings)
    if not case.by_type:
        if case.is_whole and not case.states:
            yield "the provider has entries for it, but no message names this order"
        return
    yield from _within_itself(account)
    placed = case.placed.fields if case.placed else {}
    if placed or case.is_whole:
        yield from _against_terms(case, account, placed)
    for booking in account.captured if placed else ():
        if booking.currency != placed["currency"]:
            yield f"was charged in {booking.currency}, ordered in {placed['currency']}"
    yield from _against_events(case, account)


def _within_itself(account: Account) -> Iterator[str]:
    if len(account.captured) > 1:
        charges = ", ".join(f"{money(each.amount, each.currency or '')} under {each.key}" for each in account.captured)
        yield f"was charged {len(account.captured)} times: {charges}"
    taken = {booking.key: booking.amount for booking in account.captured}
    returned: Counter[str] = Counter()
    for booking in account.refunded:
        returned[booking.charge_key or ""] += booking.amount
    for key, amount in returned.items():
        if amount > taken.get(key, 0):
            given_back, paid = (money(each, account.currency) for each in (amount, taken.get(key, 0)))
            yield f"{given_back} was given back for {key}, under which {paid} was taken"


def _against_terms(case: Case, account: Account, placed: Mapping[str, Any]) -> Iterator[str]:
    owed, state = sum(line["quantity"] * line["unit_price"] for line in placed.get("lines", ())), case.state
    due, held = (money(each, account.currency or placed.get("currency", "")) for each in (owed, account.net))
    was_given_up = state and state.status == "compensation_failed" and "payment" not in state.names("owed")
    if case.completed:
        if account.net != owed:
            yield f"is completed: {due} is due, but {held} is held"
    elif case.cancelled or was_given_up:
        if account.net and not case.was_settled("payment"):
            yield f"is cancelled, but {held} is held"
    elif account.net > owed:
        yield f"{due} is due, but {held} is held"


def _against_events(case: Case, account: Account) -> Iterator[str]:
    charges = {booking.entry_id: booking.amount for booking in account.captured}
    for event in filter(case.evidence.in_cut, case.of_type("PaymentConfirmed")):
        charge_id, amount = event.fields["charge_id"], event.fields["amount"]
        if charges.get(charge_id, 0) != amount:
            captured = money(amount, event.fields["currency"])
            yield f"{event} says {captured} captured as {charge_id}, which the provider does not know"
    for event in filter(case.evidence.in_cut, case.of_type("PaymentRefunded")):
        if event.fields["amount"] != account.returned:
            given_back, returned = (money(e, account.currency) for e in (event.fields["amount"], account.returned))
            yield f"{event} says {given_back} given back, the provider says {returned}"
