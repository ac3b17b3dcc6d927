"""Which partition a key belongs to: Kafka's default partitioner, written here once more on purpose."""

from __future__ import annotations

from functools import lru_cache

_MASK = 0xFFFFFFFF
_M = 0x5BD1E995


@lru_cache(maxsize=20_000)
def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of Java's default partitioner: murmur2, made positive, modulo the partition count."""
    return (_murmur2(key) & 0x7FFFFFFF) % partitions


def describe_wrong_partition(key: bytes, partition: int, partitions: int) -> str:
    """Return that a key's records lie elsewhere; nothing if they lie in this partition."""
    right = partition_of(key, partitions)
    return f"its key belongs to partition {right}" if right != partition else ""


def _murmur2(data: bytes) -> int:
    hashed = 0x9747B28C ^ len(data)
    blocks, rest = divmod(len(data), 4)
    for number in range(blocks):
        word = int.from_bytes(data[number * 4 : number * 4 + 4], "little") * _M & _MASK
        word = (word ^ word >> 24) * _M & _MASK
        hashed = hashed * _M & _MASK ^ word
    if rest:
        hashed = (hashed ^ int.from_bytes(data[blocks * 4 :], "little")) * _M & _MASK
    hashed = (hashed ^ hashed >> 13) * _M & _MASK
    return hashed ^ hashed >> 15
