"""Stock, from an own fold of the ledger: nothing appears, disappears, or is promised twice."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from verifier.facts import Level, Message, StockSnapshot, Violation
from verifier.snapshot import Snapshot

CHECK = "stock"

_MOVES: Mapping[str, tuple[int, int, int]] = {
    "StockReceived": (1, 0, 0),
    "StockReserved": (-1, 1, 0),
    "StockReleased": (1, -1, 0),
    "StockDispatched": (0, -1, 1),
}
"""What one piece does to on hand, reserved and dispatched."""


@dataclass
class Fold:
    """One warehouse, fact by fact."""

    levels: dict[str, Level] = field(default_factory=dict)
    receipts: set[str] = field(default_factory=set)
    sequence: int = 0


@dataclass(frozen=True)
class Holding:
    """What one warehouse has held, given back and sent for one order, by sku."""

    reserved: Counter[str] = field(default_factory=Counter)
    released: Counter[str] = field(default_factory=Counter)
    dispatched: Counter[str] = field(default_factory=Counter)

    @property
    def still_reserved(self) -> Counter[str]:
        return self.reserved - self.released - self.dispatched


def check_stock(snapshot: Snapshot) -> list[Violation]:
    """Check every warehouse's ledger, and compare every order's reservation with its terms."""
    warehouses = [
        Violation(CHECK, subject, reason)
        for warehouse_id, facts in snapshot.facts.items()
        for subject, reason in _fold(warehouse_id, facts, snapshot.stock.get(warehouse_id))
    ]
    holdings = holdings_of(snapshot)
    orders = [
        Violation(CHECK, order_id, reason)
        for order_id in holdings.keys() | snapshot.completed.keys()
        for reason in _judge(snapshot, order_id, holdings.get(order_id, Holding()))
    ]
    return warehouses + orders + [Violation(CHECK, str(fact), reason) for fact, reason in _receipts(snapshot)]


def holdings_of(snapshot: Snapshot) -> Mapping[str, Holding]:
    """Return the reservations of the ledger by order, of all warehouses together."""
    kinds = {"StockReserved": "reserved", "StockReleased": "released", "StockDispatched": "dispatched"}
    holdings: dict[str, Holding] = defaultdict(Holding)
    for facts in snapshot.facts.values():
        for fact in facts:
            if (kind := kinds.get(fact.type)) is not None:
                getattr(holdings[fact.order_id], kind)[fact.fields["sku"]] += fact.fields["quantity"]
    return dict(holdings)


# -- warehouses ---------------------------------------------------------------------------------------------------


def _fold(warehouse_id: str, facts: list[Message], claimed: StockSnapshot | None) -> Iterator[tuple[str, str]]:
    fold = Fold()
    for fact in facts:
        sequence = fact.fields["sequence"]
        if sequence != fold.sequence + 1:
            yield warehouse_id, f"{fact} has sequence {sequence} after {fold.sequence}"
        fold.sequence = sequence
        if fact.type in _MOVES:
            yield from ((f"{warehouse_id}/{fact.fields['sku']}", reason) for reason in _moved(fold, fact))
        if claimed is not None and claimed.sequence == sequence:
            yield from _compare(warehouse_id, fold, claimed)


def _moved(fold: Fold, fact: Message) -> Iterator[str]:
    sku, quantity = fact.fields["sku"], fact.fields["quantity"]
    before = fold.levels.get(sku, Level())
    after = Level(*(was + sign * quantity for was, sign in zip(before, _MOVES[fact.type], strict=True)))
    fold.levels[sku] = after
    for name, pieces in after._asdict().items():
        if pieces < 0 and pieces < getattr(before, name):
            yield f"{fact} leaves {pieces} pieces {name.replace('_', ' ')}"
    if fact.type == "StockReceived":
        receipt = fact.fields["receipt_id"]
        if receipt in fold.receipts:
            yield f"{fact} books receipt {receipt} once more"
        fold.receipts.add(receipt)


def _compare(warehouse_id: str, fold: Fold, claimed: StockSnapshot) -> Iterator[tuple[str, str]]:
    for sku in fold.levels.keys() | claimed.levels.keys():
        ours, theirs = fold.levels.get(sku, Level()), claimed.levels.get(sku, Level())
        if ours != theirs:
            reason = f"after {fold.sequence} facts the ledger says {ours}; inventory's own snapshot {theirs}"
            yield f"{warehouse_id}/{sku}", reason


def _receipts(snapshot: Snapshot) -> Iterator[tuple[Message, str]]:
    """Report differences between booked and sent receipts."""
    for facts in snapshot.facts.values():
        for fact in facts:
            receipts = snapshot.by_id.get(fact.fields.get("receipt_id", ""), [])
            sent = [message for message in receipts if message.type == "ReceiveStock"]
            differences = [list(_differences(fact, message)) for message in sent]
            if differences and all(differences):
                yield from ((fact, difference) for difference in differences[0])


def _differences(fact: Message, sent: Message) -> Iterator[str]:
    for name in ("warehouse_id", "sku", "quantity"):
        if fact.fields[name] != sent.fields[name]:
            yield f"books {name} {fact.fields[name]}, but {sent} says {sent.fields[name]}"


# -- orders -------------------------------------------------------------------------------------------------------


def _judge(snapshot: Snapshot, order_id: str, holding: Holding) -> Iterator[str]:
    placed = snapshot.accepted.get(order_id)
    if placed is None:
        if snapshot.is_whole and any(map(snapshot.in_cut, snapshot.of_order(order_id, "StockReserved"))):
            yield "stock is reserved for it, but nobody placed it"
        return
    ordered = _ordered(placed)
    if holding.reserved and holding.reserved != ordered:
        yield f"was reserved {_text(holding.reserved)}, ordered {_text(ordered)}"
    if order_id in snapshot.completed:
        yield from _of_completed(snapshot, order_id, holding, ordered)
    elif order_id in snapshot.cancelled and not snapshot.was_settled(order_id, "reservation"):
        yield from _of_cancelled(holding)


def _of_completed(snapshot: Snapshot, order_id: str, holding: Holding, ordered: Counter[str]) -> Iterator[str]:
    waiting = [c for c in snapshot.of_order(order_id, "DispatchStock") if not snapshot.was_read("inventory", c)]
    if waiting and holding.still_reserved == ordered:
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


def _ordered(placed: Message) -> Counter[str]:
    ordered: Counter[str] = Counter()
    for line in placed.fields["lines"]:
        ordered[line["sku"]] += line["quantity"]
    return ordered


def _text(pieces: Counter[str]) -> str:
    return ", ".join(f"{count} {sku}" for sku, count in sorted(pieces.items())) or "nothing"
