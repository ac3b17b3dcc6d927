"""A record that cannot be processed is dead-lettered in its batch's transaction, and costs no other record anything."""

from typing import Any

import pytest
from confluent_kafka import Producer

from ensemble.kafka.client_config import plain_producer
from ensemble.messages.codec import encoder_for
from ensemble.partitioning import partition_of
from ensemble.testing.on_kafka import headers_of, wait_for
from tests.integration.conftest import Shop
from tests.support import raw_producer
from tests.support.scripted_service.drivers import script
from tests.support.scripted_service.messages import Announced, Forwarded, Refused, Script
from tests.support.scripted_service.service import PARTITIONS

GOOD = encoder_for(Script)(script("a", "tell never"))
Case = tuple[bytes | None, bytes | None, str]
"""Key, value, and what the reason says."""

POISON: dict[str, Case] = {
    "no record of ours": (b"a", b"not Avro", "not the magic 0x00"),
    "too short": (b"a", b"\0\0", "too short for a record"),
    "empty": (b"a", b"", "too short for a record"),
    "unknown schema": (b"a", b"\0\0\0\0\x07" + GOOD[5:], "schema id 7 is none of those"),
    "of another topic": (b"a", encoder_for(Forwarded)(Forwarded(account_id="a", text="x")), "is none of those"),
    "cut off": (b"a", GOOD[:-3], "Script"),
    "too long": (b"a", GOOD + b"more", "4 bytes are left over"),
    "tombstone": (b"a", None, "tombstone"),
    "no key": (None, GOOD, "has no key"),
    "empty key": (b"", GOOD, "has no key"),
    "keys differ": (b"a", encoder_for(Script)(script("b", "get")), "only that key"),
}


def test_poison_between_good_records(shop: Shop) -> None:
    outsider, topic = shop.outsider, shop.outsider.topic("commands")
    for key, value, _ in POISON.values():
        outsider.send(script("a", "add 1"))
        outsider.producer.produce(topic, value, key, partition_of(b"a", PARTITIONS), headers=[("kept", b"\xff\x00")])
    outsider.send(script("a", "add 1"))

    with shop.thread():
        outsider.until_done()

    outsider.await_texts("a", *(str(number + 1) for number in range(len(POISON) + 1)))
    letters = outsider.letters()
    assert len(letters) == len(POISON)
    for letter, (key, value, reason) in zip(letters, POISON.values(), strict=True):
        headers = headers_of(letter)
        assert (letter.key(), letter.value(), headers["kept"]) == (key, value, b"\xff\x00")
        assert reason in headers["__streams.errors.message"].decode()
        assert letter.partition() == partition_of(b"a", PARTITIONS)


def test_records_that_are_small_only_while_compressed_cost_no_other_record_anything(shop: Shop) -> None:
    # given two records that a broker takes and no producer of ours could write again
    outsider, topic = shop.outsider, shop.outsider.topic("commands")
    compressing = {"compression.type": "gzip", "message.max.bytes": 20_000_000}
    producer = Producer(plain_producer(outsider.shared, "large") | compressing)
    unreadable, failing = b"{" + b" " * 3_000_000, encoder_for(Script)(script("a", "fail", "x" * 3_000_000))
    for value in (unreadable, failing):
        producer.produce(topic, value, b"a", partition_of(b"a", PARTITIONS))
    assert producer.flush(20) == 0

    # when others come behind them
    outsider.send(script("a", "add 1"), script("b", "add 1"))
    with shop.thread():
        outsider.until_done()

    # then each has left an excerpt, and its key has gone on
    outsider.await_texts("a", "1")
    outsider.await_texts("b", "1")
    lengths = [int(headers_of(letter)["ensemble.value-length"]) for letter in outsider.letters("a")]
    assert lengths == [len(unreadable), len(failing)]


def test_a_dead_letter_says_where_it_came_from_and_why(shop: Shop) -> None:
    with shop.thread():
        shop.outsider.send(script("a", "fail no money"), message_id="command-1")
        shop.outsider.until_done()
    (letter,) = shop.outsider.letters("a")
    headers = headers_of(letter)
    failed_at = headers.pop("ensemble.failed-at").decode()
    assert failed_at.endswith("Z")
    assert b"TerminalError" in headers.pop("__streams.errors.stacktrace")
    assert headers == {
        "ce_id": b"command-1",
        "__streams.errors.exception": b"TerminalError",
        "__streams.errors.message": b"no money",
        "__streams.errors.topic": shop.outsider.topic("commands").encode(),
        "__streams.errors.partition": str(partition_of(b"a", PARTITIONS)).encode(),
        "__streams.errors.offset": b"0",
        "ensemble.service": shop.name.encode(),
        "ensemble.handler": b"Clerk.on_script",
        "ensemble.stage": b"handle",
        "ensemble.attempts": b"1",
        "ensemble.policy": b"default",
        "ensemble.disposition": b"dead_letter",
        "ensemble.parking-key": b"a",
    }


