"""The graph: each edge with the kind of its message and who decides."""

from __future__ import annotations

from dataclasses import replace

from ensemble.topology.graph import OUTSIDE, ControlFlow, Graph, Kind, Node, flow_of
from tests.support.sample_flow import TOPICS, Bought, Buy, Carried, catalogue, shop

CLERK = Node("till", "Clerk", conducts=True)


def flow() -> Graph:
    shared = catalogue()
    return flow_of(shop(shared), shared)


def edge_lines(graph: Graph, control: ControlFlow, kind: Kind | None = None) -> list[str]:
    return [f"{edge.source.name} {edge.message.__name__} {edge.target.name}" for edge in graph.of(control, kind)]


def test_a_command_from_a_conductor_is_orchestrated() -> None:
    assert edge_lines(flow(), "orchestrated", "command") == ["till.Clerk Pack store.Packer"]


def test_an_event_to_a_conductor_is_orchestrated_and_so_is_the_runtimes_report() -> None:
    expected = {
        "till.Desk Bought till.Clerk",
        "store.Packer Packed till.Clerk",
        *(f"{service} Broken till.Clerk" for service in ("till", "store", "courier")),
    }
    assert set(edge_lines(flow(), "orchestrated", "event")) == expected


def test_what_no_conductor_has_a_part_in_is_choreographed() -> None:
    graph = flow()
    assert edge_lines(graph, "choreographed", "command") == [
        "store.Packer Carry courier.Carrier",
        "courier.Watcher Label courier.Carrier",
    ]
    assert edge_lines(graph, "choreographed", "event") == ["till.Desk Bought courier.Watcher"]


def test_the_outside_sends_and_reads_what_the_catalogue_says() -> None:
    ends = [(edge.source, edge.message, edge.target) for edge in flow().of("outside")]
    assert ends == [(Node("courier", "Carrier"), Carried, OUTSIDE), (OUTSIDE, Buy, Node("till", "Desk"))]


def test_a_ledger_is_written_by_the_roles_that_hold_its_aggregate() -> None:
    (edge,) = flow().of("ledger")
    assert (edge.source.name, edge.target.name, edge.topic) == ("store.Packer", "store.Shelf", "store.ledger")


def test_services_and_their_roles_keep_their_order() -> None:
    graph = flow()
    assert graph.services == ("till", "store", "courier")
    assert CLERK in graph.roles


def test_an_event_that_comes_from_outside_too_has_both_edges() -> None:
    (events,) = (topic for topic in TOPICS if topic.name == "till.events")
    shared = catalogue(replace(events, from_outside=(Bought,)))
    graph = flow_of(shop(shared), shared)
    assert "outside Bought till.Clerk" in edge_lines(graph, "outside")
    assert "till.Desk Bought till.Clerk" in edge_lines(graph, "orchestrated")
