"""Actions on orders: planned for one order or for all that a filter takes, and run while their states are followed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property, partial
from typing import Final

from pydantic import Field

from backoffice.order_actions import (
    Effect,
    OrderAction,
    OrderSaga,
    Resume,
    describe_why_not,
    order_saga,
    require_order_id,
)
from backoffice.order_filter import OrderFilter, State
from backoffice.order_states import OrderStates
from backoffice.orders import Orders, OrdersProjection, OrderSummary
from ensemble.clock import epoch_ms
from ensemble.kafka import Client, Outgoing
from ensemble.messages import Envelope
from ensemble.operations import (
    Failures,
    FailuresProjection,
    Intent,
    NotFound,
    NotPossible,
    Plan,
    PlanItem,
    Result,
    Rollout,
    Run,
    Session,
    Skipped,
    Verdict,
    first_skipped,
    read_positions,
)
from ensemble.operations.view import Projection, View

_GROWING: Final = ("done", "undone", "settled")


class OrderOutcome(StrEnum):
    """What became of an order that an action was run on."""

    ACKNOWLEDGED = "acknowledged"
    """The orchestrator has handled the command."""
    PROGRESSED = "progressed"
    """An answer came for it, or it has ended."""
    FAILED = "failed"
    """It was refused, rolled back or paused again."""
    SKIPPED = "skipped"
    """The action would have changed nothing any more; the detail says why (`WhyNot`)."""
    NOT_ACKNOWLEDGED = "not_acknowledged"
    """The orchestrator has not handled the command in time. It stays queued."""
    NO_PROGRESS = "no_progress"
    """No answer came in time."""


class BlockingLetter(Result):
    """A dead letter at the head of the order's key in a service: what is sent again waits behind it."""

    service: str
    key: str
    type: str


class OrderItem(PlanItem):
    """One order that an action would touch, named by its id."""

    order: OrderSummary
    effect: Effect
    behind: tuple[BlockingLetter, ...] = ()


class OrderPlan(Plan[OrderItem]):
    """What an action would do with orders, the oldest change first. `Skipped.why` is a `WhyNot`."""

    action: OrderAction = Field(discriminator="kind")


