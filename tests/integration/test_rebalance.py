"""Instances come and go; each key keeps its order, and each message takes effect once."""

import pytest

from ensemble.testing.on_kafka import ServiceThread, wait_for
from tests.integration.conftest import Shop
from tests.support.scripted_service.drivers import script
from tests.support.scripted_service.messages import Announced

KEYS = [f"k-{number}" for number in range(12)]


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_two_instances_share_the_work_and_take_over_from_each_other(shop: Shop, protocol: str) -> None:
    """Rule 1: range assignment with both protocols; a task runs where all its inputs are."""
    outsider, rounds = shop.outsider, iter(range(1, 1000))

    def send_rounds(number: int) -> None:
        for _ in range(number):
            text = str(next(rounds))
            outsider.send(*(Announced(account_id=key, text=f"add 1; jot {text}") for key in KEYS))

    first = shop.thread(instance_id="0", group_protocol=protocol)
    with first:
        send_rounds(5)
        second = shop.thread(instance_id="1", group_protocol=protocol)
        with second:
            send_rounds(5)
            wait_for(lambda: partitions(first) == partitions(second) == 1, "a partition for each")
            send_rounds(5)
            outsider.until_done()
            first.stop()
            send_rounds(5)
            wait_for(lambda: partitions(second) == 2, "the second to have both")
            outsider.until_done()
    outsider_says = [str(number) for number in range(1, 21)]
    for key in KEYS:
        outsider.await_texts(key, *outsider_says)


def partitions(thread: ServiceThread) -> int:
    return len(thread.loop._assignment.running)


def test_state_moves_with_its_partition(shop: Shop) -> None:
    """What one instance wrote, the other knows when it takes over: facts, state and history."""
    outsider = shop.outsider
    with shop.thread(instance_id="0"):
        outsider.send(*(script(key, "set 5", "book x 2", "jot hi") for key in KEYS))
        outsider.until_done()
        with shop.thread(instance_id="1") as second:
            wait_for(lambda: partitions(second) == 1, "a partition for the second")
            outsider.send(*(script(key, "get", "lines", "read") for key in KEYS))
            for key in KEYS:
                outsider.await_texts(key, "5", "x=2", "hi")


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_member_without_partitions_is_ready_and_takes_over(shop: Shop, protocol: str) -> None:
    first, second, third = (shop.thread(instance_id=str(number), group_protocol=protocol) for number in range(3))
    with first, second, third:
        wait_for(lambda: third.loop.is_ready, "the third to be ready")
        first.stop()
        shop.outsider.send(*(script(key, "add 1") for key in KEYS))
        shop.outsider.until_done()
        for key in KEYS:
            shop.outsider.await_texts(key, "1")
