"""The independent check has the last word about everything that the tests before it did to one system."""

from tests.end_to_end.system import System, verified
from tests.support.order_messages import order_placed


def test_nothing_was_lost_or_done_twice(system: System, order_id: str) -> None:
    # given whatever happened before, and one order more
    system.publish(order_placed(order_id=order_id))
    system.await_end(order_id)

    # when all of it is checked, once it has settled
    assert system.fleet.unexpected_exits() == []
    report = verified(system)

    # then nothing is wrong, and nothing is still under way
    assert report.violations == ()
    assert report.problems == ()
    assert report.open_orders == ()
