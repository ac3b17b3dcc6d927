"""What `pytest -n` keeps together, and what it begins with."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.parallel import UnitScheduling, rank, unit_of, worker_count

FLOW = "tests/end_to_end/test_verified.py::test_nothing_was_lost_or_done_twice"
LIVE_PAGES = "tests/end_to_end/pages/test_live_pages.py::test_an_order_is_placed"
CHAOS = "tests/end_to_end/test_chaos.py::test_every_order_ends_whatever_breaks[everything]"
SLOTS = "tests/integration/test_slots.py::test_the_newer_process_wins"
SECURE = "tests/integration/test_security.py::test_a_wrong_password"
SLOW = "tests/integration/test_slow_broker.py::test_commands_answer"
PAUSES = "tests/integration/test_operator_pauses.py::test_waves"
TRACING = "tests/integration/test_tracing.py::test_an_order_is_one_trace"
PAGES = "tests/browser/test_pages.py::test_a_change"
UNIT = "tests/unit/kafka/test_groups.py::test_a_group"


@pytest.mark.parametrize(
    ("one", "other", "are_together"),
    [
        pytest.param(FLOW, "tests/end_to_end/test_orders.py::test_an_order", True, id="one system"),
        pytest.param(FLOW, LIVE_PAGES, False, id="a system whose broker is killed"),
        pytest.param(FLOW, CHAOS, False, id="a system of its own"),
        pytest.param(CHAOS, CHAOS.replace("everything", "given-up"), False, id="one after the other would take long"),
        pytest.param(SLOTS, f"{SLOTS}_again", False, id="any worker's broker"),
        pytest.param(SECURE, SECURE.replace("wrong", "right"), True, id="one secure broker"),
        pytest.param(SLOW, f"{SLOW}_again", True, id="one slow broker"),
        pytest.param(PAUSES, SLOTS, False, id="a flow, and any broker"),
        pytest.param(PAUSES, TRACING, True, id="one flow of two files"),
        pytest.param(UNIT, UNIT.replace("a_group", "no_group"), True, id="one file"),
        pytest.param(UNIT, UNIT.replace("groups", "topics"), False, id="two files"),
    ],
)
def test_what_shares_a_fixture_stays_together(one: str, other: str, *, are_together: bool) -> None:
    assert (unit_of(one) == unit_of(other)) is are_together


def test_what_takes_longest_begins_first() -> None:
    assert sorted([UNIT, SLOTS, SECURE, FLOW, SLOW, PAGES], key=rank) == [SLOW, FLOW, PAGES, SECURE, SLOTS, UNIT]


@pytest.mark.parametrize(
    ("tests", "cores", "count"),
    [([], 1, 3), ([], 2, 5), (["tests/unit"], 3, 7), ([], 64, 8), ([SLOTS], 2, 0), ([SLOTS, "tests/unit"], 2, 5)],
)
def test_single_tests_run_in_this_process(tests: list[str], cores: int, count: int) -> None:
    assert worker_count(tests, cores) == count


class Worker:
    """A worker that notes what it is given."""

    id, shutting_down = "gw", False

    def __init__(self) -> None:
        self.tests: list[int] = []
        self.gateway = self

    def send_runtest_some(self, tests: list[int]) -> None:
        self.tests += tests

    def shutdown(self) -> None:
        self.shutting_down = True


def test_one_worker_begins_at_the_end_of_the_queue() -> None:
    # given tests in the order of their units: the first ones wait, the last ones compute
    options: Any = SimpleNamespace(option=SimpleNamespace(tx=["3*popen"], loadscopereorder=False))
    options.getvalue = lambda name: getattr(options.option, name)
    scheduling, workers = UnitScheduling(options), [Worker() for _ in range(3)]
    for worker in workers:
        scheduling.add_node(worker)  # type: ignore[arg-type]  # all that the scheduling asks of one
        scheduling.add_node_collection(worker, [f"tests/unit/test_{number}.py::test" for number in range(9)])  # type: ignore[arg-type]

    # when they are spread
    scheduling.schedule()

    # then one worker computes, and the others wait
    assert [sorted(worker.tests) for worker in workers] == [[7, 8], [0, 2], [1, 3]]