class OrderActions:
    """Plans actions on orders, and runs plans. Any number of threads may use it at once."""

    def __init__(self, session: Session, view: View | None = None) -> None:
        """Take the cluster, and a view of `order_projections`; without one each filter reads the topics anew."""
        self._session, self._view = session, view

    def plan(self, action: OrderAction, which: str | OrderFilter) -> OrderPlan:
        """Return what the action would do with one order, or with all that the filter takes.

        Of one order only its own partition is read. Raises Invalid or NotFound for its id, and NotPossible if the
        action would not change the order. Nothing is changed.
        """
        return self._plan_one(action, which) if isinstance(which, str) else self._plan_all(action, which)

    def run(self, plan: OrderPlan, intent: Intent, rollout: Rollout | None = None) -> Run[OrderItem]:
        """Return a run of the plan, by default at once: each order is resolved when the orchestrator has acknowledged.

        In waves of `Resume` an order is resolved when an answer has come for it. An order that the action would not
        change any more is skipped. Run again with the same intent a plan has no second effect. Raises NotPossible if
        the plan has expired.
        """
        rollout = rollout or Rollout.at_once()
        return Run(plan, intent, rollout, partial(self._open_target, plan, intent, rollout))

    def plan_again(self, action: OrderAction, plan_id: str, order_ids: Sequence[str]) -> OrderPlan:
        """Return what is left of an earlier plan: these of its orders, as they are now, under its id.

        What the action would not change any more is among `skipped`, all of it.
        """
        with self._synced(OrdersProjection(self._session.sources), what="orders") as (view, as_of):
            orders = {order.order_id: order for order in Orders(view).find(order_ids)}
        gone = [Skipped(name=name, why="gone") for name in order_ids if name not in orders]
        items, skipped = self._split(action, [orders[name] for name in order_ids if name in orders])
        left_out = (*gone, *skipped)
        return OrderPlan(
            id=plan_id, action=action, items=items, skipped=left_out, skipped_count=len(left_out), as_of=as_of
        )

    def summaries(self, order_ids: Collection[str]) -> dict[str, OrderSummary]:
        """Return these orders as they are now, without those that there are not."""
        with OrderStates(self._session, order_ids, self._view if len(order_ids) > 1 else None) as states:
            orders = {order_id: states.summary(order_id) for order_id in order_ids}
        return {order_id: order for order_id, order in orders.items() if order is not None}

    @cached_property
    def _saga(self) -> OrderSaga:
        application = self._session.application
        return order_saga(application, application.make_services())[0]

    def _plan_one(self, action: OrderAction, order_id: str) -> OrderPlan:
        require_order_id(order_id)
        as_of = datetime.now(UTC)
        with OrderStates(self._session, [order_id]) as states:
            order, state = states.summary(order_id), states.state(order_id)
        if order is None or state is None:
            raise NotFound(f"no order {order_id!r}", subject=order_id, field="order")
        if skipped := action.why_not(order):
            why = describe_why_not(skipped)
            raise NotPossible(f"cannot {action.kind} {order_id}: {why}", subject=order_id, field="order")
        return OrderPlan(action=action, items=tuple(self._items(action, [(order, state)])), as_of=as_of)

    def _plan_all(self, action: OrderAction, order_filter: OrderFilter) -> OrderPlan:
        with self._synced(OrdersProjection(self._session.sources), what="orders") as (view, as_of):
            orders = list(Orders(view).matching(order_filter, epoch_ms(as_of)))
        items, skipped = self._split(action, orders)
        return OrderPlan(
            action=action, items=items, skipped=first_skipped(skipped), skipped_count=len(skipped), as_of=as_of
        )

    def _split(
        self, action: OrderAction, orders: Sequence[OrderSummary]
    ) -> tuple[tuple[OrderItem, ...], tuple[Skipped, ...]]:
        """Return what the action would do with those that it would change, and why it would not change the others."""
        skipped = tuple(why for why in map(action.why_not, orders) if why is not None)
        names = {each.name for each in skipped}
        changeable = {order.order_id: order for order in orders if order.order_id not in names}
        records = read_positions(self._session, [order.position for order in changeable.values()])
        entries = map(self._session.decode, records)
        states = {entry.key: entry.fields for entry in entries}
        pairs = [(order, states.get(order_id) or {}) for order_id, order in changeable.items()]
        return tuple(self._items(action, pairs)), skipped

    def _items(self, action: OrderAction, orders: Sequence[tuple[OrderSummary, State]]) -> Iterator[OrderItem]:
        behind = self._blocking_letters({order.order_id for order, _ in orders}) if action.kind == "retry" else {}
        for order, state in orders:
            name = order.order_id
            yield OrderItem(
                name=name, order=order, effect=action.effect(state, self._saga), behind=tuple(behind.get(name, ()))
            )

    def _blocking_letters(self, order_ids: Collection[str]) -> Mapping[str, list[BlockingLetter]]:
        letters: dict[str, list[BlockingLetter]] = {}
        with self._synced(FailuresProjection(self._session.decoder), what="dead letters") as (view, _):
            for parked in Failures(view).parked(status="dead_lettered"):
                if parked.key in order_ids:
                    letter = BlockingLetter(service=parked.service, key=parked.key, type=parked.head)
                    letters.setdefault(parked.key, []).append(letter)
        return letters

    @contextmanager
    def _synced(self, *projections: Projection, what: str) -> Iterator[tuple[View, datetime]]:
        """Give the view, up to date, and the time that it is of."""
        now = datetime.now(UTC)
        if self._view is None:
            with self._session.view(*projections, what=what) as fresh:
                yield fresh, now
        else:
            yield self._view, self._view.sync(self._session.progress(what)).as_of or now

    @contextmanager
    def _open_target(self, plan: OrderPlan, intent: Intent, rollout: Rollout) -> Iterator[_OrderTarget]:
        names = [item.name for item in plan.items]
        session, view = self._session, self._view if len(names) > 1 else None
        access, sources = session.client, session.sources
        with (
            OrderStates(session, names, view) as states,
            Client.over(access, session.application.catalogue, sources, name=intent.actor.via) as client,
        ):
            yield _OrderTarget(states, client, plan, intent, is_gradual=rollout.wait_for == "outcome")


