"""Offsets that are gone although state exists are an incident, not a replay: the service stops and says what to do."""

import getpass
import re

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import NewPartitions  # type: ignore[attr-defined]  # an unmarked re-export

from ensemble.errors import ConfigurationError, LostState
from ensemble.kafka.admin import topics
from ensemble.messages.codec import encoder_for
from ensemble.partitioning import partition_of
from ensemble.testing.clusters import Cluster
from ensemble.testing.on_kafka import LIMIT_S, wait_for
from tests.integration.conftest import Shop
from tests.integration.test_restore import failure_of
from tests.support.command_line import CommandLine
from tests.support.scripted_service.drivers import script
from tests.support.scripted_service.messages import Announced, Script
from tests.support.scripted_service.service import PARTITIONS

KEYS = [f"k-{number}" for number in range(8)]
KEY_OF = {partition_of(key.encode(), PARTITIONS): key for key in KEYS}
"""A key of each partition."""


@pytest.fixture
def ensemble(kafka: Cluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """The command line of an operator on the tests' cluster."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
    return CommandLine(capsys)


def work_then_stop(shop: Shop) -> None:
    shop.outsider.send(*(script(key, "add 1") for key in KEYS))
    with shop.thread():
        shop.outsider.until_done()


def delete_group(shop: Shop) -> None:
    for future in shop.outsider.admin.delete_consumer_groups([shop.name]).values():
        future.result(30)


def test_a_group_without_offsets_does_not_start_from_the_beginning(shop: Shop) -> None:
    """Rule 8: everything would be done a second time."""
    work_then_stop(shop)
    outsider = shop.outsider
    delete_group(shop)

    thread = shop.thread()
    thread.start()
    error = failure_of(thread)

    assert isinstance(error, LostState)
    assert re.search(
        rf"{shop.name} last wrote its state at 20\d\d-\d\d-\d\dT.* \({shop.name}\..*-changelog\[", str(error)
    )
    commands = outsider.topic("commands")
    assert f"ensemble consumers set-offsets {shop.name} --topic {commands} --to state" in str(error)
    assert all(outsider.texts_of(key) == ["1"] for key in KEYS)


def test_offsets_out_of_range_stop_the_service(shop: Shop) -> None:
    """Rule 8: the records at the committed offset are gone, so something was lost."""
    outsider = shop.outsider
    work_then_stop(shop)
    outsider.send(*(script(key, "add 1") for key in KEYS))
    ends = outsider.ends(outsider.inputs)
    gone = [TopicPartition(*place, end) for place, end in ends.items()]
    for future in outsider.admin.delete_records(gone).values():
        future.result(30)

    thread = shop.thread()
    thread.start()
    error = failure_of(thread)

    assert isinstance(error, LostState)
    assert "the committed offset is out of range" in str(error)
    assert f"{shop.name} last wrote its state at 20" in str(error)


def announce_in_a_transaction(shop: Shop, text: str) -> None:
    """Write one record to each partition of the news, as another service of ours would."""
    producer = Producer({"bootstrap.servers": shop.bootstrap, "transactional.id": f"{shop.name}-elsewhere"})
    producer.init_transactions(LIMIT_S)
    producer.begin_transaction()
    for partition in range(PARTITIONS):
        value = encoder_for(Announced)(Announced(account_id=KEY_OF[partition], text=text))
        producer.produce(shop.outsider.topic("news"), value, KEY_OF[partition].encode(), partition)
    producer.commit_transaction(LIMIT_S)


def empty(shop: Shop, suffix: str) -> None:
    """Remove all records of a topic, as its retention would."""
    topic, outsider = shop.outsider.topic(suffix), shop.outsider
    ends = outsider.ends([(topic, partition) for partition in range(PARTITIONS)])
    for future in outsider.admin.delete_records([TopicPartition(*place, end) for place, end in ends.items()]).values():
        future.result(30)


def test_a_quiet_topic_is_committed_to_its_end_and_outlives_its_retention(shop: Shop) -> None:
    """The commit marker behind the last record is read too, so lag reaches zero and retention takes nothing unread."""
    outsider = shop.outsider
    announce_in_a_transaction(shop, "hello")
    with shop.thread():
        outsider.until_done()  # compares with the high watermarks, behind the markers
    empty(shop, "news")
    with shop.thread():
        outsider.send(script("a", "tell still here"))
        outsider.await_texts("a", "still here")


def test_a_running_service_outlives_the_retention_of_what_it_has_read(shop: Shop) -> None:
    """An abort has every input read again from its committed offset, which must be one that the log has."""
    outsider = shop.outsider
    announce_in_a_transaction(shop, "hello")
    with shop.thread() as thread:
        outsider.until_done()
        empty(shop, "news")
        thread.loop._assignment.rewind()
        outsider.send(script("a", "tell after it"))
        outsider.await_texts("a", "after it")


def test_offsets_that_a_release_before_committed_at_a_marker_are_moved_on(shop: Shop) -> None:
    outsider, news = shop.outsider, shop.outsider.topic("news")
    announce_in_a_transaction(shop, "hello")
    with shop.thread():
        outsider.until_done()
    at_marker = [TopicPartition(*place, end - 1) for place, end in outsider.committed().items() if place[0] == news]
    for future in outsider.admin.alter_consumer_group_offsets(
        [ConsumerGroupTopicPartitions(shop.name, at_marker)]
    ).values():
        future.result(30)
    empty(shop, "news")
    with shop.thread():
        outsider.until_done()
        announce_in_a_transaction(shop, "again")
        outsider.await_texts(KEY_OF[0], "heard hello", "heard again")


def test_a_new_group_without_state_starts_at_the_first_record(shop: Shop) -> None:
    """Nothing is skipped that was there before the service."""
    outsider = shop.outsider
    outsider.send(script("a", "tell too old"))
    places = [TopicPartition(*place, end) for place, end in outsider.ends(outsider.inputs).items()]
    for future in outsider.admin.delete_records(places).values():
        future.result(30)
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
        future.result(30)
    with shop.thread():
        outsider.until_done()
        outsider.await_texts("a", "heard old news")


def make_again(shop: Shop, suffix: str) -> None:
    """Delete a topic, and have `topics apply` make what is missing."""
    topic, admin = shop.outsider.topic(suffix), shop.outsider.admin
    for future in admin.delete_topics([topic]).values():
        future.result(30)
    wait_for(lambda: topic not in admin.list_topics(timeout=30).topics, "the topic to be gone")
    topics.apply(admin, shop.outsider.topics)


@pytest.mark.parametrize("suffix", ["account-changelog", "ledger", "commands", "control"])
def test_a_topic_that_was_made_again_is_not_taken_for_the_one_before(shop: Shop, suffix: str) -> None:
    """An empty changelog would look like a service that has done nothing, though its offsets say otherwise."""
    work_then_stop(shop)
    make_again(shop, suffix)

    thread = shop.thread()
    thread.start()
    error = failure_of(thread)

    assert isinstance(error, LostState)
    assert f"ensemble consumers set-offsets {shop.name}" in str(error)


def test_the_commands_that_a_lost_state_names_get_the_service_going_again(shop: Shop, ensemble: CommandLine) -> None:
    """Both refuse while the service runs, and show a plan before they act."""
    outsider, commands = shop.outsider, shop.outsider.topic("commands")
    why = ("--reason", "the topic was made again", "--yes")
    with shop.thread():
        outsider.send(script("a", "add 1"))
        outsider.until_done()
        refused = ensemble("consumers", "set-offsets", shop.name, "--to", "earliest", *why)
        assert (refused.code, "running member" in refused.err) == (1, True)
    make_again(shop, "commands")
    outsider.send(script("a", "add 1"), script("a", "add 1"))

    place = next((topic, p) for (topic, p), end in outsider.ends(outsider.inputs).items() if topic == commands and end)
    plan = ensemble(
        "consumers", "set-offsets", shop.name, "--topic", commands, "--to", "earliest", "--dry-run", "--json"
    )
    assert [row["offset"] for row in plan.document] == [0, 0], plan.err
    assert ensemble("consumers", "set-offsets", shop.name, "--topic", commands, "--to", "earliest", *why).code == 0
    assert ensemble("records", "skip", commands, str(place[1]), "0", "--service", shop.name, *why).code == 0

    with shop.thread():
        outsider.await_texts("a", "1", "2")
    assert outsider.errors_of("a") == [f"skipped by {getpass.getuser()}: the topic was made again"]


def test_a_changelog_that_is_gone_for_good_is_passed_knowingly(shop: Shop, ensemble: CommandLine) -> None:
    work_then_stop(shop)
    make_again(shop, "account-changelog")
    why = ("--reason", "there is no backup", "--yes")
    assert ensemble("consumers", "set-offsets", shop.name, "--to", "current", *why).code == 0
    with shop.thread():
        shop.outsider.send(script("a", "tell going on"))
        shop.outsider.await_texts("a", "going on")


def test_an_input_with_more_partitions_is_made_anew_by_the_commands_that_the_refusal_names(
    shop: Shop, ensemble: CommandLine
) -> None:
    # given unread records in partitions that the service does not have
    work_then_stop(shop)
    outsider, commands = shop.outsider, shop.outsider.topic("commands")
    outsider.send(script("a", "add 1"))
    for future in outsider.admin.create_partitions([NewPartitions(commands, 2 * PARTITIONS)]).values():
        future.result(30)
    wait_for(lambda: len(outsider.admin.list_topics(commands).topics[commands].partitions) > PARTITIONS, "partitions")
    producer = Producer({"bootstrap.servers": shop.bootstrap})  # which knows of the new ones at once
    for key in KEYS:
        value, partition = encoder_for(Script)(script(key, "add 1")), partition_of(key.encode(), 2 * PARTITIONS)
        producer.produce(commands, value, key, partition)
    assert producer.flush(LIMIT_S) == 0
    with pytest.raises(ConfigurationError, match=f"{commands} has 4 partitions, not 2") as refusal:
        shop.thread()

    # when
    aside, _, set_offsets, redrive, *_ = (
        line.replace("SERVICE", shop.name).split()[1:] for line in re.findall(r"`(ensemble [^`]+)`", str(refusal.value))
    )
    why = ("--reason", "somebody added partitions", "--yes")
    ran = [ensemble(*aside, *why)]
    make_again(shop, "commands")
    ran.append(ensemble(*set_offsets, *why))
    with shop.thread():
        ran.append(ensemble(*redrive, *why))

        # then
        assert [each.code for each in ran] == [0, 0, 0], ran
        for key in KEYS:
            outsider.await_texts(key, "1", "2")
        outsider.await_texts("a", "1")
