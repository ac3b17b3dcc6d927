"""What an action would do with an order, in words."""

from __future__ import annotations

from backoffice.order_actions import Effect, GoOn, Hold, SendAgain, SettleDebts, TurnBack, UndoAgain
from cli.debts import in_words


def describe_effect(effect: Effect) -> str:
    """Return the effect as a phrase, such as `send payment again, as attempt 2`."""
    match effect:
        case Hold():
            return "send nothing of it until it is resumed"
        case GoOn():
            doing = f"with {effect.step}" if effect.step else "with what is next"
            return f"go on {doing}; paused by {effect.paused_by}: {effect.paused_reason}"
        case SendAgain():
            return f"send {effect.step} again, as attempt {effect.attempt}"
        case UndoAgain():
            return f"undo {', '.join(effect.steps)} again"
        case TurnBack():
            return f"{_undos(effect)} (once it is resumed)" if effect.is_paused else _undos(effect)
        case SettleDebts():
            return "settled by hand: " + "; ".join(map(in_words, effect.debts))


def _undos(effect: TurnBack) -> str:
    if effect.undos is None:
        return "what it has begun: its state is of a newer release, and cannot be read in full"
    undos = [f"{undo.step}: {', '.join(map(in_words, undo.debts))}" for undo in effect.undos]
    return "; ".join(undos) or "nothing has begun, so nothing is taken back"
