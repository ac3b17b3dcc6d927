"""A key whose record fails waits in order, through crashes and new members; every other key goes on."""

from collections.abc import Iterator

import pytest

from ensemble.settings import CRASH_POINTS
from ensemble.testing.on_kafka import ServiceThread, wait_for
from tests.integration.conftest import Shop
from tests.support.scripted_service.drivers import script, slow
from tests.support.scripted_service.messages import Announced
from tests.support.scripted_service.on_kafka import ScriptProcess

PATIENT = """
[retry]
strategy = "fixed"
initial_s = 0.1
attempts = 1000
attempt_timeout_s = 60.0
"""
OTHERS = [f"k-{number}" for number in range(6)]
ROUNDS = 10


@pytest.mark.parametrize("point", CRASH_POINTS)
def test_a_parked_key_keeps_its_order_when_the_process_dies_at(shop: Shop, point: str) -> None:
    # given a key whose head fails, and a process that dies at this point, first when it parks, then once it is parked
    policies, rounds = shop.policies(PATIENT), iter(range(ROUNDS))
    for _ in range(2):
        dying = shop.process(policies_dir=policies, crash_at=f"{point}:3")
        dying.until_logged("state.restored")
        send_until_dead(shop, dying, rounds)
    for number in rounds:
        send_round(shop, number)

    # when a third takes over, and what made the head fail is mended
    with shop.thread(policies_dir=policies):
        everybody_else_is_done(shop)
        assert shop.outsider.texts_of("poisoned") == []
        shop.flag("mended")

        # then every record of the key has taken effect once, in order
        shop.outsider.await_texts("poisoned", *numbers())
        shop.outsider.until_done()
        shop.outsider.send(script("poisoned", "read", "lines"))
        history = " ".join(str(number) for number in range(ROUNDS))
        shop.outsider.await_texts("poisoned", *numbers(), history, f"x={sum(range(ROUNDS))}")


def test_parked_keys_move_with_their_partitions(shop: Shop) -> None:
    # given parked keys in each partition, and one member
    policies, rounds = shop.policies(PATIENT), iter(range(ROUNDS))
    poisoned = [f"p-{number}" for number in range(6)]
    members = [shop.thread(instance_id=str(number), policies_dir=policies) for number in range(3)]
    with members[0]:
        send_parked(shop, poisoned, rounds, 3)

        # when two more come, and then all but one go, while more records come
        with members[1], members[2]:
            wait_for(lambda: len(busy(members)) > 1, "the partitions to be shared")
            send_parked(shop, poisoned, rounds, 3)
            members[0].stop()
            members[1].stop()
            wait_for(lambda: len(members[2].partitions) == shop.service.partitions, "one to have them all")
            send_parked(shop, poisoned, rounds, 4)
            shop.flag("mended")

            # then each key has its effects once, in order
            for key in poisoned:
                shop.outsider.await_texts(key, *numbers())


def test_a_call_that_hangs_delays_no_other_key_and_is_made_again_after_a_kill(shop: Shop) -> None:
    # given a call to the outside that does not come back, and another record behind it
    policies = shop.policies(PATIENT)
    first = shop.process(policies_dir=policies)
    shop.outsider.send(slow("hanging", "call charge", "await answer", "add 1"))
    first.until_flag("answer")
    shop.outsider.send(slow("hanging", "add 1"), *(slow(key, "add 1") for key in OTHERS))

    # when all others are done, its own record is committed as in flight
    everybody_else_is_told(shop, "1")
    shop.outsider.until_done()
    assert shop.outsider.texts_of("hanging") == []

    # and when the process is killed meanwhile, another one calls again
    first.kill()
    with shop.thread(policies_dir=policies):
        wait_for(lambda: shop.read_count("charge") == 2, "the second call")
        shop.flag("answer.go")

        # then it takes effect once, and what waited behind it follows
        shop.outsider.await_texts("hanging", "1", "2")


def send_until_dead(shop: Shop, process: ScriptProcess, rounds: Iterator[int]) -> None:
    """Half of the rounds: one after the other, so that each is a batch, as long as there is somebody to take them."""
    for _, number in zip(range(ROUNDS // 2), rounds, strict=False):
        send_round(shop, number)
        wait_for(lambda: process.has_ended or shop.outsider.all_committed, "the round to be taken")
    wait_for(lambda: process.has_ended, "the process to die")


def send_round(shop: Shop, number: int) -> None:
    shop.outsider.send(poisoned_record("poisoned", number), *(script(key, "add 1") for key in OTHERS))


def send_parked(shop: Shop, keys: list[str], rounds: Iterator[int], count: int) -> None:
    for _, number in zip(range(count), rounds, strict=False):
        shop.outsider.send(*(poisoned_record(key, number) for key in keys))
    shop.outsider.until_done()


def poisoned_record(key: str, number: int) -> Announced:
    """Return the numbered command of a key, of which the first fails until it is mended."""
    return Announced(
        account_id=key, text=f"{'need mended; ' if number == 0 else ''}add 1; jot {number}; book x {number}"
    )


def everybody_else_is_done(shop: Shop) -> None:
    everybody_else_is_told(shop, *numbers())


def everybody_else_is_told(shop: Shop, *texts: str) -> None:
    for key in OTHERS:
        shop.outsider.await_texts(key, *texts)


def numbers() -> list[str]:
    return [str(number) for number in range(1, ROUNDS + 1)]


def busy(members: list[ServiceThread]) -> list[ServiceThread]:
    return [member for member in members if member.partitions]
