"""The packed map answers as a dict does, in little more than its bytes, and lets no write wait for all of its keys."""

import sys
import tracemalloc
from collections.abc import Callable
from random import Random
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensemble.state.packed_map import PackedMap

VALUE_SIZES = (0, 1, 2, 9, 40, 41, 300, 2000, 4090, 70_000)
"""Of one size of entry and of several, and of what is too large for a segment."""


def change(packed: PackedMap, expected: dict[bytes, bytes], chance: Random) -> None:
    """Do the same to both, of a few keys that lie close together."""
    key = b"k" * chance.randrange(3) + b"%d" % chance.randrange(1500)
    match chance.randrange(4):
        case 0:
            assert packed.pop(key, None) == expected.pop(key, None)
        case 1:
            assert (packed.get(key), key in packed) == (expected.get(key), key in expected)
        case _:
            packed[key] = expected[key] = chance.randbytes(chance.choice(VALUE_SIZES))


@settings(max_examples=5, deadline=None)
@given(st.integers())
def test_thousands_of_changes_leave_what_they_leave_in_a_dict(seed: int) -> None:
    packed, expected, chance = PackedMap(), dict[bytes, bytes](), Random(seed)
    for _ in range(12_000):
        change(packed, expected, chance)
    assert (dict(packed.items()), len(packed)) == (expected, len(expected))
    for key in expected:
        del packed[key]
    assert (list(packed), len(packed)) == ([], 0)


@pytest.mark.parametrize("entry_size", [1016, 1024, 1032])
def test_entries_that_fill_a_segment_to_its_last_byte_or_nearly_are_all_there(entry_size: int) -> None:
    """A segment has a mebibyte, an entry four bytes beside key and value."""
    packed = PackedMap()
    entries = {b"%04d" % number: b"%04d" % number * ((entry_size - 8) // 4) for number in range(2100)}
    packed.update(entries)
    assert dict(packed) == entries


def test_segments_that_have_become_empty_are_filled_again() -> None:
    # given more than a segment of one size
    packed = PackedMap()
    keys = [b"%d" % number for number in range(2000)]
    packed.update({key: key * 1000 for key in keys})

    # when all are removed, and come back in another size
    for key in keys:
        del packed[key]
    packed.update({key: key * 1200 for key in keys})

    # then each has its own value
    assert [packed[key] == key * 1200 for key in keys] == [True] * 2000


def test_what_is_removed_again_and_again_leaves_no_memory_behind() -> None:
    packed, keys, taken = PackedMap(), [b"%d" % number for number in range(1500)], list[int]()
    tracemalloc.start()
    for size in (3000, 2000, 3000, 1000, 3000):
        packed.update(dict.fromkeys(keys, b"v" * size))
        for key in keys:
            del packed[key]
        taken.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert taken[-1] < taken[0] + 50_000


def test_a_segment_that_has_become_empty_is_taken_again_whatever_the_size() -> None:
    """A place holds the number of one of 32,768 segments: if each became another one, they would run out."""
    packed = PackedMap()
    for number in range(2**15 + 1):
        packed[b"key"] = b"v" * (10 + number % 2 * 100)
        del packed[b"key"]
    assert not packed


@pytest.mark.parametrize("key", [b"", b"a", b"ab", b"k" * 255, b"k" * 256, b"k" * 4096, b"k" * 70_000])
def test_a_key_of_any_length_is_told_from_one_that_begins_with_it(key: bytes) -> None:
    packed = PackedMap()
    packed[key] = key + b"value"
    packed[key + b"v"] = b""
    assert (packed[key], packed[key + b"v"], packed.get(key + b"va")) == (key + b"value", b"", None)


def test_a_value_that_grows_beyond_a_segment_and_shrinks_again_is_there_once() -> None:
    packed = PackedMap()
    for size in (10, 100_000, 10):
        packed[b"key"] = b"v" * size
        assert (dict(packed), len(packed)) == ({b"key": b"v" * size}, 1)


def test_a_key_that_is_not_there_cannot_be_removed() -> None:
    with pytest.raises(KeyError, match="key"):
        del PackedMap()[b"key"]
    with pytest.raises(KeyError, match="key"):
        PackedMap()[b"key"]


def test_values_may_change_while_one_iterates_keys_may_not() -> None:
    # given many keys
    packed = PackedMap()
    packed.update({b"%d" % number: b"" for number in range(3000)})

    # when each value becomes larger as its key comes
    seen = list[bytes]()
    for key in packed:
        seen.append(key)
        packed[key] = b"larger" * 10

    # then each key has come once
    assert sorted(seen) == sorted(packed)
    keys = iter(packed)
    packed[next(keys) + b"new"] = b""
    with pytest.raises(RuntimeError, match="other keys"):
        next(keys)


def test_a_key_takes_no_more_than_a_third_of_its_bytes_beside_them() -> None:
    # given many keys
    entries = [(f"order-{number:030}".encode(), f"{number:060}".encode()) for number in range(20_000)]
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    packed = PackedMap()

    # when they are written, and half of them again with other lengths
    for key, value in entries:
        packed[key] = value
    for key, value in entries[::2]:
        packed[key] = value[: 30 + packed[key][-1] % 30]
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()

    # then nothing is kept beside what they are now
    assert taken < 1.33 * sum(len(key) + len(value) for key, value in packed.items())


def test_no_write_waits_for_all_keys() -> None:
    packed, calls = PackedMap(), list[int]()
    for number in range(5_000):
        calls.append(count_calls(lambda key: packed.__setitem__(key, b"value"), b"%d" % number))
    assert max(calls) < 500


def count_calls(write: Callable[[bytes], None], key: bytes) -> int:
    """Return how many functions are called by one write."""
    calls = 0

    def note(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    outer = sys.getprofile()
    sys.setprofile(note)
    try:
        write(key)
    finally:
        sys.setprofile(outer)
    return calls


def tag_of(key: bytes) -> int:
    return hash(key) >> 48 & 255


def test_keys_that_an_index_cannot_tell_apart_are_told_apart_by_their_length() -> None:
    # given two keys of one tag, of which one is how the other one begins
    short = next(key for n in range(100_000) if tag_of(key := b"%d" % n) == tag_of(key + b"0"))
    long = short + b"0"

    # when the one is there, whose value goes on as the other key does
    for present, absent, value in ((long, short, b""), (short, long, b"0")):
        packed = PackedMap()
        packed[present] = value
        assert (packed.get(absent), absent in packed) == (None, False)

        # then each is set and removed by itself
        packed[absent] = b"7"
        assert (packed[present], packed[absent], len(packed)) == (value, b"7", 2)
        del packed[present]
        assert dict(packed) == {absent: b"7"}