class _OrderTarget:
    """Orders that an action is run on: commands are written, and their states say how it went."""

    def __init__(
        self, states: OrderStates, client: Client, plan: OrderPlan, intent: Intent, *, is_gradual: bool
    ) -> None:
        self._states, self._client, self._plan, self._intent = states, client, plan, intent
        self._waits_for_progress = is_gradual and isinstance(plan.action, Resume)
        self._before: dict[str, State] = {}
        self._skipped: dict[str, Skipped] = {}

    def submit(self, items: Sequence[OrderItem]) -> None:
        """Write the commands; the states as they are now are what progress is measured by."""
        self._states.forget_decoded()
        self._states.read_on()
        self._before.clear()
        outgoing = []
        for item in items:
            order, state = self._states.summary(item.name), self._states.state(item.name)
            if order is None or state is None:
                self._skipped[item.name] = Skipped(name=item.name, why="gone")
            elif skipped := self._plan.action.why_not(order):
                self._skipped[item.name] = skipped
            else:
                self._before[item.name] = state
                command = self._plan.action.command(item.name, state, self._intent)
                outgoing.append(Outgoing(command, Envelope(self._message_id(item.name))))
        self._client.write(outgoing)

    def look(self) -> None:
        self._states.read_on()

    def is_acknowledged(self, item: OrderItem) -> bool:
        return self._states.has_handled(item.name, self._message_id(item.name))

    def verdict(self, item: OrderItem) -> Verdict | None:
        if (skipped := self._skipped.get(item.name)) is not None:
            return Verdict(OrderOutcome.SKIPPED, is_good=True, detail=skipped.why)
        if not self.is_acknowledged(item):
            return None
        if not self._waits_for_progress:
            return Verdict(OrderOutcome.ACKNOWLEDGED, is_good=True)
        return progress_of(self._before[item.name], self._states.state(item.name) or {})

    def verdict_when_late(self, item: OrderItem) -> Verdict:
        is_heard = self.is_acknowledged(item)
        return Verdict(OrderOutcome.NO_PROGRESS if is_heard else OrderOutcome.NOT_ACKNOWLEDGED, is_good=False)

    def _message_id(self, order_id: str) -> str:
        return self._plan.derived_id(self._intent, order_id)


def order_projections(session: Session) -> tuple[Projection, ...]:
    """Return what the view of `OrderActions` has to have."""
    return OrdersProjection(session.sources), FailuresProjection(session.decoder)


def progress_of(before: State, after: State) -> Verdict | None:
    """Return what became of an order since it was resumed: a reply counts, a rollback or a new pause is a failure."""
    was_turning = before["status"] in {"compensating", "compensation_failed"}
    failed = Verdict(OrderOutcome.FAILED, is_good=False)
    if len(after.get("failed", ())) > len(before.get("failed", ())) or after["status"] == "compensation_failed":
        return failed
    if after["status"] == "compensating" and not was_turning:
        return failed
    if after["status"] in {"completed", "cancelled"} or _size(after) > _size(before):
        return Verdict(OrderOutcome.PROGRESSED, is_good=True)
    return failed if after.get("paused_since") is not None else None


def _size(state: State) -> int:
    return sum(len(state.get(name, ())) for name in _GROWING)
