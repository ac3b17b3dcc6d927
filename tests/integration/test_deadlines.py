"""Rule 10: a deadline is judged only after the inputs were read up to an end taken after it fell due."""

from confluent_kafka import Producer

from ensemble.clock import ManualClock
from ensemble.messages.codec import encoder_for
from ensemble.testing.on_kafka import LIMIT_S, wait_for
from tests.integration.conftest import Shop
from tests.support.scripted_service.drivers import script
from tests.support.scripted_service.messages import Script

MANY = 400


def test_what_came_while_the_service_was_down_is_no_silence(shop: Shop) -> None:
    """Due long ago; but the answer that ends it lies behind hundreds of records that were not read yet."""
    outsider, clock = shop.outsider, ManualClock()
    with shop.thread(clock):
        outsider.send(script("a", "remind alarm 5 tell too late"))
        outsider.until_done()
    clock.advance(60)
    outsider.send(*(script("a", f"jot {number}") for number in range(MANY)))
    outsider.send(script("a", "forget alarm", "tell in time"))
    with shop.thread(clock, batch_records=20):
        outsider.await_texts("a", "in time")
        outsider.send(script("a", "remind bell 0 tell now"))
        outsider.await_texts("a", "in time", "now")


def test_what_lies_in_an_open_transaction_is_waited_for(shop: Shop) -> None:
    """The sender had written its answer in time, but not committed it: the deadline waits for the outcome."""
    outsider, clock = shop.outsider, ManualClock()
    sender = Producer(
        {"bootstrap.servers": shop.bootstrap, "transactional.id": f"{shop.name}-x", "partitioner": "murmur2_random"}
    )
    sender.init_transactions(LIMIT_S)
    with shop.thread(clock) as thread:
        outsider.send(script("a", "remind alarm 5 tell too late"))
        outsider.until_done()
        sender.begin_transaction()
        sender.produce(outsider.topic("commands"), encoder_for(Script)(script("a", "forget alarm", "tell ok")), b"a")
        sender.flush()
        clock.advance(10)
        wait_for(lambda: thread.loop._gate.waits_for(range(9)), "the deadline to be due")
        seen = thread.loop.heartbeat.beat_at
        wait_for(lambda: thread.loop.heartbeat.beat_at > seen + 0.5, "the loop to turn for a while")
        assert outsider.texts_of("a") == []
        sender.commit_transaction(LIMIT_S)
        outsider.await_texts("a", "ok")


def test_an_idle_partition_that_ends_in_a_commit_marker_does_not_hold_deadlines_back(shop: Shop) -> None:
    """The last offset of a partition may be a transaction's marker, which no reader ever gets."""
    outsider, clock = shop.outsider, ManualClock()
    sender = Producer(
        {"bootstrap.servers": shop.bootstrap, "transactional.id": f"{shop.name}-x", "partitioner": "murmur2_random"}
    )
    sender.init_transactions(LIMIT_S)
    with shop.thread(clock):
        sender.begin_transaction()
        value = encoder_for(Script)(script("a", "remind alarm 5 tell ding"))
        sender.produce(outsider.topic("commands"), value, b"a")
        sender.commit_transaction(LIMIT_S)
        wait_for(lambda: outsider.records("timers-changelog"), "the timer")
        clock.advance(10)
        outsider.await_texts("a", "ding")
    with shop.thread(clock):
        outsider.send(script("b", "tell only to know that it runs"))
        outsider.await_texts("b", "only to know that it runs")
    outsider.await_texts("a", "ding")
