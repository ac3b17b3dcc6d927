"""The index of due times: earliest first, and entries that have been overtaken never come up."""

from ensemble.state.due_index import DueIndex


def test_entries_come_up_earliest_first_and_each_once() -> None:
    # given the same entry twice, and a later one
    index = DueIndex(lambda _due_at, _key: True)
    index.rebuild([(5, b"b"), (3, b"a"), (9, b"c")])
    index.add(3, b"a")

    # when what is due is taken
    taken = index.take(now=5, limit=10)

    # then the earliest is first, and the later one stays
    assert taken == [(3, b"a"), (5, b"b")]
    assert index.next_due() == 9


def test_no_more_entries_are_taken_than_asked_for() -> None:
    index = DueIndex(lambda _due_at, _key: True)
    index.rebuild([(1, b"a"), (2, b"b"), (3, b"c")])
    assert index.take(now=10, limit=2) == [(1, b"a"), (2, b"b")]
    assert index.take(now=10, limit=2) == [(3, b"c")]


def test_an_entry_that_was_added_twice_is_taken_once_however_few_are_asked_for() -> None:
    index = DueIndex(lambda _due_at, _key: True)
    index.rebuild([(1, b"a"), (1, b"a"), (2, b"b")])
    assert [index.take(now=10, limit=1) for _ in range(3)] == [[(1, b"a")], [(2, b"b")], []]


def test_an_entry_that_was_overtaken_is_skipped() -> None:
    # given a key that is due at another time than before
    current = {b"a": 7}
    index = DueIndex(lambda due_at, key: current.get(key) == due_at)
    index.add(3, b"a")
    index.add(7, b"a")

    # then only the time that counts is due
    assert index.next_due() == 7
    assert index.take(now=5, limit=10) == []
    assert index.take(now=7, limit=10) == [(7, b"a")]
