"""The topics that flows in memory have instead of Kafka's: offsets, partitions, order, and what a group has read."""

from __future__ import annotations

from pathlib import Path

import pytest

from ensemble.errors import ConfigurationError
from ensemble.messages.records import StoredRecord
from ensemble.partitioning import partition_of
from ensemble.testing.process import in_order_of, text_of
from ensemble.testing.topics import MemoryTopics, require_services
from tests.support.scripted_service.service import scripted_service

EVENTS = "shop.events"


@pytest.fixture
def topics(tmp_path: Path) -> MemoryTopics:
    return MemoryTopics([scripted_service("shop", tmp_path)])


def write(topics: MemoryTopics, *values: bytes, key: bytes | None = b"k", partition: int = 1) -> list[StoredRecord]:
    return [topics.append((EVENTS, value, key, [("n", value)], partition)) for value in values]


def values(topics: MemoryTopics, offset: int = 0, limit: int | None = None) -> list[tuple[int, bytes | None]]:
    return [(record.at_offset, record.raw_value) for _, record in topics.read((EVENTS, 1), offset, limit)]


def test_a_record_lies_behind_those_of_its_partition_and_in_the_log_of_all(topics: MemoryTopics) -> None:
    written = write(topics, b"1", b"2") + write(topics, b"3", partition=0)
    assert [(record.at_partition, record.at_offset) for record in written] == [(1, 0), (1, 1), (0, 0)]
    assert topics.log == topics.records(EVENTS) == written
    assert [number for number, _ in topics.read((EVENTS, 0), 0)] == [2]
    assert (topics.end((EVENTS, 1)), topics.end((EVENTS, 0)), topics.end(("shop.ledger", 0))) == (2, 1, 0)
    assert written[0].headers() == [("n", b"1")]


@pytest.mark.parametrize("key", [b"a", b"b", b"c", None])
def test_without_a_partition_the_key_decides(topics: MemoryTopics, key: bytes | None) -> None:
    [record] = write(topics, b"1", key=key, partition=-1)
    assert record.at_partition == partition_of(key or b"", 2)


def test_a_partition_is_read_from_an_offset_up_to_a_limit(topics: MemoryTopics) -> None:
    write(topics, b"1", b"2", b"3")
    assert values(topics, 1) == [(1, b"2"), (2, b"3")]
    assert values(topics, 0, 2) == [(0, b"1"), (1, b"2")]
    assert [topics.has_records((EVENTS, 1), offset) for offset in (0, 2, 3)] == [True, True, False]


def test_what_was_aborted_takes_offsets_and_is_read_by_nobody(topics: MemoryTopics) -> None:
    write(topics, b"1")
    topics.abort([(EVENTS, b"x", b"k", [], 1)] * 2)
    write(topics, b"2")
    assert values(topics) == [(0, b"1"), (3, b"2")]
    assert values(topics, 0, 2) == [(0, b"1"), (3, b"2")], "the limit is one of records"
    assert len(topics.log) == 2


def test_a_copy_lies_at_the_end_of_its_partition(topics: MemoryTopics) -> None:
    first, _ = write(topics, b"1", b"2")
    copy = topics.copy(first)
    assert (copy.at_partition, copy.at_offset, copy.raw_key, copy.raw_value) == (1, 2, b"k", b"1")
    assert copy.raw_headers == first.raw_headers


def test_records_change_places_from_an_offset_on(topics: MemoryTopics) -> None:
    write(topics, b"1", b"2")
    topics.abort([(EVENTS, b"x", b"k", [], 1)])
    write(topics, b"3", b"4")
    topics.reverse_from((EVENTS, 1), 1)
    assert values(topics) == [(0, b"1"), (1, b"4"), (3, b"3"), (4, b"2")]
    assert [record.raw_value for record in topics.log] == [b"1", b"4", b"3", b"2"]
    assert topics.records(EVENTS) == topics.log
    assert [record.raw_headers for record in topics.log[1:]] == [[("n", value)] for value in (b"4", b"3", b"2")]
    topics.reverse_from(("shop.ledger", 0), 0)


def test_equal_contents_have_equal_digests_and_others_do_not(tmp_path: Path) -> None:
    def digest(*records: bytes, key: bytes = b"k", partition: int = 1, offset: int = 0, group: str = "shop") -> int:
        topics = MemoryTopics([scripted_service("shop", tmp_path)])
        write(topics, *records, key=key, partition=partition)
        topics.commit_offsets(group, {(EVENTS, 1): 9})
        topics.commit_offsets(group, {(EVENTS, 1): offset})
        return topics.digest()

    assert digest(b"1", b"2") == digest(b"1", b"2")
    others = [
        digest(b"2", b"1"),
        digest(b"1"),
        digest(b"1", b"2", key=b"l"),
        digest(b"1", b"2", partition=0),
        digest(b"1", b"2", offset=1),
        digest(b"1", b"2", group="store"),
    ]
    assert len({digest(b"1", b"2"), *others}) == 7


def test_a_group_has_the_offsets_that_it_committed_last(topics: MemoryTopics) -> None:
    topics.commit_offsets("shop", {(EVENTS, 0): 1, (EVENTS, 1): 1})
    topics.commit_offsets("shop", {(EVENTS, 1): 2})
    assert topics.offsets == {"shop": {(EVENTS, 0): 1, (EVENTS, 1): 2}}


def test_a_topic_that_no_service_lists_is_not_there(topics: MemoryTopics) -> None:
    assert topics.count_partitions(EVENTS) == 2
    for ask in (topics.count_partitions, topics.records):
        with pytest.raises(ConfigurationError, match=r"^no topic 'shop\.lunch' here: no catalogue of the services und"):
            ask("shop.lunch")


def test_services_are_taken_one_or_several_and_nothing_else(tmp_path: Path) -> None:
    service = scripted_service("shop", tmp_path)
    assert require_services(service) == require_services([service]) == (service,)
    with pytest.raises(ConfigurationError, match=r"^'shop' is no service$"):
        require_services([service, "shop"])
    with pytest.raises(
        ConfigurationError, match=r"scripted_service at .+> is no service; call it, and pass what it ret"
    ):
        require_services([scripted_service])


def test_outputs_stand_in_the_order_of_the_inputs_that_caused_them() -> None:
    # given three records, the second one with the id of the first
    inputs = [
        StoredRecord("t", 0, number, b"k", b"v", [("ce_id", name)]) for number, name in enumerate(("a", "b", "a"))
    ]

    def output(name: str, **headers: str) -> tuple[str, bytes, bytes, list[tuple[str, str]], int]:
        return name, b"", b"k", list(headers.items()), 0

    # when two tasks put out what these caused, a dead letter of one, and what nothing caused
    one = [output("of nothing"), output("of b", ce_causationid="b", ce_id="x"), output("behind b")]
    other = [
        output("of a", ce_causationid="a"),
        output("letter of b", ce_id="b"),
        output("of a late", ce_causationid="a"),
    ]

    # then
    ordered = [each[0] for each in in_order_of(inputs, [one, other])]
    assert ordered == ["of nothing", "of a", "of b", "behind b", "letter of b", "of a late"]


@pytest.mark.parametrize(("value", "text"), [(b"a\xff", "a\ufffd"), ("b", "b"), (None, ""), (b"", "")])
def test_the_value_of_a_header_is_read_as_text(value: str | bytes | None, text: str) -> None:
    assert text_of(value) == text
