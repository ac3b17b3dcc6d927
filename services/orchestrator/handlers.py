"""The conductor: every method notes what came and plays on, by the score in `fulfilment.py`."""

from __future__ import annotations

from dataclasses import dataclass

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
    SeenEvent,
    SettleOrder,
    ShipmentCancelled,
    ShipmentScheduled,
)
from ensemble import (
    Clock,
    Command,
    CommandBus,
    CurrentRecord,
    EventBus,
    Message,
    Pauses,
    RejectedInput,
    StateStore,
    TimerDue,
    Timers,
    conducts,
    handles,
    reacts_to,
    when_due,
)
from ensemble.saga.engine import Deadline, Decision, SagaPolicies, advance
from services.orchestrator import domain, memory
from services.orchestrator.fulfilment import ORDER_FULFILMENT, FulfilmentCommand

log = structlog.get_logger()


@conducts(ORDER_FULFILMENT)
@dataclass(frozen=True)
class OrderOrchestrator:
    """Leads each order through its saga: orchestration with events, and with commands."""

    orders: StateStore[OrderState]
    commands: CommandBus[FulfilmentCommand]
    events: EventBus[OrderPaused | OrderResumed | OrderCompensationFailed]
    timers: Timers
    clock: Clock
    record: CurrentRecord
    policies: SagaPolicies
    pauses: Pauses

    @reacts_to(OrderPlaced)
    def handle(self, event: OrderPlaced) -> None:
        """The first terms of an order count; the same again are noted, others are refused."""
        state = self._order(event.order_id)
        if domain.contradicts(state, event):
            raise RejectedInput(f"order {event.order_id} was placed before, on other terms; give a new order a new id")
        self._take(domain.placed(state, event, self.record.message_id), event)

    @reacts_to(PaymentConfirmed)
    def on_payment_confirmed(self, event: PaymentConfirmed) -> None:
        self._take(domain.informed(self._order(event.order_id), event), event)

    @reacts_to(PaymentDeclined)
    def on_payment_declined(self, event: PaymentDeclined) -> None:
        self._take(self._order(event.order_id), event)

    @reacts_to(PaymentRefunded)
    def on_payment_refunded(self, event: PaymentRefunded) -> None:
        self._take(self._order(event.order_id), event)

    @reacts_to(ReservationConfirmed)
    def on_reservation_confirmed(self, event: ReservationConfirmed) -> None:
        self._take(self._order(event.order_id), event)

    @reacts_to(ReservationRejected)
    def on_reservation_rejected(self, event: ReservationRejected) -> None:
        self._take(self._order(event.order_id), event)

    @reacts_to(ReservationReleased)
    def on_reservation_released(self, event: ReservationReleased) -> None:
        self._take(self._order(event.order_id), event)

    @reacts_to(ShipmentScheduled)
    def on_shipment_scheduled(self, event: ShipmentScheduled) -> None:
        self._take(domain.informed(self._order(event.order_id), event), event)

    @reacts_to(ShipmentCancelled)
    def on_shipment_cancelled(self, event: ShipmentCancelled) -> None:
        self._take(self._order(event.order_id), event)

    @reacts_to(CommandFailed)
    def on_command_failed(self, event: CommandFailed) -> None:
        self._take(self._order(event.order_id), event)

    @handles(RequestCancellation)
    def cancel(self, command: RequestCancellation) -> None:
        self._take(self._order(command.order_id), command)

    @handles(PauseOrder)
    def pause(self, command: PauseOrder) -> None:
        self._take(self._order(command.order_id), command)

    @handles(ResumeOrder)
    def resume(self, command: ResumeOrder) -> None:
        self._take(self._order(command.order_id), command)

    @handles(RetryOrder)
    def retry(self, command: RetryOrder) -> None:
        self._take(self._order(command.order_id), command)

    @handles(CompensateOrder)
    def compensate(self, command: CompensateOrder) -> None:
        self._take(self._order(command.order_id), command)

    @handles(SettleOrder)
    def settle(self, command: SettleOrder) -> None:
        self._take(self._order(command.order_id), command)

    @when_due("deadline")
    def on_deadline(self, timer: TimerDue) -> None:
        """The answer is late, so its outcome is unknown."""
        state = self.orders.get(timer.key)
        if state is not None:
            spent = state.model_copy(update={"due_at": None})
            self._keep(state, self._advance(state, Deadline(timer.due_at)), self._seen("Deadline"), timers=spent)

    @when_due("retention")
    def on_retention(self, timer: TimerDue) -> None:
        """Forget an order that was never placed, or ended long ago."""
        state = self.orders.get(timer.key)
        if state is not None and state.forget_at is not None and state.forget_at <= timer.due_at:
            self.orders.delete(timer.key)

    # -- every message alike --------------------------------------------------------------------------------------

    def _order(self, order_id: str) -> OrderState:
        return self.orders.get(order_id) or OrderState(order_id=order_id)

    def _take(self, state: OrderState, message: Message) -> None:
        if memory.has_seen(state, self.record.message_id):
            return
        before = self._order(state.order_id)
        decision = self._advance(state, message)
        self._keep(before, decision, self._seen(type(message).__name__, message), timers=before)

    def _seen(self, name: str, message: Message | None = None) -> SeenEvent:
        record = self.record
        return SeenEvent(
            type=name,
            message_id=record.message_id,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            at=self.clock.now(),
            by=getattr(message, "requested_by", ""),
            why=getattr(message, "reason", "")[: memory.WHY_LIMIT] if isinstance(message, Command) else "",
        )

    def _advance(self, state: OrderState, trigger: Message | Deadline) -> Decision[OrderState, FulfilmentCommand]:
        now = self.clock.now()
        return advance(ORDER_FULFILMENT, state, trigger, now=now, policies=self.policies, pauses=self.pauses)

    def _keep(
        self,
        before: OrderState,
        decision: Decision[OrderState, FulfilmentCommand],
        seen: SeenEvent,
        *,
        timers: OrderState,
    ) -> None:
        """Remember, send and announce what was decided; `timers` says which of them are set."""
        after = decision.state
        told = memory.led_to(seen, before, decision, memory.ruling(self.policies, before, after))
        self.orders.set(after.order_id, domain.kept(memory.with_seen(after, told), self.clock.now()))
        for command in decision.commands:
            self.commands.send(command)
        for event in memory.announcements(before, after, told):
            self.events.emit(event)
        self._set_timer(after.order_id, "deadline", timers.due_at, after.due_at)
        self._set_timer(after.order_id, "retention", timers.forget_at, after.forget_at)
        _tell(before, after)

    def _set_timer(self, order_id: str, name: str, was: int | None, at: int | None) -> None:
        """One timer record for each change, none when nothing changed."""
        if at is not None and at != was:
            self.timers.schedule(order_id, name, at)
        elif at is None and was is not None:
            self.timers.cancel(order_id, name)


def _tell(before: OrderState, after: OrderState) -> None:
    """One log line for each change of status, each pause and each resume."""
    if (after.status, after.paused_by) != (before.status, before.paused_by):
        change = {
            "status": after.status,
            "was": before.status,
            "step": after.step,
            "reason": after.reason,
            "paused_by": after.paused_by,
            "paused_reason": after.paused_reason,
        }
        log.info("order changed", order_id=after.order_id, **{name: said for name, said in change.items() if said})
