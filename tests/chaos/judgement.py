"""What `ensemble verify` does not ask: that each order ended as it had to, and that pauses held."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from cli.entries import Entry
from ensemble.partitioning import partition_of
from tests.chaos.crowd import Order
from tests.chaos.held import Answer, Held
from tests.chaos.operator import CONDUCTOR, OWNERS, Operator, WorkPause, now
from tests.end_to_end.system import System

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
        yield from _order_pauses(system, operator, order.order_id)
    for head in held.heads():
        words = f"is still parked, {head.entry['status']}: {head.record['message']}, {head.entry['words']}"
        yield Finding("parked", f"{head.service} {head.key}", words)
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


def _order_pauses(system: System, operator: Operator, order_id: str) -> Iterator[Finding]:
    """After OrderPaused no command leaves for it until somebody has asked for its end."""
    resumes = operator.resumed_orders.get(order_id, [])
    sent = _sent(system, order_id)
    for paused in system.watcher.entries(order_id, "OrderPaused"):
        since = paused.record.timestamp
        until = min((at for at in resumes if at >= since), default=since)
        for entry in sent:
            if since < entry.record.timestamp < until:
                yield Finding("pauses", order_id, f"{entry.type} at {entry.place} left while it was paused")


def _work_pauses(system: System, held: Held, pause: WorkPause, orders: list[Order]) -> Iterator[Finding]:
    """Once a partition of the conductor has said that it holds, nothing of the kind leaves it until the end."""
    holds = {answer.partition: answer.at for answer in _answers(held, pause)}
    names = _names(pause)
    if len(holds) < _PARTITIONS:
        yield Finding("pauses", f"{pause.scope} {pause.name}", f"only {len(holds)} partitions have answered")
    for order in orders if names else ():
        since = holds.get(partition_of(order.order_id.encode(), _PARTITIONS), now())
        for entry in system.watcher.entries(order.order_id, *names):
            if entry.sender == CONDUCTOR and since < entry.record.timestamp < (pause.resumed_at or 0):
                words = f"{entry.type} at {entry.place} left while {pause.scope} {pause.name} was paused"
                yield Finding("pauses", order.order_id, words)


def _answers(held: Held, pause: WorkPause) -> list[Answer]:
    return [
        answer for answer in held.answers if (answer.service, answer.operation_id) == (CONDUCTOR, pause.operation_id)
    ]


def _names(pause: WorkPause) -> tuple[str, ...]:
    match pause.scope:
        case "step":
            return COMMANDS_OF_STEP[pause.name]
        case "command":
            return (pause.name,)
        case _:
            return tuple(name for name, owner in OWNERS.items() if owner == pause.name)


def _sent(system: System, order_id: str) -> list[Entry]:
    return [entry for entry in system.watcher.entries(order_id, *SENT) if entry.sender == CONDUCTOR]
