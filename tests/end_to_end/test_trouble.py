"""Orders by the thousand while services are killed at random: each ends as it has to, and the check is content."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.end_to_end.trouble import Order, Trouble, crowd, run, stock

from cli.fleet import ALL, with_free_port
from tests.cluster import Cluster
from tests.conftest import CHOSEN
from tests.end_to_end.system import QUICK, System, fresh_cluster, policies, running_system, verified

LIMIT_S = 150
"""How long after the last order all of them must have ended."""


PATIENT = policies(deadline_s=5, resends=30)
IMPATIENT = policies(deadline_s=2, resends=1)
TWICE = ("payment", "inventory", "orchestrator")


@pytest.fixture
def cluster(pytestconfig: pytest.Config, tmp_path: Path) -> Iterator[Cluster]:
    with fresh_cluster(pytestconfig.stash[CHOSEN], tmp_path) as cluster:
        yield cluster


@pytest.fixture
def system(cluster: Cluster, tmp_path: Path, patience: dict[str, str], seconds: tuple[str, ...]) -> Iterator[System]:
    """A flow of its own, with a saga as patient as the test says, and some services with a second instance."""
    members = (*(with_free_port(name) for name in ALL), *(with_free_port(name, 1) for name in seconds))
    with running_system(cluster, tmp_path, {**QUICK, **patience}, members) as system:
        yield system


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("patience", "seconds"), [(PATIENT, ())], ids=["alone"])
def test_orders_outlive_services_that_are_killed(system: System, capsys: pytest.CaptureFixture[str]) -> None:
    # given orders of every kind, and stock for most of them
    trouble = Trouble.from_environment(orders=2000, kills=15)
    orders = _prepared(system, trouble, capsys)

    # when they are placed while services are killed and started again
    run(system, trouble, orders)

    # then every order ends as its kind says
    _await_all(system, orders)
    _assert_ends(system, orders)
    _assert_clean(system, trouble)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("patience", "seconds"), [(PATIENT, TWICE)], ids=["shared"])
def test_orders_outlive_members_that_are_killed_and_members_that_freeze(
    system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    # given services of two instances each, so that one takes over what the other seems to have left
    trouble = Trouble.from_environment(orders=600, kills=4, freezes=4)
    orders = _prepared(system, trouble, capsys)

    # when some are killed, and others freeze for longer than the group waits, and go on as if nothing were
    run(system, trouble, orders)

    # then every order ends as its kind says
    _await_all(system, orders)
    _assert_ends(system, orders)
    _assert_clean(system, trouble)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("patience", "seconds"), [(PATIENT, ())], ids=["broker"])
def test_orders_outlive_a_broker_that_is_killed(system: System, capsys: pytest.CaptureFixture[str]) -> None:
    # given orders of every kind
    trouble = Trouble.from_environment(orders=300, broker_kills=1)
    orders = _prepared(system, trouble, capsys)

    # when the broker is killed under them, and started again on its data
    run(system, trouble, orders)

    # then every order ends as its kind says, with the same processes
    _await_all(system, orders)
    _assert_ends(system, orders)
    _assert_clean(system, trouble)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("patience", "seconds"), [(IMPATIENT, ())], ids=["impatient"])
def test_orders_that_are_given_up_are_undone_whatever_had_happened(
    system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    # given a saga that gives up before a killed service is back
    trouble = Trouble.from_environment(orders=300, kills=5)
    orders = _prepared(system, trouble, capsys)

    # when orders are placed while services are killed and started again
    run(system, trouble, orders)

    # then every order ends one way or the other
    _await_all(system, orders)
    _assert_clean(system, trouble)


def _prepared(system: System, trouble: Trouble, capsys: pytest.CaptureFixture[str]) -> list[Order]:
    with capsys.disabled():
        print(f"\n{trouble}: ENSEMBLE_CHAOS_SEED={trouble.seed} gives the same again")  # noqa: T201
    for receipt in stock():
        system.publish_soon(receipt)
    system.flush()
    return crowd(trouble)


def _await_all(system: System, orders: list[Order]) -> None:
    open_ids = {order.order_id for order in orders}

    def all_ended() -> bool:
        open_ids.difference_update([order_id for order_id in open_ids if system.ending(order_id)])
        return not open_ids

    try:
        system.watcher.until(all_ended, "all orders have ended", LIMIT_S)
    except AssertionError as error:
        report = verified(system)
        words = "\n".join(map(str, (*report.violations[:20], *report.open_orders[:20])))
        raise AssertionError(f"{error}; {len(open_ids)} are open; the check says:\n{words}") from None


def _assert_ends(system: System, orders: list[Order]) -> None:
    endings = {order.order_id: (system.ending(order.order_id), order.kind.ends) for order in orders}
    assert {order_id: pair for order_id, pair in endings.items() if pair[1] and pair[0] != pair[1]} == {}


def _assert_clean(system: System, trouble: Trouble) -> None:
    assert [str(member) for member in system.fleet.fallen()] == []
    report = verified(system, expect_orders=trouble.orders)
    assert report.violations == ()
    assert report.problems == ()
    assert report.open_orders == ()
