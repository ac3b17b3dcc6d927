"""The key that a record waits under: its own, or the one that its message names, if it can be read."""

from __future__ import annotations

from operator import attrgetter
from types import SimpleNamespace
from typing import Any

import pytest

from ensemble.engine.items import RecordItem
from ensemble.errors import UndecodableRecord
from ensemble.messages.records import StoredRecord
from tests.support.scripted_service.messages import Told


def item(key: bytes | None, *, names_another: bool, is_readable: bool) -> RecordItem:
    def read(_: bytes) -> Told:
        if not is_readable:
            raise UndecodableRecord("it is cut")
        return Told(account_id="theirs", text="x")

    parking_key = attrgetter("account_id") if names_another else None
    route: Any = SimpleNamespace(parking_key=parking_key, read=read)
    return RecordItem(StoredRecord("t", 0, 7, key, b"value"), route)


@pytest.mark.parametrize(
    ("key", "names_another", "is_readable", "expected"),
    [
        (b"own", False, True, b"own"),
        (b"own", True, True, b"theirs"),
        (b"own", True, False, b"own"),
        (None, False, True, b""),
        (None, True, True, b""),
        (b"", True, True, b""),
    ],
)
def test_a_record_waits_under_the_key_that_its_message_names_or_its_own(
    key: bytes | None, names_another: bool, is_readable: bool, expected: bytes
) -> None:
    waiting = item(key, names_another=names_another, is_readable=is_readable)
    assert (waiting.key, waiting.key) == (expected, expected)


def test_a_message_is_read_once_and_one_that_cannot_be_read_is_none() -> None:
    readable = item(b"a", names_another=False, is_readable=True)
    assert readable.message is readable.message
    assert readable.message_if_readable is readable.message
    cut = item(b"a", names_another=False, is_readable=False)
    assert cut.message_if_readable is None
    with pytest.raises(UndecodableRecord, match="it is cut"):
        _ = cut.message
