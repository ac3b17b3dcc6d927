"""All services in memory, with bolts in the warehouse, and what an operator's command prints."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from ensemble.command_line.connection import connected_to
from ensemble.command_line.publishing import publish
from ensemble.operations import Actor, Intent
from tests.support.flow_in_memory import FlowInMemory
from tests.support.order_messages import place_order


@pytest.fixture
def flow() -> Iterator[Any]:
    """Make a `FlowInMemory`; the command line takes it for a ClusterClient."""
    with capture_logs():
        yield FlowInMemory()


@pytest.fixture
def shop(flow: Any) -> Iterator[Any]:
    """One order that is completed, one whose reservation is awaited, one whose charge waits parked, one refused."""
    publish(flow, place_order())
    flow.settle()
    publish(flow, place_order(customer_id="c-2"))
    flow.stopped = {"inventory"}
    publish(flow, place_order(order_id="o-2", customer_id="c-2"))
    flow.settle()
    flow.gateway.available = False
    publish(flow, place_order(order_id="o-3"))
    flow.settle()
    with connected_to(flow):
        yield flow


@pytest.fixture
def intent() -> Intent:
    return Intent(actor=Actor(name="ann", via="cli"), reason="mended")


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Callable[[], Any]:
    """Return the JSON document that was printed last."""
    return lambda: json.loads(capsys.readouterr().out)
