"""How large a record is, where it lies, and by which id it is known: to the byte, since limits are drawn there."""

from typing import Any

import pytest

from ensemble.messages.records import (
    MAX_ID_BYTES,
    MAX_INPUT_BYTES,
    MAX_KEY_BYTES,
    StoredRecord,
    bounded_id,
    header_size,
    message_id,
    place_name,
    place_of,
    size_of,
    why_oversized,
)
from tests.support.assigned_consumer import Polled


def record(key: bytes | None = b"k", value: bytes | None = b"value", **more: Any) -> StoredRecord:
    return StoredRecord("shop.commands", 2, 7, key, value, **more)


class Unplaced(StoredRecord):
    """A record that says nothing of its place, as the client may."""

    def topic(self) -> Any:
        return None

    def partition(self) -> Any:
        return None

    def offset(self) -> Any:
        return None


def test_a_place_is_topic_partition_and_offset() -> None:
    assert place_of(record()) == ("shop.commands", 2, 7)
    assert place_of(StoredRecord("shop.commands", 0, 0, b"k", b"v")) == ("shop.commands", 0, 0)
    assert place_of(Unplaced("", 0, 0, b"k", b"v")) == ("", 0, -1)


@pytest.mark.parametrize(
    ("name", "value", "size"),
    [("ab", b"xyz", 21), ("ab", b"", 18), ("ab", None, 18), ("ä", b"x", 19), ("", None, 16)],
)
def test_a_header_takes_its_name_its_value_and_sixteen_bytes(name: str, value: bytes | None, size: int) -> None:
    assert header_size(name, value) == size
    assert size_of(record(raw_headers=[(name, value)])) == 6 + size
    assert size_of(record(raw_headers=[(name, value)] * 3)) == 6 + 3 * size


@pytest.mark.parametrize(
    ("stored", "size"),
    [
        (record(), 6),
        (record(None), 5),
        (record(value=None), 1),
        (record(None, None), 0),
        (record(original=b"before it was edited"), 26),
    ],
)
def test_a_record_takes_its_key_its_value_and_the_value_before_an_edit(stored: StoredRecord, size: int) -> None:
    assert size_of(stored) == size


def test_a_record_of_the_clients_is_as_large() -> None:
    class Bare(Polled):
        def headers(self) -> Any:
            return None  # as the client says it

    assert size_of(Polled(("shop.commands", 2, 7), pairs=[("ab", b"xyz")])) == len("key") + len("value") + 21
    assert size_of(Bare(("shop.commands", 2, 7))) == len("key") + len("value")
    assert message_id(Bare(("shop.commands", 2, 7))) == "shop.commands/2/7"


def test_a_record_is_oversized_from_one_byte_beyond_a_limit_on() -> None:
    largest, longest = b"v" * (MAX_INPUT_BYTES - 1), b"k" * MAX_KEY_BYTES
    assert why_oversized(record(value=largest)) == ""
    assert why_oversized(record(value=largest + b"v")) == (
        f"it takes {MAX_INPUT_BYTES + 1} bytes with its headers, the limit is {MAX_INPUT_BYTES}"
    )
    assert why_oversized(record(value=largest[:-16], raw_headers=[("", b"")])) == ""
    assert why_oversized(record(value=largest[:-16], raw_headers=[("", b"x")])) != ""
    assert why_oversized(record(longest), longest) == ""
    words = f"its key takes {MAX_KEY_BYTES + 1} bytes, the limit is {MAX_KEY_BYTES}"
    assert why_oversized(record(longest + b"k")) == words
    assert why_oversized(record(None), longest + b"k") == words


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"", ""),
        (b"i" * MAX_ID_BYTES, "i" * MAX_ID_BYTES),
        ("ä".encode() * (MAX_ID_BYTES // 2), "ä" * (MAX_ID_BYTES // 2)),
        (b"\xff" * (MAX_ID_BYTES // 4), r"\xff" * (MAX_ID_BYTES // 4)),
    ],
)
def test_an_id_that_has_room_is_handed_on_as_text(raw: bytes, text: str) -> None:
    assert bounded_id(raw) == text


@pytest.mark.parametrize(
    "raw", [b"i" * (MAX_ID_BYTES + 1), "ä".encode() * (MAX_ID_BYTES // 2 + 1), b"\xff" * (MAX_ID_BYTES // 4 + 1)]
)
def test_of_a_longer_id_its_hash_is_handed_on(raw: bytes) -> None:
    assert len(bytes.fromhex(bounded_id(raw))) == 16
    assert bounded_id(raw) == bounded_id(bytes(raw)) != bounded_id(raw + b"i")


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (record(raw_headers=[("ce_id", b"m-1")]), "m-1"),
        (record(raw_headers=[("ce_id", b"m-1"), ("ce_id", b"m-2")]), "m-2"),
        (record(raw_headers=[("ce_id", b"")]), "shop.commands/2/7"),
        (record(raw_headers=[("ce_type", b"Script")]), "shop.commands/2/7"),
        (record(), "shop.commands/2/7"),
    ],
)
def test_a_record_is_known_by_its_id_or_else_by_its_place(stored: StoredRecord, expected: str) -> None:
    assert message_id(stored) == message_id(stored, dict(stored.headers())) == expected
    assert message_id(stored, {"ce_id": b"m-3"}) == "m-3", "headers that were read before are not read again"


def test_the_name_of_a_place_is_as_long_as_an_id() -> None:
    fits = StoredRecord("t" * (MAX_ID_BYTES - 4), 2, 7, None, None)
    assert place_name(fits) == f"{fits.topic()}/2/7"
    longer = StoredRecord("t" * (MAX_ID_BYTES - 3), 2, 7, None, None)
    assert place_name(longer) == bounded_id(f"{longer.topic()}/2/7".encode())
    assert len(place_name(longer)) == 32


def test_headers_of_text_are_read_as_bytes() -> None:
    assert record(raw_headers=[("a", "ä"), ("b", b"x"), ("c", None)]).headers() == [
        ("a", "ä".encode()),
        ("b", b"x"),
        ("c", None),
    ]
