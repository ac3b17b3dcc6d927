"""What the provider holds is what is due: all of it for a completed order, nothing for a cancelled one, never twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from backoffice.currencies import money
from verifier.facts import Booking, Message, Violation
from verifier.snapshot import Snapshot

CHECK = "money"


@dataclass(frozen=True)
class Account:
    """The provider's entries of one order."""

    captured: list[Booking] = field(default_factory=list)
    refunded: list[Booking] = field(default_factory=list)

    @property
    def taken(self) -> int:
        return sum(booking.amount for booking in self.captured)

    @property
    def returned(self) -> int:
        return sum(booking.amount for booking in self.refunded)

    @property
    def currency(self) -> str:
        """Return the currency of the charges, empty without one."""
        return next((booking.currency for booking in self.captured if booking.currency), "")

    @property
    def net(self) -> int:
        return self.taken - self.returned


def check_money(snapshot: Snapshot) -> list[Violation]:
    """Compare every order's account at the provider with its terms and its messages."""
    accounts = _accounts(snapshot.bookings or ())
    if snapshot.bookings is None:
        return []
    return [
        Violation(CHECK, order_id, reason)
        for order_id in accounts.keys() | snapshot.accepted.keys()
        for reason in _judge(snapshot, order_id, accounts.get(order_id, Account()))
    ]


def due(placed: Message) -> int:
    """Return the price of the order in minor units."""
    return sum(line["quantity"] * line["unit_price"] for line in placed.fields["lines"])


def _accounts(bookings: tuple[Booking, ...]) -> Mapping[str, Account]:
    accounts: dict[str, Account] = defaultdict(Account)
    for booking in bookings:
        account = accounts[booking.order_id]
        if booking.status == "captured":
            account.captured.append(booking)
        elif booking.kind == "refund":
            account.refunded.append(booking)
    return dict(accounts)


def _judge(snapshot: Snapshot, order_id: str, account: Account) -> Iterator[str]:
    if order_id not in snapshot.orders:
        if snapshot.is_whole:
            yield "the provider has entries for it, but no message names this order"
        return
    yield from _within_itself(account)
    placed = snapshot.accepted.get(order_id)
    if placed is not None or snapshot.is_whole:
        yield from _against_terms(snapshot, order_id, account, placed)
    if placed is not None:
        yield from _in_currency(account, placed.fields["currency"])
    yield from _against_events(snapshot, order_id, account)


def _within_itself(account: Account) -> Iterator[str]:
    if len(account.captured) > 1:
        charges = ", ".join(
            f"{money(booking.amount, booking.currency or '')} under {booking.key}" for booking in account.captured
        )
        yield f"was charged {len(account.captured)} times: {charges}"
    taken = {booking.key: booking.amount for booking in account.captured}
    returned: dict[str, int] = defaultdict(int)
    for booking in account.refunded:
        returned[booking.charge_key or ""] += booking.amount
    for key, amount in returned.items():
        if amount > taken.get(key, 0):
            given_back, paid = (money(each, account.currency) for each in (amount, taken.get(key, 0)))
            yield f"{given_back} was given back for {key}, under which {paid} was taken"


def _against_terms(snapshot: Snapshot, order_id: str, account: Account, placed: Message | None) -> Iterator[str]:
    owed, currency = due(placed) if placed else 0, account.currency or (placed.fields["currency"] if placed else "")
    due_sum, net_sum = money(owed, currency), money(account.net, currency)
    if order_id in snapshot.completed:
        if account.net != owed:
            yield f"is completed: {due_sum} is due, but {net_sum} is held"
    elif order_id in snapshot.cancelled or _is_settled(snapshot, order_id):
        if account.net and not snapshot.was_settled(order_id, "payment"):
            yield f"is cancelled, but {net_sum} is held"
    elif account.net > owed:
        yield f"{due_sum} is due, but {net_sum} is held"


def _is_settled(snapshot: Snapshot, order_id: str) -> bool:
    """Return whether the compensation has failed without the payment being owed."""
    state = snapshot.state_of(order_id)
    return state is not None and state.status == "compensation_failed" and "payment" not in state.owed


def _in_currency(account: Account, currency: str) -> Iterator[str]:
    for booking in account.captured:
        if booking.currency != currency:
            yield f"was charged in {booking.currency}, ordered in {currency}"


def _against_events(snapshot: Snapshot, order_id: str, account: Account) -> Iterator[str]:
    charges = {booking.entry_id: booking.amount for booking in account.captured}
    for event in snapshot.of_order(order_id, "PaymentConfirmed"):
        if snapshot.in_cut(event):
            charge_id, amount = event.fields["charge_id"], event.fields["amount"]
            if charges.get(charge_id, 0) != amount:
                captured = money(amount, event.fields["currency"])
                yield f"{event} says {captured} captured as {charge_id}, which the provider does not know"
    for event in snapshot.of_order(order_id, "PaymentRefunded"):
        if snapshot.in_cut(event) and event.fields["amount"] != account.returned:
            given_back, returned = (
                money(each, account.currency) for each in (event.fields["amount"], account.returned)
            )
            yield f"{event} says {given_back} given back, the provider says {returned}"
