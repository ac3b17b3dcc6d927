"""The conductor of the order saga, whose table is in `fulfilment.py`: each message advances one order's saga."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import structlog

from contracts import (
    CommandFailed,
    CompensateOrder,
    OrderCompensationFailed,
    OrderPaused,
    OrderPlaced,
    OrderResumed,
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
from ensemble import CommandBus, CurrentRecord, EventBus, RejectedInput, StateStore, conducts, handles, reacts_to
from ensemble.messages import Message
from ensemble.saga import Deadline, Decision, SagaConductor
from services.orchestrator import domain, history
from services.orchestrator.fulfilment import ORDER_FULFILMENT, FulfilmentCommand

log = structlog.get_logger()
_ONWARD: Final = frozenset({"payment_pending", "fulfilled", "completed"})
"""The statuses of an order that goes on as it should."""


@conducts(ORDER_FULFILMENT)
@dataclass(frozen=True)
class OrderOrchestrator(SagaConductor[OrderState, FulfilmentCommand]):
    """Conducts each order's saga: orchestration with events, and with commands."""

    states: StateStore[OrderState]
    commands: CommandBus[FulfilmentCommand]
    events: EventBus[OrderPaused | OrderResumed | OrderCompensationFailed]
    record: CurrentRecord

    @reacts_to(OrderPlaced)
    def handle(self, event: OrderPlaced) -> None:
        self.advance(event.order_id, event)

    @reacts_to(PaymentConfirmed)
    def on_payment_confirmed(self, event: PaymentConfirmed) -> None:
        self.advance(event.order_id, event)

    @reacts_to(PaymentDeclined)
    def on_payment_declined(self, event: PaymentDeclined) -> None:
        self.advance(event.order_id, event)

    @reacts_to(PaymentRefunded)
    def on_payment_refunded(self, event: PaymentRefunded) -> None:
        self.advance(event.order_id, event)

    @reacts_to(ReservationConfirmed)
    def on_reservation_confirmed(self, event: ReservationConfirmed) -> None:
        self.advance(event.order_id, event)

    @reacts_to(ReservationRejected)
    def on_reservation_rejected(self, event: ReservationRejected) -> None:
        self.advance(event.order_id, event)

    @reacts_to(ReservationReleased)
    def on_reservation_released(self, event: ReservationReleased) -> None:
        self.advance(event.order_id, event)

    @reacts_to(ShipmentScheduled)
    def on_shipment_scheduled(self, event: ShipmentScheduled) -> None:
        self.advance(event.order_id, event)

    @reacts_to(ShipmentCancelled)
    def on_shipment_cancelled(self, event: ShipmentCancelled) -> None:
        self.advance(event.order_id, event)

    @reacts_to(CommandFailed)
    def on_command_failed(self, event: CommandFailed) -> None:
        self.advance(event.order_id, event)

    @handles(RequestCancellation)
    def cancel(self, command: RequestCancellation) -> None:
        self.advance(command.order_id, command)

    @handles(PauseOrder)
    def pause(self, command: PauseOrder) -> None:
        self.advance(command.order_id, command)

    @handles(ResumeOrder)
    def resume(self, command: ResumeOrder) -> None:
        self.advance(command.order_id, command)

    @handles(RetryOrder)
    def retry(self, command: RetryOrder) -> None:
        self.advance(command.order_id, command)

    @handles(CompensateOrder)
    def compensate(self, command: CompensateOrder) -> None:
        self.advance(command.order_id, command)

    @handles(SettleOrder)
    def settle(self, command: SettleOrder) -> None:
        self.advance(command.order_id, command)

    # -- what the table does not say ------------------------------------------------------------------------------

    def new_state(self, key: str) -> OrderState:
        return domain.new_order(key)

    def note(self, state: OrderState, trigger: Message | Deadline) -> OrderState | None:
        """Return the order with what the trigger tells of it, or None for a message that it has seen.

        Raises RejectedInput if the order was placed before, on other terms.
        """
        if isinstance(trigger, OrderPlaced) and domain.contradicts(state, trigger):
            raise RejectedInput(f"order {state.order_id} was placed before, on other terms; give a new order a new id")
        if isinstance(trigger, Message) and history.has_seen(state, trigger, self.record):
            return None
        return domain.note(state, trigger, self.record.message_id)

    def remember(
        self, before: OrderState, decision: Decision[OrderState, FulfilmentCommand], trigger: Message | Deadline
    ) -> OrderState:
        """Return the order with an entry of what was decided on the trigger; a stub once it has ended."""
        now = self.clock.now()
        entry = history.entry_of(trigger, self.record, now, before=before, decision=decision, policies=self.policies)
        return domain.trim_to_store(decision.state, history.add_entry(before.seen, entry), now)

    def reduce(self, state: OrderState) -> OrderState:
        """Return what tells a late OrderPlaced that its id is taken: payment and the others never forget it either."""
        return domain.trim_to_outcome(state)

    def announce(self, before: OrderState, after: OrderState) -> None:
        """Emit each pause, each resume and a compensation that failed; log each change."""
        for event in history.announcements(before, after):
            self.events.emit(event)
        _log_change(before, after)


def _log_change(before: OrderState, after: OrderState) -> None:
    """Write one log line for each change of status, each pause and each resume; at debug level for what all orders do.

    A line costs more than the decision, and the order's state tells as much.
    """
    if after.paused_by == before.paused_by and after.status in _ONWARD:
        if after.status != before.status:
            log.debug("order.changed", order_id=after.order_id, status=after.status, was=before.status)
    elif (after.status, after.paused_by) != (before.status, before.paused_by):
        fields = {
            "status": after.status,
            "was": before.status,
            "step": after.step,
            "reason": after.reason,
            "paused_by": after.paused_by,
            "paused_reason": after.paused_reason,
        }
        log.info("order.changed", order_id=after.order_id, **{name: value for name, value in fields.items() if value})
