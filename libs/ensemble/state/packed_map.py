"""A map of bytes that takes little more memory than its keys and values.

An entry is its two lengths, its key and its value, rounded up to units of eight bytes. Entries of one size lie in
segments of their own without a gap: where one is removed, the last one of its size takes its place. So nothing is ever
dead, and nothing has to be compacted. An index of buckets tells where each entry is. It grows by one bucket at a time
(linear hashing), so that no write has to wait until millions of keys have moved.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from itertools import compress
from struct import Struct, pack, unpack_from
from typing import Any, Final

_LENGTHS: Final = Struct("<HH")
_PLACE: Final = Struct("<I")
_lengths, _place_in = _LENGTHS.unpack_from, _PLACE.unpack_from
_HEADER: Final = _LENGTHS.size
_UNIT_BITS: Final = 3
_SEGMENT_BITS: Final = 17
"""A segment has 2**17 units, which is a mebibyte. What is left of a place's 32 bits is the segment's number: 32 GiB."""
_SEGMENT_BYTES: Final = 1 << _SEGMENT_BITS + _UNIT_BITS
_OFFSET: Final = (1 << _SEGMENT_BITS) - 1
_LARGEST: Final = 4096
"""Larger entries lie in a dict, where what a key takes beside its bytes no longer counts."""
_BUCKET_MEAN: Final = 32
"""So many entries a bucket has on average: one of 256 tags is shared by few of them."""
_TAGS: Final = [bytes((tag,)) for tag in range(256)]
_INDEXED: Final = 5
"""An entry has so many bytes in its bucket: tag and place."""

_Location = tuple[int, int, int]
"""The number of an entry's bucket, its index in there, and its place."""


