import pytest

from ensemble.partitioning import home_of, murmur2, partition_of

# Kafka's own UtilsTest.testMurmur2: signed 32 bit there, unsigned here.
VECTORS = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize("key", VECTORS)
def test_hashes_as_kafkas_java_client_does(key: bytes) -> None:
    """Rule 1: outside producers and we agree on every key's partition."""
    assert murmur2(key) == VECTORS[key] & 0xFFFFFFFF


def test_the_sign_bit_is_cleared_before_the_partition_is_taken() -> None:
    """Rule 1: Java takes `toPositive(hash) % partitions`, not the absolute value."""
    assert partition_of(b"21", 4) == (-973932308 & 0x7FFFFFFF) % 4


@pytest.mark.parametrize(("key", "partition", "home"), [(b"21", 0, 0), (b"21", 9, 0), (None, 9, 1), (None, 3, 3)])
def test_a_record_belongs_where_its_key_says_and_without_one_where_it_lies(
    key: bytes | None, partition: int, home: int
) -> None:
    assert home_of(key, partition, 4) == home
