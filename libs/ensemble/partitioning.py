"""Finds the partition of a key, as Kafka's default partitioner does (murmur2, as in the Java client)."""

from __future__ import annotations

from functools import lru_cache

_M = 0x5BD1E995
_MASK = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """Return the 32 bit hash of Kafka's Java client, as an unsigned number."""
    h = 0x9747B28C ^ len(data)
    aligned = len(data) & ~3
    for i in range(0, aligned, 4):
        k = (int.from_bytes(data[i : i + 4], "little") * _M) & _MASK
        k = ((k ^ (k >> 24)) * _M) & _MASK
        h = ((h * _M) & _MASK) ^ k
    if aligned < len(data):
        h = ((h ^ int.from_bytes(data[aligned:], "little")) * _M) & _MASK
    h = ((h ^ (h >> 13)) * _M) & _MASK
    return h ^ (h >> 15)


@lru_cache(maxsize=65_536)
def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition that `murmur2_random`, and any Java producer, puts `key` on."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def home_of(key: bytes | None, partition: int, partitions: int) -> int:
    """Return where a record belongs among so many partitions: by its key, whichever `partition` it lies in."""
    return partition % partitions if key is None else partition_of(key, partitions)
