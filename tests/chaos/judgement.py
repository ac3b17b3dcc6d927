"""What `ensemble verify` does not ask: that each order ended as it had to, and that pauses held."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from cli.entries import Entry
from contracts.catalogue import CATALOGUE
from ensemble.partitioning import partition_of
from tests.chaos.crowd import Order
from tests.chaos.held import Held
from tests.chaos.operator import Operator, WorkPause, now
from tests.end_to_end.system import System

CONDUCTOR: Final = "orchestrator"
COMMANDS_OF_STEP: Final = {"payment": ("ProcessPayment",), "reservation": ("FulfilOrder",), "shipment": ()}
SENT: Final = ("ProcessPayment", "FulfilOrder", "ReleaseStock", "CancelShipment", "RefundPayment")
"""What the conductor sends while an order is under way."""
_PARTITIONS: Final = 4


class Finding(NamedTuple):
    """Something that must not be."""

    check: str
    subject: str
    words: str


def judge(system: System, operator: Operator, held: Held, orders: list[Order]) -> Iterator[Finding]:
    """All of it."""
    for order in orders:
        yield from _ends(system, order)
        yield from _order_pauses(system, order.order_id)
    for parked in held.parked():
        words = f"is still parked, {parked.entry.status}: {parked.head.message}, {parked.entry.words}"
        yield Finding("parked", f"{parked.service} {parked.name}", words)
    for words in held.pauses():
        yield Finding("pauses", words, "is still in force, though it was resumed")
    for pause in operator.pauses:
        yield from _work_pauses(system, held, pause, orders)


def _ends(system: System, order: Order) -> Iterator[Finding]:
    """As its kind says; an order whose charge was given up for a while may be cancelled as well."""
    ending, wanted = system.ending(order.order_id), order.kind.ends
    may_differ = wanted == "completed" and "payment" in dict(system.watcher.dead_letters(order.order_id))
    if not ending:
        state = system.watcher.state(order.order_id)
        status = state.fields["status"] if state else "nothing"
        yield Finding("endings", order.order_id, f"has not ended: its state says {status}")
    elif wanted and ending != wanted and not may_differ:
        reason = system.reason(order.order_id) if ending == "cancelled" else ""
        yield Finding("endings", order.order_id, f"is {ending}, and had to be {wanted} {reason}".strip())


def _order_pauses(system: System, order_id: str) -> Iterator[Finding]:
    """Between OrderPaused and OrderResumed no command leaves for it, but for those of the resume itself."""
    ends = system.watcher.entries(order_id, "OrderResumed")
    for paused in system.watcher.entries(order_id, "OrderPaused"):
        end = next((each for each in ends if each.record.offset > paused.record.offset), None)
        for entry in _sent(system, order_id):
            if _is_between(paused, entry, end) and (end is None or entry.causation != end.causation):
                yield Finding("pauses", order_id, f"{entry.type} at {entry.place} left while it was paused")


def _is_between(begin: Entry, entry: Entry, end: Entry | None) -> bool:
    """By their producer's clock, which is one for all three."""
    return begin.record.timestamp < entry.record.timestamp < (end.record.timestamp if end else now())


def _work_pauses(system: System, held: Held, pause: WorkPause, orders: list[Order]) -> Iterator[Finding]:
    """Once a partition of the conductor has said that it holds, nothing of the kind leaves it until the end."""
    asks = [(CONDUCTOR, partition, pause.operation_id) for partition in range(_PARTITIONS)]
    holds = [held.answered.get(ask) for ask in asks]
    if None in holds:
        yield Finding("pauses", str(pause.what), "not every partition of the conductor has answered")
    names = _names(pause)
    for order in orders if names else ():
        since = holds[partition_of(order.order_id.encode(), _PARTITIONS)] or now()
        for entry in system.watcher.entries(order.order_id, *names):
            if entry.sender == CONDUCTOR and since < entry.record.timestamp < (pause.resumed_at or 0):
                yield Finding("pauses", order.order_id, f"{entry.type} at {entry.place} left in spite of {pause.what}")


def _names(pause: WorkPause) -> tuple[str, ...]:
    """What the conductor sends that the pause holds back."""
    match pause.what.scope:
        case "step":
            return COMMANDS_OF_STEP[pause.what.name]
        case "command":
            return (pause.what.name,)
        case _:
            return tuple(name for name in SENT if CATALOGUE.homes(CATALOGUE.message(name))[0].owner == pause.what.name)


def _sent(system: System, order_id: str) -> list[Entry]:
    return [entry for entry in system.watcher.entries(order_id, *SENT) if entry.sender == CONDUCTOR]
