"""What an outsider says about a message, and what it may not say."""

from typing import Any

import pytest

from ensemble.messages import Envelope, type_headers
from tests.support.scripted_service.messages import Script

TRACE = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"


def test_the_headers_of_a_type_say_what_it_is_and_who_writes_it() -> None:
    assert dict(type_headers(Script, b"/web")) == {
        "ce_specversion": b"1.0",
        "ce_type": b"workshop.commands.Script",
        "ce_source": b"/web",
        "content-type": b"application/avro",
    }


def test_a_message_begins_a_story_and_a_trace_of_its_own() -> None:
    first, second = dict(Envelope().headers_at(0)), dict(Envelope().headers_at(0))
    assert first["ce_correlationid"] == first["ce_id"]
    assert first["ce_time"] == b"1970-01-01T00:00:00.000Z"
    assert first["ce_id"] != second["ce_id"]
    assert first["traceparent"] != second["traceparent"]


def test_an_outsider_may_go_on_with_a_story_and_a_trace() -> None:
    envelope = Envelope("m-1", correlation_id="story", traceparent=TRACE, headers={"tenant": b"north"})
    headers = dict(envelope.headers_at(0))
    assert (headers["ce_id"], headers["ce_correlationid"], headers["tenant"]) == (b"m-1", b"story", b"north")
    assert headers["traceparent"] == TRACE.encode()
    assert envelope.trace_id == "a" * 32


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"message_id": ""}, "message_id takes 0 bytes"),
        ({"message_id": "ü" * 65}, "message_id takes 130 bytes"),
        ({"correlation_id": "x" * 129}, "correlation_id takes 129 bytes"),
        ({"traceparent": "00-abc"}, "traceparent '00-abc'"),
        ({"traceparent": f"00-{'0' * 32}-{'1' * 16}-01"}, "all zeros"),
        ({"traceparent": f"00-{'1' * 32}-{'0' * 16}-01"}, "all zeros"),
        ({"headers": {"ce_time": b"", "Content-Type": b""}}, "headers: ce_time cannot be set"),
    ],
)
def test_what_is_wrong_is_named(said: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Envelope(**said)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"headers": {"tenant": "north"}}, "'tenant' is a str; names are str and values bytes"),
        ({"headers": {"tenant": 5}}, "'tenant' is a int"),
        ({"headers": {b"tenant": b"north"}}, "names are str"),
        ({"message_id": 5}, "message_id is a int; give a str"),
        ({"traceparent": None}, "traceparent is a NoneType"),
    ],
)
def test_what_the_client_would_not_survive_is_refused_when_it_is_said(said: dict[str, Any], reason: str) -> None:
    with pytest.raises(TypeError, match=reason):
        Envelope(**said)


def test_a_header_name_that_is_no_text_is_refused() -> None:
    with pytest.raises(ValueError, match="no text that UTF-8 can hold"):
        Envelope(headers={"\ud800": b"x"})
