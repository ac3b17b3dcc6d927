"""A service that dies, in whatever way, has done each message once when another has taken over."""

import random
import signal

import pytest

from ensemble.testing.on_kafka import wait_for
from tests.integration.conftest import Shop
from tests.support.scripted_service.drivers import script, slow
from tests.support.scripted_service.messages import Announced

KEYS = [f"k-{number}" for number in range(8)]


@pytest.mark.parametrize("make", [script, slow], ids=["plain", "async"])
def test_killed_in_the_middle_of_a_batch(shop: Shop, make: type) -> None:
    """Nothing of the batch is visible; after a restart each record of it takes effect once, in order."""
    outsider = shop.outsider
    first = shop.process()
    outsider.send(
        make("a", "add 1"), make("a", "add 1", "forward x", "book x 1", "jot x", "wait here"), make("a", "add 1")
    )
    first.until_flag("here")
    first.kill()
    seen_at_death = outsider.texts_of("a")
    first.go("here")
    with shop.thread():
        outsider.until_done()
        outsider.send(make("a", "lines", "read"))
        outsider.await_texts("a", "1", "2", "3", "x=1", "x")
    assert seen_at_death in ([], ["1"])
    assert len(outsider.records("outbox")) == 1


def test_killed_again_and_again_under_load(shop: Shop) -> None:
    """Whatever moment it dies at: each key's effects are there once, in order."""
    outsider, each = shop.outsider, 25
    dice = random.Random(20)
    process = shop.process()
    for number in range(each):
        text = f"add 1; book x {number}; jot {number}"
        outsider.send(*(Announced(account_id=key, text=text) for key in KEYS))
        if number % 8 == 7:
            enough = dice.randrange(number * len(KEYS))
            wait_for(lambda least=enough: sum(outsider.committed().values()) > least, "some progress")  # type: ignore[misc]
            process.kill()
            process = shop.process()
    outsider.until_done()
    outsider.send(*(script(key, "lines", "read") for key in KEYS))
    total, history = sum(range(each)), " ".join(map(str, range(each)))
    for key in KEYS:
        outsider.await_texts(key, *map(str, range(1, each + 1)), f"x={total}", history)


def test_state_timers_and_ids_are_there_again_after_a_kill(shop: Shop) -> None:
    """Rule 3 and rule 10: the window of ids and the timers are state like any other."""
    outsider = shop.outsider
    first = shop.process()
    outsider.send(script("a", "set 5", "set-below 7", "remind alarm 2 tell ding", "remind bell 3600 tell never"))
    outsider.send(script("a", "add 1"), message_id="one")
    outsider.await_texts("a", "6")
    first.kill()
    with shop.thread():
        outsider.send(script("a", "add 1"), message_id="one")
        outsider.send(script("a", "get-below"))
        outsider.await_texts("a", *(["6", "7", "ding"] if outsider_is_quick(shop) else ["6", "ding", "7"]))


def outsider_is_quick(shop: Shop) -> bool:
    """Whether the answer came before the timer."""
    wait_for(lambda: len(shop.outsider.texts_of("a")) == 3, "answer and timer")
    return shop.outsider.texts_of("a")[1] == "7"


def test_stopped_gracefully_it_finishes_commits_and_leaves_the_group(shop: Shop) -> None:
    outsider = shop.outsider
    process = shop.process()
    outsider.send(script("a", "add 1", "wait here", "add 1"), script("a", "add 1"))
    process.until_flag("here")
    process.send_signal(signal.SIGTERM)
    process.go("here")
    assert process.wait() == 0
    assert "service.stopped" in process.log

    members = outsider.admin.describe_consumer_groups([shop.name])[shop.name].result(30).members
    assert members == []
    assert outsider.texts_of("a")[:2] == ["1", "2"]
    with shop.thread():
        outsider.until_done()
        outsider.await_texts("a", "1", "2", "3")


def test_the_offset_of_a_duplicate_that_was_dropped_is_committed_too(shop: Shop) -> None:
    """Nobody reads them again, and the lag does not lie."""
    with shop.thread():
        shop.outsider.send(script("a", "add 1"), message_id="one")
        shop.outsider.await_texts("a", "1")
        shop.outsider.send(script("a", "add 1"), message_id="one")
        shop.outsider.until_done()


def test_a_process_whose_loop_hangs_ends_itself(shop: Shop) -> None:
    """Rule 7: some client calls outlive their timeouts; a supervisor can only restart what ends."""
    process = shop.process(watchdog_s=10, max_poll_interval_s=10)
    shop.outsider.send(script("a", "wait for-ever"))
    process.until_flag("for-ever")
    assert process.wait(limit_s=60) == 70
    assert "process.stuck" in process.log
