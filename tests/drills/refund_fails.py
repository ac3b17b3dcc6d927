"""A refund fails for good: what is owed is listed, and cleared by the provider or by hand."""

from __future__ import annotations

from typing import Final

from tests.drills.stage import Drill, Scene, must

_POLICY: Final = """\
# A refund that was refused is for a person at once: asking again will not help.
[saga.undos.payment]
deadline_s = 20
resends = 0
"""


def _act(scene: Scene) -> None:
    repaired, by_hand = _place_paid_orders_that_wait(scene)
    _cancel(scene, repaired, by_hand)
    _show_debts(scene, repaired)
    _redrive_refund(scene, repaired)
    _settle_by_hand(scene, by_hand)
    _complete_third_order(scene)


def _place_paid_orders_that_wait(scene: Scene) -> list[str]:
    scene.tell("The stock is being counted: no order may reserve meanwhile. Three orders come, are paid, and wait.")
    scene.type("./ensemble pauses start step reservation --yes --reason 'the stock is being counted'")
    orders = scene.load.place(3)
    scene.until(lambda: len(scene.watch.paused()) == len(orders), "the orders are paid and wait")
    scene.type("./ensemble orders list")
    return orders[:2]


def _cancel(scene: Scene, *orders: str) -> None:
    scene.tell("Two customers do not want to wait. What would be taken back?")
    scene.type(f"./ensemble orders cancel {orders[0]} --dry-run")
    scene.tell("They are cancelled, and resumed so that they can turn back. The provider refuses the refunds for good.")
    scene.order_provider("no_refunds")
    for order_id in orders:
        scene.type(f"./ensemble orders cancel {order_id} --reason 'the customer does not want to wait'")
    for order_id in orders:
        scene.type(f"./ensemble orders resume {order_id} --reason 'let it turn back'")
    scene.await_end(orders, "compensation_failed")


def _show_debts(scene: Scene, order_id: str) -> None:
    scene.tell("What is owed, exactly, and to which charge:")
    scene.type("./ensemble orders list --owed")
    scene.type("./ensemble dead-letters group")
    scene.type(f"./ensemble orders show {order_id}")


def _redrive_refund(scene: Scene, order_id: str) -> None:
    scene.tell("The provider is repaired. The refund that payment holds is redriven, after a rehearsal.")
    scene.order_provider("up")
    which = f"./ensemble dead-letters redrive --key {order_id}"
    scene.type(f"{which} --dry-run")
    scene.type(f"{which} --reason 'the provider takes refunds again' --yes")
    scene.await_end([order_id], "cancelled")
    scene.type("./ensemble orders list --owed")


def _settle_by_hand(scene: Scene, order_id: str) -> None:
    scene.tell("The other customer has had the money by bank transfer, so it must not be refunded as well.")
    scene.type(f"./ensemble dead-letters discard --key {order_id} --reason 'paid back by bank transfer' --yes")
    scene.type(f"./ensemble orders settle {order_id} --step payment --reason 'paid back by bank transfer, ref 4711'")
    scene.await_end([order_id], "cancelled")
    scene.type("./ensemble orders list --owed")
    must(not scene.watch.parked("payment"), "payment still holds something back")


def _complete_third_order(scene: Scene) -> None:
    scene.tell("The stock is counted; the third order goes on.")
    scene.type("./ensemble pauses end step reservation --reason 'the stock is counted' --yes")
    scene.await_end(scene.load.placed[2:])


DRILL: Final = Drill("refund-fails", "a refund fails for good", _act, {"orchestrator": _POLICY})
