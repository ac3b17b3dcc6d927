"""One slot, one process: a second one makes the older exit and say why. Who stood still for too long does no harm."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ensemble.testing.on_kafka import wait_for
from tests.integration.conftest import Shop
from tests.support.scripted_service.drivers import script

KEYS = [f"k-{number}" for number in range(8)]


def test_a_second_process_with_the_same_slot_makes_the_older_exit_and_say_why(shop: Shop) -> None:
    """Rule 6: found out at once, though nothing comes in: every assignment is followed by a transaction."""
    outsider = shop.outsider
    older = shop.process(instance_id="7")
    older.until_logged("state.restored")
    outsider.send(*(script(key, "add 1") for key in KEYS))
    outsider.until_done()

    newer = shop.process(instance_id="7")

    assert older.wait() == 1
    assert "another process" in older.log
    assert f"runs as '{shop.name}-7'" in older.log
    assert "ENSEMBLE_INSTANCE_ID" in older.log
    assert "Traceback" not in older.log
    outsider.send(*(script(key, "add 1") for key in KEYS))
    outsider.until_done()
    for key in KEYS:
        outsider.await_texts(key, "1", "2")
    assert newer.stop() == 0


@contextmanager
def load(shop: Shop) -> Iterator[None]:
    """Send commands with large outputs, 160 in a row ten times a second: more than a process handles."""
    is_over = threading.Event()

    def send() -> None:
        while not is_over.wait(0.1):
            shop.outsider.send(*(script(key, *["tell " + "x" * 5_000] * 5) for key in KEYS * 20))

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        is_over.set()
        sender.join()


def test_the_newer_process_wins_under_load_as_well(shop: Shop) -> None:
    """Rule 6: wherever the older one is in its transaction, it never takes the slot back and always says why."""
    holder = shop.process(instance_id="7")
    holder.until_logged("state.restored")
    with load(shop):
        for _ in range(3):
            older, holder = holder, shop.process(instance_id="7")
            holder.until_logged("service.started")
            assert older.wait() == 1
            assert f"runs as '{shop.name}-7'" in older.log
            assert "Traceback" not in older.log
            holder.until_logged("state.restored")
            assert not holder.has_ended
    assert holder.stop() == 0


def test_a_process_that_stood_still_beyond_its_session_does_nothing_twice(shop: Shop) -> None:
    """Rules 6 and 7: it woke up with a batch in hand, but its partitions belong to another: its commit is refused."""
    outsider = shop.outsider
    zombie = shop.process(instance_id="0", session_timeout_s=6, transaction_timeout_s=6)
    outsider.send(script("a", "add 1"))
    outsider.await_texts("a", "1")
    outsider.send(script("a", "add 1", "wait here"))
    zombie.until_flag("here")
    zombie.send_signal(signal.SIGSTOP)
    zombie.go("here")
    with shop.thread(instance_id="1", session_timeout_s=6):
        outsider.until_done()
        outsider.await_texts("a", "1", "2")
        zombie.send_signal(signal.SIGCONT)
        outsider.send(script("a", "add 1"))
        zombie.until_logged("transaction.aborted")
        outsider.await_texts("a", "1", "2", "3")
        wait_for(lambda: "partitions.assigned" in zombie.log.partition("transaction.aborted")[2], "it to join again")
        outsider.send(*(script(key, "add 1") for key in KEYS))
        outsider.until_done()
    for key in KEYS:
        outsider.await_texts(key, "1")
