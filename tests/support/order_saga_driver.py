"""One order and the saga engine: say what happens, look at what follows."""

from __future__ import annotations

from contracts import (
    CommandFailed,
    CompensateOrder,
    Disposition,
    OrderLine,
    OrderPlaced,
    OrderState,
    PauseOrder,
    PaymentConfirmed,
    PaymentDeclined,
    PaymentRefunded,
    RequestCancellation,
    ReservationConfirmed,
    ReservationRejected,
    ReservationReleased,
    ResumeOrder,
    RetryOrder,
    SettleOrder,
    ShipmentCancelled,
    ShipmentScheduled,
)
from ensemble import Command
from ensemble.messages import Message
from ensemble.policies.saga import SagaPolicies, StepPolicy
from ensemble.saga import Deadline, advance
from ensemble.system_messages.operations import Scope
from services.orchestrator.domain import note
from services.orchestrator.fulfilment import ORDER_FULFILMENT

ONCE_MORE = StepPolicy(deadline_s=10, resends=1)
NAMES = ("payment", "reservation", "shipment")
POLICIES = SagaPolicies(steps=dict.fromkeys(NAMES, ONCE_MORE), undos=dict.fromkeys(NAMES, ONCE_MORE))

PLACED = OrderPlaced(
    order_id="o-1",
    customer_id="c-1",
    lines=(OrderLine(sku="tea", quantity=2, unit_price=450),),
    currency="EUR",
    payment_token="tok-approve",
    warehouse_id="berlin",
    shipping_speed="express",
    placed_at=1,
)
PAID = PaymentConfirmed(order_id="o-1", amount=900, currency="EUR", charge_id="ch-1")
DECLINED = PaymentDeclined(order_id="o-1", reason="card expired")
REFUNDED = PaymentRefunded(order_id="o-1", amount=900)
RESERVED = ReservationConfirmed(order_id="o-1", warehouse_id="berlin")
REJECTED = ReservationRejected(order_id="o-1", warehouse_id="berlin", reason="1 of 2 tea on hand")
RELEASED = ReservationReleased(order_id="o-1", warehouse_id="berlin")
SCHEDULED = ShipmentScheduled(order_id="o-1", shipment_id="s-1", shipping_speed="express")
UNSHIPPED = ShipmentCancelled(order_id="o-1", shipment_id="s-1")
CANCEL = RequestCancellation(order_id="o-1", reason="changed my mind")
PAUSE = PauseOrder(order_id="o-1", requested_by="anna", reason="audit")
RESUME = ResumeOrder(order_id="o-1", requested_by="ben", reason="audited")
PROBE = ResumeOrder(order_id="o-1", requested_by="ben", reason="try one", past_pause=True)
RETRY = RetryOrder(order_id="o-1", requested_by="anna", reason="provider is back")
COMPENSATE = CompensateOrder(order_id="o-1", requested_by="anna", reason="fraud")


def settle(*steps: str) -> SettleOrder:
    """Somebody has paid back, or freed, by hand what these steps owe."""
    return SettleOrder(order_id="o-1", requested_by="anna", reason="wired the money", steps=steps)


def retry(step: str, after_attempt: int = 0) -> RetryOrder:
    """Somebody saw this attempt, and waits for it no longer."""
    return RETRY.model_copy(update={"step": step, "after_attempt": after_attempt})


def failed(command: str, attempt: int, disposition: Disposition = "dead_letter") -> CommandFailed:
    """Return the answer of a participant that has used up its attempts at a command."""
    return CommandFailed(
        order_id="o-1",
        command=command,
        command_id="m-1",
        service="payment",
        error="Down",
        message="provider down",
        attempts=5,
        command_attempt=attempt,
        disposition=disposition,
    )


class StubPauses:
    """What is paused for all, in words."""

    def __init__(self) -> None:
        self.paused: dict[tuple[Scope, str], str] = {}

    def of(self, step: str, *commands: type[Command]) -> str | None:
        """As the port `Pauses` promises."""
        names = {command.__name__ for command in commands}
        places = {
            ("step", step),
            *(("command", name) for name in names),
            *(("service", f"owner of {n}") for n in names),
        }
        return next((f"{' '.join(place)}: {why}" for place, why in self.paused.items() if place in places), None)


class OrderSaga:
    """Keeps the state, the clock, and every command sent."""

    def __init__(self, *triggers: Message | Deadline, policies: SagaPolicies = POLICIES) -> None:
        self.state = OrderState(order_id="o-1")
        self.now = 1_000_000
        self.policies = policies
        self.pauses = StubPauses()
        self.sent: list[Command] = []
        """What the latest trigger sent."""
        self.all_sent: list[Command] = []
        self.on(*triggers)

    def on(self, *triggers: Message | Deadline) -> OrderSaga:
        for trigger in triggers:
            self._take(trigger)
        return self

    def time_out(self, times: int = 1) -> OrderSaga:
        """Let the deadline under way pass, and the next, ..."""
        for _ in range(times):
            assert self.state.due_at is not None
            self.now = self.state.due_at
            self.on(Deadline(self.now))
        return self

    def pause_for_all(self, scope: Scope, name: str) -> OrderSaga:
        """Put a pause wider than this order in force from now on."""
        self.pauses.paused[scope, name] = "provider down"
        return self

    def wait(self, seconds: float) -> OrderSaga:
        self.now += round(seconds * 1000)
        return self

    def _take(self, trigger: Message | Deadline) -> None:
        self.now += 1
        state = note(self.state, trigger, "m-0") if isinstance(trigger, OrderPlaced) else self.state
        decision = advance(ORDER_FULFILMENT, state, trigger, now=self.now, policies=self.policies, pauses=self.pauses)
        self.state, self.sent = decision.state, list(decision.commands)
        self.all_sent += decision.commands

    @property
    def names(self) -> list[str]:
        """Types of the commands that the latest trigger sent."""
        return [type(command).__name__ for command in self.sent]

    @property
    def all_names(self) -> list[str]:
        return [type(command).__name__ for command in self.all_sent]
