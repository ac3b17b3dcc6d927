"""Orders in a view: the rows are those of the latest states, however they are read, and every count is right."""

from __future__ import annotations

from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backoffice.order_filter import FIELDS, Condition, OrderFilter
from backoffice.orders import UNREADABLE, Orders, OrdersProjection
from contracts import OrderState, OrderTerms
from contracts.catalogue import ORDER_STATE, ORDERS_EVENTS
from ensemble.messages import encoder_for
from ensemble.messages.schema_set import DirectorySourceSelector
from ensemble.operations import Money, NotFound
from ensemble.operations.view import View
from ensemble.partitioning import partition_of
from tests.support.order_messages import lines, order_placed
from tests.support.topics_to_view import BEGAN, TopicsToView

NOW = BEGAN + 1_000_000
PLACED = order_placed(lines=lines(bolt=2))
ENCODE_STATE, ENCODE_PLACED = encoder_for(OrderState), encoder_for(type(PLACED))


def topics(part: int = 100) -> TopicsToView:
    return TopicsToView({ORDER_STATE.name: 4, ORDERS_EVENTS.name: 4}, part)


def put(topics: TopicsToView, state: OrderState | None, order_id: str = "") -> None:
    key = (state.order_id if state else order_id).encode()
    topics.append(ORDER_STATE.name, partition_of(key, 4), key, ENCODE_STATE(state) if state else None)


def place(topics: TopicsToView, order_id: str, customer: str = "c-1") -> None:
    event = PLACED.model_copy(update={"order_id": order_id, "customer_id": customer})
    key = order_id.encode()
    topics.append(ORDERS_EVENTS.name, partition_of(key, 4), key, ENCODE_PLACED(event))


def view_of(topics: TopicsToView, path: Path | None = None, chunk: int = 100) -> View:
    view = View(topics, [OrdersProjection(DirectorySourceSelector())], path, chunk=chunk)
    view.sync()
    return view


def everything(view: View) -> tuple[list[Any], list[Any]]:
    with view.read() as db:
        orders = db.execute("SELECT * FROM orders WHERE status IS NOT NULL ORDER BY order_id").fetchall()
        counts = db.execute("SELECT * FROM order_counts WHERE count != 0 ORDER BY 1, 2, 3, 4").fetchall()
        return orders, counts


def test_an_order_has_the_terms_that_it_was_placed_on_also_after_its_end() -> None:
    shop = topics()
    put(shop, OrderState(order_id="o-1", status="completed"))
    place(shop, "o-1")
    place(shop, "o-1", customer="someone-else")
    with view_of(shop) as view:
        order = Orders(view).get("o-1")
    assert (order.status, order.customer_id, order.total) == ("completed", "c-1", Money(amount=500, currency="EUR"))
    assert str(order.position) == f"{ORDER_STATE.name}/{partition_of(b'o-1', 4)}/0"


def test_an_order_whose_placing_is_gone_has_the_terms_of_its_state() -> None:
    shop, terms = topics(), OrderTerms(**PLACED.model_dump(exclude={"order_id"}))
    put(shop, OrderState(order_id="o-1", status="fulfilled", order=terms))
    with view_of(shop) as view:
        assert Orders(view).get("o-1").customer_id == PLACED.customer_id


def test_what_it_waits_for_and_why_it_is_paused_are_values() -> None:
    shop = topics()
    state = OrderState(
        order_id="o-1", status="fulfilled", step="shipment", expected=("ShipmentScheduled",), due_at=NOW,
        paused_since=BEGAN, paused_by="operator ann", paused_reason="audit", remaining_ms=5, owed=("payment",),
    )  # fmt: skip
    put(shop, state)
    with view_of(shop) as view:
        order = Orders(view).get("o-1")
    assert order.expects is not None
    assert order.expects.events == ("ShipmentScheduled",)
    assert order.paused is not None
    assert (order.paused.by, order.paused.reason, order.paused.remaining_ms) == ("operator ann", "audit", 5)
    assert order.owed == ("payment",)


def test_an_order_that_was_removed_or_never_existed_is_not_found() -> None:
    shop = topics()
    place(shop, "o-1")
    put(shop, OrderState(order_id="o-1"))
    put(shop, None, "o-1")
    with view_of(shop) as view:
        assert Orders(view).list(OrderFilter(), NOW, 10) == ()
        assert Orders(view).count("status", OrderFilter(), NOW) == {}
        with pytest.raises(NotFound, match="no order 'o-1'"):
            Orders(view).get("o-1")


def test_a_state_that_this_release_cannot_read_is_listed_as_such() -> None:
    shop = topics()
    shop.append(ORDER_STATE.name, 0, b"o-1", b"\0\xff\xff\xff\xffnonsense")
    with view_of(shop) as view:
        [order] = Orders(view).list(OrderFilter(), NOW, 10)
    assert order.status == UNREADABLE
    assert "schema id" in (order.reason or "")


@pytest.mark.parametrize("flag", ["paused", "owed", "overdue"])
def test_few_orders_are_counted_without_a_look_at_all_of_them(flag: str) -> None:
    where, parameters = OrderFilter((Condition(flag, "=", "true"),)).sql(NOW)
    question = f"EXPLAIN QUERY PLAN SELECT COUNT(*) FROM orders WHERE {where}"  # noqa: S608  no user's words
    with view_of(topics()) as view, view.read() as db:
        plan = db.execute(question, parameters).fetchall()
    index = {"overdue": "orders_due"}.get(flag, f"orders_{flag}")
    assert [index in step[-1] for step in plan] == [True], plan


