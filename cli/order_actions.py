"""What operators can have done with an order: whether it makes sense, what it would do, and its command. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from backoffice import ENDED
from backoffice.order_filter import State, is_paused
from cli.debts import debts_of, in_words
from contracts import (
    CompensateOrder,
    OrderState,
    PauseOrder,
    RequestCancellation,
    ResumeOrder,
    RetryOrder,
    SettleOrder,
)
from ensemble import Command
from ensemble.command_line.fields import make
from ensemble.operations import Intent
from ensemble.saga import names_to_undo
from services.orchestrator.fulfilment import ORDER_FULFILMENT


@dataclass(frozen=True)
class Action:
    """One verb."""

    verb: str
    kind: type[Command]
    why_not: Callable[[State], str]
    """Why it would change nothing; empty when it would."""
    does: Callable[[State], str]
    """What would follow, in words."""
    more: Callable[[State], Mapping[str, Any]] = lambda _: {}
    """The command's own fields."""
    sends_again: bool = False
    """Whether it is done by sending once more what was sent before."""

    def command(self, state: State, intent: Intent) -> Command:
        """Build the command for one order. Raises Mistake if its contract does not allow the fields."""
        operation: dict[str, Any] = dict(intent.request())
        fields = {name: value for name, value in operation.items() if name in self.kind.model_fields}
        message = make(self.kind, {"order_id": state["order_id"], **fields, **self.more(state)})
        assert isinstance(message, Command), "actions are commands"
        return message


def undone_by_turning_back(state: State) -> tuple[str, ...]:
    """Return what a rollback would undo now, the latest step first, as text."""
    try:
        steps = names_to_undo(ORDER_FULFILMENT, OrderState.model_validate(dict(state)))
    except ValidationError:
        return ("what it has begun: its state is of a newer release, and cannot be read in full",)
    by_step = {step: debts_of({**state, "owed": [step]}) for step in steps}
    return tuple(f"{step}: {', '.join(in_words(debt) for debt in debts)}" for step, debts in by_step.items())


def _is_over(state: State) -> str:
    return f"it is already {state['status']}" if state["status"] in ENDED else ""


def _why_no_pause(state: State) -> str:
    return _is_over(state) or (f"it is already paused (by {state.get('paused_by')})" if is_paused(state) else "")


def _why_no_resume(state: State) -> str:
    return "" if is_paused(state) else "it is not paused"


def _why_no_retry(state: State) -> str:
    if is_paused(state):
        return "it is paused; resume it first"
    nothing = not state.get("step") and not state.get("owed")
    return _is_over(state) or ("no step is under way" if nothing else "")


def _why_no_compensation(state: State) -> str:
    turning = "" if state["status"] != "compensating" else "it is already being compensated"
    return _is_over(state) or turning or ("nothing is left to undo" if state["status"] == "compensation_failed" else "")


def _why_no_settlement(state: State) -> str:
    return "" if state.get("owed") else "it owes nothing"


def _resumes(state: State) -> str:
    step = state.get("step")
    is_answered = step in (*state.get("done", ()), *state.get("undone", ()))
    doing = f"with {step}" if step and not is_answered else "with what is next"
    return f"go on {doing}; paused by {state.get('paused_by')}: {state.get('paused_reason')}"


def _retries(state: State) -> str:
    if state.get("step"):
        return f"send {state['step']} again, as attempt {state.get('attempt', 0) + 1}"
    return f"undo {', '.join(state['owed'])} again"


def _retried(state: State) -> Mapping[str, Any]:
    """Return the attempt that the operator saw, so that asking twice has one effect."""
    return {"step": state["step"], "after_attempt": state.get("attempt", 0)} if state.get("step") else {}


def _turns_back(state: State) -> str:
    undos = "; ".join(undone_by_turning_back(state)) or "nothing has begun, so nothing is taken back"
    return f"{undos} (once it is resumed)" if is_paused(state) else undos


def settle_action(steps: tuple[str, ...]) -> Action:
    """Build the action that settles these steps, or all owed ones if none is named."""

    def meant(state: State) -> list[str]:
        return [step for step in state.get("owed") or () if not steps or step in steps]

    def why_not(state: State) -> str:
        other = "" if meant(state) else f"it does not owe {', '.join(steps)}, but {', '.join(state.get('owed') or ())}"
        return _why_no_settlement(state) or other

    def does(state: State) -> str:
        return "settled by hand: " + "; ".join(map(in_words, debts_of({**state, "owed": meant(state)})))

    return Action("settle", SettleOrder, why_not, does, lambda state: {"steps": meant(state)})


def resume_action(*, past_pause: bool) -> Action:
    """Build the action that resumes orders; with `past_pause` even if the step, command or service is paused."""
    return Action("resume", ResumeOrder, _why_no_resume, _resumes, lambda _: {"past_pause": past_pause})


PAUSE: Final = Action("pause", PauseOrder, _why_no_pause, lambda _: "send nothing of it until it is resumed")
RETRY: Final = Action("retry", RetryOrder, _why_no_retry, _retries, _retried, sends_again=True)
COMPENSATE: Final = Action("compensate", CompensateOrder, _why_no_compensation, _turns_back)
CANCEL: Final = Action("cancel", RequestCancellation, _why_no_compensation, _turns_back)
