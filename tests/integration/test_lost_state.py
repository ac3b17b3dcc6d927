"""Offsets that are gone although state exists are an incident, not a replay: the service stops and says what to do."""

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition

from ensemble.errors import LostState
from tests.integration.conftest import Shop
from tests.integration.test_restore import failure_of
from tests.support.scripted_service.drivers import script
from tests.support.scripted_service.messages import Announced

KEYS = [f"k-{number}" for number in range(8)]


def work_then_stop(shop: Shop) -> None:
    shop.outsider.send(*(script(key, "add 1") for key in KEYS))
    with shop.thread():
        shop.outsider.until_done()


def test_a_group_without_offsets_does_not_start_from_the_beginning(shop: Shop) -> None:
    """Rule 8: everything would be done a second time."""
    work_then_stop(shop)
    outsider = shop.outsider
    places = [TopicPartition(*place) for place in outsider.inputs]
    for future in outsider.admin.delete_consumer_groups([shop.name]).values():
        future.result(10)
    assert places

    thread = shop.thread()
    thread._thread.start()
    error = failure_of(thread)

    assert isinstance(error, LostState)
    assert "set the group's offsets, then start again" in str(error)
    assert all(outsider.texts_of(key) == ["1"] for key in KEYS)


def test_offsets_out_of_range_stop_the_service(shop: Shop) -> None:
    """Rule 8: the records at the committed offset are gone, so something was lost."""
    outsider = shop.outsider
    work_then_stop(shop)
    outsider.send(*(script(key, "add 1") for key in KEYS))
    ends = outsider.ends(outsider.inputs)
    gone = [TopicPartition(*place, end) for place, end in ends.items()]
    for future in outsider.admin.delete_records(gone).values():
        future.result(10)

    thread = shop.thread()
    thread._thread.start()
    error = failure_of(thread)

    assert isinstance(error, LostState)
    assert "the committed offset is out of range" in str(error)


def test_a_new_group_without_state_starts_at_the_first_record(shop: Shop) -> None:
    """Nothing is skipped that was there before the service."""
    outsider = shop.outsider
    outsider.send(script("a", "tell too old"))
    places = [TopicPartition(*place, end) for place, end in outsider.ends(outsider.inputs).items()]
    for future in outsider.admin.delete_records(places).values():
        future.result(10)
    outsider.send(script("a", "tell first"))
    with shop.thread():
        outsider.until_done()
    outsider.await_texts("a", "first")


def test_an_input_that_is_new_to_the_group_is_read_from_its_start(shop: Shop) -> None:
    """A release that reacts to one more topic begins at that topic's first record; the others go on."""
    outsider = shop.outsider
    outsider.send(script("a", "tell done before"), Announced(account_id="a", text="old news"))
    expected = [
        TopicPartition(*place, end) for place, end in outsider.ends(outsider.inputs).items() if "news" not in place[0]
    ]
    for future in outsider.admin.alter_consumer_group_offsets(
        [ConsumerGroupTopicPartitions(shop.name, expected)]
    ).values():
        future.result(10)
    with shop.thread():
        outsider.until_done()
        outsider.await_texts("a", "heard old news")
