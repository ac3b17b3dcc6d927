"""All services in memory, with bolts in the warehouse, and what an operator's command prints."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from ensemble.command_line.connection import connected_to
from ensemble.operations import Actor, Intent
from tests.support.few_orders import place_few_orders
from tests.support.flow_in_memory import FlowInMemory


@pytest.fixture
def flow() -> Iterator[Any]:
    """Make a `FlowInMemory`; the command line takes it for a ClusterClient."""
    with capture_logs():
        yield FlowInMemory()


@pytest.fixture
def shop(flow: Any) -> Iterator[Any]:
    """The flow with one order completed, one awaited, one parked, one refused."""
    place_few_orders(flow)
    with connected_to(flow):
        yield flow


@pytest.fixture
def intent() -> Intent:
    return Intent(actor=Actor(name="ann", via="cli"), reason="mended")


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Callable[[], Any]:
    """Return the JSON document that was printed last."""
    return lambda: json.loads(capsys.readouterr().out)
