"""A view is the fold of its topics: read on, restarted, in any chunks, and built anew when it is no longer right."""

from __future__ import annotations

import threading
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensemble.kafka.client import TopicPlace
from ensemble.operations import Unreachable
from ensemble.operations.view import Storage, View
from tests.support.latest_values import LatestValues as Latest
from tests.support.latest_values import rows
from tests.support.topics_to_view import TopicsToView, fill

STATES, EVENTS = "shop.states", "shop.events"


def topics(part: int = 100) -> TopicsToView:
    return TopicsToView({STATES: 2, EVENTS: 1}, part)


@pytest.fixture
def shop() -> TopicsToView:
    shop = topics()
    fill(shop, [(STATES, 0, b"a", b"1"), (STATES, 1, b"b", b"1"), (EVENTS, 0, b"a", b"x"), (STATES, 0, b"a", b"2")])
    return shop


def test_it_holds_what_the_topics_say_and_reads_on_from_there(shop: TopicsToView, tmp_path: Path) -> None:
    with View(shop, [Latest()], tmp_path / "view.db") as view:
        assert view.sync().is_current
        assert rows(view) == ([(b"a", b"2"), (b"b", b"1")], [(b"a", 1)])
    shop.fetched.clear()
    fill(shop, [(STATES, 1, b"b", None), (EVENTS, 0, b"a", b"y")])
    with View(shop, [Latest()], tmp_path / "view.db") as view:
        view.sync()
        assert rows(view) == ([(b"a", b"2")], [(b"a", 2)])
    assert sorted(shop.fetched) == [(EVENTS, 0, 1), (STATES, 1, 1)]


class WrittenMeanwhile(TopicsToView):
    """Topics that one transaction writes to as soon as a view has asked how far they go."""

    has_been_asked = False

    def ends(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]:
        ends = super().ends(places)
        if not self.has_been_asked:
            self.has_been_asked = True
            fill(self, [(EVENTS, 0, b"late", b"x"), (STATES, 0, b"late", b"1")])
        return ends


def test_what_is_written_while_it_reads_is_in_all_of_its_rows_or_in_none() -> None:
    """A dead letter without the parked key that was written with it would be taken for one that is gone."""
    shop = WrittenMeanwhile({STATES: 2, EVENTS: 1})
    fill(shop, [(EVENTS, 0, b"a", b"x")])
    with View(shop, [Latest()]) as view:
        view.sync()
        assert rows(view) == ([(b"late", b"1")], [(b"a", 1), (b"late", 1)])


@pytest.mark.parametrize(
    "change",
    [
        lambda shop: setattr(shop, "cluster", "cluster-2"),
        lambda shop: shop.ids.update({EVENTS: "another"}),
        lambda shop: shop.removed.update({(STATES, 0): 5}),
        lambda shop: shop.logs.update({(STATES, 0): shop.logs[STATES, 0][:1]}),
    ],
    ids=["another cluster", "a topic made anew", "offsets that are gone", "a topic that was cut short"],
)
def test_it_is_built_anew_when_its_offsets_mean_something_else(shop: TopicsToView, tmp_path: Path, change: Any) -> None:
    with View(shop, [Latest()], tmp_path / "view.db") as view:
        view.sync()
        change(shop)
        shop.fetched.clear()
        view.sync()
        assert (EVENTS, 0, 0) in shop.fetched
        assert rows(view)[1] == [(b"a", 1)], "nothing is counted twice"


def test_another_version_is_built_anew_and_the_other_projections_stay(shop: TopicsToView, tmp_path: Path) -> None:
    with View(shop, [Latest(version=1)], tmp_path / "view.db") as view:
        view.sync()
    shop.fetched.clear()
    with View(shop, [Latest(version=2)], tmp_path / "view.db") as view:
        view.sync()
        assert len(shop.fetched) == 4
        assert rows(view)[1] == [(b"a", 1)]


def test_rows_that_may_have_missed_a_tombstone_are_built_anew(shop: TopicsToView, tmp_path: Path) -> None:
    old = Latest()
    old.max_age_s = -1.0
    with View(shop, [old], tmp_path / "view.db") as view:
        view.sync()
        shop.fetched.clear()
        view.sync()
    assert len(shop.fetched) == 4


def test_a_chunk_that_fails_leaves_nothing_and_the_next_sync_goes_on(shop: TopicsToView, tmp_path: Path) -> None:
    shop.part = 1
    projection = Latest()
    projection.fails_at = 3
    with View(shop, [projection], tmp_path / "view.db", chunk=1) as view:
        with pytest.raises(RuntimeError):
            view.sync()
        view.sync()
        assert rows(view) == ([(b"a", b"2"), (b"b", b"1")], [(b"a", 1)])


def test_a_file_that_is_no_database_is_built_anew(shop: TopicsToView, tmp_path: Path) -> None:
    path = tmp_path / "view.db"
    path.write_bytes(b"no database at all" * 100)
    with View(shop, [Latest()], path) as view:
        assert view.sync().is_current
        assert rows(view) == ([(b"a", b"2"), (b"b", b"1")], [(b"a", 1)])


