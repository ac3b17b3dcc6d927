"""A log line says which message it is about."""

from collections.abc import Iterator

import pytest

from ensemble.observability.logs import add_record
from ensemble.state.unit_of_work import RecordLayer, current_layer


@pytest.fixture
def layer() -> Iterator[RecordLayer]:
    layer = RecordLayer()
    place = ("orders.events", 3, 17)
    layer.begin(b"order-1", b"/cli", "m-2", correlation_id="m-1", trace="4bf9", time="", place=place)
    token = current_layer.set(layer)
    yield layer
    current_layer.reset(token)


@pytest.mark.usefixtures("layer")
def test_a_line_in_a_handler_names_its_record() -> None:
    assert add_record(None, "info", {"event": "order.changed"}) == {
        "event": "order.changed",
        "key": "order-1",
        "message_id": "m-2",
        "correlation_id": "m-1",
        "trace_id": "4bf9",
        "topic": "orders.events",
        "partition": 3,
        "offset": 17,
    }


@pytest.mark.usefixtures("layer")
def test_a_key_that_the_line_names_itself_stays() -> None:
    assert add_record(None, "info", {"event": "parked.closed", "key": "order-9"})["key"] == "order-9"


def test_a_line_outside_of_a_handler_names_none() -> None:
    assert add_record(None, "info", {"event": "state.restored"}) == {"event": "state.restored"}


def test_a_line_of_a_handler_at_rest_names_none() -> None:
    token = current_layer.set(RecordLayer())
    assert add_record(None, "info", {"event": "state.restored"}) == {"event": "state.restored"}
    current_layer.reset(token)
