"""The API against its own OpenAPI document: whatever is asked, nothing breaks, and every answer is documented."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from structlog.testing import capture_logs

from tests.component.control_room.conftest import RoomInMemory, open_room
from tests.support.order_messages import place_order

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
NOT_HERE = r"/events$|^/api/topics$"
"""What does not end, and what asks an administrator, of whom topics in memory have none."""
EXAMPLES = 10
HOST = {"Host": "127.0.0.1"}


@pytest.fixture(scope="module")
def shared() -> Iterator[RoomInMemory]:
    """Make a control room with an order that has completed, and one that waits behind a failed charge."""
    with capture_logs(), open_room() as room:
        room.flow.flow.publish(place_order(order_id="o-1"))
        room.flow.settle()
        room.flow.gateway.available = False
        room.flow.flow.publish(place_order(order_id="o-2"))
        room.flow.stopped = {"orchestrator"}
        room.flow.advance(60)
        room.update()
        yield room


def test_no_request_breaks_it_and_every_answer_is_documented(shared: RoomInMemory) -> None:
    schema: Any = schemathesis.openapi.from_asgi("/api/openapi.json", shared.browser.app, headers=HOST)
    operations: list[Any] = [each.ok() for each in schema.exclude(path_regex=NOT_HERE).get_all_operations()]

    for operation in operations:
        ask(operation)
    assert len(operations) > 15


def ask(operation: Any) -> None:
    """Ask for an operation in all sorts of ways, wrong ones among them. Nobody waits for the end of an order."""

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=operation.as_strategy())
    def answers_as_documented(case: Any) -> None:
        (case.query or {}).pop("wait", None)
        case.call_and_validate(checks=CHECKS, headers={**(case.headers or {}), **HOST})

    answers_as_documented()


def test_every_operation_says_how_it_fails(shared: RoomInMemory) -> None:
    paths = shared.browser.get("/api/openapi.json").json()["paths"]

    operations = [(path, method) for path, item in paths.items() for method in item if path != "/healthz"]
    missing = [
        (path, method)
        for path, method in operations
        if not {"400", "401", "403", "413", "415", "422", "429", "503"} <= paths[path][method]["responses"].keys()
    ]

    assert operations
    assert missing == []