class PackedMap(MutableMapping[bytes, bytes]):
    """A dict of bytes for one thread, in half the memory: some 20 bytes a key beside key and value.

    While one iterates, no key may be added or removed, and no value changed but that of the key in hand. The order of
    keys is not that of their insertion.
    """

    def __init__(self) -> None:
        self._large: dict[bytes, bytes] = {}
        self._buckets = [b""]
        """Of each entry a tag, which is a byte of its key's hash; then in the same order of each entry the place."""
        self._mask, self._next_mask, self._split = 0, 1, 0
        """A key's bucket has the last bits of its hash as number, one bit more if it is below the one to split next."""
        self._count = 0
        """How many entries the buckets have."""
        self._segments: list[bytearray] = []
        self._segments_of: dict[int, list[int]] = {}
        """The numbers of the segments with entries of a size, in units. All but the last one are full."""
        self._unused: list[int] = []
        """Numbers of segments that have become empty."""

    # -- reading --------------------------------------------------------------------------------------------------

    def get(self, key: bytes, default: Any = None) -> Any:
        """Return the value of `key`, or `default`."""
        if self._count:
            # as `_find`, without a call: this is done for most messages
            key_hash = hash(key)
            number = key_hash & self._mask
            if number < self._split:
                number = key_hash & self._next_mask
            bucket, tag = self._buckets[number], key_hash >> 48 & 255
            count = len(bucket) // _INDEXED
            index = bucket.find(tag, 0, count)
            while index >= 0:
                (place,) = _place_in(bucket, count + 4 * index)
                segment, start = self._segments[place >> _SEGMENT_BITS], (place & _OFFSET) << _UNIT_BITS
                key_length, value_length = _lengths(segment, start)
                start += _HEADER
                if key_length == len(key) and segment.startswith(key, start):
                    start += key_length
                    return bytes(segment[start : start + value_length])
                index = bucket.find(tag, index + 1, count)
        return self._large.get(key, default) if self._large else default

    def __getitem__(self, key: bytes) -> bytes:
        value: bytes | None = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def __contains__(self, key: object) -> bool:
        return isinstance(key, bytes) and self.get(key) is not None

    def __len__(self) -> int:
        return self._count + len(self._large)

    def __iter__(self) -> Iterator[bytes]:
        count, large = len(self), list(self._large)
        for bucket in self._buckets:
            for key in [self._key_at(place) for place in _places(bucket)]:
                if len(self) != count:
                    raise RuntimeError("the map has other keys than when the iteration began")
                yield key
        yield from large

    # -- writing --------------------------------------------------------------------------------------------------

    def __setitem__(self, key: bytes, value: bytes) -> None:
        location = self._find(key) if self._count else None
        if len(key) + len(value) > _LARGEST:
            if location:
                self._remove(location)
            self._large[key] = value
            return
        if location:
            self._replace(location, key, value)
            return
        self._large.pop(key, None)
        self._add(key, value)

    def __delitem__(self, key: bytes) -> None:
        if location := self._find(key):
            self._remove(location)
        else:
            del self._large[key]

    def pop(self, key: bytes, default: Any = None) -> Any:
        """Remove `key` if it is there. Return its value, or `default`."""
        if (value := self.get(key)) is None:
            return default
        del self[key]
        return value

    def _replace(self, location: _Location, key: bytes, value: bytes) -> None:
        number, index, place = location
        segment, start = self._entry_at(place)
        key_length, value_length = _lengths(segment, start)
        if value_length == len(value):
            start += _HEADER + key_length
            segment[start : start + value_length] = value
            return
        entry = _LENGTHS.pack(key_length, len(value)) + key + value
        if (units := _units(_HEADER + key_length + value_length)) == _units(len(entry)):
            segment[start : start + len(entry)] = entry
        else:
            self._set_place(number, index, self._append(entry))
            self._free(place, units)

    def _remove(self, location: _Location) -> None:
        number, index, place = location
        bucket = self._buckets[number]
        at = len(bucket) // _INDEXED + 4 * index
        self._buckets[number] = bucket[:index] + bucket[index + 1 : at] + bucket[at + 4 :]
        self._count -= 1
        self._free(place, _units_at(*self._entry_at(place)))

    def _add(self, key: bytes, value: bytes) -> None:
        """Take in a key that is neither in the buckets nor among the large ones."""
        key_hash = hash(key)
        number = self._bucket_of(key_hash)
        place = self._append(_LENGTHS.pack(len(key), len(value)) + key + value)
        bucket = self._buckets[number]
        count = len(bucket) // _INDEXED
        self._buckets[number] = b"".join(
            (bucket[:count], _TAGS[key_hash >> 48 & 255], bucket[count:], _PLACE.pack(place))
        )
        self._count += 1
        if self._count > _BUCKET_MEAN * len(self._buckets):
            self._split_bucket()

    # -- the index ------------------------------------------------------------------------------------------------

    def _bucket_of(self, key_hash: int) -> int:
        number = key_hash & self._mask
        return key_hash & self._next_mask if number < self._split else number

    def _find(self, key: bytes) -> _Location | None:
        key_hash = hash(key)
        number, tag = self._bucket_of(key_hash), key_hash >> 48 & 255
        bucket = self._buckets[number]
        count = len(bucket) // _INDEXED
        index = bucket.find(tag, 0, count)
        while index >= 0:
            (place,) = _place_in(bucket, count + 4 * index)
            segment, start = self._segments[place >> _SEGMENT_BITS], (place & _OFFSET) << _UNIT_BITS
            if segment.startswith(key, start + _HEADER) and segment[start] | segment[start + 1] << 8 == len(key):
                return number, index, place
            index = bucket.find(tag, index + 1, count)
        return None

    def _set_place(self, number: int, index: int, place: int) -> None:
        bucket = self._buckets[number]
        at = len(bucket) // _INDEXED + 4 * index
        self._buckets[number] = bucket[:at] + _PLACE.pack(place) + bucket[at + 4 :]

    def _entry_at(self, place: int) -> tuple[bytearray, int]:
        return self._segments[place >> _SEGMENT_BITS], (place & _OFFSET) << _UNIT_BITS

    def _key_at(self, place: int) -> bytes:
        segment, start = self._entry_at(place)
        return bytes(segment[start + _HEADER : start + _HEADER + (segment[start] | segment[start + 1] << 8)])

    def _split_bucket(self) -> None:
        """Make one bucket more, of those entries of the next one whose hash says so."""
        bucket, bit, key_at = self._buckets[self._split], self._mask + 1, self._key_at
        places = _places(bucket)
        moves = [hash(key_at(place)) & bit for place in places]
        self._buckets[self._split] = _select(bucket, places, [not move for move in moves])
        self._buckets.append(_select(bucket, places, moves))
        self._split += 1
        if self._split == bit:
            self._mask, self._next_mask, self._split = self._next_mask, self._next_mask * 2 + 1, 0

    # -- the entries ----------------------------------------------------------------------------------------------

    def _append(self, entry: bytes) -> int:
        """Put the entry behind the others of its size, and return its place."""
        units = len(entry) + 7 >> _UNIT_BITS
        numbers = self._segments_of.get(units) or self._segments_of.setdefault(units, [self._new_segment()])
        segment = self._segments[numbers[-1]]
        if len(segment) + len(entry) > _SEGMENT_BYTES:
            numbers.append(self._new_segment())
            segment = self._segments[numbers[-1]]
        place = numbers[-1] << _SEGMENT_BITS | len(segment) >> _UNIT_BITS
        segment += entry.ljust(units << _UNIT_BITS, b"\0")
        return place

    def _new_segment(self) -> int:
        if self._unused:
            return self._unused.pop()
        self._segments.append(bytearray())
        return len(self._segments) - 1

    def _free(self, place: int, units: int) -> None:
        """Let the last entry of this size take the place of one that is no longer in the index."""
        numbers = self._segments_of[units]
        segment = self._segments[numbers[-1]]
        start = len(segment) - (units << _UNIT_BITS)
        last_place = numbers[-1] << _SEGMENT_BITS | start >> _UNIT_BITS
        if last_place != place:
            self._move(last_place, place, units << _UNIT_BITS)
        del segment[start:]
        if not segment:
            self._unused.append(numbers.pop())
            if not numbers:
                del self._segments_of[units]

    def _move(self, place: int, to: int, size: int) -> None:
        location = self._find(self._key_at(place))
        assert location is not None, "an entry is in the index until it is freed"
        self._set_place(location[0], location[1], to)
        source, start = self._entry_at(place)
        target, target_start = self._entry_at(to)
        target[target_start : target_start + size] = source[start : start + size]


def _units(size: int) -> int:
    return size + 7 >> _UNIT_BITS


def _units_at(segment: bytearray, start: int) -> int:
    key_length, value_length = _lengths(segment, start)
    return _units(_HEADER + key_length + value_length)


def _places(bucket: bytes) -> tuple[int, ...]:
    count = len(bucket) // _INDEXED
    return unpack_from(f"<{count}I", bucket, count)


def _select(bucket: bytes, places: tuple[int, ...], choice: list[Any]) -> bytes:
    chosen = list(compress(places, choice))
    return bytes(compress(bucket, choice)) + pack(f"<{len(chosen)}I", *chosen)
