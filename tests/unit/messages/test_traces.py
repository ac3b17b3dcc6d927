"""The trace that a record says it belongs to."""

import pytest

from ensemble.messages.records import trace_in

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def test_the_trace_of_a_record_is_that_of_its_header() -> None:
    assert trace_in({"traceparent": f"00-{TRACE}-{PARENT}-01".encode()}) == TRACE


@pytest.mark.parametrize(
    "text",
    ["", "00", f"00-{'0' * 32}-{PARENT}-01", f"00-{TRACE}-{'0' * 16}-01", f"ff-{TRACE}-{PARENT}-01", f"00-{TRACE}"],
)
def test_what_is_no_trace_by_w3c_is_none(text: str) -> None:
    assert trace_in({"traceparent": text.encode()}) == ""
