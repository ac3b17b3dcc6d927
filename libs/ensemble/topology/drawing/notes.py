"""The sentences below the picture: edges of no combination, and those that all services have alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ensemble.topology.graph import Edge, Graph


def failure_note(edges: Iterable[Edge]) -> str:
    """Return one sentence on what the runtime itself emits for all services; empty if it emits nothing."""
    reports = [edge for edge in edges if not edge.source.role]
    if not reports:
        return ""
    names = ", ".join(dict.fromkeys(edge.message.__name__ for edge in reports))
    services = len({edge.source.service for edge in reports})
    return f"+ {names} from {services} services, when a command has failed for good"


def footnotes(graph: Graph) -> Iterator[str]:
    """Yield a sentence each for inputs from outside, outputs to it, and each ledger."""
    inputs = _grouped((edge for edge in graph.of("outside") if edge.target.service != "outside"), towards=True)
    outputs = _grouped((edge for edge in graph.of("outside") if edge.target.service == "outside"), towards=False)
    if inputs:
        yield f"From outside: {inputs}"
    if outputs:
        yield f"To the outside: {outputs}"
    for ledger in dict.fromkeys(edge.target for edge in graph.of("ledger")):
        facts = [edge for edge in graph.of("ledger") if edge.target == ledger]
        names = ", ".join(dict.fromkeys(edge.message.__name__ for edge in facts))
        yield f"Event sourcing: {ledger.service} folds its {ledger.role} from {facts[0].topic} ({names})"


def _grouped(edges: Iterable[Edge], *, towards: bool) -> str:
    edges, parts = list(edges), []
    for message in dict.fromkeys(edge.message for edge in edges):
        ends = [edge.target if towards else edge.source for edge in edges if edge.message is message]
        services = ", ".join(dict.fromkeys(node.service for node in ends))
        parts.append(f"{message.__name__} {'to' if towards else 'from'} {services}")
    return "; ".join(parts)