def test_a_commands_sender_is_told_in_the_same_transaction(shop: Shop) -> None:
    quickly = shop.policies('[retry]\nstrategy = "fixed"\ninitial_s = 0.05\n')
    with shop.thread(policies_dir=quickly):
        shop.outsider.send(script("a", "retry later"), message_id="command-1")
        (letter,) = wait_for(lambda: shop.outsider.letters("a"), "the dead letter")
    (refused,) = shop.outsider.messages("events", Refused)
    assert refused == Refused(account_id="a", command_id="command-1", reason="later")
    assert headers_of(letter)["ensemble.attempts"] == b"8"


def test_a_record_as_large_as_its_topic_takes_fits_into_the_dead_letters(shop: Shop) -> None:
    topic = shop.outsider.topic("commands")
    value = b"?" * 880_000
    with shop.thread():
        shop.outsider.producer.produce(topic, value, b"a", headers=[("large", b"h" * 100_000)])
        shop.outsider.flush()
        shop.outsider.until_done()
    (letter,) = shop.outsider.letters("a")
    assert letter.value() == value
    assert headers_of(letter)["large"] == b"h" * 100_000


HOSTILE: list[list[tuple[str, str | bytes | None]]] = [
    [("ce_id", None), ("traceparent", None), ("ce_correlationid", None)],
    [("ce_id", b"\xff\xfe"), ("ce_correlationid", b"\x00\x01\xff"), ("traceparent", b"\xff" * 55)],
    [("ce_id", b"i" * 400_000), ("ce_correlationid", b"c" * 400_000)],
    [("ce_id", b"1"), ("ce_id", b"2"), ("ce_type", b"nonsense"), ("content-type", b"text/plain")],
    [("", b"no name"), ("ce_id", b"")],
]


@pytest.mark.parametrize("headers", HOSTILE, ids=["null", "no text", "huge", "twice", "empty"])
def test_headers_that_nobody_should_write_stop_nobody(
    shop: Shop, headers: list[tuple[str, str | bytes | None]]
) -> None:
    """Good and bad records with such headers are handled and dead-lettered; what they cause carries clean ids."""
    topic = shop.outsider.topic("commands")
    with shop.thread():
        for value in (encoder_for(Script)(script("a", "tell fine")), b"garbage"):
            shop.outsider.producer.produce(topic, value, b"a", headers=headers)
        shop.outsider.flush()
        shop.outsider.until_done()

    shop.outsider.await_texts("a", "fine")
    (letter,) = shop.outsider.letters("a")
    raw_headers: Any = letter.headers()
    assert raw_headers[: len(headers)] == headers
    (event,) = shop.outsider.records("events")
    event_headers = headers_of(event)
    assert all(len(value) <= 600 for value in event_headers.values())
    assert all(part.isalnum() for part in event_headers["traceparent"].decode().split("-"))


def test_a_key_waits_on_all_topics_of_its_service(shop: Shop) -> None:
    """What fails on one input holds its key back on the other too, until an operator does without it."""
    with shop.thread():
        shop.outsider.send(script("a", "fail"))
        wait_for(lambda: shop.outsider.letters("a"), "the dead letter")
        shop.outsider.send(Announced(account_id="a", text="news"), Announced(account_id="b", text="news"))
        shop.outsider.await_texts("b", "heard news")
        shop.outsider.await_texts("a")
        shop.outsider.discard("a")
        shop.outsider.await_texts("a", "heard news")


def test_header_names_that_are_no_text_stop_nobody(shop: Shop) -> None:
    """The client cannot read them, and would end the process at a second look: they count as no headers at all."""
    topic, partition = shop.outsider.topic("commands"), partition_of(b"a", PARTITIONS)
    with shop.thread():
        for value in (encoder_for(Script)(script("a", "tell fine")), b"garbage"):
            raw_producer.produce(shop.bootstrap, topic, partition, (b"a", value, b"\xff\xfe"))
        shop.outsider.until_done()
    shop.outsider.await_texts("a", "fine")
    assert [letter.value() for letter in shop.outsider.letters("a")] == [b"garbage"]
