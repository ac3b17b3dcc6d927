"""What the ledger holds for an order is what was ordered, and leaves the warehouse, or comes back, as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from verifier.case import Case
from verifier.facts import Finding, Message


class Holding:
    """What warehouses have held, given back and sent for one order, by sku."""

    def __init__(self, case: Case) -> None:
        self.reserved, self.released, self.dispatched = (
            _pieces(case.of_type(kind)) for kind in ("StockReserved", "StockReleased", "StockDispatched")
        )
        self.still_reserved = self.reserved - self.released - self.dispatched


def check_stock(case: Case) -> Iterator[Finding]:
    """Compare an order's reservation with its terms, and a receipt's booking with what was received."""
    if case.order_id:
        yield from _judge(case)
    else:
        yield from _booked_twice(case)
        for fact in case.messages:
            if fact.type == "StockReceived" and not fact.fault:
                yield from ((fact, reason) for reason in _booked_otherwise(case, fact))


def _judge(case: Case) -> Iterator[str]:
    if case.placed is None:
        if case.is_whole and any(map(case.evidence.in_cut, case.of_type("StockReserved"))):
            yield "stock is reserved for it, but nobody placed it"
        return
    holding, ordered = Holding(case), _pieces_of(case.placed.fields["lines"])
    if holding.reserved and holding.reserved != ordered:
        yield f"was reserved {_text(holding.reserved)}, ordered {_text(ordered)}"
    if case.completed:
        if case.is_whole:
            yield from _of_completed(case, holding, ordered)
    elif case.cancelled and not case.was_settled("reservation"):
        yield from _of_cancelled(holding)


def _of_completed(case: Case, holding: Holding, ordered: Counter[str]) -> Iterator[str]:
    commands = case.of_type("DispatchStock")
    if holding.still_reserved == ordered and any(not case.evidence.was_read("inventory", each) for each in commands):
        return
    if holding.dispatched != ordered:
        yield f"is completed, but {_text(holding.dispatched)} was dispatched of {_text(ordered)}"
    if holding.still_reserved:
        yield f"is completed, but {_text(holding.still_reserved)} is still reserved"


def _of_cancelled(holding: Holding) -> Iterator[str]:
    if holding.still_reserved:
        yield f"is cancelled, but {_text(holding.still_reserved)} is still reserved"
    if holding.dispatched:
        yield f"is cancelled, but {_text(holding.dispatched)} was dispatched"


def _booked_twice(case: Case) -> Iterator[Finding]:
    facts = [each for each in case.messages if each.type == "StockReceived" and not each.fault]
    for fact in facts[1:]:
        fields = fact.fields
        yield f"{fields['warehouse_id']}/{fields['sku']}", f"{fact} books receipt {fields['receipt_id']} once more"


def _booked_otherwise(case: Case, fact: Message) -> list[str]:
    """Return how a booked receipt differs from what was received, by whichever command comes closest."""
    sent = [each for each in case.by_id.get(fact.fields["receipt_id"], ()) if each.type == "ReceiveStock"]
    differences = [list(_differences(fact, message)) for message in sent]
    return differences[0] if differences and all(differences) else []


def _differences(fact: Message, sent: Message) -> Iterator[str]:
    booked, received = fact.fields, sent.fields
    for name in ("warehouse_id", "sku", "quantity"):
        if booked[name] != received[name]:
            yield f"books {name} {booked[name]}, but {sent} says {received[name]}"


def _pieces(facts: list[Message]) -> Counter[str]:
    return _pieces_of(fact.fields for fact in facts)


def _pieces_of(lines: Iterable[Mapping[str, Any]]) -> Counter[str]:
    pieces: Counter[str] = Counter()
    for line in lines:
        pieces[line["sku"]] += line["quantity"]
    return pieces


def _text(pieces: Counter[str]) -> str:
    return ", ".join(f"{count} {sku}" for sku, count in sorted(pieces.items())) or "nothing"