STATUSES = ("payment_pending", "fulfilled", "completed", "compensation_failed")
STATES = st.builds(
    lambda order, status, step, by, owed: OrderState(
        order_id=order, status=status, step=step, owed=owed, paused_by=by, paused_since=BEGAN if by else None
    ),
    st.sampled_from(["o-1", "o-2", "o-3"]),
    st.sampled_from(STATUSES),
    st.sampled_from([None, "payment", "shipment"]),
    st.sampled_from([None, "operator ann", "step payment"]),
    st.sampled_from([(), ("payment",), ("payment", "shipment")]),
)
WRITES = st.lists(st.one_of(STATES, st.sampled_from(["+o-1", "+o-2", "-o-1", "-o-2", "-o-3"])), max_size=25)


def write(topics: TopicsToView, item: OrderState | str) -> None:
    if isinstance(item, OrderState):
        put(topics, item)
    elif item[0] == "+":
        place(topics, item[1:])
    else:
        put(topics, None, item[1:])


@given(
    parts=st.lists(WRITES, min_size=1, max_size=3),
    sizes=st.tuples(st.integers(1, 6), st.integers(1, 8)),
    compactions=st.sets(st.integers(0, 2)),
)
def test_however_it_is_read_it_is_the_fold_of_the_whole(
    tmp_path_factory: pytest.TempPathFactory, *, parts: list[Any], sizes: tuple[int, int], compactions: set[int]
) -> None:
    cut, whole, path = topics(sizes[0]), topics(), tmp_path_factory.mktemp("view") / "view.db"
    result = None
    for number, part in enumerate(parts):
        for item in part:
            write(cut, item)
            write(whole, item)
        with view_of(cut, path, sizes[1]) as view:
            result = everything(view)
        if number in compactions:
            cut.compact(ORDER_STATE.name)
    with view_of(whole) as view:
        assert result == everything(view)
        orders, counts = everything(view)
    by_hand = Counter((row[1], row[2] or "", row[7] or "", row[10] or "") for row in orders)
    assert {tuple(row[:4]): row[4] for row in counts} == by_hand


VALUES = {"text": ["o-1", "full*", "", "*", "[!x]*", "c-1", "step payment"], "flag": ["true", "false"], "age": ["100"]}
CONDITIONS = [
    Condition(name, operator, value, 100_000)
    for name, field in FIELDS.items()
    for operator, value in product("<>" if field.kind == "age" else ("=", "!="), VALUES[field.kind])
]


@pytest.mark.parametrize("condition", CONDITIONS, ids=str)
def test_a_filter_takes_the_rows_of_the_states_that_it_takes(condition: Condition) -> None:
    terms = OrderTerms(**PLACED.model_dump(exclude={"order_id", "placed_at"}), placed_at=NOW - 200_000)
    states = [
        OrderState(order_id="o-1", status="fulfilled", step="payment", order=terms, due_at=NOW - 1),
        OrderState(order_id="o-2", status="completed", owed=("payment",)),
        OrderState(order_id="o-3", status="fulfilled", paused_since=BEGAN, paused_by="step payment", due_at=NOW - 1),
    ]
    shop = topics()
    for state in states:
        put(shop, state)
    changed = {state.order_id: BEGAN for state in states}  # each is the first record of its partition
    assert len({partition_of(state.order_id.encode(), 4) for state in states}) == len(states)
    documents = [{**state.model_dump(), "updated_at": changed[state.order_id]} for state in states]
    with view_of(shop) as view:
        taken = {order.order_id for order in Orders(view).list(OrderFilter((condition,)), NOW, 10)}
        counted = Orders(view).count("status", OrderFilter((condition,)), NOW)
    expected = [document for document in documents if OrderFilter((condition,)).takes(document, NOW)]
    assert taken == {document["order_id"] for document in expected}
    assert counted == Counter(document["status"] for document in expected)


@pytest.mark.parametrize("condition", [Condition("owed", "=", "true"), Condition("customer", "!=", "c-9")], ids=str)
def test_orders_are_counted_by_several_fields_as_by_each_alone(condition: Condition) -> None:
    shop = topics()
    for number, (paused_by, owed) in enumerate(product(("operator ann", "step payment", None), (("payment",), ()))):
        state = OrderState(order_id=f"o-{number}", status="fulfilled", paused_by=paused_by, owed=owed)
        put(shop, state if number else state.model_copy(update={"status": "completed"}))
    which = OrderFilter((condition,))
    with view_of(shop) as view:
        counts = Orders(view).count_by_each(("status", "paused_by", "owed"), which, NOW)
        assert counts == {by: Orders(view).count(by, which, NOW) for by in counts}
    assert next(iter(counts["status"])) == "fulfilled"
    assert sum(counts["paused_by"].values()) == {"owed": 3, "customer": 6}[condition.name]


def test_of_several_values_of_one_field_one_has_to_hold() -> None:
    shop = topics()
    for number, status in enumerate(("payment_pending", "fulfilled", "completed")):
        put(shop, OrderState(order_id=f"o-{number}", status=status))
    both = OrderFilter((Condition("status", "=", "fulfilled"), Condition("status", "=", "completed")))
    with view_of(shop) as view:
        assert len(Orders(view).list(both, NOW, 10)) == 2
        assert Orders(view).count("status", both, NOW) == {"completed": 1, "fulfilled": 1}
