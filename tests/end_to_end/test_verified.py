"""The independent check has the last word about everything that the tests before it did to one system."""

import pytest

from tests.end_to_end.system import System, verified
from tests.support.order_messages import order_placed


def orders_of_tests(request: pytest.FixtureRequest) -> int:
    """Return how many tests of this run have an order with the one system: each that asks for an id."""
    here = [item for item in request.session.items if item.path.parent == request.path.parent]
    return sum({"shared_system", "order_id"}.issubset(getattr(item, "fixturenames", ())) for item in here)


def test_nothing_was_lost_or_done_twice(system: System, order_id: str, request: pytest.FixtureRequest) -> None:
    # given whatever happened before, and one order more
    system.publish(order_placed(order_id=order_id))
    system.await_end(order_id)

    # when all of it is checked, once it has settled
    assert system.fleet.unexpected_exits() == []
    placed = system.watcher.placed()
    report = verified(system, expect_orders=len(placed))

    # then it has looked at every order of every test before, nothing is wrong, and nothing is still under way
    assert order_id in placed
    assert len(placed) > orders_of_tests(request) / 2, "some tests want an order to be refused, and most do not"
    assert report.violations == ()
    assert report.problems == ()
    assert report.open_orders == ()
