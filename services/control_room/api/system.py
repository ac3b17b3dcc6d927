"""The system itself: its flow as declared and as it runs, its consumers, stock and policies."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query

from backoffice.stock import StockLevel
from backoffice.stock_ledger import LedgerFilter, LedgerPage, read_ledger
from ensemble.operations import (
    EdgeTraffic,
    NotFound,
    PartitionLag,
    Result,
    Traffic,
    TrafficSecond,
    now,
    policies_in_force,
    read_lag,
)
from ensemble.topology import Graph
from services.control_room.api.parameters import (
    Cursor,
    Limit,
    RoomWithView,
    ServiceName,
    Text,
    problems,
    require_kafka,
)
from services.control_room.control_room import ControlRoom, Room

router = APIRouter(tags=["system"], responses=problems(HTTPStatus.NOT_FOUND))

Name = Annotated[str, Query(min_length=1, max_length=256)]
_HOUR_S = 3600


class TopologyNode(Result):
    """A role of a service; the runtime in that service, without a role; or what is outside."""

    name: str
    service: str
    role: str | None
    conducts: bool


class TopologyEdge(Result):
    """A message from the node that writes it to one that receives it; `control` says who decides that it follows."""

    source: str
    target: str
    message: str
    kind: str
    topic: str
    control: str


class Topology(Result):
    """The flow as it is declared."""

    services: tuple[str, ...]
    nodes: tuple[TopologyNode, ...]
    edges: tuple[TopologyEdge, ...]


@router.get("/topology")
def get_topology(room: Room) -> Topology:
    """Return which role writes which message, which receives it, and who decides."""
    return topology_of(room.flow)


@router.get("/traffic")
def list_traffic(
    room: RoomWithView,
    seconds: Annotated[int, Query(ge=1, le=_HOUR_S, description="Of the last so many seconds.")] = 60,
) -> tuple[EdgeTraffic, ...]:
    """Return how many messages of each type each service has written to each topic, most first."""
    return Traffic(room.view).edges(now(), seconds)


@router.get("/traffic/seconds")
def list_traffic_seconds(
    room: RoomWithView,
    sender: Name,
    type: Name,  # noqa: A002  as the field of an edge is called
    topic: Name,
) -> tuple[TrafficSecond, ...]:
    """Return the seconds of the last hour in which messages went over an edge, the oldest first."""
    return Traffic(room.view).seconds(sender, type, topic)


@router.get("/consumers")
def list_consumers(room: Room, service: ServiceName = None) -> tuple[PartitionLag, ...]:
    """Return how far each service is behind each of its partitions, the farthest first."""
    require_kafka(room)
    return read_lag(room.session.client, _services(room, service))


@router.get("/stock")
def list_stock(room: RoomWithView, *, warehouse: Text = None, sku: Text = None) -> tuple[StockLevel, ...]:
    """Return what each warehouse has of each sku."""
    return room.stock.levels(warehouse, sku)


@router.get("/stock/ledger")
def list_ledger(
    room: Room,
    *,
    warehouse: Text = None,
    sku: Text = None,
    order: Text = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> LedgerPage:
    """Return the facts behind the stock that match, the latest first: what moved, when, and for which order.

    A page may be short although there is a `next`: where few facts match, so many records were looked through.
    """
    require_kafka(room)
    return read_ledger(room.session, LedgerFilter(warehouse, sku, order), limit, cursor)


@router.get("/policies")
def list_policies(room: Room, service: ServiceName = None) -> list[dict[str, Any]]:
    """Return the policies in force, service by service, each value with where it comes from."""
    return [each.document() for each in policies_in_force(room.session.application, _services(room, service))]


def topology_of(flow: Graph) -> Topology:
    """Return the graph of the flow as a document."""
    ends = [end for edge in flow.edges for end in (edge.source, edge.target)]
    nodes = dict.fromkeys([*flow.roles, *ends])
    return Topology(
        services=flow.services,
        nodes=tuple(
            TopologyNode(name=node.name, service=node.service, role=node.role or None, conducts=node.conducts)
            for node in nodes
        ),
        edges=tuple(
            TopologyEdge(
                source=edge.source.name,
                target=edge.target.name,
                message=edge.message.__name__,
                kind=edge.kind,
                topic=edge.topic,
                control=edge.control,
            )
            for edge in flow.edges
        ),
    )


def _services(room: ControlRoom, name: str | None) -> list[str]:
    names = list(room.session.application.services)
    if name is not None and name not in names:
        raise NotFound(f"no service {name!r}", hint=f"services are {', '.join(names)}", field="service")
    return names if name is None else [name]
