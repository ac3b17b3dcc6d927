"""What is still to come of an order, as the saga's table and the services' declarations say it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, get_type_hints

from pydantic import ValidationError

from backoffice.order_actions import OrderSaga, order_saga
from backoffice.order_records import ENDED
from contracts import OrderState
from ensemble import Application, Step, Undo
from ensemble.messages import Message
from ensemble.saga import names_to_undo
from ensemble.topology import Edge, Graph, flow_of

_TURNED_BACK: Final = frozenset({"compensating", "compensation_failed"})


@dataclass(frozen=True)
class Due:
    """A message that is due next, or later on: from whom, to whom, and by when."""

    message: str
    """Its type; of several possible answers all, as `A or B`."""
    kind: str
    source: str
    target: str
    control: str
    step: str = ""
    due_at: int | None = None
    """None: no deadline runs for it yet."""
    is_next: bool = False
    is_overdue: bool = False
    is_undo: bool = False

    def document(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "message": self.message, "from": self.source, "to": self.target, "step": self.step, "due_at": self.due_at,
            "overdue": self.is_overdue,
        }  # fmt: skip


@dataclass(frozen=True)
class Declarations:
    """What is declared of the application: the flow of its messages, and the saga that conducts an order."""

    graph: Graph
    saga: OrderSaga
    conductor: str
    """The name of the service that conducts it."""

    @classmethod
    def of(cls, application: Application) -> Declarations:
        """Derive them from all services. Raises NotPossible if none has the saga of orders."""
        services = application.make_services()
        saga, conductor = order_saga(application, services)
        return cls(flow_of(services, application.catalogue), saga, conductor)

    @property
    def undo_messages(self) -> frozenset[str]:
        """The types of message that undo a step, and that answer an undo."""
        undos = [step.undo for step in self.saga.steps if isinstance(step.undo, Undo)]
        names = [name for undo in undos for name in (_name_of(undo.command), undo.until.__name__)]
        return frozenset([*names, *map(_name_of, self.saga.cancels_with)])

    @property
    def step_answers(self) -> dict[str, frozenset[str]]:
        """The types of event that answer each step, by its name, in the order of the steps."""
        return {
            step.name: frozenset(event.__name__ for event in (step.succeeds_on, step.fails_on) if event)
            for step in self.saga.steps
        }

    def rest_of(self, state: Mapping[str, Any], now: int) -> tuple[Due, ...]:
        """Return what is due of an order with this decoded OrderState, in the order in which it is due.

        Nothing is due of an order that has ended, or whose state this release cannot read.
        """
        try:
            order = OrderState.model_validate(dict(state))
        except ValidationError:
            return ()
        if not order.saga or order.status in ENDED:
            return ()
        rest = self._back(order) if order.status in _TURNED_BACK else self._onward(order)
        return tuple(_with_deadline(rest, order, now))

    def _onward(self, order: OrderState) -> Iterator[Due]:
        for step in self.saga.steps:
            if step.name in order.done:
                continue
            if step.name != order.step:
                yield from self._starts(step)
            yield self._answer(step, [step.succeeds_on, *([step.fails_on] if step.fails_on else [])])
        yield from self._commands(self.saga.completes_with, "")

    def _back(self, order: OrderState) -> Iterator[Due]:
        steps = {step.name: step for step in self.saga.steps}
        for step in map(steps.__getitem__, names_to_undo(self.saga, order)):
            assert isinstance(step.undo, Undo), "only steps with an undo are named"
            if step.name != order.step:
                yield from self._commands([step.undo.command], step.name, is_undo=True)
            yield self._answer(step, [step.undo.until], is_undo=True)
        yield from self._commands(self.saga.cancels_with, "", is_undo=True)

    def _starts(self, step: Step[Any, Any]) -> Iterator[Due]:
        """Yield the command that starts a step: the conductor's, or that which one player sends to another."""
        if step.send is not None:
            yield from self._commands([step.send], step.name)
            return
        players = {edge.source for edge in self._edges_of(step.succeeds_on)}
        for edge in self.graph.of("choreographed", "command"):
            if edge.target in players and edge.source.service != edge.target.service:
                yield _due(edge, step.name)

    def _answer(self, step: Step[Any, Any], events: Iterable[type[Message]], *, is_undo: bool = False) -> Due:
        events = list(events)
        names = " or ".join(event.__name__ for event in events)
        sources = [edge.source.service for edge in self._edges_of(events[0])]
        source = sources[0] if sources else ""
        return Due(names, "event", source, self.conductor, "orchestrated", step.name, is_undo=is_undo)

    def _commands(self, builders: Iterable[Any], step: str, *, is_undo: bool = False) -> Iterator[Due]:
        for name in map(_name_of, builders):
            edges = [edge for edge in self.graph.edges if edge.message.__name__ == name]
            yield from (_due(edge, step, is_undo=is_undo) for edge in edges[:1])

    def _edges_of(self, event: type[Message]) -> list[Edge]:
        return [edge for edge in self.graph.edges if edge.message is event and edge.source.role]


def _due(edge: Edge, step: str, *, is_undo: bool = False) -> Due:
    name, control = edge.message.__name__, edge.control
    return Due(name, edge.kind, edge.source.service, edge.target.service, control, step, is_undo=is_undo)


def _with_deadline(rest: Iterable[Due], order: OrderState, now: int) -> Iterator[Due]:
    """Yield what is due, with the deadline at the answer that is awaited."""
    is_found = False
    for due in rest:
        is_next = not is_found and due.step == order.step and set(due.message.split(" or ")) & set(order.expected)
        is_found = is_found or bool(is_next)
        is_overdue = bool(is_next) and not order.is_paused and order.due_at is not None and order.due_at < now
        due_at = order.due_at if is_next else None
        yield replace(due, due_at=due_at, is_next=bool(is_next), is_overdue=is_overdue)


def _name_of(builder: Any) -> str:
    """Return the type of command that a builder of the table makes, as its annotation says; every table has them."""
    return str(get_type_hints(builder)["return"].__name__)
