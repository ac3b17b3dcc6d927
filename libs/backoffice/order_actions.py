"""What operators can have done with an order: whether it makes sense, what it would do, and its command. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from backoffice.debts import Debt, debts_of
from backoffice.order_filter import State
from backoffice.order_records import ENDED
from backoffice.orders import UNREADABLE, OrderSummary
from contracts import (
    CompensateOrder,
    OrderState,
    PauseOrder,
    RequestCancellation,
    ResumeOrder,
    RetryOrder,
    SettleOrder,
)
from contracts.terms import OrderId
from ensemble import Application, Command, Saga, Service
from ensemble.messages import invalid_fields
from ensemble.operations import Intent, Invalid, NotPossible, Result
from ensemble.operations import Skipped as SkippedItem
from ensemble.saga import names_to_undo


class WhyNot(StrEnum):
    """Why an action would change nothing about an order. `Skipped.detail` has what stands in braces."""

    ENDED = "ended"
    PAUSED_ALREADY = "paused_already"
    NOT_PAUSED = "not_paused"
    PAUSED = "paused"
    NOTHING_UNDER_WAY = "nothing_under_way"
    COMPENSATING = "compensating"
    NOTHING_TO_UNDO = "nothing_to_undo"
    OWES_NOTHING = "owes_nothing"
    OWES_OTHERS = "owes_others"
    UNREADABLE = "unreadable"


_IN_WORDS: Final[Mapping[str, str]] = {
    WhyNot.ENDED: "it is already {}",
    WhyNot.PAUSED_ALREADY: "it is already paused (by {})",
    WhyNot.NOT_PAUSED: "it is not paused",
    WhyNot.PAUSED: "it is paused; resume it first",
    WhyNot.NOTHING_UNDER_WAY: "no step is under way",
    WhyNot.COMPENSATING: "it is already being compensated",
    WhyNot.NOTHING_TO_UNDO: "nothing is left to undo",
    WhyNot.OWES_NOTHING: "it owes nothing",
    WhyNot.OWES_OTHERS: "it does not owe that, but {}",
    WhyNot.UNREADABLE: "its state cannot be read: {}",
}


def require_order_id(text: str) -> None:
    """Raise Invalid if no order can have this id."""
    try:
        _ORDER_ID.validate_python(text)
    except ValidationError:
        raise Invalid(
            f"{text!r} is no order id", subject=text, hint="it has letters, digits, and . _ - only", field="order"
        ) from None


def describe_why_not(skipped: SkippedItem) -> str:
    """Return why an order is skipped, as a clause."""
    return _IN_WORDS[skipped.why].format(skipped.detail)


_ORDER_ID: Final[TypeAdapter[str]] = TypeAdapter(OrderId)

# -- effects ------------------------------------------------------------------------------------------------------


class Hold(Result):
    """Nothing of the order is sent until it is resumed."""

    kind: Literal["hold"] = "hold"


class GoOn(Result):
    """The order continues with `step`, or with whatever comes next."""

    kind: Literal["go_on"] = "go_on"
    step: str | None
    paused_by: str | None
    paused_reason: str | None


class SendAgain(Result):
    """The command of the step is sent once more, as this attempt."""

    kind: Literal["send_again"] = "send_again"
    step: str
    attempt: int


class UndoAgain(Result):
    """The undos of these steps, which were given up, are sent once more."""

    kind: Literal["undo_again"] = "undo_again"
    steps: tuple[str, ...]


class StepUndo(Result):
    """A step that would be undone, and what that gives back."""

    step: str
    debts: tuple[Debt, ...]


class TurnBack(Result):
    """The order is rolled back, the latest step first; once it is resumed if it is paused.

    `undos` is None if the state is of a newer release, and cannot be read in full.
    """

    kind: Literal["turn_back"] = "turn_back"
    undos: tuple[StepUndo, ...] | None
    is_paused: bool


class SettleDebts(Result):
    """These debts are recorded as settled by hand."""

    kind: Literal["settle_debts"] = "settle_debts"
    debts: tuple[Debt, ...]


Effect = Annotated[Hold | GoOn | SendAgain | UndoAgain | TurnBack | SettleDebts, Field(discriminator="kind")]
OrderSaga = Saga[Any, Any]


def order_saga(application: Application, services: Iterable[Service]) -> tuple[OrderSaga, str]:
    """Return the saga that orders go through, and the service that conducts it, of an application's services.

    Raises NotPossible if none has such a saga.
    """
    for service in services:
        for description in service.descriptions:
            saga: Any = description.saga
            if isinstance(saga, Saga) and saga.operated_by is not None and saga.operated_by.pause is PauseOrder:
                return saga, service.name
    raise NotPossible(f"{application.name} has no saga of orders", subject=application.name)


# -- actions ------------------------------------------------------------------------------------------------------


class _Action(Result):
    model_config = ConfigDict(extra="forbid")
    command_type: ClassVar[type[Command]]

    def why_not(self, order: OrderSummary) -> SkippedItem | None:
        """Return why the action would change nothing; None when it would change something."""
        if order.status == UNREADABLE:
            return _skip(order, WhyNot.UNREADABLE, order.reason)
        return self._why_not(order)

    def _why_not(self, order: OrderSummary) -> SkippedItem | None:
        raise NotImplementedError

    def command(self, order_id: str, state: State, intent: Intent) -> Command:
        """Return the command for one order. Raises Invalid if its contract does not allow the fields."""
        operation: dict[str, Any] = dict(intent.request())
        fields = {name: value for name, value in operation.items() if name in self.command_type.model_fields}
        try:
            return self.command_type.model_validate({"order_id": order_id, **fields, **self._fields(state)})
        except ValidationError as error:
            name = self.command_type.__name__
            raise Invalid(f"{name} of {order_id} is not valid: {invalid_fields(error)}", subject=order_id) from None

    def _fields(self, state: State) -> Mapping[str, Any]:  # noqa: ARG002  most commands have no fields of their own
        return {}


class Pause(_Action):
    """Send no further command of the order until it is resumed."""

    kind: Literal["pause"] = "pause"
    command_type = PauseOrder

    def _why_not(self, order: OrderSummary) -> SkippedItem | None:
        paused = _skip(order, WhyNot.PAUSED_ALREADY, order.paused.by) if order.paused else None
        return _ended(order) or paused

    def effect(self, state: State, saga: OrderSaga) -> Effect:  # noqa: ARG002  all actions alike
        return Hold()


class Resume(_Action):
    """Let a paused order go on; with `past_pause` even if its step, command type or service is paused."""

    kind: Literal["resume"] = "resume"
    past_pause: bool = False
    command_type = ResumeOrder

    def _why_not(self, order: OrderSummary) -> SkippedItem | None:
        return None if order.paused else _skip(order, WhyNot.NOT_PAUSED)

    def effect(self, state: State, saga: OrderSaga) -> Effect:  # noqa: ARG002  all actions alike
        step = state.get("step")
        is_answered = step in (*state.get("done", ()), *state.get("undone", ()))
        pause = {"paused_by": state.get("paused_by"), "paused_reason": state.get("paused_reason")}
        return GoOn(step=None if is_answered else step, **pause)

    def _fields(self, state: State) -> Mapping[str, Any]:  # noqa: ARG002  the same for all orders
        return {"past_pause": self.past_pause}


class Retry(_Action):
    """Send the current step, or the undos that were given up, again as a new attempt."""

    kind: Literal["retry"] = "retry"
    command_type = RetryOrder

    def _why_not(self, order: OrderSummary) -> SkippedItem | None:
        if order.paused:
            return _skip(order, WhyNot.PAUSED)
        is_idle = not order.step and not order.owed
        return _ended(order) or (_skip(order, WhyNot.NOTHING_UNDER_WAY) if is_idle else None)

    def effect(self, state: State, saga: OrderSaga) -> Effect:  # noqa: ARG002  all actions alike
        if state.get("step"):
            return SendAgain(step=state["step"], attempt=state.get("attempt", 0) + 1)
        return UndoAgain(steps=tuple(state.get("owed") or ()))

    def _fields(self, state: State) -> Mapping[str, Any]:
        """Return the attempt that the operator saw, so that asking twice has one effect."""
        return {"step": state["step"], "after_attempt": state.get("attempt", 0)} if state.get("step") else {}


class _Rollback(_Action):
    def _why_not(self, order: OrderSummary) -> SkippedItem | None:
        why = {"compensating": WhyNot.COMPENSATING, "compensation_failed": WhyNot.NOTHING_TO_UNDO}.get(order.status)
        return _ended(order) or (_skip(order, why) if why else None)

    def effect(self, state: State, saga: OrderSaga) -> Effect:
        is_paused = state.get("paused_since") is not None
        try:
            steps = names_to_undo(saga, OrderState.model_validate(dict(state)))
        except ValidationError:
            return TurnBack(undos=None, is_paused=is_paused)
        undos = tuple(StepUndo(step=step, debts=debts_of(state, [step])) for step in steps)
        return TurnBack(undos=undos, is_paused=is_paused)


class Compensate(_Rollback):
    """Roll the order back now, even past an irreversible step."""

    kind: Literal["compensate"] = "compensate"
    command_type = CompensateOrder


class Cancel(_Rollback):
    """Ask for the order to be cancelled, as its customer may."""

    kind: Literal["cancel"] = "cancel"
    command_type = RequestCancellation


class Settle(_Action):
    """Record that what these steps still owe, or all that is owed if none is named, was settled by hand."""

    kind: Literal["settle"] = "settle"
    steps: tuple[str, ...] = ()
    command_type = SettleOrder

    def _why_not(self, order: OrderSummary) -> SkippedItem | None:
        if not order.owed:
            return _skip(order, WhyNot.OWES_NOTHING)
        return None if self._settled(order.owed) else _skip(order, WhyNot.OWES_OTHERS, ", ".join(order.owed))

    def effect(self, state: State, saga: OrderSaga) -> Effect:  # noqa: ARG002  all actions alike
        return SettleDebts(debts=debts_of(state, self._settled(state.get("owed") or ())))

    def _fields(self, state: State) -> Mapping[str, Any]:
        return {"steps": self._settled(state.get("owed") or ())}

    def _settled(self, owed: tuple[str, ...]) -> list[str]:
        return [step for step in owed if not self.steps or step in self.steps]


OrderAction = Annotated[Pause | Resume | Retry | Compensate | Cancel | Settle, Field(discriminator="kind")]
ORDER_ACTIONS: Final[Mapping[str, Callable[[], OrderAction]]] = {
    "pause": Pause, "resume": Resume, "retry": Retry, "cancel": Cancel, "compensate": Compensate, "settle": Settle,
}  # fmt: skip
"""The actions by their kind, each as it is without options."""


def _ended(order: OrderSummary) -> SkippedItem | None:
    return _skip(order, WhyNot.ENDED, order.status) if order.status in ENDED else None


def _skip(order: OrderSummary, why: WhyNot, detail: str | None = None) -> SkippedItem:
    return SkippedItem(name=order.order_id, why=why, detail=detail or "")
