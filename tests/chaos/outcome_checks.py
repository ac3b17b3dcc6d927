"""What `ensemble verify` does not ask: that each order ended as it had to, and that pauses held."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from backoffice.order_story import order_of
from contracts.catalogue import CATALOGUE
from ensemble.operations import Entry
from ensemble.partitioning import partition_of
from tests.chaos.exits import Finding
from tests.chaos.generated_orders import Order
from tests.chaos.operator import Operator, WorkPause, now
from tests.chaos.parking_view import ParkingView
from tests.end_to_end.system import System

CONDUCTOR: Final = "orchestrator"
COMMANDS_OF_STEP: Final = {
    "payment": ("ProcessPayment", "RefundPayment"),
    "reservation": ("FulfilOrder", "ReleaseStock"),
    "shipment": ("CancelShipment",),
}
"""What the conductor sends for a step, forward and back. The shipment itself is commanded past it."""
SENT_BY_OTHERS: Final = ("AttemptCharge", "ScheduleShipment")
"""Commands that participants send: a pause holds them back where they are taken."""
SENT: Final = ("ProcessPayment", "FulfilOrder", "ReleaseStock", "CancelShipment", "RefundPayment")
"""What the conductor sends while an order is under way."""
_PARTITIONS: Final = 4
_UNDER_WAY_MS: Final = 2_500
"""A call that was made before the pause may come back so much later: an attempt takes a second at most."""


def check_outcomes(system: System, operator: Operator, parking: ParkingView, orders: list[Order]) -> Iterator[Finding]:
    """Yield every finding about orders, parked keys and pauses."""
    for order in orders:
        yield from _ends(system, order)
        yield from _order_pauses(system, order.order_id)
    for parked in parking.parked():
        reason = f"is still parked, {parked.entry.status}: {parked.head.message}, {parked.entry.words}"
        yield Finding("parked", f"{parked.service} {parked.name}", reason)
    for pause_in_force in parking.pauses():
        yield Finding("pauses", pause_in_force, "is still in force, though it was resumed")
    for pause in operator.pauses:
        yield from _work_pauses(system, parking, replace(pause, resumed_at=_end(pause, operator.pauses)), orders)


def _ends(system: System, order: Order) -> Iterator[Finding]:
    """Check that the order ended as its kind says, or was cancelled, if its charge was given up for a while."""
    ending, expected = system.ending(order.order_id), order.kind.ends
    may_differ = expected == "completed" and "payment" in dict(system.watcher.dead_letters(order.order_id))
    if not ending:
        state = system.watcher.state(order.order_id)
        status = state.fields["status"] if state else "nothing"
        yield Finding("endings", order.order_id, f"has not ended: its state says {status}")
    elif expected and ending != expected and not may_differ:
        reason = system.reason(order.order_id) if ending == "cancelled" else ""
        yield Finding("endings", order.order_id, f"is {ending}, and had to be {expected} {reason}".strip())


def _order_pauses(system: System, order_id: str) -> Iterator[Finding]:
    """Check that between OrderPaused and OrderResumed no command left for it, except those of the resume itself."""
    ends = system.watcher.entries(order_id, "OrderResumed")
    for paused in system.watcher.entries(order_id, "OrderPaused"):
        end = next((each for each in ends if each.record.offset > paused.record.offset), None)
        for entry in _sent(system, order_id):
            if _is_between(paused, entry, end) and (end is None or entry.causation != end.causation):
                yield Finding("pauses", order_id, f"{entry.type} at {entry.place} left while it was paused")


def _is_between(begin: Entry, entry: Entry, end: Entry | None) -> bool:
    """Compare by their producer's clock, which is one for all three."""
    return begin.record.timestamp < entry.record.timestamp < (end.record.timestamp if end else now())


def _end(pause: WorkPause, pauses: list[WorkPause]) -> int | None:
    """Return when the end of the pause was asked for first: that of another pause of the same ends both."""
    ends = [each.resumed_at for each in pauses if each.what == pause.what]
    return min((at for at in ends if at is not None and at > pause.asked_at), default=None)


def _work_pauses(system: System, parking: ParkingView, pause: WorkPause, orders: list[Order]) -> Iterator[Finding]:
    """Check that nothing left the conductor, and that its owner took nothing, in spite of a pause."""
    what = pause.what
    for service in what.services:
        if None in _answers(parking, pause, service):
            yield Finding("pauses", str(what), f"not every partition of {service} has answered")
    for order in orders:
        yield from _sent_anyway(system, order, pause, _begin(parking, pause, CONDUCTOR, order))
        if what.scope == "service" or what.name in SENT_BY_OTHERS:
            yield from _taken_anyway(system, order, pause, _begin(parking, pause, what.services[0], order))


def _answers(parking: ParkingView, pause: WorkPause, service: str) -> list[int | None]:
    """Return when each partition of the service answered the pause; None: not yet."""
    return [
        parking.answers.answered_at.get((service, partition, pause.operation_id)) for partition in range(_PARTITIONS)
    ]


def _begin(parking: ParkingView, pause: WorkPause, service: str, order: Order) -> int:
    return _answers(parking, pause, service)[partition_of(order.order_id.encode(), _PARTITIONS)] or now()


def _sent_anyway(system: System, order: Order, pause: WorkPause, since: int) -> Iterator[Finding]:
    """Check that no such command left the conductor between its answer to the pause and the resume."""
    names = _names(pause)
    for entry in system.watcher.entries(order.order_id, *names) if names else ():
        if pause.what.scope == "step" and _is_nudge(system, entry):
            continue
        if entry.sender == CONDUCTOR and since < entry.record.timestamp < (pause.resumed_at or 0):
            yield Finding("pauses", order.order_id, f"{entry.type} at {entry.place} left in spite of {pause.what}")


def _taken_anyway(system: System, order: Order, pause: WorkPause, since: int) -> Iterator[Finding]:
    """Check that the owner did nothing meanwhile; what it had begun may still end."""
    owner, entries = pause.what.services[0], system.watcher.entries(order.order_id)
    types = {entry.id: entry.type for entry in entries}
    for entry in entries:
        is_meant = entry.sender == owner and pause.what.name in {owner, types.get(entry.causation)}
        if is_meant and since + _UNDER_WAY_MS < entry.record.timestamp < (pause.resumed_at or 0):
            yield Finding("pauses", order.order_id, f"{entry.type} at {entry.place} was done in spite of {pause.what}")


def _is_nudge(system: System, entry: Entry) -> bool:
    """Return whether this FulfilOrder asks for the next step, the shipment, as the reservation is answered."""
    answered = system.watcher.entries(order_of(entry), "ReservationConfirmed")
    return entry.type == "FulfilOrder" and any(each.record.timestamp <= entry.record.timestamp for each in answered)


def _names(pause: WorkPause) -> tuple[str, ...]:
    """Return the commands of the conductor that the pause holds back."""
    match pause.what.scope:
        case "step":
            return COMMANDS_OF_STEP[pause.what.name]
        case "command":
            return (pause.what.name,)
        case _:
            return tuple(name for name in SENT if CATALOGUE.homes(CATALOGUE.message(name))[0].owner == pause.what.name)


def _sent(system: System, order_id: str) -> list[Entry]:
    return [entry for entry in system.watcher.entries(order_id, *SENT) if entry.sender == CONDUCTOR]
