"""The newest states of some orders, kept up to date while something is done with them."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack
from typing import Self

from backoffice.order_filter import State
from backoffice.order_records import places_of
from backoffice.orders import UNREADABLE, Orders, OrdersProjection, OrderSummary, summary_of
from contracts.catalogue import ORDER_STATE
from ensemble.kafka.client import ReceivedRecord, TopicPlace
from ensemble.operations import Session, Unreachable, read_positions
from ensemble.operations.view import View


def find_state(session: Session, order_id: str) -> ReceivedRecord | None:
    """Return the record of an order's newest state, None if there is none.

    A view that was left behind says where it lay: only what came since is searched, else the order's partition.
    """
    [place] = places_of(session.client, [ORDER_STATE.name], order_id)
    key = order_id.encode()
    with session.kept(OrdersProjection(session.sources)) as view:
        since, rows = (0, ()) if view is None else _kept_of(view, place, order_id)
    newer = session.client.last_of(place, key, since)
    if newer is not None or not rows:
        return newer
    return next(read_positions(session, [rows[0].position]), None)


def _kept_of(view: View, place: TopicPlace, order_id: str) -> tuple[int, tuple[OrderSummary, ...]]:
    """Return how far a view has read a partition, and its row of an order; nothing where its file is damaged."""
    try:
        since = view.offsets(OrdersProjection.name).get(place, 0)
        return since, Orders(view).find([order_id]) if since else ()
    except Unreachable:
        return 0, ()


class OrderStates:
    """The states of some orders, as of the last `read_on`; use it in a `with`. They are decoded when asked for."""

    def __init__(self, session: Session, order_ids: Collection[str], view: View | None = None) -> None:
        """Read the states as they are now: one order's from its partition, several by the rows of a view."""
        self._session, self._exit = session, ExitStack()
        self._ids = frozenset(order_ids)
        self._records: dict[str, ReceivedRecord] = {}
        self._decoded: dict[str, State] = {}
        if view is None and len(self._ids) == 1:
            self._begin_with_one(*self._ids)
        else:
            with session.view(OrdersProjection(session.sources), what="orders", view=view) as synced:
                self._begin_with_rows(synced)
        self.read_on()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def read_on(self) -> None:
        """Read the states that have been written since."""
        for record in self._follower.read_to_end():
            self._take(record)

    def state(self, order_id: str) -> State | None:
        """Return the decoded state, None if there is none."""
        record = self._records.get(order_id)
        if record is None or record.value is None:
            return None
        if order_id not in self._decoded:
            self._decoded[order_id] = self._session.decode(record).fields
        return self._decoded[order_id]

    def summary(self, order_id: str) -> OrderSummary | None:
        """Return the order as its state alone has it, None if there is none."""
        state = self.state(order_id)
        if state is None:
            return None
        record = self._records[order_id]
        fields = state if "status" in state else {"status": UNREADABLE, "reason": self._session.decode(record).problem}
        return summary_of(order_id, fields, record.timestamp, (record.partition, record.offset))

    def has_handled(self, order_id: str, message_id: str) -> bool:
        """Return whether the orchestrator has handled this message."""
        return any(seen["message_id"] == message_id for seen in (self.state(order_id) or {}).get("seen", ()))

    def forget_decoded(self) -> None:
        """Give back the memory of decoded states; they are decoded anew when they are asked for."""
        self._decoded.clear()

    def _begin_with_one(self, order_id: str) -> None:
        [place] = places_of(self._session.client, [ORDER_STATE.name], order_id)
        self._follower = self._exit.enter_context(self._session.client.follow([place]))
        if (record := find_state(self._session, order_id)) is not None:
            self._take(record)

    def _begin_with_rows(self, view: View) -> None:
        """Follow from where the rows are, so that nothing is missed between them and what comes."""
        offsets = view.offsets(OrdersProjection.name)
        states = {place: offset for place, offset in offsets.items() if place[0] == ORDER_STATE.name}
        self._follower = self._exit.enter_context(self._session.client.follow_from(states))
        rows = Orders(view).of(sorted(self._ids))
        for record in read_positions(self._session, [order.position for order in rows.values()]):
            self._take(record)

    def _take(self, record: ReceivedRecord) -> None:
        order_id = (record.key or b"").decode(errors="replace")
        before = self._records.get(order_id)
        if order_id in self._ids and (before is None or before.offset < record.offset):
            self._records[order_id] = record
            self._decoded.pop(order_id, None)
