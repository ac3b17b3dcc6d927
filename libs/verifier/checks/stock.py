"""What the ledger holds for an order is what was ordered, and leaves the warehouse, or comes back, as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from verifier.case import Case
from verifier.facts import Finding, Message


def check_stock(case: Case) -> Iterator[Finding]:
    """Compare an order's reservation with its terms, and a receipt's booking with what was received."""
    return _judge(case) if case.order_id else _judge_receipts(case)


def _judge_receipts(case: Case) -> Iterator[Finding]:
    facts = [each for each in case.messages if each.type == "StockReceived" and not each.fault]
    for number, fact in enumerate(facts):
        sku, receipt = f"{fact.fields['warehouse_id']}/{fact.fields['sku']}", fact.fields["receipt_id"]
        if number:
            yield sku, f"{fact} books receipt {receipt} once more"
        yield from ((fact, reason) for reason in _booked_otherwise(case, fact))


def _judge(case: Case) -> Iterator[str]:
    reserved, released, dispatched = (
        _pieces(fact.fields for fact in case.of_type(kind))
        for kind in ("StockReserved", "StockReleased", "StockDispatched")
    )
    held = reserved - released - dispatched
    if case.placed is None:
        if case.is_whole and any(map(case.evidence.in_cut, case.of_type("StockReserved"))):
            yield "stock is reserved for it, but nobody placed it"
        return
    ordered = _pieces(case.placed.fields["lines"])
    if reserved and reserved != ordered:
        yield f"was reserved {_text(reserved)}, ordered {_text(ordered)}"
    end = "completed" if case.completed else "cancelled"
    if _has_to_be_settled(case, is_reserved=held == ordered):
        if held:
            yield f"is {end}, but {_text(held)} is still reserved"
        if case.completed and dispatched != ordered:
            yield f"is completed, but {_text(dispatched)} was dispatched of {_text(ordered)}"
        if not case.completed and dispatched:
            yield f"is cancelled, but {_text(dispatched)} was dispatched"


def _has_to_be_settled(case: Case, *, is_reserved: bool) -> bool:
    """Return whether the order has ended so that nothing of it may be left in the warehouse."""
    if case.completed:
        commands = case.of_type("DispatchStock")
        is_under_way = is_reserved and any(not case.evidence.was_read("inventory", each) for each in commands)
        return case.is_whole and not is_under_way
    return case.cancelled is not None and not case.was_settled("reservation")


def _booked_otherwise(case: Case, fact: Message) -> list[str]:
    """Return how a booked receipt differs from what was received, by whichever command comes closest."""
    sent = [each for each in case.by_id.get(fact.fields["receipt_id"], ()) if each.type == "ReceiveStock"]
    differences = [
        [
            f"books {name} {fact.fields[name]}, but {command} says {command.fields[name]}"
            for name in ("warehouse_id", "sku", "quantity")
            if fact.fields[name] != command.fields[name]
        ]
        for command in sent
    ]
    return differences[0] if differences and all(differences) else []


def _pieces(lines: Iterable[Mapping[str, Any]]) -> Counter[str]:
    pieces: Counter[str] = Counter()
    for line in lines:
        pieces[line["sku"]] += line["quantity"]
    return pieces


def _text(pieces: Counter[str]) -> str:
    return ", ".join(f"{count} {sku}" for sku, count in sorted(pieces.items())) or "nothing"
