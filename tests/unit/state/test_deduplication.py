"""Rule 3: the window of messages that were handled, bounded by time and count, kept in the changelog."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensemble.state.deduplication import SeenWindow, WindowLimits, window_entry
from ensemble.system_messages.state import SeenMessage

DAY_MS = 24 * 3600 * 1000


def window(count: int = 3, keep_ms: int = DAY_MS) -> SeenWindow:
    return SeenWindow("seen-changelog", WindowLimits(keep_ms, count))


def message(message_id: str, content: str = "says") -> bytes:
    return window_entry("orders", b"a", b"/web", message_id=message_id, content=content.encode())


def commit(seen: SeenWindow) -> list[tuple[bytes, bool]]:
    """Return what one transaction writes: key, and whether it is a tombstone."""
    written = [(key, value is None) for key, value in seen.changes()]
    seen.commit()
    return written


def test_a_message_is_known_from_the_moment_it_is_added() -> None:
    seen = window()
    seen.add(message("1"), now=0)
    assert (seen.entry_like(message("1")), seen.entry_like(message("2"))) == (message("1"), None)


def test_messages_differ_by_topic_key_source_and_id() -> None:
    entries = [
        window_entry("orders", b"a", b"/web", message_id="1", content=b"says"),
        window_entry("others", b"a", b"/web", message_id="1", content=b"says"),
        window_entry("orders", b"b", b"/web", message_id="1", content=b"says"),
        window_entry("orders", b"a", b"/app", message_id="1", content=b"says"),
        window_entry("orders", b"a", b"/web", message_id="2", content=b"says"),
        window_entry("orders", b"a'b'/web", b"", message_id="1", content=b"says"),
    ]
    assert [pair for pair in combinations(range(6), 2) if entries[pair[0]] == entries[pair[1]]] == []


def test_other_content_under_the_same_identity_is_seen() -> None:
    seen = window()
    seen.add(message("1", "one"), now=0)
    commit(seen)
    assert seen.entry_like(message("1", "another")) == message("1", "one") != message("1", "another")


def test_a_message_of_a_dropped_batch_is_unknown_again() -> None:
    seen = window()
    seen.add(message("1"), now=0)
    seen.abort()
    assert seen.entry_like(message("1")) is None


def test_the_oldest_leave_when_there_are_too_many() -> None:
    seen = window(count=2)
    for number in range(2):
        seen.add(message(str(number)), now=number)
        commit(seen)
    seen.add(message("2"), now=2)
    assert commit(seen) == [(message("2"), False), (message("0"), True)]
    assert (seen.entry_like(message("0")), seen.entry_like(message("1"))) == (None, message("1"))


def test_as_many_leave_as_one_batch_brings_too_many() -> None:
    # given a full window
    seen = window(count=3)
    for number in range(3):
        seen.add(message(str(number)), now=number)
    commit(seen)

    # when a batch brings two more
    for number in (3, 4):
        seen.add(message(str(number)), now=number)

    # then the two oldest leave with it
    assert [key for key, is_tombstone in commit(seen) if is_tombstone] == [message("0"), message("1")]


@pytest.mark.parametrize(("now", "leaves"), [(1000, False), (1001, True)])
def test_a_message_stays_for_its_time_to_the_end(now: int, *, leaves: bool) -> None:
    seen = window(count=100, keep_ms=1000)
    seen.add(message("old"), now=0)
    commit(seen)
    seen.add(message("new"), now=now)
    assert ((message("old"), True) in commit(seen)) is leaves
    assert (seen.entry_like(message("old")) is None) is leaves


def test_an_abort_lets_nobody_leave() -> None:
    seen = window(count=1)
    seen.add(message("1"), now=0)
    commit(seen)
    seen.add(message("2"), now=1)
    list(seen.changes())
    seen.abort()
    assert seen.entry_like(message("1"))
    seen.add(message("2"), now=1)
    assert commit(seen) == [(message("2"), False), (message("1"), True)]


def test_a_restored_window_forgets_in_the_same_order() -> None:
    first, second = window(count=2), window(count=2)
    for number in (7, 3, 5):
        first.add(message(str(number)), now=number)
        for key, value in first.changes():
            second.restore(key, value)
        first.commit()
    second.finish_restore()
    second.add(message("9"), now=9)
    assert (message("3"), True) in commit(second)
    assert second.entry_like(message("5"))


@pytest.mark.parametrize("key", [b"a", b"a" * 23, b"\x01" * 20])
def test_what_an_earlier_release_had_seen_is_known_until_it_leaves(key: bytes) -> None:
    seen = window(count=100, keep_ms=1000)
    seen.restore(key + b"/1", seen.codec.encode(SeenMessage(at=5)))
    seen.finish_restore()
    assert (seen.has_id(key, "1"), seen.has_id(key, "2")) == (True, False)
    assert seen.entry_like(key + b"/1") is None, "it says nothing of another form"
    seen.add(message("9"), now=2000)
    commit(seen)
    assert not seen.has_id(key, "1")


LABELS = st.lists(st.integers(0, 9), min_size=1, max_size=3)
NO_LABELS = st.just(list[int]())
STEPS = st.one_of(
    st.tuples(st.just("add"), LABELS, st.integers(0, 9)),
    st.tuples(st.sampled_from(["abort", "restart"]), NO_LABELS, st.just(0)),
)


@settings(max_examples=60)
@given(st.lists(STEPS, max_size=30), st.integers(1, 6))
def test_it_holds_the_newest_of_what_was_committed(steps: list[tuple[str, list[int], int]], count: int) -> None:
    seen, kept, now = window(count, keep_ms=30), list[tuple[int, bytes]](), 0
    for how, labels, wait in steps:
        # when messages that are not known are handled, or their batch is dropped, or the window is restored
        now += wait
        added = {message(str(label)): now for label in labels if seen.entry_like(message(str(label))) is None}
        for entry in added:
            seen.add(entry, now)
        if how == "abort":
            for is_late in (False, True, False):
                seen.add(message("lost"), now)
                _ = is_late and seen.changes()
                seen.abort()
        if how == "restart":
            before, seen, kept = seen, window(count, keep_ms=30), sorted(kept)
            for key, value in before.committed.items():
                seen.restore(key, value)
            seen.finish_restore()

        # then the oldest of those before leave, by their number and by their age
        over = len(kept) + len(added) - count if added else 0
        too_old = sum(at < now - 30 for at, _ in kept) if added else 0
        left, kept = kept[: max(over, too_old, 0)], kept[max(over, too_old, 0) :]
        assert commit(seen) == [(entry, False) for entry in added] + [(entry, True) for _, entry in left]
        kept += [(at, entry) for entry, at in added.items()]
        assert {m for m in map(message, "0123456789") if seen.entry_like(m)} == {entry for _, entry in kept}
        assert seen.committed.keys() == {entry for _, entry in kept}
