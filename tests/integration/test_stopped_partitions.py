"""A partition that takes no records now loses none: not when it goes on, nor when it moves meanwhile."""

import pytest
from confluent_kafka import Producer

from ensemble.testing.on_kafka import LIMIT_S, ServiceThread, wait_for
from tests.integration.conftest import Shop
from tests.support.scripted_service.drivers import script

KEYS = [f"k-{number}" for number in range(4)]
ROUNDS = 20
NARROW = """
[retry]
strategy = "fixed"
initial_s = 0.1
attempts = 1000
[parking]
per_partition = 3
"""


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_paused_service_goes_on_where_it_stopped_also_when_its_partitions_moved(shop: Shop, protocol: str) -> None:
    # given a service that is paused while more and more comes
    members = [shop.thread(instance_id=str(number), group_protocol=protocol, batch_records=7) for number in range(2)]
    with members[0]:
        send_rounds(shop, 2)
        shop.outsider.pause_service()
        before = all_texts(shop)
        send_rounds(shop, ROUNDS - 2)
        wait_for(lambda: has_stopped(shop, members[0]), "all partitions to stop")

        # when another member comes, and the first one goes
        with members[1]:
            wait_for(lambda: members[1].partitions, "the second member to have some")
            members[0].stop()
            wait_for(lambda: has_stopped(shop, members[1]), "all partitions to stop there")
            assert all_texts(shop) == before

            # then all of it takes effect once, in order, after the pause
            shop.outsider.resume_service()
            everything_is_told(shop, ROUNDS)


def test_a_partition_without_room_goes_on_when_there_is_some(shop: Shop) -> None:
    # given more records that have to wait than may be parked, and operators' partitions whose ends no reader gets
    policies = shop.policies(NARROW)
    leave_markers(shop)
    with shop.thread(policies_dir=policies, batch_records=7) as member:
        shop.outsider.send(script("poisoned", "need mended", "add 1"))
        shop.outsider.send(*(script("poisoned", "add 1") for _ in range(5)))
        wait_for(lambda: member.loop._poller.stopped, "its partition to stop")
        send_rounds(shop, ROUNDS)

        # when it is mended
        shop.flag("mended")

        # then nothing is lost, of that key or of those behind it
        everything_is_told(shop, ROUNDS)
        shop.outsider.await_texts("poisoned", *numbers(6))

        # and its timers are judged as before
        shop.outsider.send(script("poisoned", "remind alarm 0 tell ding"))
        shop.outsider.await_texts("poisoned", *numbers(6), "ding")


def leave_markers(shop: Shop) -> None:
    """Leave the markers of an aborted transaction on the control topic."""
    sender = Producer({"bootstrap.servers": shop.bootstrap, "transactional.id": f"{shop.name}-x"})
    sender.init_transactions(LIMIT_S)
    sender.begin_transaction()
    for partition in range(shop.service.partitions):
        sender.produce(shop.outsider.topic("control"), b"never", b"operator", partition)
    sender.flush()
    sender.abort_transaction(LIMIT_S)


def send_rounds(shop: Shop, rounds: int) -> None:
    for _ in range(rounds):
        shop.outsider.send(*(script(key, "add 1") for key in KEYS))


def has_stopped(shop: Shop, member: ServiceThread) -> bool:
    return member.loop._poller.stopped == set(member.partitions) == set(range(shop.service.partitions))


def all_texts(shop: Shop) -> list[list[str]]:
    return [shop.outsider.texts_of(key) for key in KEYS]


def everything_is_told(shop: Shop, rounds: int) -> None:
    for key in KEYS:
        shop.outsider.await_texts(key, *numbers(rounds))


def numbers(last: int) -> list[str]:
    return [str(number) for number in range(1, last + 1)]
