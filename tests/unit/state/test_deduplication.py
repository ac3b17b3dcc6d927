"""Rule 3: the window of ids that were handled, bounded by time and count, kept in the changelog."""

from ensemble.state.deduplication import SeenWindow, WindowLimits

DAY_MS = 24 * 3600 * 1000


def window(count: int = 3, keep_ms: int = DAY_MS) -> SeenWindow:
    return SeenWindow("seen-changelog", WindowLimits(keep_ms, count))


def commit(seen: SeenWindow) -> list[tuple[bytes, bool]]:
    """What one transaction writes: key, and whether it is a tombstone."""
    written = [(key, value is None) for key, value in seen.changes()]
    seen.commit()
    return written


def test_an_id_is_known_from_the_moment_it_is_added() -> None:
    seen = window()
    seen.add(b"a", "1", now=0)
    assert seen.has(b"a", "1")
    assert not seen.has(b"b", "1")


def test_an_id_of_a_dropped_batch_is_unknown_again() -> None:
    seen = window()
    seen.add(b"a", "1", now=0)
    seen.abort()
    assert not seen.has(b"a", "1")


def test_the_oldest_leave_when_there_are_too_many() -> None:
    seen = window(count=2)
    for number in range(2):
        seen.add(b"a", str(number), now=number)
        commit(seen)
    seen.add(b"a", "2", now=2)
    assert commit(seen) == [(b"a/2", False), (b"a/0", True)]
    assert not seen.has(b"a", "0")
    assert seen.has(b"a", "1")


def test_the_oldest_leave_when_they_are_too_old() -> None:
    seen = window(count=100, keep_ms=1000)
    seen.add(b"a", "old", now=0)
    commit(seen)
    seen.add(b"a", "new", now=1001)
    assert (b"a/old", True) in commit(seen)


def test_an_abort_lets_nobody_leave() -> None:
    seen = window(count=1)
    seen.add(b"a", "1", now=0)
    commit(seen)
    seen.add(b"a", "2", now=1)
    list(seen.changes())
    seen.abort()
    assert seen.has(b"a", "1")
    seen.add(b"a", "2", now=1)
    assert commit(seen) == [(b"a/2", False), (b"a/1", True)]


def test_a_restored_window_forgets_in_the_same_order() -> None:
    first, second = window(count=2), window(count=2)
    for number in (7, 3, 5):
        first.add(b"a", str(number), now=number)
        for key, value in first.changes():
            second.restore(key, value)
        first.commit()
    second.finish_restore()
    second.add(b"a", "9", now=9)
    assert (b"a/3", True) in commit(second)
    assert second.has(b"a", "5")
