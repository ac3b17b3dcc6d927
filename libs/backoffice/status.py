"""How the order flow is: its services, and the orders that are under way, overdue, paused or owe something."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from backoffice.order_filter import Condition, OrderFilter
from backoffice.order_records import ENDED
from backoffice.orders import Orders, OrdersProjection
from ensemble.operations import (
    Answer,
    Endpoints,
    Examination,
    Finding,
    Patient,
    Result,
    Session,
    Status,
    examinations_of,
    findings_of,
    now,
    problem,
    problems_first,
    read_status,
    status_projections,
    warning,
)
from ensemble.operations.view import Projection, View
from ensemble.program import command
from ensemble.quantities import quantity

_QUESTIONS: Final = ("overdue", "paused", "owed")


class OrderTotals(Result):
    """How many orders there are. One may be overdue and owe something: the last three overlap the first."""

    by_status: Mapping[str, int]
    overdue: int
    paused: int
    owed: int

    @property
    def active(self) -> int:
        """How many have not ended."""
        return sum(count for status, count in self.by_status.items() if status not in ENDED)


class FlowStatus(Status):
    """The status of the order flow."""

    orders: OrderTotals


def flow_projections(session: Session) -> list[Projection]:
    """Return what a view needs for `read_flow_status`."""
    return [*status_projections(session), OrdersProjection(session.sources)]


def read_flow_status(session: Session, view: View, endpoints: Endpoints | None = None) -> FlowStatus:
    """Return how the order flow is, from a synced view with `flow_projections`. Raises like `read_status`."""
    status = read_status(session, view, endpoints)
    return FlowStatus(**dict(status), orders=_totals(Orders(view)))


def flow_findings(status: FlowStatus) -> tuple[Finding, ...]:
    """Return what is not as it should be, with the command to type next, problems first. Pure."""
    return problems_first((*findings_of(status), *order_findings(status.orders)))


def order_findings(orders: OrderTotals) -> Iterator[Finding]:
    """Yield orders that do not move, or owe something."""
    if orders.overdue:
        message = f"{quantity(orders.overdue, 'order')} past the deadline: what is waited for has not come"
        yield problem("overdue orders", message, command("orders list --overdue"))
    if orders.owed:
        message = f"{quantity(orders.owed, 'order')} with a debt of money, stock or a shipment: an undo was given up"
        yield problem("debts", message, command("orders list --owed"))
    if orders.paused:
        message = f"{quantity(orders.paused, 'order')} paused: nothing is sent for them until they are resumed"
        yield warning("paused orders", message, command("orders list --paused"))


def _totals(orders: Orders) -> OrderTotals:
    at = now()
    counts = {name: OrderFilter((Condition(name, "=", "true"),)) for name in _QUESTIONS}
    totals = {name: sum(orders.count("status", which, at).values()) for name, which in counts.items()}
    return OrderTotals(by_status=orders.count("status", OrderFilter(), at), **totals)


def flow_examinations(patient: Patient, read_status: Callable[[], FlowStatus]) -> list[Examination]:
    """Return the questions about the order flow: those about any application, then about orders and debts."""
    return [
        *examinations_of(patient),
        Examination("orders", lambda: Answer("all move, and none owes anything", order_findings(read_status().orders))),
    ]
