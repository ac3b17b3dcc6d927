"""Each check, word for word, of orders that are just wrong and of those that are just right."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from tests.support.order_case import booked, case, evidence, message, seen, state_note
from verifier.case import Case
from verifier.checks.fates import check_inputs
from verifier.checks.money import check_money
from verifier.checks.orders import check_endings, check_state, check_transitions
from verifier.checks.records import check_records
from verifier.checks.stock import check_stock
from verifier.facts import DeadLetter, Finding, Position
from verifier.flow import ORDER_EVENTS, ORDER_STATE
from verifier.placement import partition_of
from verifier.storage import NO_ORDER

LINES = [{"sku": "tea", "quantity": 2, "unit_price": 450}]
PLACED = message("OrderPlaced", 1, topic=ORDER_EVENTS, fields={"lines": LINES, "currency": "EUR"})
COMPLETED = message("OrderCompleted", 5, topic=ORDER_EVENTS, causation_id="c", message_id="completed")
CANCELLED = message("OrderCancelled", 6, topic=ORDER_EVENTS, causation_id="d", message_id="cancelled")
CUT = {"firsts": {("orders.events", 0): 5}, "first_times": {("orders.events", 0): 9_000}}
PLACE = "orders.events[0]@"


def cut(*messages: Any, notes: Any = ()) -> Case:
    """Return an order of which something may have been removed."""
    return case(*messages, notes=notes, of=evidence(**CUT))


# -- money --------------------------------------------------------------------------------------------------------


def refund(amount: int, key: str | None = "o-1:charge", status: str = "succeeded") -> Any:
    return booked(amount, "o-1:refund", kind="refund", status=status, entry_id="re-1", charge_key=key)


@pytest.mark.parametrize(
    ("of", "found"),
    [
        (case(), []),
        (case(message("StockReceived"), notes=(booked(1),), subject=f"{NO_ORDER}x"), []),
        (case(notes=(booked(900),)), ["the provider has entries for it, but no message names this order"]),
        (case(notes=(booked(900), state_note(status="fulfilled"))), []),
        (cut(notes=(booked(900),)), []),
        (case(PLACED, COMPLETED, notes=(booked(900),)), []),
        (case(PLACED, COMPLETED), ["is completed: 9.00 EUR is due, but 0.00 EUR is held"]),
        (case(PLACED, COMPLETED, notes=(booked(901),)), ["is completed: 9.00 EUR is due, but 9.01 EUR is held"]),
        (case(PLACED, COMPLETED, notes=(booked(900, status="declined"),)),
         ["is completed: 9.00 EUR is due, but 0.00 EUR is held"]),
        (case(PLACED, CANCELLED, notes=(booked(900), refund(900))), []),
        (case(PLACED, CANCELLED, notes=(booked(900), refund(899))), ["is cancelled, but 0.01 EUR is held"]),
        (case(PLACED, CANCELLED, notes=(booked(900), refund(900, status="captured"))),
         ["was charged 2 times: 9.00 EUR under o-1:charge, 9.00 EUR under o-1:refund",
          "is cancelled, but 18.00 EUR is held"]),
        (case(PLACED, CANCELLED, message("SettleOrder", fields={"steps": ["payment"]}), notes=(booked(900),)), []),
        (case(PLACED, CANCELLED, message("SettleOrder", fields={"steps": ["shipment"]}), notes=(booked(900),)),
         ["is cancelled, but 9.00 EUR is held"]),
        (case(PLACED, notes=(booked(900), state_note(status="compensation_failed", owed=("payment",)))), []),
        (case(PLACED, notes=(booked(900), state_note(status="compensation_failed", owed=("shipment",)))),
         ["is cancelled, but 9.00 EUR is held"]),
        (case(PLACED, notes=(booked(900), state_note(status="compensating", owed=("shipment",)))), []),
        (case(PLACED, notes=(booked(900),)), []),
        (case(PLACED, notes=(booked(901),)), ["9.00 EUR is due, but 9.01 EUR is held"]),
        (case(COMPLETED, notes=(booked(900),)), ["is completed: 0.00 EUR is due, but 9.00 EUR is held"]),
        (cut(COMPLETED, notes=(booked(900),)), []),
        (case(PLACED, notes=(booked(900, currency="USD"),)), ["was charged in USD, ordered in EUR"]),
        (case(PLACED, notes=(booked(500), booked(400, "o-1:other", entry_id="ch-2"))),
         ["was charged 2 times: 5.00 EUR under o-1:charge, 4.00 EUR under o-1:other"]),
        (cut(PLACED, COMPLETED, notes=(booked(901),)), ["is completed: 9.00 EUR is due, but 9.01 EUR is held"]),
        (case(PLACED, notes=(booked(500, currency=None), booked(400, "o-1:other", entry_id="ch-2"), refund(1, None))),
         ["was charged 2 times: 500 minor units under o-1:charge, 4.00 EUR under o-1:other",
          "0.01 EUR was given back for , under which 0.00 EUR was taken", "was charged in None, ordered in EUR"]),
        (case(PLACED, notes=(booked(900), refund(901))),
         ["9.01 EUR was given back for o-1:charge, under which 9.00 EUR was taken"]),
        (case(PLACED, notes=(booked(900), refund(500), refund(401))),
         ["9.01 EUR was given back for o-1:charge, under which 9.00 EUR was taken"]),
        (case(PLACED, notes=(booked(900), refund(1, None))),
         ["0.01 EUR was given back for , under which 0.00 EUR was taken"]),
    ],
)  # fmt: skip
def test_money(of: Case, found: list[str]) -> None:
    assert list(check_money(of)) == found


def test_money_that_events_tell_of_is_that_of_the_provider() -> None:
    said = {"charge_id": "ch-1", "amount": 900, "currency": "EUR"}
    confirmed = message("PaymentConfirmed", 4, fields=said)
    assert list(check_money(case(PLACED, confirmed, notes=(booked(900),)))) == []
    for wrong in ({"charge_id": "ch-2"}, {"amount": 901}):
        captured = "9.01 EUR" if "amount" in wrong else "9.00 EUR"
        charge = wrong.get("charge_id", "ch-1")
        assert list(check_money(case(PLACED, confirmed._replace(fields=said | wrong), notes=(booked(900),)))) == [
            f"{confirmed} says {captured} captured as {charge}, which the provider does not know"
        ]
    assert list(check_money(case(PLACED, confirmed._replace(offset=9, fields=said | {"amount": 1})))) == []
    refunded = message("PaymentRefunded", 6, fields={"amount": 300})
    notes = (booked(900), refund(300))
    assert list(check_money(case(PLACED, refunded, notes=notes))) == []
    assert list(check_money(case(PLACED, refunded, notes=(booked(900), refund(200))))) == [
        f"{refunded} says 3.00 EUR given back, the provider says 2.00 EUR"
    ]
    assert list(check_money(case(PLACED, refunded._replace(offset=9), notes=(booked(900), refund(200))))) == []


# -- endings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("of", "found"),
    [
        (case(PLACED, COMPLETED), []),
        (case(PLACED, CANCELLED), []),
        (case(PLACED, COMPLETED, CANCELLED),
         [f"is both completed ({PLACE}5) and cancelled ({PLACE}6)"]),
        (case(COMPLETED), [f"OrderCompleted {PLACE}5 ends it, but nobody placed it"]),
        (case(CANCELLED), [f"OrderCancelled {PLACE}6 ends it, but nobody placed it"]),
        (cut(COMPLETED), []),
        (case(PLACED._replace(offset=7), COMPLETED),
         [f"OrderCompleted {PLACE}5 comes before its OrderPlaced {PLACE}7"]),
        (case(PLACED._replace(offset=7, partition=1), COMPLETED), []),
        (case(PLACED, COMPLETED, COMPLETED._replace(offset=6)), []),
        (case(PLACED, COMPLETED, COMPLETED._replace(offset=6, message_id="other")),
         [f"OrderCompleted {PLACE}6 has the same cause as OrderCompleted {PLACE}5"]),
        (case(PLACED, COMPLETED, COMPLETED._replace(offset=6, message_id="other", causation_id="e")), []),
        (case(PLACED, CANCELLED, CANCELLED._replace(offset=7, message_id="other")),
         [f"OrderCancelled {PLACE}7 has the same cause as OrderCancelled {PLACE}6"]),
        (case(PLACED), []),
    ],
)  # fmt: skip
def test_endings(of: Case, found: list[str]) -> None:
    assert list(check_endings(of)) == found


# -- the order state ----------------------------------------------------------------------------------------------

STEPS = ("payment", "reservation", "shipment")
EVENTS = [message(kind, 3) for kind in ("PaymentConfirmed", "ReservationConfirmed", "ShipmentScheduled")]
SENT = [message(kind, 2) for kind in ("CompleteOrder", "DispatchStock")]
SAW = [seen("m-1", 1_000)]
DONE = state_note(status="completed", done=STEPS, begun=STEPS, seen=SAW)


def closed(status: str = "cancelled", **fields: Any) -> Any:
    return state_note(status=status, seen=SAW, **fields)


CANCEL = message("CancelOrder", 2)


@pytest.mark.parametrize(
    ("of", "found"),
    [
        (case(), []),
        (case(PLACED, COMPLETED, *EVENTS, *SENT, notes=(DONE,)), []),
        (case(PLACED, COMPLETED, *EVENTS, *SENT, notes=(closed("fulfilled", done=STEPS),)),
         [f"OrderCompleted {PLACE}5 says that it is completed, its state says fulfilled",
          "is fulfilled, but CompleteOrder was sent"]),
        (case(PLACED, COMPLETED, *EVENTS, *SENT),
         [f"OrderCompleted {PLACE}5 says that it is completed; the order state knows nothing of it"]),
        (cut(PLACED, COMPLETED), []),
        (case(COMPLETED), []),
        (case(PLACED, CANCELLED, CANCEL),
         [f"OrderCancelled {PLACE}6 says that it is cancelled; the order state knows nothing of it"]),
        (case(PLACED, *EVENTS[:2], *SENT, notes=(DONE,)),
         ["says that step shipment left ShipmentScheduled, which is on no topic"]),
        (case(PLACED, *EVENTS, SENT[0], notes=(DONE,)), ["is completed, but DispatchStock was not sent"]),
        (case(PLACED, *EVENTS, SENT[1], notes=(DONE,)), ["is completed, but CompleteOrder was not sent"]),
        (case(PLACED, *EVENTS, SENT[0]._replace(service="cli"), SENT[1], notes=(DONE,)),
         ["is completed, but CompleteOrder was not sent"]),
        (case(PLACED, *EVENTS, SENT[0]._replace(offset=9), SENT[1], notes=(DONE,)),
         ["is completed, but CompleteOrder was not sent"]),
        (case(PLACED, *EVENTS, *SENT, notes=(closed("completed", done=STEPS[:2]),)), ["is completed without shipment"]),
        (case(PLACED, *EVENTS, *SENT, message("PaymentRefunded", 4),
              notes=(closed("completed", done=STEPS, undone=("payment",)),)),
         ["is completed, although payment was undone"]),
        (case(PLACED, CANCEL, notes=(closed(),)), []),
        (case(PLACED, notes=(closed(),)), ["is cancelled, but CancelOrder was not sent"]),
        (cut(PLACED, notes=(closed(),)), []),
        (case(PLACED, CANCEL, notes=(closed(begun=("payment",)),)),
         ["is cancelled, but step payment was begun and never undone"]),
        (case(PLACED, CANCEL, message("PaymentDeclined", 3),
              notes=(closed(begun=("payment",), failed=("payment",)),)), []),
        (case(PLACED, CANCEL, message("PaymentDeclined", 3), EVENTS[0],
              notes=(closed(begun=("payment",), failed=("payment",), done=("payment",)),)),
         ["is cancelled, but step payment was begun and never undone"]),
        (case(PLACED, CANCEL, message("PaymentRefunded", 3),
              notes=(closed(begun=("payment",), undone=("payment",)),)), []),
        (case(PLACED, CANCEL, message("SettleOrder", 3, fields={"steps": ["payment"]}),
              notes=(closed(begun=("payment",), settled=("payment",)),)), []),
        (case(PLACED, CANCEL, notes=(closed(begun=("payment",), settled=("payment",)),)),
         ["says that step payment was settled by hand, but no SettleOrder names it"]),
        (cut(PLACED, CANCEL, notes=(closed(begun=("payment",), settled=("payment",)),)), []),
        (case(PLACED, CANCEL, notes=(closed(owed=("payment", "shipment")),)),
         ["is cancelled, although payment, shipment is owed"]),
        (case(PLACED, CANCEL, SENT[1], notes=(closed(),)), ["is cancelled, but DispatchStock was sent"]),
        (case(PLACED, notes=(closed("compensation_failed"),)), ["its compensation has failed, but nothing is owed"]),
        (case(PLACED, notes=(closed("compensation_failed", owed=("payment",)),)), []),
        (case(PLACED, notes=(closed("payment_pending", step="payment"),)),
         ["is payment_pending at step payment, but ProcessPayment was never sent"]),
        (case(PLACED, message("ProcessPayment", 2), notes=(closed("payment_pending", step="payment"),)), []),
        (case(PLACED, message("ProcessPayment", 2), notes=(closed("compensating", step="payment"),)),
         ["is compensating at step payment, but RefundPayment was never sent"]),
        (case(PLACED, notes=(closed("fulfilled", step="shipment"),)), []),
        (cut(PLACED, notes=(closed("payment_pending", step="payment"),)), []),
    ],
)  # fmt: skip
def test_order_state(of: Case, found: list[str]) -> None:
    assert list(check_state(of)) == found


@pytest.mark.parametrize(
    ("of", "found"),
    [
        (case(PLACED, COMPLETED), []),
        (case(COMPLETED, CANCELLED), [f"OrderCancelled {PLACE}6 follows OrderCompleted {PLACE}5"]),
        (case(COMPLETED, CANCELLED, subject=f"{NO_ORDER}x"), []),
        (case(PLACED, message("Odd", 2, topic=ORDER_EVENTS), COMPLETED), []),
        (case(message("StockReleased", 1, topic="inventory.ledger")),
         ["StockReleased inventory.ledger[0]@1 comes first, which no order begins with"]),
        (cut(message("StockReleased", 1, topic="inventory.ledger")), []),
        (case(message("StockReserved", 1, topic="inventory.ledger")), []),
        (case(notes=(closed("fulfilled"), state_note(1, status="payment_pending", seen=SAW))),
         ["went from fulfilled to payment_pending at offset 1"]),
        (case(notes=(closed("fulfilled"), state_note(1, status="completed", seen=SAW))), []),
        (case(notes=(closed("fulfilled", done=("payment", "reservation"), begun=("payment",)),
                     state_note(1, status="completed", done=("payment",), seen=SAW))),
         ["payment is no longer begun at offset 1", "reservation is no longer done at offset 1"]),
        (case(notes=(closed("completed", done=("payment",)), (0, ORDER_STATE, 0, 1, 0, None))), []),
        (case(notes=(closed("fulfilled"), (0, ORDER_STATE, 0, 1, 0, None))),
         ["went from fulfilled to nothing at offset 1"]),
        (case(notes=((0, ORDER_STATE, 0, 0, 0, None), state_note(1, status="fulfilled", seen=SAW))), []),
    ],
)  # fmt: skip
def test_transitions(of: Case, found: list[str]) -> None:
    assert list(check_transitions(of)) == found


# -- stock --------------------------------------------------------------------------------------------------------


def fact(kind: str, quantity: int = 2, sku: str = "tea", offset: int = 3) -> Any:
    return message(kind, offset, topic="inventory.ledger", fields={"sku": sku, "quantity": quantity})


RESERVED, RELEASED, DISPATCHED = (fact(f"Stock{what}") for what in ("Reserved", "Released", "Dispatched"))
DISPATCH = message("DispatchStock", 8, topic="inventory.commands")


@pytest.mark.parametrize(
    ("of", "found"),
    [
        (case(PLACED, RESERVED, DISPATCHED, COMPLETED), []),
        (case(PLACED, RESERVED, RELEASED, CANCELLED), []),
        (case(RESERVED, of=evidence(cut={("inventory.ledger", 0): 4})),
         ["stock is reserved for it, but nobody placed it"]),
        (case(RESERVED, of=evidence(cut={("inventory.ledger", 0): 3})), []),
        (case(RESERVED, of=evidence(cut={("inventory.ledger", 0): 4}, **CUT)), []),
        (case(PLACED, fact("StockReserved", 1), fact("StockReserved", 3, "cup")),
         ["was reserved 3 cup, 1 tea, ordered 2 tea"]),
        (case(PLACED, fact("StockReserved", 1), fact("StockReserved", 1)), []),
        (case(PLACED, RESERVED, COMPLETED),
         ["is completed, but 2 tea is still reserved", "is completed, but nothing was dispatched of 2 tea"]),
        (case(PLACED, RESERVED, COMPLETED, DISPATCH),
         ["is completed, but 2 tea is still reserved", "is completed, but nothing was dispatched of 2 tea"]),
        (case(PLACED, RESERVED, COMPLETED, DISPATCH._replace(offset=9)), []),
        (case(PLACED, RESERVED, COMPLETED, DISPATCH, DISPATCH._replace(offset=9)), []),
        (case(PLACED, COMPLETED, DISPATCH._replace(offset=9)), ["is completed, but nothing was dispatched of 2 tea"]),
        (cut(PLACED, RESERVED, COMPLETED), []),
        (case(PLACED, RESERVED, CANCELLED), ["is cancelled, but 2 tea is still reserved"]),
        (case(PLACED, RESERVED, CANCELLED, message("SettleOrder", fields={"steps": ["reservation"]})), []),
        (case(PLACED, RESERVED, DISPATCHED, CANCELLED), ["is cancelled, but 2 tea was dispatched"]),
        (case(PLACED, RESERVED), []),
    ],
)  # fmt: skip
def test_stock(of: Case, found: list[str]) -> None:
    assert list(check_stock(of)) == found


def test_a_receipt_is_booked_once_and_as_it_was_received() -> None:
    fields = {"warehouse_id": "w-1", "sku": "tea", "quantity": 2, "receipt_id": "r-1"}
    received = message("ReceiveStock", 1, message_id="r-1", fields=fields)
    booking = message("StockReceived", fields=fields)

    def check(*messages: Any) -> list[Any]:
        return list(check_stock(case(*messages, subject=f"{NO_ORDER}r-1")))

    assert check(received, booking) == []
    assert check(booking) == [], "the command may have been removed"
    again = booking._replace(offset=7)
    assert check(received, booking, again) == [("w-1/tea", f"{again} books receipt r-1 once more")]
    assert check(received, booking, again._replace(fault="garbage")) == []
    for name, wrong in (("warehouse_id", "w-2"), ("sku", "cup"), ("quantity", 3)):
        other = booking._replace(fields=fields | {name: wrong})
        assert check(received, other) == [(other, f"books {name} {wrong}, but {received} says {fields[name]}")]
        assert check(received, received._replace(fields=other.fields), other) == [], "as one of the commands says"
        assert check(received._replace(type="Odd"), other) == []


# -- records and inputs -------------------------------------------------------------------------------------------


def test_records_that_are_wrong_are_dead_letters_or_told() -> None:
    broken = message("", 3, fault="garbage", topic="inventory.ledger")
    assert list(check_records(case(broken))) == [(broken, "garbage")], "nobody reads it who would give it up"
    assert list(check_records(case(message("", 3, fault="garbage")))) == []
    unheard = message("OrderCompleted", 3, topic=ORDER_EVENTS, key=b"o-2")
    assert list(check_records(case(unheard))) == [(unheard, "its key is 'o-2', but it is about 'o-1'")]
    own, topics = partition_of(b"o-1", 4), evidence(partitions={ORDER_EVENTS: 4})
    for partition in range(4):
        placed = unheard._replace(key=b"o-1", partition=partition)
        wrong = [] if partition == own else [(placed, f"its key belongs to partition {own}")]
        assert list(check_records(case(placed, of=topics))) == wrong
    assert list(check_records(case(message("PlaceOrder", 9, topic="orders.commands", key=b"o-2")))) == [], (
        "not yet read"
    )
    odd = case(notes=((0, ORDER_STATE, 0, 4, 0, b"?"),))
    assert odd.state is None
    [found] = check_records(odd)
    assert isinstance(found, tuple)
    assert found[0] == Position(ORDER_STATE, 0, 4)
    assert found[1].startswith("state that cannot be read: ")


def about(subject: object, found: Iterable[Finding]) -> list[str]:
    """Return what was found of this subject, in words."""
    return [each[1] for each in found if isinstance(each, tuple) and each[0] == subject]


def test_inputs_leave_a_trace_a_dead_letter_or_wait() -> None:
    pay = message("ProcessPayment", 3)
    answer = message("PaymentConfirmed", 4, topic="payments.events", causation_id="m-3", service="payment")
    expected = "AttemptCharge or PaymentConfirmed or PaymentDeclined"
    missing = f"payment has read it, but there is no {expected} from it, and no dead letter"

    def check(*messages: Any, of: Any = None, notes: Any = ()) -> list[Any]:
        return about(pay, check_inputs(case(*messages, of=of, notes=notes)))

    assert check(pay) == [missing]
    assert check(pay, answer) == []
    assert check(pay._replace(offset=9)) == []
    assert check(pay, of=evidence(**CUT)) == []
    given_up = evidence()
    letter = DeadLetter(Position("payment.dead-letter", 0, 0), "payment", pay.position)
    given_up.add_letter(letter)
    assert check(pay, of=given_up) == []
    assert check(pay, answer, of=given_up) == [f"is a dead letter of payment, and yet {answer} follows from it"]
    given_up.resolved["payment", pay.position, 0] = "redriven"
    assert check(pay, answer, of=given_up) == []
    for decided in ("discarded", "closed"):
        assert check(pay, of=evidence(resolved={("payment", pay.position, 0): decided})) == []


@pytest.mark.parametrize("disposition", ["dead_letter", "compensate"])
def test_a_dead_letter_that_held_its_key_back_is_let_go_by_a_decision_alone(disposition: str) -> None:
    pay, place = message("ProcessPayment", 3), Position("payment.dead-letter", 0, 0)
    letter = DeadLetter(place, "payment", pay.position, disposition=disposition)
    told = "payment gave it up and held its key back; it waits no longer, and nobody has decided so"

    def check(**fields: Any) -> list[Any]:
        of = evidence(cut={place[:2]: 1}, **fields)
        of.add_letter(letter)
        return about(pay, check_inputs(case(pay, of=of)))

    assert check() == [told]
    assert check(cleaned={"payment"}) == []
    assert check(cleaned={"order"}) == [told]
    assert check(resolved={("payment", pay.position, 0): "discarded"}) == []