def test_a_file_that_was_damaged_is_built_anew_by_the_next_sync(shop: TopicsToView, tmp_path: Path) -> None:
    # given a view whose pages were overwritten, but for the first
    path = tmp_path / "view.db"
    with View(shop, [Latest()], path) as view:
        view.sync()
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))

    # when and then
    with View(shop, [Latest()], path) as view:
        with pytest.raises(Unreachable, match=r"view\.db cannot be used: .*remove it: it is built anew"):
            rows(view)
        assert view.sync().is_current
        assert rows(view) == ([(b"a", b"2"), (b"b", b"1")], [(b"a", 1)])


def test_while_another_process_writes_it_is_read_as_it_is(shop: TopicsToView, tmp_path: Path) -> None:
    path = tmp_path / "view.db"
    with View(shop, [Latest()], path) as view:
        first = view.sync()
        shop.append(STATES, 0, b"a", b"3")
        other = Storage(path)
        assert other.acquire()
        synced = view.sync()
        assert (synced.is_current, synced.as_of) == (False, first.as_of)
        assert rows(view)[0][0] == (b"a", b"2")
        other.close()
        assert view.sync().is_current
        assert rows(view)[0][0] == (b"a", b"3")


def test_only_so_much_of_the_past_is_read_as_is_asked_for(shop: TopicsToView) -> None:
    """Of the states, which are asked for from their beginning on, all is read."""
    shop.offsets_at = lambda places, _: dict.fromkeys(places, 1)  # type: ignore[method-assign, assignment]
    with View(shop, [Latest(history_ms=1_000)]) as view:
        view.sync()
        assert rows(view) == ([(b"a", b"2"), (b"b", b"1")], [])


def test_it_is_filled_as_long_as_a_sync_would_read_on(shop: TopicsToView, tmp_path: Path) -> None:
    path = tmp_path / "view.db"
    with View(shop, [Latest()], path) as view:
        answers = [view.is_filled()]
        view.sync()
        fill(shop, [(EVENTS, 0, b"a", b"y")])
        answers.append(view.is_filled())
    shop.fetched.clear()
    with View(shop, [Latest(version=2)], path) as newer:
        answers.append(newer.is_filled())
    shop.ids[EVENTS] = "made again"
    with View(shop, [Latest()], path) as view:
        answers.append(view.is_filled())
        assert (answers, shop.fetched) == ([False, True, False, False], [])
        assert rows(view)[1] == [(b"a", 1)], "nothing was read, and nothing emptied"


def test_a_topic_that_is_silent_is_told_and_named(shop: TopicsToView) -> None:
    shop.is_silent = True
    with View(shop, [Latest()], stall_s=0.0) as view, pytest.raises(Unreachable, match=r"while reading shop"):
        view.sync()


def test_a_file_that_cannot_be_used_is_told(tmp_path: Path, shop: TopicsToView) -> None:
    (tmp_path / "view.db").mkdir()
    with pytest.raises(Unreachable, match=r"view\.db cannot be used"):
        View(shop, [Latest()], tmp_path / "view.db")


def test_progress_is_reported(shop: TopicsToView) -> None:
    shop.part, seen = 1, list[tuple[int, int]]()
    with View(shop, [Latest()], chunk=1) as view:
        view.sync(lambda read, total: seen.append((read, total)))
    assert seen[:3] == [(1, 4), (2, 4), (3, 4)]
    assert seen[-1] == (4, 4)


def test_threads_sync_and_read_side_by_side(shop: TopicsToView, tmp_path: Path) -> None:
    with View(shop, [Latest()], tmp_path / "view.db") as view:
        view.sync()
        problems: list[BaseException] = []

        def work() -> None:
            try:
                for _ in range(20):
                    view.sync()
                    assert rows(view)[1] == [(b"a", 1)]
            except BaseException as error:  # noqa: BLE001  the test tells it
                problems.append(error)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert problems == []


KEYS = st.sampled_from([b"a", b"b", b"c"])
RECORDS = st.lists(
    st.one_of(
        st.tuples(st.just(STATES), st.sampled_from([0, 1]), KEYS, st.sampled_from([b"1", b"2", None])),
        st.tuples(st.just(EVENTS), st.just(0), KEYS, st.just(b"x")),
    ),
    max_size=30,
).map(lambda records: [r if r[0] == EVENTS else (r[0], r[2][0] % 2, r[2], r[3]) for r in records])


@given(
    parts=st.lists(RECORDS, min_size=1, max_size=4),
    sizes=st.tuples(st.integers(1, 7), st.integers(1, 9)),
    crashes=st.lists(st.integers(1, 4), max_size=3),
    compactions=st.sets(st.integers(0, 3)),
)
def test_however_it_is_cut_it_is_the_fold_of_the_whole(
    tmp_path_factory: pytest.TempPathFactory,
    *,
    parts: list[Any],
    sizes: tuple[int, int],
    crashes: list[int],
    compactions: set[int],
) -> None:
    """Chunks, restarts, ends of the process anywhere, and compaction in between change nothing."""
    part, chunk = sizes
    result: Any = None
    cut, path = topics(part), tmp_path_factory.mktemp("view") / "view.db"
    for number, records in enumerate(parts):
        fill(cut, records)
        for fails_at in [*crashes, -1]:
            projection = Latest()
            projection.fails_at = fails_at
            with View(cut, [projection], path, chunk=chunk) as view:
                try:
                    view.sync()
                except RuntimeError:
                    continue
                result = rows(view)
        if number in compactions:
            cut.compact(STATES)
    whole = topics(1000)
    for records in parts:
        fill(whole, records)
    with View(whole, [Latest()]) as expected:
        expected.sync()
        assert result == rows(expected)
