"""A view over real topics: transactions, a restart, compaction's gaps, a topic that is made anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ensemble import Topic
from ensemble.kafka.admin import topics
from ensemble.kafka.client import ClusterClient, TopicPlace, open_client
from ensemble.operations.view import View
from ensemble.settings import KafkaSettings
from ensemble.testing.clusters import Cluster
from tests.support.latest_values import LatestValues, rows


@pytest.fixture
def access(kafka: Cluster) -> ClusterClient:
    return open_client(KafkaSettings(bootstrap_servers=kafka.bootstrap_servers), quiet=True)


@pytest.fixture
def projection(access: ClusterClient, unique: Callable[[str], str]) -> LatestValues:
    """A projection of two topics that are there, with two partitions each."""
    projection = LatestValues(unique("states"), unique("events"))
    make(access, projection)
    return projection


def make(access: ClusterClient, projection: LatestValues) -> None:
    states = Topic(projection.states, "shop", "", partitions=2, cleanup="compact")
    topics.apply(access.admin, [states, Topic(projection.events, "shop", "", partitions=2)])


def test_it_reads_what_transactions_have_committed_and_goes_on_after_a_restart(
    access: ClusterClient, projection: LatestValues, tmp_path: Path
) -> None:
    for value in (b"1", b"2"):
        access.write_together(
            [
                (projection.states, value, b"a", [], 0),
                (projection.states, value, b"b", [], 1),
                (projection.events, value, b"a", [], 0),
            ]
        )
    with View(access, [projection], tmp_path / "view.db") as view:
        assert view.sync().is_current
        assert rows(view) == ([(b"a", b"2"), (b"b", b"2")], [(b"a", 2)])
        assert view.sync().is_current, "behind the last record lies the transaction's marker"
    access.write_together([(projection.states, None, b"a", [], 0), (projection.events, b"3", b"a", [], 0)])
    read: list[tuple[int, int]] = []
    with View(access, [projection], tmp_path / "view.db") as view:
        view.sync(lambda *progress: read.append(progress))
        assert rows(view) == ([(b"b", b"2")], [(b"a", 3)])
    assert read[-1][1] <= 4, "two records and their markers, nothing of before"


def test_a_topic_that_was_deleted_and_made_again_is_read_from_its_beginning(
    access: ClusterClient, projection: LatestValues, tmp_path: Path
) -> None:
    access.write_together([(projection.events, b"1", b"a", [], 0), (projection.states, b"1", b"a", [], 0)])
    with View(access, [projection], tmp_path / "view.db") as view:
        view.sync()
        for answer in access.admin.delete_topics([projection.events, projection.states]).values():
            answer.result(30)
        make(access, projection)
        access.write_together([(projection.events, b"1", b"b", [], 0)])
        view.sync()
        assert rows(view) == ([], [(b"b", 1)])


def test_the_newest_record_of_a_key_is_found_from_the_end_and_spans_are_read_exactly(
    access: ClusterClient, projection: LatestValues
) -> None:
    place = (projection.states, 0)
    with access.writer() as writer:
        writer.write([(projection.states, b"%d" % n, b"k%d" % (n % 1_500), [], 0) for n in range(12_000)])

    for key, value in ((b"k1499", b"11999"), (b"k0", b"10500")):
        record = access.last_of(place, key)
        assert record is not None
        assert record.value == value
    assert access.last_of(place, b"k-none") is None
    assert access.last_of((projection.states, 1), b"k0") is None

    rounds: tuple[dict[TopicPlace, range], ...] = (
        {place: range(5, 8)},
        {},
        {place: range(11_998, 11_999), (projection.states, 1): range(0)},
    )
    assert [record.offset for record in access.read_spans(*rounds)] == [5, 6, 7, 11_998]
    odd = access.read_spans({place: range(4)}, select=lambda record: (record.offset() or 0) % 2 == 1)
    assert [record.offset for record in odd] == [1, 3]
