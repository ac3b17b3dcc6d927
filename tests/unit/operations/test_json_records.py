"""What operators see of JSON, and how they edit it: as of Avro."""

from __future__ import annotations

from typing import Any

import pytest

from ensemble import Application
from ensemble.kafka.records import ReceivedRecord
from ensemble.messages.schema_set import DirectorySourceSelector
from ensemble.operations import DeadLetterEntry, Session, describe_readability
from ensemble.operations.errors import Invalid
from ensemble.operations.readability import encode_edited
from tests.support.json_flow import json_catalogue, json_service

APP = Application("counter", json_catalogue(), {"counter": json_service}, [])
SESSION = Session(APP, None, DirectorySourceSelector())  # type: ignore[arg-type]  # nothing is read from a cluster here


def received(topic: str, value: bytes, **headers: str) -> ReceivedRecord:
    pairs: Any = tuple((name, text.encode()) for name, text in headers.items())
    return ReceivedRecord(topic, 0, 3, 0, b"a", value, dict(pairs), pairs)


def letter(value: bytes, **headers: str) -> DeadLetterEntry:
    report = {"__streams.errors.exception": "TerminalError", "__streams.errors.topic": "counter.orders"}
    return DeadLetterEntry(SESSION.decode(received("counter.dead-letter", value, **headers, **report)))


def test_a_record_shows_its_fields() -> None:
    entry = SESSION.decode(received("counter.orders", b'{"order_id": "a", "total": 3}'))
    assert (entry.type, entry.kind, entry.fields) == ("Ordered", "event", {"order_id": "a", "total": 3})
    entry = SESSION.decode(received("counter.commands", b'{"order_id": "a"}', ce_type="Cancel"))
    assert (entry.type, entry.kind, entry.fields) == ("Cancel", "command", {"order_id": "a"})


@pytest.mark.parametrize(
    ("topic", "value", "problem"),
    [
        ("counter.orders", b"no JSON", "the value is no JSON"),
        ("counter.orders", b"[1]", "with a JSON list is no message of counter.orders"),
        ("counter.commands", b"{}", "ce_type '' with a JSON dict is no message of counter.commands"),
    ],
)
def test_what_is_no_message_is_shown_with_the_problem(topic: str, value: bytes, problem: str) -> None:
    entry = SESSION.decode(received(topic, value))
    assert entry.kind == "unreadable"
    assert problem in entry.problem


def test_a_dead_letter_says_what_it_is_and_whether_it_is_read_today() -> None:
    assert describe_readability(SESSION, letter(b'{"order_id": "a"}')) == {
        "written_as": "Ordered, JSON",
        "reads_today": "yes",
    }
    readable = describe_readability(SESSION, letter(b'{"total": 1}'))
    assert readable["reads_today"] == "no: Ordered is not valid: order_id: Field required"


def test_an_edited_dead_letter_is_json_again() -> None:
    edited = encode_edited(SESSION, letter(b'{"order_id": "a", "total": 1}'), {"order_id": "a", "total": 2})
    assert edited == b'{"order_id":"a","speed":"standard","weight":0.0,"total":2,"items":[]}'
    unreadable = letter(b'{"order_id": ')
    assert describe_readability(SESSION, unreadable)["written_as"] is None
    assert encode_edited(SESSION, unreadable, {"order_id": "a", "total": 2}) == edited
    with pytest.raises(Invalid, match="Ordered is not valid: order_id: Field required"):
        encode_edited(SESSION, letter(b'{"order_id": "a"}'), {})
    with pytest.raises(Invalid, match="gift: Extra inputs are not permitted"):
        encode_edited(SESSION, letter(b'{"order_id": "a"}'), {"order_id": "a", "gift": 1})


def test_bytes_are_edited_as_they_are_shown() -> None:
    fields = {"order_id": "a", "text": "", "digest": "_wA="}
    report = {"__streams.errors.topic": "counter.events"}
    value = b'{"order_id":"a","text":"","digest":"_wA="}'
    answered = DeadLetterEntry(SESSION.decode(received("counter.dead-letter", value, **report)))
    assert answered.entry.fields == fields
    assert encode_edited(SESSION, answered, fields) == value
