"""What an action would do with an order, and what would be given back, in words."""

from __future__ import annotations

from backoffice.currencies import money
from backoffice.debts import ChargeOwed, Debt, ShipmentOwed, StepOwed, StockOwed
from backoffice.order_actions import Effect, GoOn, Hold, SendAgain, SettleDebts, TurnBack, UndoAgain


def describe_effect(effect: Effect) -> str:
    """Return the effect as a phrase, such as `send payment again, as attempt 2`."""
    match effect:
        case Hold():
            return "send nothing of it until it is resumed"
        case GoOn():
            return f"go on with {effect.step or 'what is next'}"
        case SendAgain():
            return f"send {effect.step} again, as attempt {effect.attempt}"
        case UndoAgain():
            return f"undo {', '.join(effect.steps)} again"
        case TurnBack():
            return _undos(effect) + (", once it is resumed" if effect.is_paused else "")
        case SettleDebts():
            return "note as settled by hand: " + "; ".join(map(_debt, effect.debts))


def _undos(effect: TurnBack) -> str:
    if effect.undos is None:
        return "undo what it has begun; its state is of a newer release, and cannot be read in full"
    undos = [f"{undo.step}: {', '.join(map(_debt, undo.debts)) or 'nothing is owed'}" for undo in effect.undos]
    return f"undo {'; '.join(undos)}" if undos else "nothing has begun, so nothing is taken back"


def _debt(debt: Debt) -> str:
    match debt:
        case ChargeOwed():
            return f"refund {money(debt.total.amount, debt.total.currency)}"
        case StockOwed():
            return f"release {', '.join(f'{line.quantity} {line.sku}' for line in debt.lines)} in {debt.warehouse_id}"
        case ShipmentOwed():
            return f"cancel shipment {debt.shipment_id or ''}".rstrip()
        case StepOwed():
            return f"undo {debt.step}"
