"""What an action would do with an order, and what an order owes, in words of plain text."""

from __future__ import annotations

from backoffice.currencies import money
from backoffice.debts import ChargeOwed, Debt, ShipmentOwed, StepOwed, StockOwed
from backoffice.order_actions import Effect, GoOn, Hold, SendAgain, SettleDebts, TurnBack, UndoAgain


def describe_effect(effect: Effect) -> str:
    """Return the effect as a phrase, such as `send payment again, as attempt 2`."""
    match effect:
        case Hold():
            return "send no command until it is resumed"
        case GoOn():
            return f"continue with {effect.step or 'the next step'}{_pause(effect)}"
        case SendAgain():
            return f"send {effect.step} again, as attempt {effect.attempt}"
        case UndoAgain():
            return f"undo {', '.join(effect.steps)} again"
        case TurnBack():
            return f"{_undos(effect)} (once it is resumed)" if effect.is_paused else _undos(effect)
        case SettleDebts():
            return "record as settled: " + "; ".join(map(describe_debt, effect.debts))


def _pause(effect: GoOn) -> str:
    return f"; paused by {effect.paused_by}: {effect.paused_reason}" if effect.paused_by else ""


def _undos(effect: TurnBack) -> str:
    if effect.undos is None:
        return "undo what has begun; its state is of a newer release and cannot be read in full"
    undos = [f"{undo.step}: {', '.join(map(describe_debt, undo.debts)) or 'nothing is owed'}" for undo in effect.undos]
    return f"undo {'; '.join(undos)}" if undos else "nothing has begun, so nothing to undo"


def describe_debt(debt: Debt) -> str:
    """Return what has to be done manually, and whether it may be unnecessary."""
    match debt:
        case ChargeOwed(total=total, charge_id=charge_id):
            text = f"refund {money(total.amount, total.currency)}{_of('charge', charge_id)}"
            return _unless_certain(text, debt.is_certain)
        case StockOwed(warehouse_id=warehouse_id, lines=lines):
            goods = ", ".join(f"{line.quantity} {line.sku}" for line in lines)
            return _unless_certain(f"release {goods} in warehouse {warehouse_id}", debt.is_certain)
        case ShipmentOwed(shipment_id=shipment_id):
            return _unless_certain(f"cancel the shipment{_of('id', shipment_id)}", debt.is_certain)
        case StepOwed(step=step):
            return f"undo {step}"


def _of(what: str, name: str | None) -> str:
    return f" ({what} {name})" if name else ""


def _unless_certain(text: str, is_certain: bool) -> str:  # noqa: FBT001  read right above
    return text if is_certain else f"{text} (unconfirmed)"
