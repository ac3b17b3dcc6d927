"""The order flow itself: it breaks no rule, has each combination, and its picture is the one in docs/."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from cli.up import PORTS
from contracts.catalogue import CATALOGUE
from ensemble import Service
from ensemble.topology.asyncapi import asyncapi
from ensemble.topology.drawing.combinations import COMBINATIONS
from ensemble.topology.drawing.text import svg
from ensemble.topology.graph import flow_of
from ensemble.topology.rules import check_topology
from launcher import CONTROL_ROOM, SANDBOX
from services.app import SERVICES
from services.control_room.settings import ControlRoomSettings
from services.payment_sandbox.settings import SandboxSettings

DOCS = Path(__file__).parents[3] / "docs"
PICTURE, DOCUMENT = DOCS / "flow.svg", DOCS / "asyncapi.yaml"


@pytest.fixture(scope="module")
def services() -> list[Service]:
    return [make() for make in SERVICES.values()]


def test_the_flow_breaks_no_rule(services: list[Service]) -> None:
    assert [str(problem) for problem in check_topology(services, CATALOGUE)] == []


@pytest.mark.parametrize(
    ("combination", "edge"),
    [
        ("Orchestration with commands", "orchestrator ProcessPayment payment"),
        ("Orchestration with events", "payment PaymentConfirmed orchestrator"),
        ("Choreography with commands", "inventory ScheduleShipment shipping"),
        ("Choreography with events", "order OrderPlaced shipping"),
    ],
)
def test_all_four_combinations_run_in_it(services: list[Service], combination: str, edge: str) -> None:
    (kind,) = (kind for kind in COMBINATIONS if kind.title == combination)
    edges = kind.edges(flow_of(services, CATALOGUE))
    assert edge in {f"{one.source.service} {one.message.__name__} {one.target.service}" for one in edges}


def test_each_service_listens_where_everything_else_looks_for_it(services: list[Service]) -> None:
    ports = {service.name: service.http_port for service in services} | {SANDBOX: SandboxSettings().port}
    ports[CONTROL_ROOM] = ControlRoomSettings().port
    assert {name: ports[name] for name in PORTS} == PORTS


def test_the_picture_in_docs_is_the_one_that_the_declarations_make(services: list[Service]) -> None:
    drawn = svg(flow_of(services, CATALOGUE))
    assert PICTURE.read_text(encoding="utf-8") == drawn, "the flow has changed: write docs/flow.svg again"


def test_the_asyncapi_document_in_docs_is_the_one_that_the_declarations_make(services: list[Service]) -> None:
    written = yaml.safe_load(DOCUMENT.read_text(encoding="utf-8"))
    document = asyncapi(services, CATALOGUE, title="Order fulfilment", version=written["info"]["version"])
    assert written == document, "the flow has changed: run `make asyncapi`"
